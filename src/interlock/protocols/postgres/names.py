"""Prepared statements and portals by name: what the server holds under a name, as far as it has confirmed it.

A client may send a whole batch before the first answer comes, and any message of it may fail, after which the server
skips the rest of the batch up to its Sync. So a name has what the server confirmed and, above that, what was asked for
and not answered yet. Inside one batch the asked-for may be relied on: if asking failed, what follows is skipped too.
Across batches it may not: a Parse that fails leaves the old statement under its name, and the next batch would run
that one. Whoever looks a name up then has to wait (:data:`UNSETTLED`).
"""

from enum import Enum
from typing import Final, Generic, Literal, TypeVar

from interlock.domain.decisions import Fence
from interlock.ports.statement import Outcome, new_outcome
from interlock.protocols.postgres.classify import Classified
from interlock.protocols.postgres.messages import BindMessage
from interlock.protocols.postgres.reading import Reading, show
from interlock.protocols.postgres.row_mask import RowMask

NAME_BYTES = 63
"""How much of a name counts for a server (NAMEDATALEN). What is longer is the same name as its beginning."""


_MOST_ROWS = 10**18
"""More than any server has: from here on what a server says that it changed is not added up."""


class Running:
    """A statement that was told to proceed, and what came of it so far. ``finish`` was called when ``over``.

    While ``deferred`` its end is not told yet, because a fence may still undo it. ``prepared`` and ``deallocated``
    count how many of its PREPAREs and DEALLOCATEs the server has done. ``mask`` covers what its rows may not show.
    """

    number: int
    reading: Reading
    rows: int
    changed: int
    size_bytes: int
    prepared: int
    deallocated: int
    tag: str
    error: str
    begun: bool
    over: bool
    deferred: bool
    mask: RowMask | None

    @property
    def classified(self) -> Classified:
        return self.reading.classified

    def add_changed(self, rows: int) -> None:
        self.changed = min(self.changed + rows, _MOST_ROWS)

    def start_again(self) -> None:
        """What it did was undone; it will run once more."""
        self.rows = self.changed = self.size_bytes = self.prepared = self.deallocated = 0
        self.tag = self.error = ""

    def outcome(self) -> Outcome:
        return new_outcome(self.rows, self.changed, self.size_bytes, self.error, self.tag)


def new_running(number: int, reading: Reading) -> Running:
    """Made for every statement, and so without what calling a class costs."""
    made = Running.__new__(Running)
    made.number = number
    made.reading = reading
    made.rows = made.changed = made.size_bytes = 0
    made.prepared = made.deallocated = 0
    made.tag = made.error = ""
    made.begun = made.over = made.deferred = False
    made.mask = None
    return made


class Prepared:
    """A prepared statement: its text as sent, and what it was found to need. Not changed once made."""

    def __init__(self, text: str, reading: Reading) -> None:
        self.text = text
        self.shown = show(text)
        self.ascii = text.encode("ascii") if text.isascii() else None
        self.reading = reading
        self.classified = reading.classified


class Portal:
    """A statement bound to its values. ``running`` is None for one that nobody decided on yet.

    ``fence`` is what its execution has to keep to; the Bind is kept only as long as it may be needed again.
    """

    name: str
    prepared: Prepared
    bound: BindMessage | None
    running: Running | None
    fence: Fence | None


def new_portal(name: str, prepared: Prepared, bound: BindMessage | None) -> Portal:
    """Made for every statement with values, and so without what calling a class costs."""
    made = Portal.__new__(Portal)
    made.name = name
    made.prepared = prepared
    made.bound = bound
    made.running = None
    made.fence = None
    return made


class _Unsettled(Enum):
    UNSETTLED = "unsettled"


UNSETTLED: Final = _Unsettled.UNSETTLED
"""The name was asked for in an earlier batch that the server has not answered: wait, then look again."""

T = TypeVar("T")


class Asked(Generic[T]):
    """One change of a name that the server has not answered. ``thing`` is None when the name is to be free."""

    __slots__ = ("batch", "name", "thing")

    def __init__(self, name: str, thing: T | None, batch: int) -> None:
        self.name = name
        self.thing = thing
        self.batch = batch


class Names(Generic[T]):
    """One name space: ``known`` is what the server confirmed, ``asked`` what it has not answered yet."""

    __slots__ = ("asked", "known")

    def __init__(self) -> None:
        self.known: dict[str, T] = {}
        self.asked: dict[str, Asked[T]] = {}

    @property
    def settled(self) -> bool:
        return not self.asked

    def may_hold(self, name: str) -> bool:
        """Whether the name stands for something, or may soon."""
        return name in self.known or name in self.asked

    def find(self, name: str, batch: int) -> T | Literal[_Unsettled.UNSETTLED] | None:
        asked = self.asked.get(name)
        if asked is None:
            return self.known.get(name)
        return asked.thing if asked.batch == batch else UNSETTLED

    def ask(self, name: str, thing: T | None, batch: int) -> Asked[T]:
        asked = Asked(name, thing, batch)
        self.asked[name] = asked
        return asked

    def confirm(self, asked: Asked[T]) -> T | None:
        """The server did it. Returns what the name stood for before."""
        before = self.known.pop(asked.name, None)
        if asked.thing is not None:
            self.known[asked.name] = asked.thing
        self._forget(asked)
        return before

    def fail(self, asked: Asked[T]) -> None:
        """The server did not do it, or skipped it."""
        self._forget(asked)

    def _forget(self, asked: Asked[T]) -> None:
        if self.asked.get(asked.name) is asked:
            del self.asked[asked.name]
