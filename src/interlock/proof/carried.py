"""The fewest persons for a chain, and how many may be away."""

from collections.abc import Iterable, Sequence

from interlock.proof.chains import Bound
from interlock.proof.counting import fewest_persons, most_absences
from interlock.proof.index import Team, cells, each
from interlock.proof.model import Goal
from interlock.proof.reach import Reach
from interlock.proof.smallest import Smallest, find_smallest, search
from interlock.proof.steps import Step
from interlock.proof.verdicts import Claim

_ROUNDS = 3000
_ROUNDS_BEYOND = 100
_MOST_DISJOINT = 50
_MOST_EXACT = 4
"""Beyond so many absences only bounds are told."""
SEARCHED = Bound(conflicts=200_000, divisions=20_000, choices=200_000)
"""How long a chain is searched, for each team."""


class Carried:
    """One model and those who are present."""

    def __init__(self, reach: Reach, present: Team) -> None:
        self._reach = reach
        self._present = present

    def fewest(self, claim: Claim, most: int) -> Smallest:
        """Raises GivenUp."""
        goal, reach = claim.goal, self._reach
        chain, carriers, rights = reach.chain(goal), reach.carriers(goal), reach.chain_rights(goal)
        takers = [mask & self._present for mask in reach.takers(goal, reach.joining.join(self._present, rights)[0])]
        if carriers.assign(takers, bound=SEARCHED) is None:
            return Smallest(self._present.bit_count() + 1, None, (0,), exact=False, never=True)
        counted = least = fewest_persons(chain)
        team: Team | None = None
        while least <= most and team is None:
            found = carriers.assign(takers, most=least, bound=SEARCHED)
            if found is None:
                least += 1
            else:
                team = union(found)
        if team is not None and rights and not reach.works(team, goal):
            return self._by_cuts(goal, takers, (least, most), takers)
        cuts: tuple[Team, ...] = ()
        if counted < claim.least <= least:
            below = claim.least - 1
            tried = self._by_cuts(goal, takers, (below, below))
            cuts, least = tried.cuts, least if tried.least >= claim.least else counted
        return Smallest(least, team, cuts, exact=team is not None and team.bit_count() == least)

    def absences(self, claim: Claim) -> tuple[Smallest, int]:
        """The fewest who stop the chain, each cut a team that does it; and so many who do for certain."""
        goal, reach = claim.goal, self._reach

        def cut_of(absent: Team) -> Team | None:
            plan = reach.plan(self._present & ~absent, goal)
            return None if plan is None else self.without_need(self.actors(plan), goal)

        cuts: list[Team] = []
        used = 0
        while len(cuts) < _MOST_DISJOINT:
            cut = cut_of(used)
            if cut is None:
                break
            cuts.append(cut)
            used |= cut
        if not cuts:
            return Smallest(0, None, (), exact=True, never=True), 0
        opened, _ = reach.joining.join(self._present, reach.chain_rights(goal))
        takers = [mask & self._present for mask in reach.takers(goal, opened)]
        limit = most_absences(reach.chain(goal), takers)
        found = Smallest(len(cuts), None, tuple(cuts), exact=False)
        if len(cuts) <= claim.least or (len(cuts) < limit and limit <= _MOST_EXACT):
            most = max(claim.least + 1, min(limit, _MOST_EXACT))
            rounds = _ROUNDS if len(cuts) <= claim.least else _ROUNDS_BEYOND
            found = find_smallest(cut_of, least=len(cuts), most=most, rounds=rounds, cuts=cuts)
        return found, limit

    def without_need(self, actors: Team, goal: Goal) -> Team:
        """``actors``, who can, without those who need not be among them."""
        for one in each(actors):
            if self._reach.works(actors & ~one, goal):
                actors &= ~one
        return actors

    def actors(self, steps: Sequence[Step]) -> Team:
        return self._reach.mask(name for step in steps for name in (step.person, step.for_whom) if name)

    def _by_cuts(
        self, goal: Goal, takers: Sequence[Team], sizes: tuple[int, int], cuts: Sequence[Team] = ()
    ) -> Smallest:
        kinds = self._kinds(goal, takers)
        return search(
            lambda team: self._reach.works(team, goal), self._present, kinds, sizes=sizes, rounds=_ROUNDS, cuts=cuts
        )

    def _kinds(self, goal: Goal, takers: Sequence[Team]) -> list[Team]:
        chain = self._reach.chain(goal)
        masks = [*takers, *self._reach.takers(goal, frozenset())]
        if any(separation.by == "vendor" for separation in chain.separations):
            masks += [mask & self._present for mask in self._reach.index.units.values()]
        if chain.by_team or self._reach.chain_rights(goal):
            masks += self._reach.groups.all
        return list(cells(self._present, masks))


def union(masks: Iterable[Team]) -> Team:
    found = 0
    for mask in masks:
        found |= mask
    return found
