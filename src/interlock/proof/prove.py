"""Claims, and what is true of them.

A claim says how many persons, or vendors, a thing takes at least. It is *proven* by counting and by cuts, *refuted* by
a team and its steps, or *unknown*, which is never taken for proven.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from interlock.proof.actions import MANY, Actions
from interlock.proof.carried import Carried, union
from interlock.proof.counting import fewest_vendors
from interlock.proof.guests import Guests
from interlock.proof.index import Team, each
from interlock.proof.model import Goal, Model
from interlock.proof.partitions import GivenUp
from interlock.proof.reach import Memory, Reach
from interlock.proof.smallest import Smallest, search
from interlock.proof.steps import Step
from interlock.proof.takeovers import Takeovers
from interlock.proof.verdicts import Claim, Counted, Cut, Outcome, Proof, Verdict, assumptions_of

_ROUNDS = 3000


def prove(
    model: Model, claims: Iterable[Claim], *, most: int = 6, away: Iterable[str] = (), memory: Memory | None = None
) -> Proof:
    """The verdicts on ``claims``, in their order. ``most``: how many persons are looked for beyond what is claimed.

    ``away`` names persons who are absent: they are in no team. ``memory`` is that of the proof before.
    """
    prover = Prover(model, away=away, memory=memory)
    verdicts = tuple(prover.judge(claim, most=max(most, claim.least)) for claim in claims)
    chains = dict.fromkeys(v.claim.goal.chain for v in verdicts if v.claim.goal.chain)
    bottlenecks = {chain: prover.bottlenecks(Goal(chain=chain)) for chain in chains}
    absent = sorted(set(away))
    more = (f"Absent, and in no team: {', '.join(absent)}.",) if absent else ()
    return Proof(verdicts, (*assumptions_of(model), *more), bottlenecks)


@dataclass(frozen=True, slots=True)
class _Known:
    """A verdict, what it rests on, and the place there of the lend by which its team does it."""

    rests_on: tuple[int, ...]
    verdict: Verdict
    way: int | None


class Prover:
    """One model with what was found out about it. Among more than ``many`` persons less is searched."""

    def __init__(
        self, model: Model, *, away: Iterable[str] = (), memory: Memory | None = None, many: int = MANY
    ) -> None:
        self.reach = Reach(model, memory)
        self._present = self.reach.everybody & ~self.reach.mask(away)
        self._actions = Actions(self.reach, self._present, many=many)
        self._carried = Carried(self.reach, self._present)
        self._guests = Guests(self.reach, self._present)
        self._takeovers = Takeovers(self.reach, self._present, self._guests)
        self._key = self.reach.memory.token(("present", self._present))
        self._gone: int | None = None
        self._vendors: dict[tuple[int, ...], int | None] = {}
        units = sorted(self.reach.index.units.items())
        self._units = [(name, mask & self._present) for name, mask in units]

    def judge(self, claim: Claim, *, most: int) -> Verdict:
        try:
            if claim.counted is Counted.ABSENCES:
                return self._judge_absences(claim)
            if claim.counted is Counted.VENDORS:
                verdict = self._judge_vendors(claim, most)
            elif claim.goal.chain:
                verdict = self._judge_persons(claim, most)
            else:
                verdict = self._remembered(claim, most)
        except GivenUp:
            verdict = Verdict(claim, Outcome.UNKNOWN, 0, exact=False)
        return self._takeovers.applied(self._guests.applied(verdict))

    def smallest(self, goal: Goal, *, most: int = 6) -> Smallest:
        """The fewest persons for ``goal``, nobody bringing anybody in or coming in as another."""
        return self._fewest(Claim(goal, Counted.PERSONS, 1), most)

    def bottlenecks(self, goal: Goal) -> tuple[str, ...]:
        """Who is needed for ``goal`` whatever others do; none when not even all together can."""
        try:
            plan = self.reach.plan(self._present, goal)
            actors = self._carried.actors(plan or ())
            return tuple(
                self.reach.index.name(one) for one in each(actors) if not self.reach.works(self._present & ~one, goal)
            )
        except GivenUp:
            return ()

    def _remembered(self, claim: Claim, most: int) -> Verdict:
        """The verdict on an action; that of the proof before where it cannot have changed."""
        facts, key = self.reach.memory.facts, (claim, most, self._key)
        rests_on = self.reach.rests_on(claim.goal.resource)
        known = facts.get(key)
        if isinstance(known, _Known) and (known.rests_on == rests_on or self._stands(known, rests_on, claim.goal)):
            verdict = known.verdict
        else:
            known, verdict = None, self._judge_persons(claim, most)
        if known is None or known.rests_on != rests_on:
            facts[key] = _Known(rests_on, verdict, self._gone if known is None else known.way)
        return verdict

    def _stands(self, known: _Known, rests_on: tuple[int, ...], goal: Goal) -> bool:
        """Whether the verdict stands as it is: how its team does it has not changed, and no way that has changed takes
        fewer."""
        verdict, before = known.verdict, known.rests_on
        if known.way is None or verdict.most is None or verdict.cuts or verdict.vendors != 1:
            return False
        if len(before) != len(rests_on) or before[known.way] != rests_on[known.way]:
            return False
        for place, number in enumerate(self.reach.lends_on(goal.resource)):
            if before[place] != rests_on[place]:
                lead = self.reach.lead(number, goal)
                if lead is not None and self._actions.bound(lead) < verdict.most:
                    return False
        return True

    def _fewest(self, claim: Claim, most: int) -> Smallest:
        return self._carried.fewest(claim, most) if claim.goal.chain else self._actions.fewest(claim, most)

    def _judge_persons(self, claim: Claim, most: int) -> Verdict:
        self._gone = None
        found = self._fewest(claim, most)
        vendors = None if found.never else self._fewest_vendors(claim.goal, found.team)
        verdict = self._verdict(claim, found, vendors=vendors)
        if found.team is None:
            return verdict
        team = tuple(self.reach.members(found.team))
        if claim.goal.chain:
            return replace(verdict, team=team, steps=self.reach.plan(found.team, claim.goal) or ())
        gone = self.reach.plan_by(found.team, claim.goal)
        if gone is None:
            return verdict
        self._gone = self.reach.lends_on(claim.goal.resource).index(gone[0].number)
        return replace(verdict, team=team, steps=gone[1])

    def _verdict(self, claim: Claim, found: Smallest, *, vendors: int | None = None) -> Verdict:
        size = None if found.team is None else found.team.bit_count()
        outcome = Outcome.PROVEN if found.never or found.least >= claim.least else Outcome.UNKNOWN
        if size is not None and size < claim.least:
            outcome = Outcome.REFUTED
        cuts = tuple(self._tell_cut(cut, claim.counted) for cut in found.cuts)
        return Verdict(claim, outcome, found.least, found.exact, found.never, cuts=cuts, most=size, vendors=vendors)

    def _tell_cut(self, cut: Team, counted: Counted) -> Cut:
        if counted is Counted.VENDORS:
            return Cut(tuple(self._units[unit.bit_length() - 1][0] for unit in each(cut)))
        others = self._present & ~cut
        # Written down as what is the shorter: a cut is often everybody but a few.
        if counted is Counted.PERSONS and others.bit_count() < cut.bit_count():
            return Cut(tuple(self.reach.members(others)), but=True)
        return Cut(tuple(self.reach.members(cut)))

    def _judge_vendors(self, claim: Claim, most: int) -> Verdict:
        found = self._search_vendors(claim.goal, most)
        verdict = self._verdict(claim, found)
        if found.team is None:
            return verdict
        team = tuple(self._units[unit.bit_length() - 1][0] for unit in each(found.team))
        return replace(verdict, team=team, steps=self._fewer(self._of_units(found.team), claim.goal))

    def _search_vendors(self, goal: Goal, most: int) -> Smallest:
        everyone = (1 << len(self._units)) - 1

        def able(units: Team) -> bool:
            return self.reach.works(self._of_units(units), goal)

        if not able(everyone):
            return Smallest(len(self._units) + 1, None, (0,), exact=False, never=True)
        least = fewest_vendors(self.reach.chain(goal)) if goal.chain else 1
        return search(able, everyone, list(each(everyone)), sizes=(least, most), rounds=_ROUNDS)

    def _fewest_vendors(self, goal: Goal, team: Team | None) -> int | None:
        """How many vendors have a part at least; None when it was not found out. ``team`` is one that can."""
        if team is not None and not team & ~self.reach.index.unit(team & -team):
            return 1
        leads = [] if goal.chain else self.reach.leads(goal)
        employees = self.reach.index.employees & self._present
        if leads and self.reach.can(employees, leads):
            return 1
        key = tuple(sorted(id(lead.way) for lead in leads))
        if goal.chain or key not in self._vendors:
            found = self._search_vendors(goal, 6)
            self._vendors[key] = found.least if found.exact else None
        return self._vendors[key]

    def _of_units(self, units: Team) -> Team:
        return union(self._units[unit.bit_length() - 1][1] for unit in each(units))

    def _fewer(self, mask: Team, goal: Goal) -> tuple[Step, ...]:
        """The steps of as few of a vendor's persons as do it, left out one by one."""
        actors = self._carried.actors(self.reach.plan(mask, goal) or ())
        return self.reach.plan(self._carried.without_need(actors, goal), goal) or ()

    def _judge_absences(self, claim: Claim) -> Verdict:
        found, limit = self._carried.absences(claim)
        if found.never:
            return Verdict(claim, Outcome.REFUTED, 0, exact=True, never=True, most=0)
        team = () if found.team is None else tuple(self.reach.members(found.team))
        most = limit if found.team is None else len(team)
        outcome = Outcome.PROVEN if found.least > claim.least else Outcome.UNKNOWN
        if found.team is not None and len(team) <= claim.least:
            outcome = Outcome.REFUTED
        least = min(found.least, most)
        cuts = tuple(self._tell_cut(cut, claim.counted) for cut in found.cuts)
        return Verdict(claim, outcome, least, exact=least == most, team=team, cuts=cuts, most=most)
