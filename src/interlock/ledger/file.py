"""A ledger as a file, so that it can be verified without the server: JSON Lines, one entry a line.

Each line is the canonical JSON of ``{"body", "link"}`` and ends with one newline; the last line is
``{"count", "head"}``, so that a file that was cut off shows it. The reader tolerates nothing: whatever byte of the
file is changed, the entry it belongs to is named.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from interlock.errors import Failure
from interlock.ledger.canonical import NotCanonical, canonical, read_canonical
from interlock.ledger.entries import Unreadable, read_body
from interlock.ledger.links import GENESIS
from interlock.ledger.verify import Broken, Entry, Verified, Verifier

LONGEST_LINE_BYTES = 256 * 1024 * 1024
"""A line longer than this is not one of ours."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One line of the file, as :class:`~interlock.ledger.verify.Entry`."""

    position: int
    at: datetime
    actor: str
    kind: str
    body: bytes
    link: str


def lines(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The lines of the file, each with its newline, the closing one last."""
    count, head = 0, GENESIS.hex()
    for entry in entries:
        yield entry_line(entry)
        count, head = entry.position, entry.link
    yield closing_line(count, head)


def entry_line(entry: Entry) -> bytes:
    return b'{"body":%b,"link":%b}\n' % (entry.body, canonical(entry.link))


def closing_line(count: int, head: str) -> bytes:
    return canonical({"count": count, "head": head}) + b"\n"


def verify_file(path: Path) -> Verified | Broken:
    """Check the file at ``path``. Raises Failure when it cannot be read at all."""
    try:
        with path.open("rb") as file:
            return verify_lines(iter(lambda: file.readline(LONGEST_LINE_BYTES), b""))
    except OSError as error:
        raise Failure(f"The ledger file {path} cannot be read: {error.strerror}.") from error


def verify_lines(file_lines: Iterable[bytes]) -> Verified | Broken:
    """Check the lines of a file, each with its newline."""
    verifier = Verifier()
    number = 0
    closed = False
    for number, line in enumerate(file_lines, 1):
        if closed:
            return Broken(number - 1, f"Something follows the closing line, after entry {number - 2}.")
        parsed = _read_line(line, number)
        if isinstance(parsed, Broken):
            return parsed
        if isinstance(parsed, FileEntry):
            broken = verifier.add(parsed)
            if broken:
                return broken
            continue
        closed = True
        result = verifier.result
        if parsed != result:
            return Broken(number, f"The closing line does not fit the {number - 1} entries before it.")
    if not closed:
        return Broken(number + 1, f"The file ends after entry {number}, without its closing line: its end was cut off.")
    return verifier.result


def _read_line(line: bytes, number: int) -> FileEntry | Verified | Broken:
    if not line.endswith(b"\n"):
        return Broken(number, f"Line {number} (entry {number}) does not end as a line does.")
    try:
        plain = read_canonical(line[:-1])
    except NotCanonical as error:
        return Broken(number, f"Line {number} (entry {number}) is damaged: {error}.")
    if not isinstance(plain, dict):
        return Broken(number, f"Line {number} (entry {number}) is not an entry.")
    if plain.keys() == {"count", "head"} and type(plain["count"]) is int and isinstance(plain["head"], str):
        return Verified(plain["count"], plain["head"])
    if plain.keys() != {"body", "link"} or not isinstance(plain["link"], str):
        return Broken(number, f"Line {number} (entry {number}) is not an entry.")
    body = canonical(plain["body"])
    try:
        recorded = read_body(body)
    except Unreadable as error:
        return Broken(number, f"Line {number} (entry {number}) cannot be read: {error}.")
    return FileEntry(recorded.position, recorded.at, recorded.actor, recorded.event.kind, body=body, link=plain["link"])
