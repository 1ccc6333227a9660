"""What proofs cost: a company of 10,000, the look-ahead, workflows, and relations of users and permissions.

    python -m bench.prove [FOLDER]

FOLDER has the public relations (``domino.txt``, ``fire1.txt`` …, lines of ``user permission``); without it relations
of the same shape are made. ``git clone https://github.com/RoleMining/ConstrainedRM`` has them in
``datasets/realWorld``.
"""

import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench.companies import (
    ACTIONS,
    CHAINS,
    DUTIES,
    GROUPS,
    RESOURCES,
    ROLES,
    SHAPES,
    Holders,
    make_company,
    make_relation,
    make_workflow,
    model_relation,
    open_contracts,
    read_relation,
)
from interlock.proof.carrying import Standing
from interlock.proof.certificate import write_certificate
from interlock.proof.chains import Bound, Carriers
from interlock.proof.check import check_certificate
from interlock.proof.index import Index
from interlock.proof.model import Duties, Goal, Member, Rule, Separated
from interlock.proof.partitions import GivenUp
from interlock.proof.prove import prove
from interlock.proof.reach import Memory
from interlock.proof.verdicts import Claim, Counted, Proof

T = TypeVar("T")
WORKFLOWS = {
    (20, 200): 250,
    (20, 2_000): 400,
    (20, 10_000): 400,
    (30, 300): 45,
    (30, 3_000): 80,
    (30, 10_000): 90,
    (40, 400): 40,
    (40, 4_000): 55,
    (40, 10_000): 60,
    (50, 500): 40,
    (50, 5_000): 50,
    (50, 10_000): 55,
}
"""For steps and users so many limits: near to where workflows begin to be impossible."""


def prove_company(persons: int, least: int, contracts: int = 0) -> Iterable[str]:
    """That every action on every resource takes ``least``; and again after one person joined one group."""
    dice = random.Random(1)  # noqa: S311 -- no secret
    model = make_company(dice, persons)
    if contracts:
        model = open_contracts(model, dice, contracts)
    claims = [
        Claim(Goal(action, f"resource{number}"), Counted.PERSONS, least)
        for number in range(RESOURCES)
        for action in ACTIONS
    ]
    memory = Memory()
    proof, took_s = _timed(partial(prove, model, claims, memory=memory))
    yield (
        f"{persons:,} persons, {ROLES * 200:,} permissions, {GROUPS} groups, {contracts} open contracts: "
        f"{len(claims):,} claims of {least} in {took_s:.2f} s: {_told(proof)}"
    )
    again: list[float] = []
    for number in range(20):
        name = f"group{7 * number}"
        model = replace(model, groups={**model.groups, name: (*model.groups[name], f"p{number:05}")})
        again.append(_timed(partial(prove, model, claims, memory=memory))[1])
    yield f"    after one change: median {statistics.median(again) * 1000:.0f} ms, longest {max(again) * 1000:.0f} ms"


