"""Claims, and what is true of them.

A claim says how many persons, or vendors, a thing takes at least. It is *proven* by cuts, *refuted* by a team and its
steps, or *unknown*, which is never taken for proven.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from interlock.proof.model import Goal, Model
from interlock.proof.reach import Reach, Step
from interlock.proof.smallest import Smallest, Units, find_smallest


class Counted(StrEnum):
    PERSONS = "persons"
    VENDORS = "vendors"
    ABSENCES = "absences"


class Outcome(StrEnum):
    PROVEN = "proven"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Claim:
    """``least`` persons or vendors are needed for ``goal``; or its chain can be done with ``least`` persons away."""

    goal: Goal
    counted: Counted
    least: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """``least``: so many are needed at least (``exact``: and suffice). For absences: so many stop the chain.

    ``team`` and ``steps`` are a smallest team that can, and how. ``cuts``: every team that can has one of each.
    ``never``: not even all together can.
    """

    claim: Claim
    outcome: Outcome
    least: int
    exact: bool
    never: bool = False
    team: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    cuts: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """``assumptions`` are what the verdicts rest on, as sentences. ``bottlenecks``: a chain and who alone stops it."""

    verdicts: tuple[Verdict, ...]
    assumptions: tuple[str, ...]
    bottlenecks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every claim is proven; no claim at all holds nothing."""
        return bool(self.verdicts) and all(v.outcome is Outcome.PROVEN for v in self.verdicts)


ASSUMPTIONS = (
    (
        "Every identity, account and agent counts as the person it is linked to in the state; persons who share an "
        "account, or who have one that is linked to nobody, are not seen."
    ),
    "Persons outside the team say yes to nothing any more; what they have said yes to already counts.",
    (
        "Contracts that have not started yet, grants and requests that wait count as if they were here now; conflicts "
        "of roles, windows and proofs of presence are taken as no obstacle."
    ),
    (
        "Whoever can change the control plane's machine, its database or the interlock.yaml it is started with, or has "
        "a resource's own credential, is outside of this model."
    ),
    "An action is what the classification of statements says it is.",
)


def prove(model: Model, claims: Iterable[Claim], *, most: int = 6, away: Iterable[str] = ()) -> Proof:
    """The verdicts on ``claims``, in their order. ``most``: how many persons are looked for beyond what is claimed.

    ``away`` names persons who are absent: they are in no team.
    """
    prover = Prover(model, away=away)
    verdicts = tuple(prover.judge(claim, most=max(most, claim.least)) for claim in claims)
    chains = dict.fromkeys(v.claim.goal.chain for v in verdicts if v.claim.goal.chain)
    bottlenecks = {chain: prover.bottlenecks(Goal(chain=chain)) for chain in chains}
    absent = sorted(set(away))
    more = (f"Absent, and in no team: {', '.join(absent)}.",) if absent else ()
    return Proof(verdicts, (*ASSUMPTIONS, *more), bottlenecks)


class Prover:
    """One model with what was found out about it: goals that are reached in the same ways are searched once."""

    def __init__(self, model: Model, *, away: Iterable[str] = ()) -> None:
        self.reach = Reach(model)
        self._present = self.reach.everybody & ~self.reach.mask(away)
        self._names = tuple(self.reach.members(self._present))
        self._units = {unit: mask & self._present for unit, mask in self.reach.units().items()}
        self._kinds = self.reach.kinds()
        self._known: dict[object, Smallest] = {}

    def judge(self, claim: Claim, *, most: int) -> Verdict:
        found = self._search(claim, most)
        if claim.counted is Counted.ABSENCES:
            return self._judge_absences(claim, found)
        team: tuple[str, ...] = ()
        steps: tuple[Step, ...] = ()
        if found.team is not None:
            mask = self._mask(claim, found.team)
            steps = self.reach.plan(mask, claim.goal) or ()
            team = tuple(sorted(found.team))
            if claim.counted is Counted.VENDORS:
                steps = self._fewer(mask, claim.goal)
        outcome = Outcome.PROVEN if found.never or found.least >= claim.least else Outcome.UNKNOWN
        if found.team is not None and len(found.team) < claim.least:
            outcome = Outcome.REFUTED
        cuts = tuple(tuple(sorted(cut)) for cut in found.cuts)
        return Verdict(claim, outcome, found.least, found.exact, found.never, team, steps, cuts)

    def _judge_absences(self, claim: Claim, found: Smallest) -> Verdict:
        cuts = tuple(tuple(sorted(cut)) for cut in found.cuts)
        if found.least == 0:
            return Verdict(claim, Outcome.REFUTED, 0, exact=True, never=True)
        outcome = Outcome.PROVEN if found.least > claim.least else Outcome.UNKNOWN
        team = () if found.team is None else tuple(sorted(found.team))
        if found.team is not None and len(team) <= claim.least:
            outcome = Outcome.REFUTED
        return Verdict(claim, outcome, found.least, found.exact, team=team, cuts=cuts)

    def _fewer(self, mask: int, goal: Goal) -> tuple[Step, ...]:
        """The steps of as few of a vendor's persons as do it, left out one by one."""
        steps = self.reach.plan(mask, goal) or ()
        actors = self.reach.mask(name for step in steps for name in (step.person, step.for_whom) if name)
        for name in list(self.reach.members(actors)):
            less = actors & ~self.reach.mask([name])
            if self.reach.works(less, goal):
                actors = less
        return self.reach.plan(actors, goal) or steps

    def bottlenecks(self, goal: Goal) -> tuple[str, ...]:
        """Who is needed for ``goal`` whatever others do; none when not even all together can."""
        plan = self.reach.plan(self._present, goal)
        if plan is None:
            return ()
        actors = {name for step in plan for name in (step.person, step.for_whom) if name}
        return tuple(
            name for name in sorted(actors) if not self.reach.works(self._present & ~self.reach.mask([name]), goal)
        )

    def smallest(self, goal: Goal, *, most: int = 6) -> Smallest:
        """The fewest persons for ``goal``."""
        return self._search(Claim(goal, Counted.PERSONS, 1), most)

    def _mask(self, claim: Claim, team: Units) -> int:
        if claim.counted is not Counted.VENDORS:
            return self.reach.mask(team)
        mask = 0
        for unit in team:
            mask |= self._units[unit]
        return mask

    def _search(self, claim: Claim, most: int) -> Smallest:
        key = (claim.counted, most, claim.goal if claim.goal.chain else self._shape(claim.goal))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._find(claim, most)
        return known

    def _shape(self, goal: Goal) -> object:
        """The same for goals that are reached in the same ways."""
        return tuple(self.reach.shape(lend, goal) for lend in self.reach.ways(goal))

    def _find(self, claim: Claim, most: int) -> Smallest:
        goal, reach = claim.goal, self.reach
        if claim.counted is Counted.ABSENCES:
            return find_smallest(
                self._names,
                lambda away: not reach.works(self._present & ~reach.mask(away), goal),
                most=claim.least + 1,
                alike=self._kinds,
            )
        able: Sequence[str] = self._names if claim.counted is Counted.PERSONS else tuple(self._units)
        alike = self._kinds if claim.counted is Counted.PERSONS else None
        return find_smallest(able, lambda team: reach.works(self._mask(claim, team), goal), most=most, alike=alike)
