"""Proofs as pictures: who, by which right or duty, to what. SVG, written here, with nothing fetched from anywhere.

A picture is panels below each other. Each has persons on the left, rights and duties in the middle and what it comes to
on the right, or rows of names for cuts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any
from xml.sax.saxutils import escape

from interlock.proof.model import THE_POLICY

_WIDTH = 940
_ROW = 64
_TOP = 64
_UNTITLED = 14
_MARGIN = 24
_LEFT, _MIDDLE, _RIGHT = 24, 416, 726
_PERSON_W, _RIGHT_W, _GOAL_W = 210, 190, 190
_TITLE_LETTERS, _TITLE_H = 92, 20
_LABEL_LETTERS = 28
_BOX_H = 44
_SHOWN = 4
_CHIP_H = 30
_CHIP_LETTERS = 24
_COLOURS = {"refuted": "#b3261e", "proven": "#1b6e3c", "unknown": "#8a6100", "": "#28456b"}
_MARKER = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#55616e"/></marker></defs>'
)
_STYLE = (
    ".panel{fill:#ffffff;stroke:#d5dbe2}"
    "text{font-family:system-ui,'Segoe UI','DejaVu Sans',Arial,sans-serif;font-size:13px;fill:#1d2630}"
    ".title{font-size:16px;font-weight:600}.small{font-size:11px;fill:#55616e}"
    ".person{fill:#e8effa;stroke:#28456b}.right{fill:#fff6df;stroke:#8a6100}.goal{fill:#fbe9e7;stroke:#b3261e}"
    ".cut{fill:#e6f4ea;stroke:#1b6e3c}.edge{fill:none;stroke:#55616e;stroke-width:1.4}"
    ".label{font-size:11px;fill:#28456b}.halo{stroke:#fff;stroke-width:4px;paint-order:stroke}"
)


@dataclass
class Panel:
    """``edges`` lead from a person to a right, with what the person does there; every right leads to ``goal``.

    ``rows`` are cuts: a word and names.
    """

    title: str
    outcome: str = ""
    note: str = ""
    goal: str = ""
    persons: list[tuple[str, str]] = field(default_factory=list)
    rights: list[tuple[str, str]] = field(default_factory=list)
    edges: list[tuple[int, int, str]] = field(default_factory=list)
    rows: list[tuple[str, Sequence[str]]] = field(default_factory=list)

    @property
    def head(self) -> int:
        """The room that the title takes."""
        return _TOP + (len(self.lines) - 1) * _TITLE_H if self.title else _UNTITLED

    @property
    def lines(self) -> Sequence[str]:
        """The title in lines that fit."""
        return wrap(self.title, _TITLE_LETTERS)


def panels_of_proof(verdicts: Iterable[Mapping[str, Any]], sentence: Mapping[int, str]) -> list[Panel]:
    """A panel for each verdict, as it stands in JSON; ``sentence`` has its words by its place."""
    found = []
    for number, verdict in enumerate(verdicts):
        panel = Panel(sentence[number], verdict["outcome"], goal=_goal(verdict["claim"]["goal"]))
        add_steps(panel, verdict["steps"])
        word = "can do it alone:" if verdict["claim"]["counted"] == "absences" else "needs one of:"
        for cut in [] if verdict["never"] else verdict["cuts"][:6]:
            panel.rows.append(("needs one of all but:" if cut["but"] else word, cut["names"]))
        if verdict["outcome"] == "proven" and not verdict["cuts"] and not verdict["never"]:
            chain = bool(verdict["claim"]["goal"]["chain"])
            what = "the duties that are separate" if chain else "who asks, and those whose yes the rules ask for"
            panel.note = f"Counted: {what}."
        if len(verdict["cuts"]) > 6:
            panel.note = f"{len(verdict['cuts']) - 6} more cuts stand in the certificate."
        found.append(panel)
    return found


def _goal(goal: Mapping[str, str]) -> str:
    return goal["chain"] or f"{goal['action']} on {goal['resource']}"


def panels_of_why(why: Mapping[str, Any]) -> list[Panel]:
    """A panel for each way, or one that says why there is none."""
    goal = f"{why['action']} on {why['resource']}"
    found = []
    for number, way in enumerate(why["ways"], start=1):
        panel = Panel(f"{number}. {why['person']} by {way['role']}, {len(way['team'])} persons in all", goal=goal)
        instead = {}
        for other in way["others"]:
            chosen = [name for name in other["names"] if name in way["team"]]
            rest = len(other["names"]) - len(chosen)
            for name in chosen:
                instead[name] = _instead([one for one in other["names"] if one not in chosen]) if rest else ""
        add_steps(panel, way["steps"], instead)
        found.append(panel)
    if not found:
        panel = Panel(f"{why['person']} cannot do {goal}, whoever helps", "proven")
        panel.rows = [("", [reason]) for reason in why["reasons"]]
        found.append(panel)
    return found


def _instead(names: Sequence[str]) -> str:
    return f"or {names[0]}" if len(names) == 1 else f"or one of {len(names)} others"


def add_steps(panel: Panel, steps: Sequence[Mapping[str, str]], said: Mapping[str, str] | None = None) -> None:
    """The steps as persons, rights and edges; ``said`` has a word on some of the persons."""
    persons: dict[str, int] = {}
    rights: dict[tuple[str, str], int] = {}

    def person(name: str) -> int:
        if name not in persons:
            persons[name] = len(persons)
            panel.persons.append((name, (said or {}).get(name, "")))
        return persons[name]

    def right(kind: str, target: str) -> int:
        if (kind, target) not in rights:
            rights[kind, target] = len(rights)
            panel.rights.append((target, kind))
        return rights[kind, target]

    for step in steps:
        what, target = step["what"], step["target"]
        if target.startswith("the role on "):
            # What a changed policy lends: the yes belongs to that change.
            target = THE_POLICY
        if what in ("help", "come-in", "invite", "arrive", "admit", "stay"):
            word = {"help": "lets in", "invite": "invites", "admit": "admits"}.get(what, "comes in")
            panel.edges.append((person(step["person"]), right("somebody else", target), word))
        elif what == "break-glass":
            panel.edges.append((person(step["person"]), right("role", target), "breaks the glass"))
        elif what == "activate":
            panel.edges.append((person(step["person"]), right("policy", THE_POLICY), "activates"))
        elif what in ("ask", "approve"):
            joins = target.startswith("joining ")
            kind, word = ("group" if joins else "role"), "asks" if what == "ask" else "says yes"
            if target.partition(" on ")[0] == THE_POLICY:
                kind, target, word = "policy", THE_POLICY, "proposes" if what == "ask" else word
            panel.edges.append((person(step["person"]), right(kind, target.removeprefix("joining ")), word))
        elif what == "approve-statement":
            panel.edges.append((person(step["person"]), right("this very statement", target), "says yes"))
        elif what == "duty":
            panel.edges.append((person(step["person"]), right("duty", target.partition(" of ")[0]), "carries"))
        elif what == "join":
            person(step["for_whom"])
            panel.edges.append((person(step["person"]), right("group", target), "lets in"))
        elif what == "run":
            asked = [number for (kind, _), number in rights.items() if kind in ("role", "policy")]
            held = not asked
            number = right("has it already", target) if held else asked[0]
            panel.edges.append((person(step["person"]), number, "runs"))


def draw(panels: Sequence[Panel]) -> str:
    """The picture as a document of its own."""
    parts: list[str] = []
    top = _MARGIN
    for panel in panels:
        own, height = _draw_panel(panel, top)
        parts += own
        top += height + _MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}">'
        f"<style>{_STYLE}</style>"
        f"{_MARKER}"
        f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>'
    )
    return head + "".join(parts) + "</svg>\n"


def draw_alone(panel: Panel, name: str) -> str:
    """One panel as a piece of a page, whose own style colours its classes. ``name`` is this picture's on its page."""
    parts, height = _draw_panel(panel, 8)
    marker = _MARKER.replace('"tip"', f'"tip-{name}"')
    drawn = "".join(parts).replace("url(#tip)", f"url(#tip-{name})")
    size = f'viewBox="0 0 {_WIDTH} {height + 16}" width="{_WIDTH}" height="{height + 16}"'
    return f'<svg class="proof" {size} aria-hidden="true">{marker}{drawn}</svg>'


