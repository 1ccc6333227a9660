"""The fewest persons for an action on a resource: by counting, by direct search, by trying few, and by cuts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from interlock.proof.few import Few, told_apart
from interlock.proof.groups import Open
from interlock.proof.index import Team, cells
from interlock.proof.joining import Rights
from interlock.proof.partitions import GivenUp
from interlock.proof.reach import Lead, Reach
from interlock.proof.smallest import Smallest, search
from interlock.proof.verdicts import Claim
from interlock.proof.ways import NEVER, bound, find_least

_ROUNDS = 3000
_ROUNDS_BEYOND = 100
"""How long is searched for what is claimed, and for what is only told besides."""
MANY = 1_000
"""Among more persons than these nothing is searched for what is only told besides, and few are tried for what is
claimed."""


@dataclass(slots=True)
class _Fact:
    """Of a way: how many it takes at least, and a team for it, when one was looked for."""

    bound: int
    looked: bool = False
    team: Team | None = None


class Actions:
    """One model and those who are present; ways that are the same are searched once."""

    def __init__(self, reach: Reach, present: Team, *, many: int = MANY) -> None:
        self._reach = reach
        self._present = present
        self._many = present.bit_count() > many
        self._few = Few(reach, present)
        self._facts: dict[int, _Fact] = {}
        self._opened: dict[Rights, Open] = {}

    def fewest(self, claim: Claim, most: int) -> Smallest:
        leads = sorted(self._reach.leads(claim.goal), key=self.bound)
        least = self.bound(leads[0]) if leads else NEVER
        best = self._best(leads, most)
        if best is not None and best.bit_count() == least:
            return Smallest(least, best, (), exact=True)
        if least == NEVER or (best is None and not self._reach.can(self._present, leads)):
            return Smallest(self._present.bit_count() + 1, None, (0,), exact=False, never=True)
        best = self._best_by_joining(leads, best, most)
        limit = most if best is None else best.bit_count() - 1
        if limit < least and best is not None:
            return Smallest(least, best, (), exact=True)
        short = [lead for lead in leads if self.bound(lead) <= limit]
        if self._many:
            return self._by_trying(short, best, least, min(limit, claim.least - 1))
        return self._by_cuts(claim, short, best, least, limit)

    def bound(self, lead: Lead) -> int:
        """How many this way takes at least, by counting."""
        return self._fact(lead).bound

    def _by_trying(self, leads: Sequence[Lead], best: Team | None, least: int, limit: int) -> Smallest:
        """Teams of ``least`` to ``limit`` persons."""
        try:
            while least <= limit:
                for lead in leads:
                    team = self._try(lead, least) if self.bound(lead) <= least else None
                    if team is not None:
                        return Smallest(least, team, (), exact=True)
                least += 1
        except GivenUp:
            pass
        return Smallest(least, best, (), exact=best is not None and best.bit_count() == least)

    def _try(self, lead: Lead, size: int) -> Team | None:
        """As ``Few.team_of``, remembered."""
        joining, memory = self._reach.joining, self._reach.memory
        key = ("few", lead.way.key, joining.rests_on(lead.rights, memory.token), self._present, size)
        if key not in memory.facts:
            try:
                memory.facts[key] = self._few.team_of(lead, size)
            except GivenUp:
                memory.facts[key] = GivenUp
        found = memory.facts[key]
        if found is GivenUp:
            raise GivenUp
        return found if isinstance(found, int) else None

    def _by_cuts(self, claim: Claim, leads: Sequence[Lead], best: Team | None, least: int, limit: int) -> Smallest:
        masks = [mask & self._present for mask in self._reach.index.units.values()]
        for lead in leads:
            masks += told_apart(self._reach, lead)
        found = search(
            lambda team: self._reach.can(team, leads),
            self._present,
            list(cells(self._present, masks)),
            sizes=(least, limit),
            rounds=_ROUNDS if least < claim.least else _ROUNDS_BEYOND,
        )
        if found.team is None and best is not None:
            size = best.bit_count()
            found = Smallest(min(found.least, size), best, found.cuts, exact=found.least >= size)
        return found if least < claim.least else replace(found, cuts=())

    def _best(self, leads: Sequence[Lead], most: int) -> Team | None:
        """A small team for one of ``leads``, those that take the fewest first; nobody joins a group for it."""
        best: Team | None = None
        for lead in leads:
            fact = self._fact(lead)
            size = most if best is None else best.bit_count() - 1
            if fact.bound > size:
                break
            if not fact.looked:
                fact.team = find_least(lead.way, self._reach.approving, self._present, most=most, enough_at=fact.bound)
                fact.looked = True
            if fact.team is not None and fact.team.bit_count() <= size:
                best = fact.team
        return best

    def _best_by_joining(self, leads: Sequence[Lead], best: Team | None, most: int) -> Team | None:
        """``best``, or a smaller team that lets itself into a group first and then goes a way."""
        for lead in leads:
            for move in self._reach.joining.as_ways(lead.rights, lead.way.askers):
                size = most if best is None else best.bit_count() - 1
                least = self.bound(lead)
                if least > size:
                    return best
                team = find_least(move, self._reach.approving, self._present, most=size, enough_at=least)
                if team is not None and self._reach.can(team, [lead]):
                    best = team
        return best

    def _fact(self, lead: Lead) -> _Fact:
        known = self._facts.get(id(lead.way))
        if known is None:
            if lead.rights not in self._opened:
                self._opened[lead.rights] = self._reach.joining.join(self._present, lead.rights)[0]
            opened = self._opened[lead.rights]
            key = (lead.way.key, self._present, opened & frozenset(lead.way.groups()))
            remembered = self._reach.memory.facts.get(key)
            if not isinstance(remembered, _Fact):
                remembered = _Fact(bound(lead.way, self._reach.approving, self._present, opened))
                self._reach.memory.facts[key] = remembered
            known = self._facts[id(lead.way)] = remembered
        return known
