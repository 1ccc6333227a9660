"""Persons who together can come in as anybody else: what they can is what everybody can.

It is counted after all else: a team that can do a thing by itself is as good as ever, and a smaller one that takes over
is told in its place. How many may be absent is asked without it: nobody plans to be impersonated.
"""

from collections.abc import Sequence
from dataclasses import replace

from interlock.proof.guests import Guests
from interlock.proof.index import Team, each
from interlock.proof.model import EMPLOYEES, Goal
from interlock.proof.reach import Reach
from interlock.proof.steps import Step, What
from interlock.proof.verdicts import Claim, Counted, Outcome, Verdict


class Takeovers:
    """``present`` are those who may be in a team; whom they come in as may be away."""

    def __init__(self, reach: Reach, present: Team, guests: Guests) -> None:
        self._reach = reach
        self._guests = guests
        self._possible: dict[Goal, bool] = {}
        self._found: tuple[int, Team] | None = None
        """The least number that takes over, and a team of so many; nobody when it would have to join a group first."""
        for takeover in reach.model.takeovers:
            helpers = reach.groups.mask(takeover.group) & present & reach.index.employees
            opened, _ = reach.joining.join(guests.brought_by(present), reach.joining.rights_for({takeover.group}))
            able = present & reach.index.employees if takeover.group in opened else helpers
            count = max(1, takeover.count)
            if able.bit_count() < count or (self._found is not None and self._found[0] <= count):
                continue
            self._found = count, _some(helpers, count) if helpers.bit_count() >= count else 0

    def applied(self, verdict: Verdict) -> Verdict:
        """``verdict``, which knows of none of it, with what those can who take over."""
        claim, found = verdict.claim, self._found
        if found is None or claim.counted is Counted.ABSENCES or not self._can(verdict):
            return verdict
        least, team = found
        if claim.counted is Counted.VENDORS:
            # All who take over are employees.
            least = 1
        if verdict.most is not None and verdict.most <= least and not verdict.never:
            return verdict
        least = min(verdict.least, least)
        outcome = Outcome.PROVEN if least >= claim.least and verdict.outcome is Outcome.PROVEN else Outcome.UNKNOWN
        if verdict.outcome is Outcome.REFUTED or (team and _size(team, claim) < claim.least):
            outcome = Outcome.REFUTED
        told = replace(verdict, outcome=outcome, least=least, never=False, exact=False, vendors=None)
        return self._told(told, team) if team else told

    def _told(self, verdict: Verdict, team: Team) -> Verdict:
        goal, index = verdict.claim.goal, self._reach.index
        steps = verdict.steps or self._guests.plan(self._reach.everybody, goal)
        actors = self._reach.mask(name for step in steps for name in (step.person, step.for_whom) if name)
        # Whom they bring in as guests they are already.
        guests = index.mask(step.target.partition(" on ")[0] for step in steps if step.what is What.INVITE)
        helpers, entered = tuple(index.members(team)), tuple(index.members(actors & ~team & ~guests))
        vendors = verdict.claim.counted is Counted.VENDORS
        size = 1 if vendors else len(helpers)
        return replace(
            verdict,
            exact=verdict.least == size,
            team=(EMPLOYEES,) if vendors else helpers,
            steps=(*come_in(helpers, entered), *steps),
            most=size,
            vendors=None if vendors else 1,
        )

    def _can(self, verdict: Verdict) -> bool:
        """Whether all persons together can."""
        goal = verdict.claim.goal
        if verdict.team:
            return True
        if goal not in self._possible:
            self._possible[goal] = self._reach.works(self._guests.brought_by(self._reach.everybody), goal)
        return self._possible[goal]


def come_in(helpers: Sequence[str], entered: Sequence[str]) -> list[Step]:
    """How all of ``helpers`` together come in as each of ``entered``."""
    steps: list[Step] = []
    for name in entered:
        steps += [Step(helper, What.HELP, name) for helper in helpers]
        steps.append(Step(helpers[0], What.COME_IN, name))
    return steps


def _size(team: Team, claim: Claim) -> int:
    return 1 if claim.counted is Counted.VENDORS else team.bit_count()


def _some(team: Team, count: int) -> Team:
    some = 0
    for number, one in enumerate(each(team)):
        if number == count:
            break
        some |= one
    return some