def _draw_panel(panel: Panel, top: int) -> tuple[list[str], int]:
    rows = max(len(panel.persons), len(panel.rights), 1 if panel.goal and panel.persons else 0)
    chips = [_chip_rows(names) for _, names in panel.rows]
    cuts = sum(len(lines) * (_CHIP_H + 6) + 10 for lines in chips)
    height = panel.head + rows * _ROW + cuts + (24 if panel.note else 0)
    colour = _COLOURS.get(panel.outcome, _COLOURS[""])
    parts = [
        f'<rect class="panel" x="8" y="{top}" width="{_WIDTH - 16}" height="{height}" rx="10"/>',
        f'<rect x="8" y="{top}" width="6" height="{height}" rx="3" fill="{colour}"/>',
        *(_text(_LEFT, top + 32 + place * _TITLE_H, line, "title", 100) for place, line in enumerate(panel.lines)),
    ]
    places = [
        [_middle(top + panel.head, number, len(column), rows) for number in range(len(column))]
        for column in _columns(panel)
    ]
    if panel.persons:
        parts += _edges(panel, places, _middle(top + panel.head, 0, 1, rows))
        parts += [
            _box(_LEFT, y, _PERSON_W, "person", *person) for person, y in zip(panel.persons, places[0], strict=True)
        ]
        parts += [_box(_MIDDLE, y, _RIGHT_W, "right", *right) for right, y in zip(panel.rights, places[1], strict=True)]
        parts.append(_box(_RIGHT, _middle(top + panel.head, 0, 1, rows), _GOAL_W, "goal", panel.goal, ""))
    y = top + panel.head + rows * _ROW
    for (word, _), lines in zip(panel.rows, chips, strict=True):
        parts += _draw_cut(word, lines, y)
        y += len(lines) * (_CHIP_H + 6) + 10
    if panel.note:
        parts.append(_text(_LEFT, top + height - 12, panel.note, "small", 150))
    return parts, height


