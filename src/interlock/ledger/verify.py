"""Whether a ledger holds: every entry in its place, linked to all before it, and saying what it says it says."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from interlock.ledger.entries import Unreadable, read_body
from interlock.ledger.links import GENESIS, link


class Entry(Protocol):
    """A ledger entry as it is kept. ``link`` is hex; the other fields repeat what ``body`` says."""

    @property
    def position(self) -> int: ...
    @property
    def at(self) -> datetime: ...
    @property
    def actor(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def link(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Verified:
    """Every entry holds. ``head`` is the last entry's link (hex): two ledgers with one head are the same ledger."""

    count: int
    head: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The entry at ``position`` is the first that does not hold; ``reason`` is a sentence."""

    position: int
    reason: str


class Verifier:
    """Takes entries one by one, in order, and stops at the first that does not hold.

    INVARIANT: a hash chain cannot show that its *end* was cut off. Who wants to know compares ``head`` with one
    kept elsewhere.
    """

    def __init__(self) -> None:
        self._count = 0
        self._head = GENESIS
        self._broken: Broken | None = None

    @property
    def result(self) -> Verified | Broken:
        return self._broken or Verified(self._count, self._head.hex())

    def add(self, entry: Entry) -> Broken | None:
        """Check one more entry. Once something is broken, it stays so."""
        if self._broken is None:
            reason = self._fault(entry)
            if reason:
                self._broken = Broken(self._count + 1, reason)
            else:
                self._count += 1
                self._head = link(self._head, entry.body)
        return self._broken

    def _fault(self, entry: Entry) -> str:
        expected = self._count + 1
        # 1. The place: no gap, no repetition.
        if entry.position != expected:
            return f"Entry {expected} is missing: entry {entry.position} stands in its place."
        # 2. The link: this body, after exactly these entries.
        if entry.link != link(self._head, entry.body).hex():
            return f"Entry {expected} was changed after it was written, or one before it was: its link does not hold."
        # 3. The body: canonical, of a known kind.
        try:
            recorded = read_body(entry.body)
        except Unreadable as error:
            return f"Entry {expected} cannot be read: {error}."
        # 4. What is shown beside the body is what the body says.
        shown = (entry.position, entry.at, entry.actor, entry.kind)
        if shown != (recorded.position, recorded.at, recorded.actor, recorded.event.kind):
            return f"Entry {expected} is shown with another place, time, actor or kind than was recorded."
        return ""


def verify(entries: Iterable[Entry]) -> Verified | Broken:
    """Check a whole ledger, from its first entry on."""
    verifier = Verifier()
    for entry in entries:
        if verifier.add(entry):
            break
    return verifier.result
