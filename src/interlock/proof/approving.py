"""Whose yes counts, for whom, and who of a team would have to say it.

Askers are not gone through one by one: those of one vendor with the same sponsors see the same approvers, and of these
only who is an approver too is different.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from interlock.domain.seating import seat
from interlock.errors import Misuse
from interlock.proof.groups import Groups, Open
from interlock.proof.index import Index, Team, cells, each
from interlock.proof.model import Rule

_NEVER_GIVES = "administrators"
_MOST_RULES = 12


class Place:
    """A rule with its names turned into bits. Equal places are met by the same people."""

    __slots__ = ("asked", "count", "group", "inner", "key", "nobody", "people", "same_vendor", "sponsored", "sponsors")

    def __init__(self, rule: Rule, index: Index, groups: Groups) -> None:
        self.count = max(1, rule.count)
        self.group = rule.group
        self.people = index.named(rule.people) if rule.people else None
        self.same_vendor = rule.same_vendor
        self.inner = tuple(Place(inner, index, groups) for inner in rule.any_of)
        described = rule.group is not None or rule.people or rule.sponsors is not None or rule.any_of
        self.nobody = rule.nobody or rule.group == _NEVER_GIVES or not described
        self.sponsors: Mapping[Team, Team] | None = None
        if rule.sponsors is not None:
            self.sponsors = {
                index.bit(asker): index.named(names) for asker, names in rule.sponsors.items() if asker in index.people
            }
        own = 0
        for asker in self.sponsors or ():
            own |= asker
        self.sponsored: Team = own
        """Those to whom it matters who their sponsors are."""
        self.asked = self.sponsors is not None
        for place in self.inner:
            self.sponsored |= place.sponsored
            self.asked = self.asked or place.asked
        mask = groups.mask(rule.group) if rule.group is not None else None
        sponsors = None if self.sponsors is None else frozenset(self.sponsors.items())
        inner_keys = tuple(place.key for place in self.inner)
        self.key: tuple[object, ...] = (
            self.count,
            mask,
            self.people,
            self.same_vendor,
            inner_keys,
            self.nobody,
            sponsors,
        )

    def groups(self) -> Iterator[str]:
        if self.group is not None:
            yield self.group
        for place in self.inner:
            yield from place.groups()


@dataclass(frozen=True, slots=True)
class Asked:
    """``asker`` gets a yes from each of ``yes``, and for the statement itself from each of ``more``."""

    asker: Team
    yes: tuple[str, ...]
    more: tuple[str, ...]


class Approving:
    def __init__(self, index: Index, groups: Groups) -> None:
        self.index = index
        self.groups = groups
        self._fitting: dict[tuple[int, str | None, Open], Team] = {}
        self._kept: list[Place] = []

    def compile(self, rules: Iterable[Rule]) -> tuple[Place, ...]:
        """Raises Misuse for a rule set too large to decide."""
        places = tuple(Place(rule, self.index, self.groups) for rule in rules)
        if len(places) > _MOST_RULES:
            raise Misuse(f"more than {_MOST_RULES} approval rules at once cannot be proved")
        return places

    def find(
        self,
        askers: Team,
        rules: Sequence[Place] | None,
        holds: Sequence[Place] | None,
        team: Team,
        opened: Open,
        given: Team = 0,
    ) -> Asked | None:
        """One of ``askers`` for whom the team's yeses meet ``rules``, beside what ``given`` said, and ``holds``.

        None in the place of rules asks for nothing; no rules at all are never met.
        """
        if rules == () or holds == ():
            return None
        for part in self.parts(askers, (*(rules or ()), *(holds or ()))):
            own, more = self.masks(part & -part, rules, holds, team, opened, given)
            if not (self._enough(own, rules) and self._enough(more, holds)):
                continue
            for cell in cells(part, (*own, *more)):
                asker = cell & -cell
                first, second = [mask & ~asker for mask in own], [mask & ~asker for mask in more]
                if self._enough(first, rules) and self._enough(second, holds):
                    yes = self._choose(first, rules or (), given)
                    return Asked(asker, yes, self._choose(second, holds or (), 0))
        return None

    def masks(
        self,
        asker: Team,
        rules: Sequence[Place] | None,
        holds: Sequence[Place] | None,
        team: Team,
        opened: Open,
        given: Team,
    ) -> tuple[list[Team], list[Team]]:
        """Who counts for each rule, the asker themselves not yet left out."""
        vendor = self.index.vendor(asker)
        return (
            [self._counting(place, asker, vendor, team, opened, given) for place in rules or ()],
            [self._counting(place, asker, vendor, team, opened, 0) for place in holds or ()],
        )

    def parts(self, askers: Team, places: Sequence[Place]) -> Iterator[Team]:
        """``askers`` in parts, for each of which the same persons count."""
        sponsored = 0
        for place in places:
            sponsored |= place.sponsored
        yield from each(askers & sponsored)
        rest = askers & ~sponsored
        while rest:
            part = rest & self.index.unit(rest & -rest)
            yield part
            rest ^= part

    def anybody(self, place: Place, opened: Open) -> Team:
        """Everybody who could count for ``place``, whoever asks."""
        if place.nobody:
            return 0
        mask = self.index.approvers
        if place.group is not None and place.group not in opened:
            mask &= self.groups.mask(place.group)
        if place.people is not None:
            mask &= place.people
        if place.sponsors is not None:
            sponsors = 0
            for names in place.sponsors.values():
                sponsors |= names
            mask &= sponsors
        if place.inner:
            inner = 0
            for other in place.inner:
                inner |= self.anybody(other, opened)
            mask &= inner
        return mask

    def _counting(self, place: Place, asker: Team, vendor: str | None, team: Team, opened: Open, given: Team) -> Team:
        mask = self._fits(place, asker, vendor, opened) & team
        if given:
            # Who is not in the team joins no group any more.
            mask |= self._fits(place, asker, vendor, frozenset()) & given & ~team
        return mask

    def _fits(self, place: Place, asker: Team, vendor: str | None, opened: Open) -> Team:
        if place.asked:
            return self._described(place, asker, vendor, opened) & self.index.approvers
        key = (id(place), vendor, opened)
        mask = self._fitting.get(key)
        if mask is None:
            self._kept.append(place)
            mask = self._fitting[key] = self._described(place, asker, vendor, opened) & self.index.approvers
        return mask

    def _described(self, place: Place, asker: Team, vendor: str | None, opened: Open) -> Team:
        if place.nobody:
            return 0
        mask = self.index.everybody
        if not place.same_vendor and not place.inner and vendor is not None:
            mask &= ~self.index.units[vendor]
        if place.group is not None and place.group not in opened:
            mask &= self.groups.mask(place.group)
        if place.people is not None:
            mask &= place.people
        if place.sponsors is not None:
            mask &= place.sponsors.get(asker, 0)
        if place.inner:
            inner = 0
            for other in place.inner:
                inner |= self._described(other, asker, vendor, opened)
            mask &= inner
        return mask

    @staticmethod
    def _enough(masks: Sequence[Team], places: Sequence[Place] | None) -> bool:
        return not places or enough(masks, [place.count for place in places])

    def _choose(self, masks: Sequence[Team], places: Sequence[Place], given: Team) -> tuple[str, ...]:
        counts = [place.count for place in places]
        total = sum(counts)
        some: dict[Team, None] = {}
        for part in (given, ~given):
            for mask in masks:
                for number, person in enumerate(each(mask & part)):
                    if number >= total:
                        break
                    some.setdefault(person)
        fits = {
            self.index.name(person): [place for place, mask in enumerate(masks) if mask & person] for person in some
        }
        already = set(self.index.members(given))
        return tuple(name for names in seat(fits, counts) for name in names if name not in already)


def enough(masks: Sequence[Team], counts: Sequence[int]) -> bool:
    """Hall's condition: any rules together find as many persons as they ask for together."""
    if len(masks) == 1:
        return masks[0].bit_count() >= counts[0]
    for size in range(1, len(masks) + 1):
        for places in combinations(range(len(masks)), size):
            union, total = 0, 0
            for place in places:
                union |= masks[place]
                total += counts[place]
            if union.bit_count() < total:
                return False
    return True
