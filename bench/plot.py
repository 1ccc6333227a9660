"""Bars with their spread, and stacks as nested bars, as SVG."""

from collections.abc import Sequence
from html import escape

from bench.figures import Spread, number

_ROW, _LABEL, _WIDTH, _RIGHT, _TOP = 22, 330, 520, 70, 48
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.t{font-size:14px;font-weight:bold}.b{fill:#4477aa}.w{stroke:#222}"
    ".one{stroke:#bb5566;stroke-dasharray:4 3}.n{text-anchor:end}"
)


_DEEPEST, _THINNEST = 60, 1.5


def stacks(title: str, seen: Sequence[Sequence[str]]) -> str:
    """Nested bars: each function as wide as its share of the stacks that were ``seen`` (outermost first)."""
    width, row = _LABEL + _WIDTH + _RIGHT, 16
    parts: list[str] = []
    deepest = 0
    waiting: list[tuple[Sequence[Sequence[str]], int, float]] = [(seen, 0, 0.0)]
    while waiting:
        inside, depth, left = waiting.pop()
        groups: dict[str, list[Sequence[str]]] = {}
        for stack in inside:
            if len(stack) > depth:
                groups.setdefault(stack[depth], []).append(stack)
        for name, group in sorted(groups.items(), key=lambda found: -len(found[1])):
            wide = width * len(group) / len(seen)
            if wide >= _THINNEST and depth < _DEEPEST:
                parts.append(_bar(name, f"{len(group) / len(seen):.1%}", left, _TOP + depth * row, wide, row))
                waiting.append((group, depth + 1, left))
                deepest = max(deepest, depth)
            left += wide
    height = _TOP + (deepest + 1) * row + 8
    size = f"0 0 {width} {height}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img" aria-label="{escape(title)}">'
    style = f"<style>{_STYLE}.s{{fill:#88aacc;stroke:#fff}}.l{{font-size:9px}}</style>"
    text = f'<rect width="100%" height="100%" fill="#fff"/><text class="t" x="12" y="24">{escape(title)}</text>'
    return "".join([head, style, text, *parts, "</svg>\n"])


def _bar(name: str, share: str, left: float, top: int, wide: float, row: int) -> str:
    shown = name if len(name) * 5 < wide else name[: int(wide / 5)]
    label = f'<text class="l" x="{left + 2:.1f}" y="{top + row - 5}">{escape(shown)}</text>' if len(shown) > 3 else ""
    bar = f'<rect class="s" x="{left:.1f}" y="{top}" width="{wide:.1f}" height="{row}"/>'
    return f"<g><title>{escape(name)} {share}</title>{bar}{label}</g>"


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
