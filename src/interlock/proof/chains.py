"""Giving the duties of a chain to persons so that every separation holds.

The same search answers two questions: could this team do the chain, and, once some duties are done, could the rest
still be. It divides the duties among persons first (``partitions``) and looks for the persons then (``seats``): what
counts is the number of duties, hardly that of persons.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from interlock.proof.groups import Groups
from interlock.proof.index import Index, Team
from interlock.proof.model import Duties
from interlock.proof.partitions import GivenUp, Partitions
from interlock.proof.seats import Apart, Seats, TooLong

_MOST_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Bound:
    """How long may be searched: conflicts of the solver, divisions, and choices of vendors or persons in each."""

    conflicts: int
    divisions: int
    choices: int


class Carriers:
    """One chain. What was found out about it and some takers helps with the next question."""

    def __init__(self, chain: Duties, index: Index, groups: Groups | None = None) -> None:
        self._chain = chain
        self._index = index
        self._seats = Seats(index, groups)
        self._apart = [
            ((chain.duties.index(name) - 1) % len(chain.duties), chain.duties.index(name), separation.by or "")
            for separation in chain.separations
            if separation.kind == "independent"
            for name in separation.names
        ]
        self._forget()

    def assign(
        self,
        takers: Sequence[Team],
        carried: Mapping[int, Team] | None = None,
        *,
        most: int | None = None,
        bound: Bound | None = None,
    ) -> list[Team] | None:
        """A person for each duty when those in ``carried``, by number, are carried already; None when there are none.

        ``takers`` are who may take each; ``most`` how many persons may have part in all. Raises GivenUp where the
        search is bound.
        """
        pins = carried or {}
        if not all(takers[place] or place in pins for place in range(len(takers))):
            return None
        if any(not self._known_apart(kind) for _, _, kind in self._apart):
            return None
        guard = self._guard(takers)
        assumed = [guard, *self._assume(guard, takers, pins)]
        if most is not None:
            assumed += self._partitions.at_most(most)
        masks = [pins.get(place, taker) for place, taker in enumerate(takers)]
        left = None if bound is None else bound.divisions
        while True:
            if left is not None:
                if left == 0:
                    raise GivenUp
                left -= 1
            division = self._partitions.find(assumed, conflicts=None if bound is None else bound.conflicts)
            if division is None:
                return None
            found = self._seat(division, masks, guard, pins, None if bound is None else bound.choices)
            if found is not None:
                return found

    @staticmethod
    def _known_apart(kind: str) -> bool:
        return kind in ("vendor", "team")

    def _forget(self) -> None:
        self._partitions = Partitions(self._chain)
        self._carried = [self._partitions.new() for _ in self._chain.duties]
        """For each duty a variable: whether it is carried already, so that who may take it is not asked any more."""
        self._guards: dict[tuple[Team, ...], int] = {}
        self._pins: dict[tuple[int, int, Team], int] = {}
        self._last: tuple[Sequence[Team], int] | None = None

    def _guard(self, takers: Sequence[Team]) -> int:
        """A variable that stands for these takers; what is found out about them holds as long as it is assumed."""
        if self._last is not None and self._last[0] is takers:
            return self._last[1]
        key = tuple(takers)
        if key not in self._guards:
            if len(self._guards) >= _MOST_REMEMBERED or len(self._pins) >= 100 * _MOST_REMEMBERED:
                self._forget()
            self._guards[key] = self._found(takers)
        self._last = takers, self._guards[key]
        return self._guards[key]

    def _found(self, takers: Sequence[Team]) -> int:
        guard = self._partitions.new()
        for one, other in combinations(range(len(takers)), 2):
            if not takers[one] & takers[other]:
                same = self._partitions.same(one, other)
                self._partitions.add([-guard, -same, self._carried[one], self._carried[other]])
        return guard

    def _assume(self, guard: int, takers: Sequence[Team], pins: Mapping[int, Team]) -> list[int]:
        assumed = [carried if place in pins else -carried for place, carried in enumerate(self._carried)]
        firsts: dict[Team, int] = {}
        for place, person in pins.items():
            assumed.append(self._pin(guard, place, person, takers))
            before = firsts.setdefault(person, place)
            if before != place:
                assumed.append(self._partitions.same(before, place))
        assumed += [-self._partitions.same(one, other) for one, other in combinations(firsts.values(), 2)]
        return assumed

    def _pin(self, guard: int, place: int, person: Team, takers: Sequence[Team]) -> int:
        key = (guard, place, person)
        pin = self._pins.get(key)
        if pin is None:
            pin = self._pins[key] = self._partitions.new()
            for other, mask in enumerate(takers):
                if other != place and not mask & person:
                    self._partitions.add([-pin, -self._partitions.same(place, other), self._carried[other]])
        return pin

    def _seat(
        self, division: Sequence[int], masks: Sequence[Team], guard: int, pins: Mapping[int, Team], tries: int | None
    ) -> list[Team] | None:
        """Persons for ``division``, or None; then it, or the part of it that has none, is excluded from now on."""
        groups: dict[int, list[int]] = {}
        for place, first in enumerate(division):
            groups.setdefault(first, []).append(place)
        numbers = {first: number for number, first in enumerate(groups)}
        parts: list[Team] = []
        for places in groups.values():
            mask = self._index.everybody
            for place in places:
                mask &= masks[place]
            if not mask:
                self._exclude([self._few(places, masks)], guard, pins)
                return None
            parts.append(mask)
        apart: list[Apart] = [(numbers[division[a]], numbers[division[b]], kind) for a, b, kind in self._apart]
        try:
            found = self._seats.seat(parts, apart, tries=tries)
            if found is not None:
                return [found[numbers[first]] for first in division]
            stuck = self._seats.stuck(parts, apart, tries=tries)
        except TooLong as error:
            raise GivenUp from error
        all_groups = list(groups.values())
        self._exclude([all_groups[number] for number in stuck], guard, pins)
        return None

    @staticmethod
    def _few(places: Sequence[int], masks: Sequence[Team]) -> list[int]:
        """As few as possible of ``places`` that nobody could carry together."""
        kept = list(places)
        for place in places:
            mask = -1
            rest = [other for other in kept if other != place]
            for other in rest:
                mask &= masks[other]
            if rest and not mask:
                kept = rest
        return kept

    def _exclude(self, groups: Sequence[Sequence[int]], guard: int, pins: Mapping[int, Team]) -> None:
        own = [-self._pins[guard, place, pins[place]] for group in groups for place in group if place in pins]
        free = [self._carried[place] for group in groups for place in group if place not in pins]
        self._partitions.add([-guard, *own, *free, *self._partitions.excluding(groups)])
