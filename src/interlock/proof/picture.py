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
_TOP = 52
_UNTITLED = 16
_MARGIN = 24
_GAP = 20
_LEFT, _MIDDLE, _RIGHT = 24, 470, 740
_PERSON_W, _RIGHT_W, _GOAL_W = 220, 190, 176
_TITLE_LETTERS, _TITLE_H = 98, 20
_BOX_H = 44
_PORT = 18
"""Between two lines that leave one person: as much as a label is high."""
_LABEL_PX = 6.2
_SHOWN = 12
_CHIP_H = 30
_CHIP_PX = 8.2
_COLOURS = {"refuted": "#b3261e", "proven": "#1b6e3c", "unknown": "#8a6100", "": "#28456b"}
_HOW = {"recovery": ", by recovery", "invitation": ", by invitation"}
_MARKER = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#55616e"/></marker></defs>'
)
_STYLE = (
    ".panel{fill:#ffffff;stroke:#d5dbe2}"
    "text{font-family:system-ui,'Segoe UI','DejaVu Sans',Arial,sans-serif;font-size:13px;fill:#1d2630}"
    ".title{font-size:15px;font-weight:600}.small{font-size:11px;fill:#55616e}.tight{font-size:11px}"
    ".person{fill:#e8effa;stroke:#28456b}.right{fill:#fff6df;stroke:#8a6100}.goal{fill:#fbe9e7;stroke:#b3261e}"
    ".cut{fill:#e6f4ea;stroke:#1b6e3c}.edge{fill:none;stroke:#55616e;stroke-width:1.4}"
    ".label{font-size:11px;fill:#28456b}"
)


@dataclass
class Panel:
    """``edges`` lead from a person to a right, with what the person does there; every right leads to ``goal``.

    ``entered`` are those, by their place, as whom others come in. ``rows`` are cuts: a word and names.
    """

    title: str
    outcome: str = ""
    note: str = ""
    goal: str = ""
    persons: list[tuple[str, str]] = field(default_factory=list)
    rights: list[tuple[str, str]] = field(default_factory=list)
    edges: list[tuple[int, int, str]] = field(default_factory=list)
    rows: list[tuple[str, Sequence[str]]] = field(default_factory=list)
    entered: set[int] = field(default_factory=set)

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
        size = len(way["team"])
        many = f"{size} persons in all" if size > 1 else "alone"
        panel = Panel(f"{number}. {why['person']} by {way['role']}, {many}{_HOW.get(way['how'], '')}", goal=goal)
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
    notes = {**_notes(steps), **{name: word for name, word in (said or {}).items() if word}}

    def person(name: str) -> int:
        if name not in persons:
            persons[name] = len(persons)
            panel.persons.append((name, notes.get(name, "")))
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
        if what in _ENTERING:
            person(step["person"])
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
    panel.entered |= {persons[name] for name in _entered(steps) if name in persons}


_ENTERING = ("help", "come-in", "invite", "arrive", "admit", "stay")


def _entered(steps: Sequence[Mapping[str, str]]) -> set[str]:
    return {step["target"].partition(" on ")[0] for step in steps if step["what"] in ("come-in", "stay")}


