"""Persons who together bring in others, and come in as them: what is done with guests.

A guest is nobody yet, or a contractor who is known here and has not come in yet: the latter has what the state gives
them, and may as well be one of the team themselves. It takes the sponsor of a contract and another employee, so a team
with a guest has two persons at least. It is counted after a verdict that knows of no guests: smaller teams with the two
in it are tried, and of persons about whom the model says the same only one. How many may be absent is asked without
guests. The checker tries them again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

from interlock.proof.few import places_apart, told_apart
from interlock.proof.index import Team, cells, each
from interlock.proof.model import EMPLOYEES, Goal
from interlock.proof.partitions import GivenUp
from interlock.proof.reach import Lead, Reach
from interlock.proof.steps import Step, What
from interlock.proof.verdicts import Counted, Outcome, Verdict
from interlock.proof.ways import bound

_HOSTS = 2
_MOST_TRIED = 20_000
_FEW_UNITS = 8
"""Among so many vendors the true number is told, whatever is claimed."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A team of ``size`` persons or vendors that can with guests, and how: by the lend at that place, if by one."""

    size: int
    team: Team
    steps: tuple[Step, ...]
    place: int | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """A verdict before and after, what both rest on, and what was found between."""

    before: Verdict
    rests_on: tuple[int, ...]
    after: Verdict
    found: _Found | None


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
        self._key = reach.memory.token(("guests", present, self._brought)) if self._any else 0

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
        return self.plan_by(team, lambda some: self._reach.works(some, goal), lambda some: self._reach.plan(some, goal))

    def plan_by(
        self, team: Team, able: Callable[[Team], bool], tell: Callable[[Team], tuple[Step, ...] | None]
    ) -> tuple[Step, ...]:
        """As ``plan`` for what ``able`` says of a team, and ``tell`` how."""
        actors = self._actors(tell(self.brought_by(team)) or ()) & ~team
        for guest in each(actors):
            if able(team | actors & ~guest):
                actors &= ~guest
        first = self._first(actors)
        actors = first if first == actors or able(team | first) else actors
        steps = tell(team | actors) or ()
        actors &= self._actors(steps)
        told = [step for guest in each(actors) for step in self._bring_in(team, guest)]
        return (*told, *steps)

    def applied(self, verdict: Verdict) -> Verdict:
        """``verdict``, which knows of none of it, with what can be done with guests; as in the proof before where it
        cannot have changed."""
        if not self._any or verdict.claim.counted is Counted.ABSENCES:
            return verdict
        if verdict.claim.goal.chain:
            return self._applied(verdict)[0]
        facts = self._reach.memory.facts
        key = ("with guests", verdict.claim, self._key)
        rests_on, known = self._reach.rests_on(verdict.claim.goal.resource), facts.get(key)
        if isinstance(known, _Known) and known.before is verdict and known.rests_on == rests_on:
            return known.after
        found: _Found | None = None
        if isinstance(known, _Known) and known.found is not None and self._stands(known, verdict, rests_on):
            after, found = self._told(verdict, known.found), known.found
        else:
            after, found = self._applied(verdict)
        facts[key] = _Known(verdict, rests_on, after, found)
        return after

    def _stands(self, known: _Known, verdict: Verdict, rests_on: tuple[int, ...]) -> bool:
        """Whether what was found stands: how its team does it has not changed, and nothing that has takes fewer."""
        found, before, goal = known.found, known.rests_on, verdict.claim.goal
        if found is None or found.place is None or len(before) != len(rests_on):
            return False
        if before[found.place] != rests_on[found.place]:
            return False
        if verdict.most is not None and verdict.most <= found.size and not verdict.never:
            return False
        changed = [place for place, now in enumerate(rests_on) if before[place] != now] if found.size > _HOSTS else []
        for place in changed:
            lead = self._reach.lead(self._reach.lends_on(goal.resource)[place], goal)
            least = None if lead is None else self._least(lead)
            if least is not None and least < found.size:
                return False
        return True

    def _applied(self, verdict: Verdict) -> tuple[Verdict, _Found | None]:
        claim = verdict.claim
        vendors = claim.counted is Counted.VENDORS
        least = 1 if vendors else _HOSTS
        if (verdict.most is not None and verdict.most <= least and not verdict.never) or not self._matter(verdict):
            return verdict, None
        most = max(least, claim.least - 1)
        if vendors and len(self._reach.index.units) <= _FEW_UNITS:
            most = len(self._reach.index.units)
        if verdict.most is not None and not verdict.never:
            most = min(most, verdict.most - 1)
        try:
            for size in range(least, most + 1):
                found = self._of_units(claim.goal, size) if vendors else self._found_of(claim.goal, size)
                if found is not None:
                    return self._told(verdict, found), found
        except GivenUp:
            outcome = Outcome.UNKNOWN if verdict.outcome is Outcome.PROVEN and size < claim.least else verdict.outcome
            told = replace(verdict, outcome=outcome, least=min(verdict.least, size), exact=False, never=False)
            return told, None
        fewest = min(verdict.least, max(least, most + 1))
        exact = verdict.exact and fewest == verdict.least
        return replace(verdict, least=fewest, exact=exact, never=False, vendors=None), None

    def _told(self, verdict: Verdict, found: _Found) -> Verdict:
        claim, index = verdict.claim, self._reach.index
        units: tuple[str, ...] = tuple(index.members(found.team))
        if claim.counted is Counted.VENDORS:
            units = tuple(name for name, mask in sorted(index.units.items()) if mask & found.team)
        return replace(
            verdict,
            outcome=Outcome.REFUTED if found.size < claim.least else verdict.outcome,
            least=min(verdict.least, found.size),
            exact=True,
            never=False,
            team=units,
            steps=found.steps,
            most=found.size,
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

    def _found_of(self, goal: Goal, size: int) -> _Found | None:
        """A team of ``size`` persons, two of them hosts, that can with its guests. Raises GivenUp."""
        reach = self._reach
        if goal.chain:
            team = self._try(lambda some: reach.works(some, goal), self._chain_apart(goal), size)
            return None if team is None else _Found(size, team, self.plan(team, goal))
        for place, lead in enumerate(map(partial(reach.lead, goal=goal), reach.lends_on(goal.resource))):
            least = None if lead is None else self._least(lead)
            team = self._by(lead, size) if lead is not None and least is not None and least <= size else None
            if lead is not None and team is not None:
                able, tell = partial(self._can_by, lead), partial(reach.tell_way, lead, goal)
                return _Found(size, team, self.plan_by(team, able, tell), place)
        return None

    def _can_by(self, lead: Lead, team: Team) -> bool:
        return self._reach.can(team, [lead])

    def _by(self, lead: Lead, size: int) -> Team | None:
        reach, memory = self._reach, self._reach.memory
        rests_on = reach.joining.rests_on(lead.rights, memory.token)
        key = ("guests", lead.way.key, rests_on, self._key, size)
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

    def _of_units(self, goal: Goal, size: int) -> _Found | None:
        """All persons of ``size`` vendors, the employees among them, who can with their guests."""
        others = [mask & self._present for name, mask in sorted(self._reach.index.units.items()) if name != EMPLOYEES]
        for chosen in combinations(others, min(size - 1, len(others))):
            team = self._present & self._reach.index.employees
            for mask in chosen:
                team |= mask
            if self._reach.works(self.brought_by(team), goal):
                team = self._without_need(team, goal)
                return _Found(size, team, self.plan(team, goal))
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
                yield Step(other, What.INVITE, target)
                yield Step(other, What.ARRIVE, target)
                yield Step(name(sponsor), What.ADMIT, target)
                yield Step(other, What.STAY, target)
                return

    def _actors(self, steps: Sequence[Step]) -> Team:
        return self._reach.mask(name for step in steps for name in (step.person, step.for_whom) if name)
