"""What proofs cost: a synthetic company of 10,000, the look-ahead, and real user-permission data when given.

    python -m bench.prove [FILE …]

A FILE has lines of ``user permission``; each permission becomes a resource that its holders can alter, and a chain of
three duties, each for the holders of one of the three most held permissions, is proved for persons.
"""

import random
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

from interlock.proof.assign import Assigner
from interlock.proof.carrying import STEPS
from interlock.proof.model import Duties, Goal, Lend, Member, Model, Power, Rule, Separated
from interlock.proof.prove import Claim, Counted, Prover

RESOURCES, ROLES, GROUPS, VENDORS = 1_000, 500, 400, 40
T = TypeVar("T")
PATIENCE_S = 30
ACTIONS = ("alter", "destroy", "grant")


def make_company(dice: random.Random, persons: int) -> Model:
    """``persons`` persons; 500 roles on 100 resources each, with 2 actions: 100,000 permissions."""
    names = [f"p{number:05}" for number in range(persons)]
    people = {
        name: Member(f"vendor{dice.randrange(VENDORS)}" if dice.random() < 0.3 else None, dice.random() < 0.95)
        for name in names
    }
    groups = {f"group{number}": tuple(dice.sample(names, dice.randint(3, 60))) for number in range(GROUPS)}
    nested = {f"group{number}": (f"group{number + 1}",) for number in range(0, GROUPS - 1, 7)}
    powers = tuple(
        Power(f"group{dice.randrange(GROUPS)}", f"group{dice.randrange(GROUPS)}", (_rule(dice),)) for _ in range(20)
    )
    contractors = [name for name in names if people[name].vendor is not None]
    lends = tuple(
        Lend(
            role=f"role{number}",
            resources=tuple(f"resource{place}" for place in dice.sample(range(RESOURCES), 100)),
            actions=frozenset(dice.sample(ACTIONS, 2)),
            rules=tuple(_rule(dice) for _ in range(dice.randint(1, 2))),
            contractors=frozenset(dice.sample(contractors, min(200, len(contractors)))),
            holds=frozenset({"destroy"}),
            hold_rules=(_rule(dice),),
        )
        for number in range(ROLES)
    )
    return Model(people, groups, nested, {}, lends, powers)


def _rule(dice: random.Random) -> Rule:
    return Rule(dice.choice((1, 1, 2)), group=f"group{dice.randrange(GROUPS)}")


def prove_company(persons: int) -> Iterable[str]:
    """Some claims of one company, each with its time, or that it was given up."""
    model = make_company(random.Random(1), persons)  # noqa: S311 -- no secret
    prover, ready_s = _timed(lambda: Prover(model))
    yield f"{persons:,} persons, {ROLES * 200:,} permissions, {GROUPS} groups: made ready in {ready_s:.2f} s"
    for action in ACTIONS:
        claim = Claim(Goal(action, "resource0"), Counted.PERSONS, 2)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
        try:
            verdict, took_s = _timed(partial(prover.judge, claim, most=2))
        except TimeoutError:
            yield f"    {action}: not answered within {PATIENCE_S} s"
        else:
            yield f"    {action}: {verdict.outcome.value} in {took_s:.2f} s"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _give_up(_signal: int, _frame: object) -> None:
    raise TimeoutError


def look_ahead(count: int, persons: int, seed: int) -> Iterable[str]:
    """A chain of ``count`` duties, each for a tenth of ``persons``; each duty is taken by one who may, at random."""
    dice = random.Random(seed)  # noqa: S311 -- no secret
    names = [f"p{number:05}" for number in range(persons)]
    people = {name: Member(dice.choice((None, "acme", "globex"))) for name in names}
    duties = tuple(f"duty{number}" for number in range(count))
    separations = [Separated("separate", tuple(dice.sample(duties, 3))) for _ in range(count)]
    separations += [Separated("independent", (duty,), by="vendor") for duty in dice.sample(duties[1:], count // 4)]
    separations.append(Separated("at_most", tuple(dice.sample(duties, count // 2)), count=max(3, count // 3)))
    takers = [dice.sample(names, persons // 10) for _ in duties]
    assigner, ready = _timed(lambda: Assigner(Duties("chain", duties, {}, tuple(separations)), takers, people, {}))
    times: list[float] = []
    dead = 0
    for _ in range(100):
        carried: dict[str, str] = {}
        for duty, able in zip(duties, takers, strict=True):
            person = dice.choice(able)
            found, took = _timed(partial(assigner.assign, {**carried, duty: person}, steps=STEPS))
            times.append(took)
            if found is None:
                dead += 1
                break
            carried[duty] = person
    times.sort()
    late_s = times[int(len(times) * 0.99)]
    yield (
        f"look-ahead, {persons:,} persons, {count} duties: ready in {ready * 1000:.1f} ms; {len(times)} questions, "
        f"median {statistics.median(times) * 1000:.3f} ms, p99 {late_s * 1000:.3f} ms, "
        f"longest {times[-1] * 1000:.3f} ms; {dead} dead ends"
    )


def prove_real(path: Path) -> Iterable[str]:
    holders: dict[str, set[str]] = {}
    for line in path.read_text().splitlines():
        parts = line.split()
        if len(parts) >= 2:
            holders.setdefault(parts[1], set()).add(parts[0])
    people = {name: Member() for names in holders.values() for name in names}
    groups = {permission: tuple(sorted(names)) for permission, names in holders.items()}
    most = sorted(groups, key=lambda permission: -len(groups[permission]))[:3]
    chain = Duties("chain", tuple(most), {p: Rule(group=p) for p in most})
    model = Model(people, groups, chains=(chain,))
    for persons in (1, 2, 3):
        claim = Claim(Goal(chain="chain"), Counted.PERSONS, persons + 1)
        prover = Prover(model)
        verdict, took = _timed(partial(prover.judge, claim, most=claim.least))
        yield f"{path.stem}: {len(people)} users, {len(groups)} permissions: {persons} cannot: "
        yield f"    {verdict.outcome} in {took * 1000:.1f} ms"


def _timed(ask: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    answer = ask()
    return answer, time.perf_counter() - start


def _lines(files: Iterable[str]) -> Iterable[str]:
    for persons in (1_000, 10_000):
        yield from prove_company(persons)
    for duties, persons in ((10, 1_000), (10, 10_000), (20, 10_000)):
        yield from look_ahead(duties, persons, seed=duties)
    for file in files:
        yield from prove_real(Path(file))


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, _give_up)
    for text in _lines(sys.argv[1:]):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
