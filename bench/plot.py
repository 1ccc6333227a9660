"""Bars with their spread, as SVG."""

from collections.abc import Sequence
from html import escape

from bench.figures import Spread, number

_ROW, _LABEL, _WIDTH, _RIGHT, _TOP = 22, 330, 520, 70, 48
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.t{font-size:14px;font-weight:bold}.b{fill:#4477aa}.w{stroke:#222}"
    ".one{stroke:#bb5566;stroke-dasharray:4 3}.n{text-anchor:end}"
)


def bars(title: str, figures: Sequence[tuple[str, Spread]], mark: float = 1.0) -> str:
    """One bar for each figure, its low and high as a line over it; ``mark`` is where a dashed line stands."""
    most = max([mark, *(figure.high for _, figure in figures)]) * 1.02
    scale = _WIDTH / most
    height = _TOP + _ROW * len(figures) + 16
    size = f"0 0 {_LABEL + _WIDTH + _RIGHT} {height}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img" aria-label="{escape(title)}">',
        f"<style>{_STYLE}</style>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text class="t" x="12" y="24">{escape(title)}</text>',
    ]
    for place, (name, figure) in enumerate(figures):
        top = _TOP + place * _ROW
        middle, end = top + _ROW / 2 - 2, _LABEL + figure.median * scale
        low, high = _LABEL + figure.low * scale, _LABEL + figure.high * scale
        parts += [
            f'<text class="n" x="{_LABEL - 8}" y="{middle + 4:.1f}">{escape(name)}</text>',
            f'<rect class="b" x="{_LABEL}" y="{top}" width="{end - _LABEL:.1f}" height="{_ROW - 6}"/>',
            f'<line class="w" x1="{low:.1f}" x2="{high:.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>',
            f'<text x="{max(end, high) + 6:.1f}" y="{middle + 4:.1f}">{number(figure.median)}</text>',
        ]
    at = _LABEL + mark * scale
    parts.append(f'<line class="one" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 8}" y2="{height - 10}"/>')
    return "".join([*parts, "</svg>\n"])
