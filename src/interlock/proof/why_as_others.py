"""The ways in which a person does a thing with others who are let in again, or brought in: as whom the team comes in.

A team that can let somebody in again has everybody's voice; a sponsor with another employee has those of their guests.
The person does it under their own name or, when they are one of those who help or bring in, as somebody else. Teams are
tried: the hosts or helpers, and with hosts so many of those whose yes it takes; of persons who are alike for this one
way, one. What a smaller team of them could do is no way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations_with_replacement

from interlock.proof.guests import Guests
from interlock.proof.index import Team, cells, each
from interlock.proof.model import Goal
from interlock.proof.reach import Lead, Reach
from interlock.proof.steps import Step, What
from interlock.proof.takeovers import come_in

RECOVERY, INVITATION = "recovery", "invitation"
_MOST_TRIED = 5_000
_MOST_SPONSORS = 2
Parts = tuple[tuple[Team, int], ...]
"""So many of each of some sets of persons."""


@dataclass(frozen=True, slots=True)
class AsOther:
    """``team`` is one that can, besides the person so many of each of ``others``; ``how``: recovery or invitation."""

    how: str
    team: Team
    others: Parts
    steps: tuple[Step, ...]


class AsOthers:
    """What ``who`` can do with those who come in as others."""

    def __init__(self, reach: Reach, who: Team) -> None:
        self._reach = reach
        self._who = who
        self._guests = Guests(reach, reach.everybody)
        self._all = self._guests.brought_by(reach.everybody)
        employees = reach.index.employees
        self._helpers = tuple(
            (reach.groups.mask(one.group) & employees & reach.everybody, max(1, one.count))
            for one in reach.model.takeovers
        )
        self._sponsors = tuple(
            (reach.index.mask(one.sponsors) & employees, reach.index.mask(one.guests) & ~employees)
            for one in reach.model.invitations
        )

    def ways(self, lead: Lead, goal: Goal) -> tuple[list[AsOther], bool]:
        """The minimal ones by ``lead``, and whether none is missing."""
        if not self._helpers and not self._sponsors:
            return [], True
        trial = _Trial(self, lead)
        found: list[tuple[Team, Parts]] = []
        for parts in trial.candidates():
            team = self._who | _taken(parts)
            if any(_within(less, parts) for _, less in found) or not trial.can(team) or trial.can_alone(team):
                continue
            if not any(trial.can(team & ~one) for one in each(team & ~self._who)):
                found.append((team, parts))
        return [self._told(trial, goal, team, parts) for team, parts in found], trial.complete

    def _told(self, trial: "_Trial", goal: Goal, team: Team, parts: Parts) -> AsOther:
        entering = not trial.can_with_guests(team)
        lead = trial.restricted(self._who)
        if not self._reach.can(self._all if entering else self._guests.brought_by(team), [lead]):
            lead = trial.restricted(trial.doers(team))
        able, tell = partial(self._can, lead), partial(self._reach.tell_way, lead, goal)
        if not entering:
            return AsOther(INVITATION, team, parts, self._guests.plan_by(team, able, tell))
        steps = self._guests.plan_by(self._reach.everybody, able, tell)
        entered = self._persons(steps) & ~team
        for one in each(entered):
            if able(self._guests.brought_by(team | entered & ~one)):
                entered &= ~one
        steps = self._guests.plan_by(team | entered, able, tell)
        entered &= self._persons(steps)
        members, count = next((mask, n) for mask, n in self._helpers if (mask & team).bit_count() >= n)
        helping = [self._reach.index.name(one) for one in each(members & team)][:count]
        return AsOther(RECOVERY, team, parts, (*come_in(helping, tuple(self._reach.members(entered))), *steps))

    def _can(self, lead: Lead, team: Team) -> bool:
        return self._reach.can(team, [lead])

    def _persons(self, steps: Sequence[Step]) -> Team:
        named = self._reach.mask(name for step in steps for name in (step.person, step.for_whom) if name)
        invited = self._reach.mask(step.target.partition(" on ")[0] for step in steps if step.what is What.INVITE)
        return named & self._reach.everybody & ~invited


class _Trial:
    """One way, and which teams can go it."""

    def __init__(self, others: AsOthers, lead: Lead) -> None:
        self._others = others
        self._lead = lead
        self._reach = others._reach
        self._who = others._who
        self._known: dict[Team, bool] = {}
        self._guests = others._guests
        self._masks = self._yeses()
        sponsors = {mask for mask, guests in others._sponsors if guests & self._useful}
        self.complete = not lead.rights and len(sponsors) <= _MOST_SPONSORS

    def can(self, team: Team) -> bool:
        """Whether ``who`` can with ``team``, in whatever way."""
        if team not in self._known:
            everything = self._others._all if self._takes_over(team) else self._guests.brought_by(team)
            self._known[team] = self._reach.can(everything, [self.restricted(self.doers(team))])
        return self._known[team]

    def can_alone(self, team: Team) -> bool:
        """Whether it needs nobody who comes in as another."""
        return self._reach.can(team, [self.restricted(self._who)])

    def can_with_guests(self, team: Team) -> bool:
        doers = self._who | self._brought_as(team)
        return self._reach.can(self._guests.brought_by(team), [self.restricted(doers)])

    def restricted(self, doers: Team) -> Lead:
        way = self._lead.way
        return replace(self._lead, way=replace(way, askers=way.askers & doers, held=way.held & doers))

    def doers(self, team: Team) -> Team:
        """As whom ``who`` could do it."""
        if not self._takes_over(team):
            return self._who | self._brought_as(team)
        if any(mask & self._who and (mask & team).bit_count() >= count for mask, count in self._others._helpers):
            return self._others._all & ~team | self._who
        return self._who | self._brought_as(self._reach.everybody) & ~team

    def candidates(self) -> Iterator[Parts]:
        """Teams besides ``who``, in an order in which the smaller ones come first."""
        apart = [*self._masks, *(mask for mask, _ in self._others._sponsors), *(m for m, _ in self._others._helpers)]
        apart.append(self._reach.index.employees)
        parts = list(cells(self._reach.everybody & ~self._who, apart))
        left = _MOST_TRIED
        for mask, count in self._others._helpers:
            able = [part for part in parts if part & mask]
            for chosen in combinations_with_replacement(able, count - bool(mask & self._who)):
                yield _counted(chosen)
        useful = [part for part in parts if part & self._useful]
        hosts = list(self._hosts(parts))
        for size in range(self._most() + 1):
            for more in combinations_with_replacement(useful, size):
                for chosen in hosts:
                    left -= 1
                    if left < 0:
                        self.complete = False
                        return
                    yield _counted((*chosen, *more))

    def _hosts(self, parts: Sequence[Team]) -> Iterator[tuple[Team, ...]]:
        """Who, beside ``who``, bring in somebody who is of use: a sponsor and another employee, or more sponsors."""
        employees = self._reach.index.employees
        able = [part for part in parts if part & employees]
        for size in range(_MOST_SPONSORS + 2):
            for chosen in combinations_with_replacement(able, size):
                team = self._who | _taken(_counted(chosen))
                if self._guests.brought_by(team) & self._useful & ~team:
                    yield chosen

    @property
    def _useful(self) -> Team:
        """Whose yes could matter, or who could ask."""
        found = self._lead.way.askers & self._reach.index.guests | self._lead.way.held
        if self._who & self._reach.index.employees:
            found |= self._lead.way.askers & ~self._reach.index.employees
        for mask in self._masks:
            found |= mask
        return found

    def _yeses(self) -> list[Team]:
        """Whose yes counts in each place, whoever of those who could do it asks."""
        way, approving = self._lead.way, self._reach.approving
        places, found = (*way.rules, *(way.holds or ())), list[Team]()
        doers = (way.askers | way.held) & (self._who | self._others._all)
        for part in approving.parts(doers, places):
            own, more = approving.masks(part & -part, way.rules, way.holds, self._others._all, frozenset(), 0)
            found += [*own, *more]
        return list(dict.fromkeys(found))

    def _most(self) -> int:
        way = self._lead.way
        return sum(place.count for place in (*way.rules, *(way.holds or ())))

    def _takes_over(self, team: Team) -> bool:
        return any((mask & team).bit_count() >= count for mask, count in self._others._helpers)

    def _brought_as(self, team: Team) -> Team:
        """Guests whom ``who`` helps to bring in."""
        return self._guests.brought_by(team) & ~team if self._who & self._reach.index.employees else 0


def _counted(chosen: Sequence[Team]) -> Parts:
    return tuple((part, chosen.count(part)) for part in dict.fromkeys(chosen))


def _within(less: Parts, more: Parts) -> bool:
    known = dict(more)
    return all(known.get(part, 0) >= count for part, count in less)


def _taken(parts: Parts) -> Team:
    team = 0
    for part, count in parts:
        for number, one in enumerate(each(part)):
            if number < count:
                team |= one
    return team