def _notes(steps: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Who lets whom in, or brings them in, and as whom others come in."""
    does: dict[str, dict[str, None]] = {}
    for step in steps:
        if step["what"] in ("help", "invite", "admit"):
            does.setdefault(step["person"], {})[step["target"].partition(" on ")[0]] = None
    notes = dict.fromkeys(_entered(steps), "others come in as them")
    for name, others in does.items():
        notes[name] = f"lets in {next(iter(others)) if len(others) == 1 else f'{len(others)} others'}"
    return notes


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
    edges = _gathered(panel)
    tall = [max(_BOX_H, _PORT * len(own) + 8) for own in edges]
    body = max([_stacked(tall), _stacked([_BOX_H] * len(panel.rights))]) if panel.persons else 0
    chips = [_chip_rows(names, _chip_start(word)) for word, names in panel.rows]
    cuts = sum(len(lines) * (_CHIP_H + 6) + 10 for lines in chips)
    height = panel.head + body + (_GAP if body else 0) + cuts + (24 if panel.note else 0)
    colour = _COLOURS.get(panel.outcome, _COLOURS[""])
    parts = [
        f'<rect class="panel" x="8" y="{top}" width="{_WIDTH - 16}" height="{height}" rx="10"/>',
        f'<rect x="8" y="{top}" width="6" height="{height}" rx="3" fill="{colour}"/>',
        *(_text(_LEFT, top + 32 + place * _TITLE_H, line, "title", 110) for place, line in enumerate(panel.lines)),
    ]
    if panel.persons:
        start, middle = top + panel.head, top + panel.head + body / 2
        people, rights = _middles(start, body, tall), _middles(start, body, [_BOX_H] * len(panel.rights))
        parts += _edges(edges, people, rights, middle)
        for number, ((name, small), y) in enumerate(zip(panel.persons, people, strict=True)):
            dashed = number in panel.entered
            parts.append(_box(_LEFT, y, (_PERSON_W, tall[number]), "person", name, small, dashed=dashed))
        size = (_RIGHT_W, _BOX_H)
        parts += [_box(_MIDDLE, y, size, "right", *right) for right, y in zip(panel.rights, rights, strict=True)]
        parts.append(_box(_RIGHT, middle, (_GOAL_W, _BOX_H), "goal", panel.goal, ""))
    y = top + panel.head + body + (_GAP if body else 0)
    for (word, _), lines in zip(panel.rows, chips, strict=True):
        parts += _draw_cut(word, lines, y)
        y += len(lines) * (_CHIP_H + 6) + 10
    if panel.note:
        parts.append(_text(_LEFT, top + height - 12, panel.note, "small", 150))
    return parts, height


def _gathered(panel: Panel) -> list[list[tuple[int, str]]]:
    """For each person the rights that lines lead to, from the top, and what the person does there."""
    found: list[dict[int, list[str]]] = [{} for _ in panel.persons]
    for person, right, word in panel.edges:
        words = found[person].setdefault(right, [])
        if word not in words:
            words.append(word)
    return [[(right, ", ".join(words)) for right, words in sorted(own.items())] for own in found]


def _stacked(heights: Sequence[int]) -> int:
    return sum(heights) + _GAP * (len(heights) - 1) if heights else 0


def _middles(top: float, room: int, heights: Sequence[int]) -> list[float]:
    """The middles of boxes below each other, in the middle of ``room``."""
    y, found = top + (room - _stacked(heights)) / 2, []
    for height in heights:
        found.append(y + height / 2)
        y += height + _GAP
    return found


def _edges(
    edges: Sequence[Sequence[tuple[int, str]]], people: Sequence[float], rights: Sequence[float], goal: float
) -> list[str]:
    """Each line leaves its person at a place of its own, below its label, and bends only after that."""
    lines, labels = [], []
    for own, y in zip(edges, people, strict=True):
        for number, (right, word) in enumerate(own):
            port = y + (number - (len(own) - 1) / 2) * _PORT + (4 if len(own) == 1 else 5)
            start = _LEFT + _PERSON_W
            straight = start + min(len(word) * _LABEL_PX + 14, _MIDDLE - start - 60)
            lines.append(_curve(start, port, _MIDDLE, rights[right], straight))
            labels.append(_text(start + 8, port - 5, word, "label", 30))
    lines += [_curve(_MIDDLE + _RIGHT_W, place, _RIGHT, goal, _MIDDLE + _RIGHT_W) for place in rights]
    return lines + labels


def _curve(x1: float, y1: float, x2: float, y2: float, straight: float) -> str:
    bend = (x2 - straight) / 2
    return (
        f'<path class="edge" marker-end="url(#tip)" d="M{x1:.0f} {y1:.0f}H{straight:.0f}'
        f'C{straight + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"/>'
    )


def _box(x: float, y: float, size: tuple[int, int], kind: str, text: str, small: str, *, dashed: bool = False) -> str:
    width, height = size
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    rect = (
        f'<rect class="{kind}" x="{x:.0f}" y="{y - height / 2:.0f}" width="{width}" height="{height}" '
        f'rx="{_radius(kind)}"{dashes}/>'
    )
    middle = x + width / 2
    if not small:
        return f"<g>{rect}{_named(middle, y + 5, text, width)}</g>"
    lower = _text(middle, y + 14, small, "small", int(width / 6.2), middle=True)
    return f"<g>{rect}{_named(middle, y - 2, text, width)}{lower}</g>"


def _named(x: float, y: float, text: str, width: int) -> str:
    """A name, in smaller letters when it is long."""
    tight = len(text) > width // 8
    return _text(x, y, text, "tight" if tight else "", int(width / 6.6) if tight else width // 8, middle=True)


def _radius(kind: str) -> int:
    return _BOX_H // 2 if kind == "person" else 6


def _chip_start(word: str) -> int:
    return _LEFT + (130 if word else 0)


def _chip_width(name: str, room: int) -> int:
    return min(room, int(len(name) * _CHIP_PX) + 22)


def _chip_rows(names: Sequence[str], start: int) -> list[list[str]]:
    """Names in lines that fit, the last one saying how many more there are."""
    shown, room = list(names[:_SHOWN]), _WIDTH - 24 - start
    if len(names) > len(shown):
        shown[-1] = f"and {len(names) - len(shown) + 1} more"
    lines: list[list[str]] = []
    left = 0
    for name in shown or ["nobody"]:
        width = _chip_width(name, room)
        if width > left:
            lines.append([])
            left = room
        lines[-1].append(name)
        left -= width + 8
    return lines


def _draw_cut(word: str, lines: Sequence[Sequence[str]], y: float) -> list[str]:
    parts = [_text(_LEFT, y + 20, word, "small", 40)]
    start = _chip_start(word)
    room = _WIDTH - 24 - start
    for line in lines:
        x = start
        for name in line:
            width = _chip_width(name, room)
            parts.append(
                f'<rect class="cut" x="{x}" y="{y:.0f}" width="{width}" height="{_CHIP_H}" rx="15"/>'
                + _text(x + width / 2, y + 20, name, "", int((width - 20) / 7), middle=True)
            )
            x += width + 8
        y += _CHIP_H + 6
    return parts


def _text(x: float, y: float, text: str, kind: str, most: int, *, middle: bool = False) -> str:
    clean = "".join(char if char.isprintable() else "·" for char in text)
    short = clean if len(clean) <= most else clean[: most - 1] + "…"
    anchor = ' text-anchor="middle"' if middle else ""
    whole = f"<title>{escape(clean)}</title>" if short != clean else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}"{anchor}>{whole}{escape(short)}</text>'
