"""Persons as bits of integers: a question about ten thousand of them is a few operations.

What was made for one model serves the next one with the same people, so that a proof after a small change costs little.
"""

from collections.abc import Iterable, Iterator, Mapping

from interlock.proof.model import EMPLOYEES, Member

Team = int
"""Persons as bits, by their place in ``Index.names``."""


class Index:
    """The people of a model. ``accounts`` of somebody are that person."""

    def __init__(self, people: Mapping[str, Member], accounts: Mapping[str, str]) -> None:
        self.people = people
        self.accounts = accounts
        self.names = tuple(sorted(people))
        self._place = {name: place for place, name in enumerate(self.names)}
        self._bytes = len(self.names) // 8 + 1
        for account, person in accounts.items():
            if person in people:
                self._place[account] = self._place[person]
        self.everybody: Team = (1 << len(self.names)) - 1
        """All, with those who are nobody yet."""
        self.guests = self.mask(name for name, member in people.items() if member.guest)
        self.persons = self.everybody & ~self.guests
        self.approvers = self.mask(name for name, member in people.items() if member.approves)
        by_vendor: dict[str, list[str]] = {}
        for name, member in people.items():
            by_vendor.setdefault(EMPLOYEES if member.vendor is None else member.vendor, []).append(name)
        by_vendor.setdefault(EMPLOYEES, [])
        self.units: Mapping[str, Team] = {unit: self.mask(names) for unit, names in by_vendor.items()}
        """The vendors with their persons, and the employees together."""
        self.employees = self.units[EMPLOYEES]
        self._masks: dict[frozenset[str] | tuple[str, ...], Team] = {}

    def mask(self, names: Iterable[str]) -> Team:
        """The persons behind ``names``; a name that is nobody's is left out."""
        place_of, table = self._place, bytearray(self._bytes)
        for name in names:
            place = place_of.get(name)
            if place is not None:
                table[place >> 3] |= 1 << (place & 7)
        return int.from_bytes(table, "little")

    def named(self, names: frozenset[str] | tuple[str, ...]) -> Team:
        """As ``mask``, remembered."""
        mask = self._masks.get(names)
        if mask is None:
            mask = self._masks[names] = self.mask(names)
        return mask

    def bit(self, name: str) -> Team:
        """The person behind ``name``, nobody when it is nobody's."""
        place = self._place.get(name)
        return 0 if place is None else 1 << place

    def name(self, person: Team) -> str:
        return self.names[person.bit_length() - 1]

    def members(self, team: Team) -> Iterator[str]:
        for person in each(team):
            yield self.names[person.bit_length() - 1]

    def vendor(self, person: Team) -> str | None:
        return self.people[self.names[person.bit_length() - 1]].vendor

    def unit(self, person: Team) -> Team:
        """Everybody of that person's vendor; the employees for an employee."""
        vendor = self.vendor(person)
        return self.employees if vendor is None else self.units[vendor]


def each(team: Team) -> Iterator[Team]:
    while team:
        low = team & -team
        yield low
        team ^= low


def cells(team: Team, masks: Iterable[Team]) -> Iterator[Team]:
    """``team`` in parts: two persons are in one part when they are in the same of ``masks``."""
    known = tuple(dict.fromkeys(masks))
    while team:
        low = team & -team
        part = team
        for mask in known:
            part &= mask if mask & low else ~mask
        yield part
        team ^= part
