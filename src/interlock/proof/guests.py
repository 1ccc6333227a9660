"""Persons who together bring in others, and come in as them: what is done with guests.

A guest is nobody yet, or a contractor who is known here and has not come in yet: the latter has what the state gives
them, and may as well be one of the team themselves. It takes the sponsor of a contract and another employee, so a team
with a guest has two persons at least. It is counted after a verdict that knows of no guests: smaller teams with the two
in it are tried, and of persons about whom the model says the same only one. How many may be absent is asked without
guests. The checker tries them again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from interlock.proof.few import places_apart, told_apart
from interlock.proof.index import Team, cells, each
from interlock.proof.model import EMPLOYEES, Goal
from interlock.proof.partitions import GivenUp
from interlock.proof.reach import Lead, Reach
from interlock.proof.steps import Step
from interlock.proof.verdicts import Counted, Outcome, Verdict
from interlock.proof.ways import bound

_HOSTS = 2
_MOST_TRIED = 20_000
_FEW_UNITS = 8
"""Among so many vendors the true number is told, whatever is claimed."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A verdict before and after, and what both rest on."""

    before: Verdict
    rests_on: tuple[int, ...]
    after: Verdict


class Guests:
    """``present`` are those who may be in a team."""

    def __init__(self, reach: Reach, present: Team) -> None:
        self._reach = reach
        self._present = present
        index = reach.index
        self._brought = tuple(
            (one.contract, index.mask(one.sponsors) & index.employees, index.mask(one.guests) & ~index.employees)
            for one in reach.model.invitations
        )
        self._everybody = self.brought_by(present)
        """All who are there, with whom they could bring in."""
        self._any = self._guests_of(present)
        self._possible: dict[Goal, bool] = {}

    def brought_by(self, team: Team) -> Team:
        """``team`` with all whom it could bring in."""
        return team | self._guests_of(team)

    def _guests_of(self, team: Team) -> Team:
        hosts, found = team & self._reach.index.employees, 0
        for _, sponsors, guests in self._brought:
            if sponsors & hosts and hosts.bit_count() >= _HOSTS:
                found |= guests
        return found

    def plan(self, team: Team, goal: Goal) -> tuple[Step, ...]:
        """How ``team`` does it, with guests where it takes some, and none in vain; no steps when it cannot."""
        actors = self._actors(self._reach.plan(self.brought_by(team), goal) or ()) & ~team
        for guest in each(actors):
            if self._reach.works(team | actors & ~guest, goal):
                actors &= ~guest
        first = self._first(actors)
        actors = first if self._reach.works(team | first, goal) else actors
        steps = self._reach.plan(team | actors, goal) or ()
        actors &= self._actors(steps)
        told = [step for guest in each(actors) for step in self._bring_in(team, guest)]
        return (*told, *steps)

    def applied(self, verdict: Verdict) -> Verdict:
        """``verdict``, which knows of none of it, with what can be done with guests; as in the proof before where it
        cannot have changed."""
        if not self._any or verdict.claim.counted is Counted.ABSENCES:
            return verdict
        if verdict.claim.goal.chain:
            return self._applied(verdict)
        facts = self._reach.memory.facts
        key = ("with guests", verdict.claim, self._present, self._brought)
        rests_on, known = self._reach.rests_on(verdict.claim.goal.resource), facts.get(key)
        if not isinstance(known, _Known) or known.before is not verdict or known.rests_on != rests_on:
            known = facts[key] = _Known(verdict, rests_on, self._applied(verdict))
        return known.after

    def _applied(self, verdict: Verdict) -> Verdict:
        claim = verdict.claim
        vendors = claim.counted is Counted.VENDORS
        least = 1 if vendors else _HOSTS
        if (verdict.most is not None and verdict.most <= least and not verdict.never) or not self._matter(verdict):
            return verdict
        most = max(least, claim.least - 1)
        if vendors and len(self._reach.index.units) <= _FEW_UNITS:
            most = len(self._reach.index.units)
        if verdict.most is not None and not verdict.never:
            most = min(most, verdict.most - 1)
        try:
            for size in range(least, most + 1):
                team = self._of_units(claim.goal, size) if vendors else self._team_of(claim.goal, size)
                if team is not None:
                    return self._told(verdict, team, size)
        except GivenUp:
            outcome = Outcome.UNKNOWN if verdict.outcome is Outcome.PROVEN and size < claim.least else verdict.outcome
            return replace(verdict, outcome=outcome, least=min(verdict.least, size), exact=False, never=False)
        fewest = min(verdict.least, max(least, most + 1))
        exact = verdict.exact and fewest == verdict.least
        return replace(verdict, least=fewest, exact=exact, never=False, vendors=None)

    def _told(self, verdict: Verdict, team: Team, size: int) -> Verdict:
        claim, index = verdict.claim, self._reach.index
        units: tuple[str, ...] = tuple(index.members(team))
        if claim.counted is Counted.VENDORS:
            units = tuple(name for name, mask in sorted(index.units.items()) if mask & team)
            team = self._without_need(team, claim.goal)
        return replace(
            verdict,
            outcome=Outcome.REFUTED if size < claim.least else verdict.outcome,
            least=min(verdict.least, size),
            exact=True,
            never=False,
            team=units,
            steps=self.plan(team, claim.goal),
            most=size,
            vendors=None,
        )

    def _matter(self, verdict: Verdict) -> bool:
        """Whether a guest could have a part in it, and it can be done at all."""
        goal = verdict.claim.goal
        if goal.chain:
            rights = self._reach.chain_rights(goal)
            takers = self._reach.takers(goal, frozenset())
            useful = bool(rights) or any(mask & self._any for mask in takers)
        else:
            useful = any(self._least(lead) is not None for lead in self._reach.leads(goal))
        if not useful:
            return False
        if verdict.most is not None and not verdict.never:
            return True
        if goal not in self._possible:
            self._possible[goal] = self._reach.works(self._everybody, goal)
        return self._possible[goal]

    def _least(self, lead: Lead) -> int | None:
        """How many persons this way takes at least when a guest has a part in it; None when none can."""
        if lead.rights:
            return _HOSTS
        facts, key = self._reach.memory.facts, ("least with guests", lead.way.key, self._everybody)
        if key not in facts:
            facts[key] = self._counted(lead)
        found = facts[key]
        return found if isinstance(found, int) else None

    def _counted(self, lead: Lead) -> int | None:
        way, approving = lead.way, self._reach.approving
        places = (*way.rules, *(way.holds or ()))
        if any(approving.anybody(place, frozenset()) & self._any for place in places):
            return _HOSTS
        if not self._any & (way.askers | way.held):
            return None
        # A guest asks, and none says yes.
        return max(_HOSTS, bound(way, approving, self._everybody, frozenset()) - 1)

    def _team_of(self, goal: Goal, size: int) -> Team | None:
        """A team of ``size`` persons, two of them hosts, that can with its guests. Raises GivenUp."""
        if goal.chain:
            return self._try(lambda team: self._reach.works(team, goal), self._chain_apart(goal), size)
        for lead in self._reach.leads(goal):
            least = self._least(lead)
            team = self._by(lead, size) if least is not None and least <= size else None
            if team is not None:
                return team
        return None

    def _by(self, lead: Lead, size: int) -> Team | None:
        reach, memory = self._reach, self._reach.memory
        rests_on = reach.joining.rests_on(lead.rights, memory.token)
        key = ("guests", lead.way.key, rests_on, self._present, self._brought, size)
        if key not in memory.facts:
            apart = [*told_apart(reach, lead), *self._rights_apart(lead.rights)]
            try:
                memory.facts[key] = self._try(lambda team: reach.can(team, [lead]), apart, size)
            except GivenUp:
                memory.facts[key] = GivenUp
        found = memory.facts[key]
        if found is GivenUp:
            raise GivenUp
        return found if isinstance(found, int) else None

    def _try(self, able: Callable[[Team], bool], apart: Sequence[Team], size: int) -> Team | None:
        sponsors = [mask for _, mask, _ in self._brought]
        guests = [mask for _, _, mask in self._brought]
        masks = tuple(dict.fromkeys((*self._reach.index.units.values(), *sponsors, *guests, *apart)))
        left = _MOST_TRIED
        for team in self._teams(masks, size):
            left -= 1
            if left < 0:
                raise GivenUp
            if able(self.brought_by(team)):
                return team
        return None

    def _teams(self, apart: Sequence[Team], size: int) -> Iterator[Team]:
        """Teams of ``size``, or of all, with a sponsor and another employee; of alike ones one."""
        hosts, sponsors = self._present & self._reach.index.employees, 0
        for _, mask, _ in self._brought:
            sponsors |= mask
        for part in cells(sponsors & hosts, apart):
            sponsor = part & -part
            for other in cells(hosts & ~sponsor, apart):
                yield from self._grown(sponsor | (other & -other), apart, size - _HOSTS)

    def _grown(self, team: Team, apart: Sequence[Team], more: int) -> Iterator[Team]:
        # Whom they bring in anyway need not be one of them.
        rest = self._present & ~self.brought_by(team)
        if not more or not rest:
            yield team
            return
        for part in cells(rest, apart):
            yield from self._grown(team | (part & -part), apart, more - 1)

    def _chain_apart(self, goal: Goal) -> list[Team]:
        reach = self._reach
        chain, rights = reach.chain(goal), reach.chain_rights(goal)
        own = [reach.index.approvers, *reach.takers(goal, frozenset()), *self._rights_apart(rights)]
        if chain.by_team:
            own += reach.groups.direct.values()
        return own

    def _rights_apart(self, rights: tuple[int, ...]) -> list[Team]:
        masks: list[Team] = []
        for number in rights:
            right = self._reach.model.powers[number]
            names = self._reach.groups.beneath((right.holder, right.group))
            masks += [self._reach.groups.direct.get(name, 0) for name in names]
            masks += places_apart(self._reach, self._reach.approving.compile(right.rules))
        return masks

    def _of_units(self, goal: Goal, size: int) -> Team | None:
        """All persons of ``size`` vendors, the employees among them, who can with their guests."""
        others = [mask & self._present for name, mask in sorted(self._reach.index.units.items()) if name != EMPLOYEES]
        for chosen in combinations(others, min(size - 1, len(others))):
            team = self._present & self._reach.index.employees
            for mask in chosen:
                team |= mask
            if self._reach.works(self.brought_by(team), goal):
                return team
        return None

    def _without_need(self, team: Team, goal: Goal) -> Team:
        """As few of ``team`` as do it, left out one by one of those who have a part."""
        kept = self._actors(self.plan(team, goal)) & team
        for one in each(kept):
            if self._reach.works(self.brought_by(kept & ~one), goal):
                kept &= ~one
        return kept

    def _first(self, some: Team) -> Team:
        """As many guests of each contract as of ``some``, the first ones: these are told."""
        chosen = 0
        for _, _, guests in self._brought:
            for number, guest in enumerate(each(guests)):
                if number < (guests & some).bit_count():
                    chosen |= guest
        return chosen

    def _bring_in(self, team: Team, guest: Team) -> Iterator[Step]:
        hosts = team & self._reach.index.employees
        name = self._reach.index.name
        for contract, sponsors, guests in self._brought:
            if guests & guest and sponsors & hosts and hosts.bit_count() >= _HOSTS:
                sponsor = sponsors & hosts & -(sponsors & hosts)
                others = hosts & ~sponsor
                other, target = name(others & -others), f"{name(guest)} on {contract}"
                yield Step(other, "invite", target)
                yield Step(other, "arrive", target)
                yield Step(name(sponsor), "admit", target)
                yield Step(other, "stay", target)
                return

    def _actors(self, steps: Sequence[Step]) -> Team:
        return self._reach.mask(name for step in steps for name in (step.person, step.for_whom) if name)
