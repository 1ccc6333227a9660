"""The index of which words the segments of recordings have. It knows words only by keyed hashes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class IndexedPart:
    """Some statements of a segment: the hashes of their words. ``any_words``: too many to list, so it may have any."""

    session: str
    number: int
    part: int
    person: str
    resource: str
    kept_at: datetime
    words: frozenset[str]
    any_words: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A segment that may hold a statement with all the words."""

    session: str
    number: int


@dataclass(frozen=True, slots=True)
class Readable:
    """Whose sessions may be seen: those on ``resources``, and those of ``reader`` themself if ``own``, else never."""

    reader: str
    own: bool
    resources: frozenset[str] = frozenset()


class SegmentWords(Protocol):
    async def upto(self) -> int:
        """The ledger position up to which segments are in the index."""

    async def add(self, parts: Sequence[IndexedPart], *, upto: int) -> None: ...

    async def clear(self) -> None:
        """Begin anew, from the ledger's first entry."""

    async def forget(self, session: str) -> None: ...

    async def find(
        self,
        words: Collection[str],
        *,
        readable: Readable,
        person: str | None = None,
        resource: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int,
    ) -> Sequence[Candidate]:
        """The newest first, of those that may be seen. ``person`` is whose sessions are wanted."""
