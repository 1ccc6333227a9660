"""What commands print: one JSON document, or plain text for people; sentences and progress go to stderr.

Plain text fits 80 columns when it is not a terminal that says how wide it is, and is coloured on terminals only.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from interlock.domain.codec import to_plain
from interlock.domain.plain_text import acts, written_out
from interlock.errors import ConfigurationError, InterlockError, Refusal

NARROW = 80
_NUMBER = 16
"""So long a number is never folded in a table; the longest, a session's, has 15 characters."""


class _Mode:
    """How this run prints; set by the ``--json`` option of whichever command runs."""

    json = False


def _choose_json(chosen: bool) -> bool:
    _Mode.json = chosen
    return chosen


JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document with stable keys.", is_eager=True, callback=_choose_json),
]


def prints_json() -> bool:
    """Whether the command was asked for JSON."""
    return _Mode.json


def screen() -> Console:
    """Standard output for people."""
    width = None if sys.stdout.isatty() else NARROW
    return Console(file=sys.stdout, width=width, highlight=False, soft_wrap=False, emoji=False)


def aside() -> Console:
    """Standard error: sentences, warnings and progress."""
    return Console(file=sys.stderr, width=None if sys.stderr.isatty() else NARROW, highlight=False, emoji=False)


def emit(document: object, show: Callable[[Console], None]) -> None:
    """Print ``document`` as JSON when asked for it, else let ``show`` print it for people."""
    if prints_json():
        sys.stdout.write(_as_json(to_plain(document), indent=2) + "\n")
        sys.stdout.flush()
    else:
        show(screen())


def say(sentence: str) -> None:
    """A line for the person on stdout, as it is; nothing when JSON was asked for."""
    if not prints_json():
        sys.stdout.write(sentence + "\n")
        sys.stdout.flush()


def note(sentence: str) -> None:
    """A line for the person that is not the command's result, on stderr."""
    # Where nobody can be told anything, the exit code still says it.
    with suppress(OSError):
        sys.stderr.write(sentence + "\n")
        sys.stderr.flush()


def complain(error: InterlockError) -> None:
    """An error as its sentence and what to do on stderr, and under ``--json`` as a document on stdout too."""
    lines = [*error.mistakes] if isinstance(error, ConfigurationError) else [error.sentence]
    if error.remedy:
        lines.append(error.remedy)
    note(written_out("\n".join(lines), keep="\n\t"))
    if prints_json():
        code = error.code if isinstance(error, Refusal) else "failure"
        told = {"error": {"code": code, "sentence": error.sentence, "remedy": error.remedy}}
        sys.stdout.write(_as_json(told, indent=2) + "\n")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, nothing: str) -> Callable[[Console], None]:
    """A printer of a plain table, or of the sentence ``nothing`` when there are no rows."""

    def show(console: Console) -> None:
        if not rows:
            console.print(escape(nothing))
            return
        grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        for place, column in enumerate(columns):
            # A number is copied from the screen: it must stand on one line.
            longest = max(len(row[place]) for row in rows)
            grid.add_column(column, overflow="fold", no_wrap=place == 0 and longest <= _NUMBER)
        for row in rows:
            grid.add_row(*(escape(cell) for cell in row))
        console.print(grid)

    return show


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on stderr that something takes a while, when it is a terminal."""
    console = aside()
    if not console.is_terminal:
        yield
        return
    with console.status(escape(what)):
        yield


def moment(value: object) -> str:
    """A stored time (ISO 8601) as people read it: local, to the second; empty for None."""
    found = as_time(value)
    return "" if found is None else found.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def short_moment(value: object) -> str:
    """As ``moment``, short enough for a table: the time for today, the day and the minute otherwise."""
    found = as_time(value)
    if found is None:
        return ""
    local = found.astimezone()
    today = local.date() == datetime.now(UTC).astimezone().date()
    return local.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")


def left(value: object, now: datetime | None = None) -> str:
    """How long until a stored time: ``1h 05m``, ``4m 10s``, ``over``; empty for None."""
    found = as_time(value)
    if found is None:
        return ""
    return span(found - (now or datetime.now(UTC)))


def span(length: timedelta) -> str:
    """A length of time in two units at most; ``over`` when none is left."""
    seconds = int(length.total_seconds())
    if seconds <= 0:
        return "over"
    days, hours, minutes, rest = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60
    if days:
        return f"{days}d {hours:02}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


def as_time(value: Any) -> datetime | None:
    """A stored time as aware UTC; None for None or what is no time."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def line(document: object) -> None:
    """One JSON document on one line, at once: for what is streamed."""
    sys.stdout.write(_as_json(to_plain(document)) + "\n")
    sys.stdout.flush()


def _as_json(plain: object, indent: int | None = None) -> str:
    """JSON as people read it: letters of every language as they are, and what acts on a terminal as JSON's escapes."""
    text = json.dumps(plain, indent=indent, ensure_ascii=False)
    if text.isascii():
        return text
    return "".join(json.dumps(one)[1:-1] if not one.isascii() and acts(one) else one for one in text)
