"""How things look on a page. Text of other people is data: markup is escaped, what would act is written out."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from markupsafe import Markup, escape

from interlock.domain.actions import Action
from interlock.domain.durations import format_duration
from interlock.domain.plain_text import acts, written_out

_MOST_OF_A_TEXT = 60_000
"""Bytes of one text on a page, as they are sent. What is left out is said."""
_MOST_COLOURED = 10_000
"""Characters: a text may be made so that it takes the square of its length to tell its words apart."""
_PIECE = 500
MOST_VALUES = 30
_MOST_OF_A_VALUE = 2000
_SQL = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<text>'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<name>"(?:[^"]|"")*")
      | (?P<number>\b\d+(?:\.\d+)?\b|\$\d+)
      | (?P<word>\b[A-Za-z_]+\b)""",
    re.VERBOSE | re.DOTALL,
)
_DOES = re.compile("delete|drop|truncate|alter|update|insert|grant|revoke|create|merge|copy", re.IGNORECASE)
_KEYS = re.compile(
    "select|from|where|and|or|not|in|is|null|as|on|join|left|right|inner|outer|full|cross|using|group|by|order|having|"
    "limit|offset|union|all|distinct|values|set|into|table|view|index|schema|database|column|constraint|add|cascade|"
    "restrict|returning|with|recursive|case|when|then|else|end|begin|commit|rollback|between|like|exists|function|"
    "trigger|primary|key|foreign|references|default|unique|check|explain|analyze|call|do|prepare|execute|declare",
    re.IGNORECASE,
)


