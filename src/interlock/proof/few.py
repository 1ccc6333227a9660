"""Whether so few persons can go a way at all, by trying them: for many persons, where the cuts would be too many.

Whoever can, has somebody of each of some sets: who may ask, who could say yes to each rule and, when they have to join
a group first, who holds a right to administer as things are, and who agrees to that. Only teams with one of each are
tried, and of persons about whom the model says the same only one. The checker tries them again.
"""

from collections.abc import Iterator, Sequence

from interlock.proof.approving import Place
from interlock.proof.index import Team, cells, each
from interlock.proof.partitions import GivenUp
from interlock.proof.reach import Lead, Reach

_MOST_TRIED = 20_000
Need = tuple[Team, int]
"""So many of these at least are in every team that can."""


class Few:
    """Teams of those who are ``present``."""

    def __init__(self, reach: Reach, present: Team) -> None:
        self._reach = reach
        self._present = present

    def team_of(self, lead: Lead, size: int) -> Team | None:
        """A team of up to ``size`` persons that can go this way. Raises GivenUp."""
        trial = _Trial(self._reach, lead, self._present, self._told_apart(lead))
        for needs in self._needs(lead):
            found = trial.complete(0, size, needs)
            if found is not None:
                return found
        return None

    def _needs(self, lead: Lead) -> Iterator[Sequence[Need]]:
        """What any team needs that goes this way: joining nothing, or by one of the rights first."""
        joining = self._reach.joining
        opened, _ = joining.join(self._present, lead.rights)
        for askers, given, held in lead.way.asking():
            if not askers & self._present or lead.way.holds == () or not (held or lead.way.rules):
                continue
            # Some of the yeses may be given already; who has the role needs none.
            places = [*(() if held or given else lead.way.rules), *(lead.way.holds or ())]
            yield [(askers, 1), *self._voices(places, frozenset())]
            later = [(askers, 1), *self._voices(places, opened)]
            for holders, rules in joining.holding(lead.rights):
                yield [(holders, 1), *self._voices(rules, frozenset()), *later]

    def _voices(self, places: Sequence[Place], opened: frozenset[str]) -> list[Need]:
        return [(self._reach.approving.anybody(place, opened), place.count) for place in places]

    def _told_apart(self, lead: Lead) -> Sequence[Team]:
        masks = [*self._reach.index.units.values(), *told_apart(self._reach, lead)]
        for holders, rules in self._reach.joining.holding(lead.rights):
            masks += [holders, *places_apart(self._reach, rules)]
        return masks


class _Trial:
    def __init__(self, reach: Reach, lead: Lead, present: Team, apart: Sequence[Team]) -> None:
        self._reach = reach
        self._lead = lead
        self._present = present
        self._apart = tuple(dict.fromkeys(apart))
        self._left = _MOST_TRIED

    def complete(self, team: Team, left: int, needs: Sequence[Need]) -> Team | None:
        """``team`` with up to ``left`` more persons, who can; those about whom nothing differs are tried once."""
        unmet = [mask & self._present & ~team for mask, count in needs if (mask & team).bit_count() < count]
        if not unmet and self._reach.can(team, [self._lead]):
            return team
        if left == 0:
            return None
        able = min(unmet, key=int.bit_count, default=self._present & ~team)
        if left == 1:
            for mask in unmet:
                able &= mask
        for part in cells(able, self._apart):
            self._left -= 1
            if self._left < 0:
                raise GivenUp
            found = self.complete(team | (part & -part), left - 1, needs)
            if found is not None:
                return found
        return None


def told_apart(reach: Reach, lead: Lead) -> list[Team]:
    """By which persons differ, for one way."""
    way = lead.way
    own = [way.askers, way.held, *(one for pair in way.given for one in pair)]
    return own + places_apart(reach, (*way.rules, *(way.holds or ())))


def places_apart(reach: Reach, places: Sequence[Place]) -> list[Team]:
    own: list[Team] = [reach.index.approvers]
    for place in places:
        own += [reach.groups.mask(name) for name in place.groups()]
        own += [place.people or 0, *each(place.sponsored), *(place.sponsors or {}).values()]
        own += places_apart(reach, place.inner)
    return own
