"""The people as they were last read.

Pages and lists ask for everybody several times over, and people change seldom. Nobody who changes anything reads from
here: a unit of work asks the database.
"""

from collections.abc import Sequence

from interlock.domain.people import Person

Change = tuple[int, bytes]
"""A place in the ledger and the link there: the same two only ever follow on the same history."""


class KnownPeople:
    """INVARIANT: what is kept was read in a snapshot in which ``change`` was the last change of any person."""

    def __init__(self) -> None:
        self._kept: tuple[Change, tuple[Person, ...]] | None = None

    def at(self, change: Change | None) -> Sequence[Person] | None:
        """The people as they are after ``change``; None when they were not read then."""
        return list(self._kept[1]) if self._kept is not None and self._kept[0] == change else None

    def keep(self, change: Change | None, people: Sequence[Person]) -> Sequence[Person]:
        if change is not None:
            self._kept = (change, tuple(people))
        return people