def finish(value: object) -> object:
    """What every ``{{ … }}`` goes through before it is escaped: acting characters are written out, None is nothing."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return written_out(value)
    return value


def lines(text: object, most: int = _MOST_OF_A_TEXT) -> Markup:
    """Text of several lines. What acts is written out and marked, so that it is not taken for what was written."""
    source = str(text)
    return _as_far_as(((source[at : at + _PIECE], "") for at in range(0, len(source), _PIECE)), len(source), most)


def sql(text: object, most: int = _MOST_OF_A_TEXT) -> Markup:
    """A statement exactly as it was sent, with its words told apart by colour. The colours are no judgement."""
    source = str(text)
    return _as_far_as(_coloured(source), len(source), most)


def _coloured(source: str) -> Iterator[tuple[str, str]]:
    """The pieces of a statement, each with what it is; at its end without that."""
    at = 0
    for match in _SQL.finditer(source[:_MOST_COLOURED]):
        kind = match.lastgroup or ""
        kind = "text" if kind == "tag" else kind
        if kind == "word":
            kind = "does" if _DOES.fullmatch(match.group()) else "key" if _KEYS.fullmatch(match.group()) else ""
        yield source[at : match.start()], ""
        yield match.group(), kind
        at = match.end()
    for begin in range(at, len(source), _PIECE):
        yield source[begin : begin + _PIECE], ""


def _as_far_as(pieces: Iterable[tuple[str, str]], length: int, most: int) -> Markup:
    """Pieces of a text of ``length`` characters until ``most`` bytes are shown, and how much is not."""
    out: list[str] = []
    size = shown = 0
    for said, kind in pieces:
        marked = _marked(said)
        piece = f'<span class="sql-{kind}">{marked}</span>' if kind else str(marked)
        size += len(piece.encode(errors="replace"))
        if size > most:
            out.append(
                f'<strong class="left-out">{length - shown:,} of {length:,} characters are not shown here.</strong>'
            )
            break
        out.append(piece)
        shown += len(said)
    return Markup("".join(out))  # noqa: S704 -- every piece was escaped above


def is_whole(content: Mapping[str, Any]) -> bool:
    """Whether a page shows all of a held statement, and of its values."""
    values = content.get("parameters") or ()
    cut = 'class="left-out"' in sql(content.get("text", ""))
    return not cut and len(values) <= MOST_VALUES and all(len(str(value)) <= _MOST_OF_A_VALUE for value in values)


def moment(at: datetime | None, form: str = "full") -> Markup:
    """A time: the page's script puts it into the reader's zone, the exact UTC is in the title."""
    if at is None:
        return Markup("")
    at = at.astimezone(UTC)
    shown = {"day": f"{at:%Y-%m-%d}", "clock": f"{at:%H:%M:%S}"}.get(form, f"{at:%Y-%m-%d %H:%M} UTC")
    exact = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} UTC"
    return Markup('<time datetime="{}" data-form="{}" title="{}">{}</time>').format(
        at.isoformat().replace("+00:00", "Z"), form, exact, shown
    )


def left(at: datetime, now: datetime) -> Markup:
    """How long until ``at``; the script keeps counting."""
    return Markup('<time data-until="{}" title="{}">{}</time>').format(
        at.astimezone(UTC).isoformat().replace("+00:00", "Z"), f"{at:%Y-%m-%d %H:%M:%S} UTC", rough(at - now)
    )


def rough(duration: timedelta) -> str:
    """A duration as people say it: ``3 d``, ``2 h 5 min``, ``40 s``."""
    seconds = max(0, int(duration.total_seconds()))
    if seconds >= 86400 * 2:
        return f"{seconds // 86400} d"
    if seconds >= 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"


def duration(value: object) -> str:
    """``2h``, ``90m``; seconds are taken as well."""
    if isinstance(value, timedelta):
        return format_duration(value)
    return format_duration(timedelta(seconds=value)) if isinstance(value, int | float) else ""


def bind(value: object) -> str:
    """A bind value as SQL would write it."""
    if value is None:
        return "NULL"
    text = str(value)
    left_out = f" … {len(text) - _MOST_OF_A_VALUE:,} of {len(text):,} characters are not shown here"
    quoted = "'" + written_out(text[:_MOST_OF_A_VALUE]).replace("'", "''")
    return quoted + "'" if len(text) <= _MOST_OF_A_VALUE else quoted + left_out


def by_width(actions: Iterable[str]) -> list[str]:
    """Actions from the narrowest to the widest."""
    order = [action.value for action in Action]
    return sorted((str(action) for action in actions), key=lambda name: order.index(name) if name in order else 99)


def clock(seconds: float) -> str:
    """A place in a recording: ``1:02.500``, ``1:00:02.500``."""
    minutes, rest = divmod(max(0.0, seconds), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:06.3f}" if hours else f"{minutes}:{rest:06.3f}"


def as_is(text: object) -> Markup:
    """Text in a field that is sent back: its lines stay lines, what would act is written out."""
    return escape("\n".join(written_out(line.replace("\t", "    ")) for line in str(text).split("\n")))


_COMMAND = re.compile(
    r"(?P<before>(?:They |and )?[Tt]ypes?:? )?"
    r"(?:`interlock (?P<quoted>[^`]+)`|interlock (?P<bare>[a-z-]+(?: (?:--)?[a-z]*-?\w+| '[^']*')*))"
)
_SEE = {
    "approve": ("Approve it on its page", "/requests/{}"),
    "connect": ("Connect from Home", "/"),
    "contracts": ("the page Contracts", "/people/contracts"),
    "duty": ("the page Duties", "/duties"),
    "grants": ("the page Home", "/"),
    "ledger": ("the page Ledger", "/ledger"),
    "login": ("Sign in again", "/sign-in"),
    "people": ("the page People", "/people"),
    "policy": ("the page Policy", "/policy"),
    "prove": ("the page Duties", "/duties"),
    "request": ("the page Ask", "/ask"),
    "requests": ("your requests", "/requests"),
    "resources": ("the page Ask", "/ask"),
    "sessions": ("the page Live", "/live"),
    "show": ("its page", "/requests/{}"),
    "watch": ("the page Live", "/live"),
    "withdraw": ("withdraw it there", "/requests/{}"),
}
_NUMBER = re.compile(r"r-\w+")


def way_on(remedy: object) -> Markup:
    """What to do next, as a page says it: a command that a page can do instead is a link to that page."""
    text, out, at = str(remedy), Markup(""), 0
    for match in _COMMAND.finditer(text):
        words = (match["quoted"] or match["bare"]).split()
        # A file is looked at where it is, and by no page.
        known = None if words[:2] == ["policy", "check"] else _SEE.get(words[0])
        number = next((word for word in words[1:] if _NUMBER.fullmatch(word)), "")
        if known is None or ("{}" in known[1] and not number):
            continue
        out += lines(text[at : match.start()]) + _link(known, number, alone=match["before"] is not None)
        at = match.end()
    return out + lines(text[at:])


def _link(known: tuple[str, str], number: str, *, alone: bool) -> Markup:
    words, href = known
    see = "See " if alone and words.startswith(("the ", "its ", "your ")) else ""
    return Markup('{}<a href="{}">{}</a>').format(see, href.format(number), words)


_TOLD_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")


def told_time(value: str) -> object:
    """A field that says a time and nothing else is a time, in the reader's zone."""
    if not _TOLD_TIME.fullmatch(value):
        return value
    return moment(datetime.strptime(value, "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC))


FILTERS: dict[str, Any] = {
    "as_is": as_is,
    "way_on": way_on,
    "told_time": told_time,
    "is_whole": is_whole,
    "lines": lines,
    "sql": sql,
    "moment": moment,
    "duration": duration,
    "bind": bind,
    "clock": clock,
    "rough": rough,
    "by_width": by_width,
}


def _marked(text: str) -> Markup:
    if text.isprintable():
        return escape(text)
    out = []
    for plain, run in groupby(text, key=_stands_for_itself):
        if plain:
            out.append(escape("".join(run)))
        else:
            out.extend(Markup('<span class="acts">{}</span>').format(written_out(character)) for character in run)
    return Markup("").join(out)


def _stands_for_itself(character: str) -> bool:
    return character in "\n\t" or not acts(character)