def look_ahead(count: int, persons: int, seed: int) -> Iterable[str]:
    """A chain of ``count`` duties, each for a tenth of ``persons``; each duty is taken by one of whom no rule is
    broken, by chance, half of the time one who has a duty already; who makes it a dead end gives way to another."""
    dice = random.Random(seed)  # noqa: S311 -- no secret
    names = [f"p{number:05}" for number in range(persons)]
    people = {name: Member(dice.choice((None, "acme", "globex"))) for name in names}
    duties = tuple(f"duty{number}" for number in range(count))
    separations = [Separated("separate", tuple(dice.sample(duties, 3))) for _ in range(count)]
    separations += [Separated("independent", (duty,), by="vendor") for duty in dice.sample(duties[1:], count // 4)]
    separations.append(Separated("at_most", tuple(dice.sample(duties, count // 2)), count=max(3, count // 3)))
    takers = {duty: dice.sample(names, persons // 10) for duty in duties}
    groups: dict[str, set[str]] = {}
    for duty, able in takers.items():
        for name in able:
            groups.setdefault(name, set()).add(duty)
    rules = {duty: Rule(group=duty) for duty in duties}
    chain = Duties("chain", duties, rules, tuple(separations))
    standing = Standing(chain, people, {name: frozenset(own) for name, own in groups.items()})
    _, ready_s = _timed(partial(standing.ahead.finishes, {}))
    times: list[float] = []
    asked: Counter[str] = Counter()
    for _ in range(100):
        asked["finished" if _carry_out(standing, takers, dice, times, asked) else "stuck"] += 1
    times.sort()
    yield (
        f"look-ahead, {persons:,} persons, {count} duties: ready in {ready_s * 1000:.1f} ms; {len(times)} questions, "
        f"median {statistics.median(times) * 1000:.3f} ms, p99 {times[int(len(times) * 0.99)] * 1000:.3f} ms, "
        f"longest {times[-1] * 1000:.3f} ms; {asked['dead']} dead ends seen; {asked['finished']} of 100 chains finished"
    )


def _carry_out(
    standing: Standing, takers: dict[str, list[str]], dice: random.Random, times: list[float], asked: Counter[str]
) -> bool:
    carried: dict[str, str] = {}
    for duty, able in takers.items():
        used = [name for name in dict.fromkeys(carried.values()) if standing.may_carry(name, duty)]
        for _ in range(200):
            name = dice.choice(used if used and dice.random() < 0.5 else able)
            if standing.broken(carried, duty, name) is not None:
                continue
            fine, took_s = _timed(partial(standing.ahead.finishes, {**carried, duty: name}))
            times.append(took_s)
            if fine:
                carried[duty] = name
                break
            asked["dead"] += 1
        else:
            found = standing.ahead.finisher(carried, duty)
            if found is None:
                return False
            carried[duty] = found
    return True


def satisfy(steps: int, users: int, limits: int, count: int = 5) -> Iterable[str]:
    """Workflows near the place where they begin to be impossible."""
    times: list[float] = []
    answers: Counter[str] = Counter()
    bound = Bound(conflicts=200_000, divisions=20_000, choices=200_000)
    for seed in range(count):
        chain, names, takers = make_workflow(random.Random(seed), steps, users, limits)  # noqa: S311 -- no secret
        index = Index({name: Member() for name in names}, {})
        masks = [index.mask(able) for able in takers]
        answer, took_s = _timed(partial(_try_to_assign, chain, index, masks, bound))
        answers[answer] += 1
        times.append(took_s)
    yield (
        f"workflow, {steps} steps, {users:,} users, {limits} limits: median {statistics.median(times):.3f} s, "
        f"longest {max(times):.3f} s; {_listed(answers)}"
    )


def _try_to_assign(chain: Duties, index: Index, masks: Sequence[int], bound: Bound) -> str:
    try:
        return "impossible" if Carriers(chain, index).assign(masks, bound=bound) is None else "possible"
    except GivenUp:
        return "given up"


def prove_relation(name: str, holders: Holders) -> Iterable[str]:
    """That one, two and three persons, and vendors, cannot: for 20 chains, checked by the checker too."""
    model = model_relation(holders, random.Random(7))  # noqa: S311 -- no secret
    claims = [
        Claim(Goal(chain=chain.name), counted, least)
        for chain in model.chains
        for counted in (Counted.PERSONS, Counted.VENDORS)
        for least in (2, 3, 4)
    ]
    proof, took_s = _timed(partial(prove, model, claims))
    checked, check_s = _timed(partial(check_certificate, write_certificate(model, proof)))
    accepted = sum(proven for _, proven, _ in checked.claims)
    yield (
        f"{name}: {len(model.people):,} users, {len(holders):,} permissions, {CHAINS} chains of {DUTIES}: "
        f"{len(claims)} claims in {took_s:.2f} s: {_told(proof)}; {accepted} proofs accepted in {check_s:.2f} s"
    )


def _told(proof: Proof) -> str:
    return _listed(Counter(verdict.outcome.value for verdict in proof.verdicts))


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _timed(ask: Callable[[], T]) -> tuple[T, float]:
    """The answer and the seconds of processor time it took: what else the machine does is not counted."""
    start = time.thread_time()
    answer = ask()
    return answer, time.thread_time() - start


def _lines(folder: Path | None) -> Iterable[str]:
    for persons, least in ((1_000, 2), (10_000, 2), (10_000, 3), (10_000, 4)):
        yield from prove_company(persons, least)
    for least in (2, 3, 4):
        yield from prove_company(10_000, least, contracts=5)
    for duties, persons in ((10, 1_000), (10, 10_000), (20, 10_000)):
        yield from look_ahead(duties, persons, seed=duties)
    for name, (users, permissions, assignments) in SHAPES.items():
        dice = random.Random(name)  # noqa: S311 -- no secret
        yield from prove_relation(f"{name}, made", make_relation(dice, users, permissions, assignments))
        if folder is not None:
            yield from prove_relation(name, read_relation(folder / f"{name}.txt"))
    for (steps, users), limits in WORKFLOWS.items():
        yield from satisfy(steps, users, limits)


if __name__ == "__main__":
    for text in _lines(Path(sys.argv[1]) if len(sys.argv) > 1 else None):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
