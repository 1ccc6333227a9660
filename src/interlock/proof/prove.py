"""Claims, and what is true of them.

A claim says how many persons, or vendors, a thing takes at least. It is *proven* by counting and by cuts, *refuted* by
a team and its steps, or *unknown*, which is never taken for proven.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from interlock.proof.approving import Place
from interlock.proof.chains import Bound
from interlock.proof.counting import fewest_persons, fewest_vendors, most_absences
from interlock.proof.groups import Open
from interlock.proof.index import Team, cells, each
from interlock.proof.joining import Rights
from interlock.proof.model import Goal, Model
from interlock.proof.partitions import GivenUp
from interlock.proof.reach import Lead, Memory, Reach
from interlock.proof.smallest import Smallest, find_smallest, grow
from interlock.proof.steps import Step
from interlock.proof.verdicts import ASSUMPTIONS, Claim, Counted, Cut, Outcome, Proof, Verdict
from interlock.proof.ways import NEVER, Way, bound, find_least

_ROUNDS = 3000
_ROUNDS_BEYOND = 100
"""How long is searched for what is claimed, and for what is only told besides."""
_MANY = 1_000
_ROUNDS_MANY = 5
"""Among more persons than these it is not searched for what is only told besides, and less for what is claimed."""
_MOST_DISJOINT = 50
_MOST_EXACT = 4
"""Beyond so many absences only bounds are told."""
SEARCHED = Bound(conflicts=200_000, divisions=20_000, choices=200_000)
"""How long a chain is searched, for each team."""


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
    return Proof(verdicts, (*ASSUMPTIONS, *more), bottlenecks)


@dataclass(slots=True)
class _Fact:
    """Of a way: how many it takes at least, and a team for it, when one was looked for."""

    bound: int
    looked: bool = False
    team: Team | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """A verdict, what it rests on, and the place there of the lend by which its team does it."""

    rests_on: tuple[int, ...]
    verdict: Verdict
    way: int | None


class Prover:
    """One model with what was found out about it: ways that are the same are searched once."""

    def __init__(self, model: Model, *, away: Iterable[str] = (), memory: Memory | None = None) -> None:
        self.reach = Reach(model, memory)
        self._present = self.reach.everybody & ~self.reach.mask(away)
        self._gone: int | None = None
        self._facts: dict[int, _Fact] = {}
        self._opened: dict[Rights, Open] = {}
        self._vendors: dict[tuple[int, ...], int | None] = {}
        units = sorted(self.reach.index.units.items())
        self._units = [(name, mask & self._present) for name, mask in units]

    def judge(self, claim: Claim, *, most: int) -> Verdict:
        try:
            if claim.counted is Counted.ABSENCES:
                return self._judge_absences(claim)
            if claim.counted is Counted.VENDORS:
                return self._judge_vendors(claim, most)
            if claim.goal.chain:
                return self._judge_persons(claim, most)
            return self._remembered(claim, most)
        except GivenUp:
            return Verdict(claim, Outcome.UNKNOWN, 0, exact=False)

    def _remembered(self, claim: Claim, most: int) -> Verdict:
        """The verdict on an action; that of the proof before where it cannot have changed."""
        facts, key = self.reach.memory.facts, (claim, most, self._present)
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
                if lead is not None and self._fact(lead).bound < verdict.most:
                    return False
        return True

    def smallest(self, goal: Goal, *, most: int = 6) -> Smallest:
        """The fewest persons for ``goal``."""
        return self._fewest(Claim(goal, Counted.PERSONS, 1), most)

    def bottlenecks(self, goal: Goal) -> tuple[str, ...]:
        """Who is needed for ``goal`` whatever others do; none when not even all together can."""
        try:
            plan = self.reach.plan(self._present, goal)
            actors = self._actors(plan or ())
            return tuple(
                self.reach.index.name(one) for one in each(actors) if not self.reach.works(self._present & ~one, goal)
            )
        except GivenUp:
            return ()

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

    def _fewest(self, claim: Claim, most: int) -> Smallest:
        return self._fewest_for_chain(claim, most) if claim.goal.chain else self._fewest_for_action(claim, most)

    def _fewest_for_action(self, claim: Claim, most: int) -> Smallest:
        leads = sorted(self.reach.leads(claim.goal), key=lambda lead: self._fact(lead).bound)
        least = self._fact(leads[0]).bound if leads else NEVER
        best = self._best(leads, most)
        if best is not None and best.bit_count() == least:
            return Smallest(least, best, (), exact=True)
        if least == NEVER or (best is None and not self.reach.can(self._present, leads)):
            return Smallest(self._present.bit_count() + 1, None, (0,), exact=False, never=True)
        best = self._best_by_joining(leads, best, most)
        limit = most if best is None else best.bit_count() - 1
        if limit < least and best is not None:
            return Smallest(least, best, (), exact=True)
        short = [lead for lead in leads if self._fact(lead).bound <= limit]
        many = self._present.bit_count() > _MANY
        rounds = _ROUNDS_MANY if many else _ROUNDS
        if least >= claim.least:
            rounds = 0 if many and best is not None else _ROUNDS_BEYOND
        if rounds:
            kinds = self._kinds(short)
            found = self._search(lambda team: self.reach.can(team, short), kinds, least, limit, rounds)
        else:
            found = Smallest(least, None, (), exact=False)
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
                fact.team = find_least(lead.way, self.reach.approving, self._present, most=most, enough_at=fact.bound)
                fact.looked = True
            if fact.team is not None and fact.team.bit_count() <= size:
                best = fact.team
        return best

    def _best_by_joining(self, leads: Sequence[Lead], best: Team | None, most: int) -> Team | None:
        """``best``, or a smaller team that lets itself into a group first and then goes a way."""
        for lead in leads:
            for move in self.reach.joining.as_ways(lead.rights, lead.way.askers):
                size = most if best is None else best.bit_count() - 1
                least = self._fact(lead).bound
                if least > size:
                    return best
                team = find_least(move, self.reach.approving, self._present, most=size, enough_at=least)
                if team is not None and self.reach.can(team, [lead]):
                    best = team
        return best

    def _fact(self, lead: Lead) -> _Fact:
        known = self._facts.get(id(lead.way))
        if known is None:
            if lead.rights not in self._opened:
                self._opened[lead.rights] = self.reach.joining.join(self._present, lead.rights)[0]
            opened = self._opened[lead.rights]
            key = (lead.way.key, self._present, opened & frozenset(lead.way.groups()))
            remembered = self.reach.memory.facts.get(key)
            if not isinstance(remembered, _Fact):
                remembered = _Fact(bound(lead.way, self.reach.approving, self._present, opened))
                self.reach.memory.facts[key] = remembered
            known = self._facts[id(lead.way)] = remembered
        return known

    def _kinds(self, leads: Sequence[Lead]) -> list[Team]:
        """Those who can stand for each other; when somebody can join a group, that is left open."""
        masks: list[Team] = [mask for _, mask in self._units]
        for lead in leads:
            masks += self._told_apart(lead.way)
        return list(cells(self._present, masks))

    def _told_apart(self, way: Way) -> list[Team]:
        own = [way.askers, way.held, *(one for pair in way.given for one in pair)]
        for place in (*way.rules, *(way.holds or ())):
            own += [self.reach.approving.anybody(place, frozenset()), *each(place.sponsored)]
            own += _sponsors(place)
        return own

    def _fewest_for_chain(self, claim: Claim, most: int) -> Smallest:
        goal, reach = claim.goal, self.reach
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
                team = _union(found)
        kinds = self._chain_kinds(goal, takers)
        if team is not None and rights and not reach.works(team, goal):
            return self._search(lambda some: reach.works(some, goal), kinds, least, most, _ROUNDS, takers)
        cuts: tuple[Team, ...] = ()
        if counted < claim.least <= least:
            below = claim.least - 1
            search = self._search(lambda some: reach.works(some, goal), kinds, below, below, _ROUNDS, takers)
            cuts, least = search.cuts, least if search.least >= claim.least else counted
        return Smallest(least, team, cuts, exact=team is not None and team.bit_count() == least)

    def _chain_kinds(self, goal: Goal, takers: Sequence[Team]) -> list[Team]:
        chain = self.reach.chain(goal)
        masks = [*takers, *self.reach.takers(goal, frozenset())]
        if any(separation.by == "vendor" for separation in chain.separations):
            masks += [mask for _, mask in self._units]
        if chain.by_team or self.reach.chain_rights(goal):
            masks += self.reach.groups.all
        return list(cells(self._present, masks))

    def _search(
        self,
        able: Callable[[Team], bool],
        kinds: Sequence[Team],
        least: int,
        most: int,
        rounds: int,
        cuts: Sequence[Team] = (),
    ) -> Smallest:
        def cut_of(team: Team) -> Team | None:
            return None if able(team) else self._present & ~grow(team, self._present, able, kinds)

        return find_smallest(cut_of, least=least, most=most, rounds=rounds, cuts=cuts)

    def _judge_vendors(self, claim: Claim, most: int) -> Verdict:
        found = self._search_vendors(claim.goal, most)
        verdict = self._verdict(claim, found)
        if found.team is None:
            return verdict
        mask = self._of_units(found.team)
        team = tuple(self._units[unit.bit_length() - 1][0] for unit in each(found.team))
        return replace(verdict, team=team, steps=self._fewer(mask, claim.goal))

    def _search_vendors(self, goal: Goal, most: int) -> Smallest:
        everyone = (1 << len(self._units)) - 1

        def able(units: Team) -> bool:
            return self.reach.works(self._of_units(units), goal)

        def cut_of(units: Team) -> Team | None:
            return None if able(units) else everyone & ~grow(units, everyone, able, list(each(everyone)))

        if not able(everyone):
            return Smallest(len(self._units) + 1, None, (0,), exact=False, never=True)
        least = fewest_vendors(self.reach.chain(goal)) if goal.chain else 1
        return find_smallest(cut_of, least=least, most=most, rounds=_ROUNDS)

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
        return _union([self._units[unit.bit_length() - 1][1] for unit in each(units)])

    def _fewer(self, mask: Team, goal: Goal) -> tuple[Step, ...]:
        """The steps of as few of a vendor's persons as do it, left out one by one."""
        actors = self._without_need(self._actors(self.reach.plan(mask, goal) or ()), goal)
        return self.reach.plan(actors, goal) or ()

    def _without_need(self, actors: Team, goal: Goal) -> Team:
        for one in each(actors):
            if self.reach.works(actors & ~one, goal):
                actors &= ~one
        return actors

    def _actors(self, steps: Sequence[Step]) -> Team:
        return self.reach.mask(name for step in steps for name in (step.person, step.for_whom) if name)

    def _judge_absences(self, claim: Claim) -> Verdict:
        goal, reach = claim.goal, self.reach

        def cut_of(absent: Team) -> Team | None:
            plan = reach.plan(self._present & ~absent, goal)
            return None if plan is None else self._without_need(self._actors(plan), goal)

        cuts: list[Team] = []
        used = 0
        while len(cuts) < _MOST_DISJOINT:
            cut = cut_of(used)
            if cut is None:
                break
            cuts.append(cut)
            used |= cut
        if not cuts:
            return Verdict(claim, Outcome.REFUTED, 0, exact=True, never=True, most=0)
        opened, _ = reach.joining.join(self._present, reach.chain_rights(goal))
        takers = [mask & self._present for mask in reach.takers(goal, opened)]
        limit = most_absences(reach.chain(goal), takers)
        found = Smallest(len(cuts), None, tuple(cuts), exact=False)
        if len(cuts) <= claim.least or (len(cuts) < limit and limit <= _MOST_EXACT):
            most = max(claim.least + 1, min(limit, _MOST_EXACT))
            rounds = _ROUNDS if len(cuts) <= claim.least else _ROUNDS_BEYOND
            found = find_smallest(cut_of, least=len(cuts), most=most, rounds=rounds, cuts=cuts)
        return self._survives(claim, found, limit)

    def _survives(self, claim: Claim, found: Smallest, limit: int) -> Verdict:
        team = () if found.team is None else tuple(self.reach.members(found.team))
        most = limit if found.team is None else len(team)
        outcome = Outcome.PROVEN if found.least > claim.least else Outcome.UNKNOWN
        if found.team is not None and len(team) <= claim.least:
            outcome = Outcome.REFUTED
        least = min(found.least, most)
        cuts = tuple(self._tell_cut(cut, claim.counted) for cut in found.cuts)
        return Verdict(claim, outcome, least, exact=least == most, team=team, cuts=cuts, most=most)


def _sponsors(place: Place) -> list[Team]:
    own = list((place.sponsors or {}).values())
    return own + [mask for inner in place.inner for mask in _sponsors(inner)]


def _union(masks: Iterable[Team]) -> Team:
    union = 0
    for mask in masks:
        union |= mask
    return union
