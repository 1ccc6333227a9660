"""Whether a change has what the chain asks for: the duties before the one that is asked about, by separate persons.

Each step of the change is one run of the chain: those who wrote it carry its first duty, its reviews are its own, and
what is done on the artifact as a whole (a test, the deployment) is shared by all steps. A way is looked for to name one
person for each duty so that every separation holds; when there is none, what stands in the way is said, step by step.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from interlock.domain.delivery import Evidence, Missing, Step
from interlock.proof.carrying import Standing, describe
from interlock.proof.model import Duties, Separated
from interlock.proof.separations import holds
from interlock.services.gate_authors import SHORT, Authors

_TRIED = 5000
NOBODY: Mapping[str, frozenset[str]] = MappingProxyType({})
_SHOWN = 5


Broken = tuple[Separated, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Run:
    """One step with what is known of it: who wrote it, whose evidence counts for which of its own duties, the persons
    of its code owners by pattern, and why earlier evidence does not count."""

    step: Step
    authors: Authors
    own: Mapping[str, Sequence[Evidence]]
    owners: Mapping[str, tuple[str, frozenset[str]]]
    stale: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Judged:
    missing: tuple[Missing, ...]
    rests_on: tuple[str, ...]
    carried: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Judge:
    """``shared`` has the evidence for the duties that are done on the artifact as a whole; ``reviews`` and ``ci_duty``
    are done on a step. ``actor`` asks to do ``duty``; None: nobody in particular."""

    standing: Standing
    duty: str
    reviews: str
    ci_duty: str
    actor: str | None
    shared: Mapping[str, Sequence[Evidence]]
    _tried: dict[object, Broken | None] = field(default_factory=dict)
    """What was found of the same persons in the same duties: the steps of a change are often alike."""

    def judge(self, runs: Sequence[Run]) -> Judged:
        missing: list[Missing] = []
        if self.duty == self.standing.chain.duties[0]:
            # Who says to have written a change becomes one of its writers; nothing else needs to be known for that.
            unfit = list(self._unfit())
            return self._told(unfit) if unfit else Judged((), (), {})
        for run in runs:
            missing += run.authors.missing
            missing += self._governed(run)
            missing += self._first(run)
        missing += self._nobody_did(runs)
        missing += self._unfit()
        shared = [duty for duty in self._before if duty not in self._of_step and self._did(duty)]
        choices = [self._able(self.shared.get(duty, ()), duty) for duty in shared]
        told: list[Missing] = []
        for chosen in itertools.islice(itertools.product(*choices), _TRIED):
            fixed = dict(zip(shared, chosen, strict=True))
            found = [self._seat(run, fixed) for run in runs]
            objections = [one for one in found if isinstance(one, Missing)]
            if not objections and not missing:
                return self._accepted(runs, fixed, [one for one in found if not isinstance(one, Missing)])
            told = told or objections
            if not objections:
                told = []
                break
        if not missing and not told:
            told = [Missing("separated", "No way was found to name a person for each duty.")]
        return self._told([*missing, *told])

    def _did(self, duty: str) -> bool:
        return bool(self._able(self.shared.get(duty, ()), duty))

    @property
    def _before(self) -> tuple[str, ...]:
        duties = self.standing.chain.duties
        return duties[1 : duties.index(self.duty)]

    @property
    def _of_step(self) -> frozenset[str]:
        return frozenset({self.reviews, self.ci_duty})

    def _needed(self, run: Run) -> tuple[str, ...]:
        """The duties of the step itself that this run needs before ``duty``."""
        return tuple(
            duty
            for duty in self._before
            if duty in self._of_step and (duty != self.ci_duty or duty == self.reviews or run.step.governed)
        )

    def _governed(self, run: Run) -> Iterable[Missing]:
        asked = self.duty not in self._of_step
        if run.step.governed and not self.ci_duty and asked:
            yield Missing(
                "ci-changed",
                f"{run.step.sha[:SHORT]} changes what CI runs, or who owns what ({', '.join(run.step.governed[:3])}), "
                "and the repository names no duty for that: `ci.duty` in interlock.yaml.",
            )

    def _first(self, run: Run) -> Iterable[Missing]:
        first = self.standing.chain.duties[0]
        rule = self.standing.chain.takers.get(first)
        if rule is None:
            return
        for person in sorted(run.authors.persons):
            in_group = rule.group is None or rule.group in self.standing.groups.get(person, frozenset())
            if not (in_group and (not rule.people or person in rule.people)):
                yield Missing("not-your-duty", f"{person} wrote part of {run.step.sha[:SHORT]}, and may not {first}.")

    def _nobody_did(self, runs: Sequence[Run]) -> Iterable[Missing]:
        for duty in self._before:
            if duty not in self._of_step:
                if not self._able(self.shared.get(duty, ()), duty):
                    writers = frozenset[str]().union(*(run.authors.persons for run in runs))
                    given = self.shared.get(duty, ())
                    yield self._lacks(duty, "the commit itself", (), given, writers, self._settled(runs))
                continue
            for run in runs:
                if duty in self._needed(run) and not self._able(run.own.get(duty, ()), duty):
                    where = f"{run.step.sha[:SHORT]}" + (f" (head {run.step.head[:SHORT]})" if run.step.clean else "")
                    writers, stale = frozenset(run.authors.persons), run.stale.get(duty, ())
                    yield self._lacks(duty, where, stale, run.own.get(duty, ()), writers, self._settled([run]))
                    if run.step.merge and not run.step.clean:
                        yield Missing(
                            "other-merge",
                            f"{run.step.sha[:SHORT]} is a merge with another content than merging its parents gives, "
                            "and nobody has reviewed that content itself.",
                            self._could(duty, frozenset(run.authors.persons)),
                        )

    def _lacks(
        self,
        duty: str,
        where: str,
        stale: Sequence[str],
        unfit: Sequence[Evidence],
        authors: frozenset[str],
        settled: Mapping[str, frozenset[str]] = NOBODY,
    ) -> Missing:
        could = self._could(duty, authors, settled)
        if stale:
            return Missing("stale", f"Nobody has done {duty} on {where} as it is. {' '.join(stale)}", could)
        if unfit:
            names = ", ".join(sorted({one.person for one in unfit}))
            return Missing("not-your-duty", f"{names} did {duty} on {where}, and may not.", could)
        return Missing(f"no-{duty}", f"Nobody has done {duty} on {where}.", could)

    def _unfit(self) -> Iterable[Missing]:
        if self.actor is not None and not self.standing.may_carry(self.actor, self.duty):
            chain = self.standing.chain.name
            yield Missing(
                "not-your-duty",
                f"{self.actor} may not carry {self.duty} of {chain}.",
                self._could(self.duty, frozenset()),
            )

    def _able(self, evidence: Sequence[Evidence], duty: str) -> list[Evidence]:
        return [one for one in evidence if self.standing.may_carry(one.person, duty)]

    def _seat(self, run: Run, fixed: Mapping[str, Evidence]) -> dict[str, Evidence] | Missing:
        """One evidence for each duty of the step, with which all separations hold; or why there is none."""
        needed = self._needed(run)
        skipped = {duty for duty in self._before if duty in self._of_step and duty not in needed}
        chain = replace(self.standing.chain, duties=tuple(d for d in self.standing.chain.duties if d not in skipped))
        # A duty that nobody did is said elsewhere; what was done is looked at all the same.
        needed = tuple(duty for duty in needed if self._able(run.own.get(duty, ()), duty))
        own = [self._able(run.own.get(duty, ()), duty) for duty in needed]
        told: Missing | None = None
        for chosen in itertools.islice(itertools.product(*own), _TRIED):
            seats = dict(zip(needed, chosen, strict=True))
            persons = {duty: frozenset({one.person}) for duty, one in {**fixed, **seats}.items()}
            persons[chain.duties[0]] = frozenset(run.authors.persons)
            if self.actor is not None:
                persons[self.duty] = persons.get(self.duty, frozenset()) | {self.actor}
            broken = self._broken(chain, persons)
            if broken is None:
                unowned = self._unowned(run, chain, persons)
                if unowned is None:
                    return seats
                told = unowned
                continue
            told = told or self._separated(run, broken, persons)
        return told or Missing(
            "separated", f"No way was found to name a person for each duty of {run.step.sha[:SHORT]}."
        )

    def _broken(self, chain: Duties, persons: Mapping[str, frozenset[str]]) -> Broken | None:
        key = (chain.duties, frozenset(persons.items()))
        if key not in self._tried:
            self._tried[key] = self._find_broken(chain, persons)
        return self._tried[key]

    def _find_broken(self, chain: Duties, persons: Mapping[str, frozenset[str]]) -> Broken | None:
        """The first separation that does not hold, with the two duties and persons that break it."""
        people, groups = self.standing.people, self.standing.groups
        for separation in chain.separations:
            if separation.kind in ("at_least", "at_most"):
                present = [duty for duty in separation.names if duty in persons]
                count = len(frozenset[str]().union(*(persons[duty] for duty in present))) if present else 0
                open_ = len([duty for duty in separation.names if duty in chain.duties and duty not in persons])
                least = separation.kind == "at_least" and count + open_ < (separation.count or 0)
                most = separation.kind == "at_most" and separation.count is not None and count > separation.count
                if least or most:
                    return separation, "", "", "", ""
                continue
            names = tuple(name for name in separation.names if name in chain.duties)
            reduced = replace(separation, names=names)
            for one, other in itertools.combinations([duty for duty in chain.duties if duty in persons], 2):
                for p, q in itertools.product(sorted(persons[one]), sorted(persons[other])):
                    if not holds(chain, reduced, {one: p, other: q}, people, groups):
                        return separation, one, p, other, q
        return None

    def _separated(self, run: Run, broken: Broken, persons: Mapping[str, frozenset[str]]) -> Missing:
        separation, one, p, other, q = broken
        authors = frozenset(run.authors.persons)
        rule = describe(separation)
        where = run.step.sha[:SHORT]
        if not one:
            carried = [duty for duty in separation.names if duty in persons]
            acts = "; ".join(f"{', '.join(sorted(persons[duty]))} carries {duty}" for duty in carried)
            last = carried[-1]
            others = {duty: names for duty, names in persons.items() if duty != last}
            return Missing("separated", f"{where}: {acts}; but {rule}.", self._could(last, authors, others))
        who = f"{p} carries {one} and {q} {other}" if p != q else f"{p} carries {one} and {other}"
        others = {duty: names for duty, names in persons.items() if duty != other}
        return Missing("separated", f"{where}: {who}, but {rule}.", self._could(other, authors, others))

    def _unowned(self, run: Run, chain: Duties, persons: Mapping[str, frozenset[str]]) -> Missing | None:
        """A code owner of each owned path must be among those who could be seated as the reviewer of this step."""
        if self.reviews not in persons:
            return None
        fit = set()
        for evidence in self._able(run.own.get(self.reviews, ()), self.reviews):
            tried = {**persons, self.reviews: frozenset({evidence.person})}
            if self._broken(chain, tried) is None:
                fit.add(evidence.person)
        for pattern, (path, owners) in run.owners.items():
            if not fit & owners:
                who = tuple(sorted(owners - run.authors.persons))
                known = "belongs to its code owners" if owners else "has code owners of whom nobody is known here"
                return Missing(
                    "no-owner",
                    f"{path} in {run.step.sha[:SHORT]} {known} (the base's line {pattern}), and none of them has done "
                    f"{self.reviews}.",
                    who[:_SHOWN],
                )
        return None

    def _settled(self, runs: Sequence[Run]) -> dict[str, frozenset[str]]:
        """The duties of which it is plain who carries them: one person did, or asks to."""
        found = {} if self.actor is None else {self.duty: frozenset({self.actor})}
        for duty in self._before:
            given = [one for run in runs for one in run.own.get(duty, ())] if duty in self._of_step else None
            names = {one.person for one in (self.shared.get(duty, ()) if given is None else given)}
            if len(names) == 1:
                found[duty] = frozenset(names)
        return found

    def _could(
        self, duty: str, authors: frozenset[str], settled: Mapping[str, frozenset[str]] = NOBODY
    ) -> tuple[str, ...]:
        """Who could do ``duty``, with the authors and what is ``settled`` taken into account."""
        chain = self.standing.chain
        able = []
        for name in sorted(self.standing.people):
            if not self.standing.may_carry(name, duty):
                continue
            persons = {**settled, duty: frozenset({name})}
            if duty != chain.duties[0] and authors:
                persons[chain.duties[0]] = authors
            if self._broken(chain, persons) is None:
                able.append(name)
                if len(able) >= _SHOWN:
                    break
        return tuple(able)

    def _told(self, missing: Sequence[Missing]) -> Judged:
        return Judged(tuple(dict.fromkeys(missing)), (), {})

    def _accepted(
        self, runs: Sequence[Run], fixed: Mapping[str, Evidence], seated: Sequence[Mapping[str, Evidence]]
    ) -> Judged:
        carried: dict[str, set[str]] = {self.standing.chain.duties[0]: set()}
        rests_on: set[str] = {one.id for one in fixed.values()}
        for run in runs:
            carried[self.standing.chain.duties[0]] |= run.authors.persons
            rests_on |= run.authors.rests_on
        for seats in (*seated, fixed):
            for duty, one in seats.items():
                carried.setdefault(duty, set()).add(one.person)
                rests_on.add(one.id)
        if self.actor is not None:
            carried.setdefault(self.duty, set()).add(self.actor)
        return Judged((), tuple(sorted(rests_on)), {duty: tuple(sorted(who)) for duty, who in carried.items()})