def _columns(panel: Panel) -> tuple[Sequence[object], Sequence[object]]:
    return panel.persons, panel.rights


def _middle(top: float, number: int, count: int, rows: int) -> float:
    """The height of a box that is ``number`` of ``count``, spread over the panel's rows."""
    return top + (number + 0.5) * rows * _ROW / count - 10


def _edges(panel: Panel, places: Sequence[Sequence[float]], goal: float) -> list[str]:
    parts = []
    together: dict[tuple[int, int], list[str]] = {}
    for person, right, word in panel.edges:
        words = together.setdefault((person, right), [])
        if word not in words:
            words.append(word)
    for (person, right), words in together.items():
        one, other = places[0][person], places[1][right]
        parts.append(_curve(_LEFT + _PERSON_W, one, _MIDDLE, other))
        # Near the person, where curves from one place have parted and those to one place have not met yet.
        x, y = (_LEFT + _PERSON_W) * 0.62 + _MIDDLE * 0.38, one * 0.74 + other * 0.26 - 5
        parts.append(_text(x, y, ", ".join(words), "label halo", _LABEL_LETTERS, middle=True))
    parts += [_curve(_MIDDLE + _RIGHT_W, place, _RIGHT, goal) for place in places[1]]
    return parts


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = (x2 - x1) / 2
    return (
        f'<path class="edge" marker-end="url(#tip)" d="M{x1:.0f} {y1:.0f}'
        f'C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"/>'
    )


def _box(x: float, y: float, width: int, kind: str, text: str, small: str) -> str:
    top, most = y - _BOX_H / 2, width // 8
    rect = f'<rect class="{kind}" x="{x:.0f}" y="{top:.0f}" width="{width}" height="{_BOX_H}" rx="{_radius(kind)}"/>'
    middle = x + width / 2
    if not small:
        return f"<g>{rect}{_text(middle, y + 5, text, '', most, middle=True)}</g>"
    upper, lower = (
        _text(middle, y - 2, text, "", most, middle=True),
        _text(middle, y + 14, small, "small", most, middle=True),
    )
    return f"<g>{rect}{upper}{lower}</g>"


def _radius(kind: str) -> int:
    return _BOX_H // 2 if kind == "person" else 6


def _chip_rows(names: Sequence[str]) -> list[list[str]]:
    """Names in lines that fit, the last one saying how many more there are."""
    shown = list(names[: 3 * _SHOWN])
    if len(names) > len(shown):
        shown[-1] = f"and {len(names) - len(shown) + 1} more"
    if shown and max(map(len, shown)) > _CHIP_LETTERS:
        return [[name] for name in shown]
    return [shown[start : start + _SHOWN] for start in range(0, len(shown), _SHOWN)] or [["nobody"]]


def _draw_cut(word: str, lines: Sequence[Sequence[str]], y: float) -> list[str]:
    parts = [_text(_LEFT, y + 20, word, "small", 40)]
    start = _LEFT + (130 if word else 0)
    room = _WIDTH - 24 - start
    for line in lines:
        width = room if len(line) == 1 and len(line[0]) > _CHIP_LETTERS else room / _SHOWN - 8
        for number, name in enumerate(line):
            x = start + number * (room / _SHOWN)
            parts.append(
                f'<rect class="cut" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{_CHIP_H}" rx="15"/>'
                + _text(x + 12, y + 20, name, "", int(width / 7.2))
            )
        y += _CHIP_H + 6
    return parts


def _text(x: float, y: float, text: str, kind: str, most: int, *, middle: bool = False) -> str:
    clean = "".join(char if char.isprintable() else "·" for char in text)
    short = clean if len(clean) <= most else clean[: most - 1] + "…"
    anchor = ' text-anchor="middle"' if middle else ""
    whole = f"<title>{escape(clean)}</title>" if short != clean else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}"{anchor}>{whole}{escape(short)}</text>'
