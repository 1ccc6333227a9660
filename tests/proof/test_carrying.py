"""The look-ahead against trying everybody for every duty."""

import random
from itertools import product
from typing import Any

from interlock.domain.codec import to_plain
from interlock.proof.carrying import Standing
from interlock.proof.model import Duties, Member, Model, Rule, Separated
from tests.proof.policies import GROUPS, PEOPLE, make_chain
from tests.proof.simulator import Simulator


def _company(dice: random.Random) -> tuple[Standing, Model]:
    people = {name: Member(dice.choice((None, "acme", "globex")), dice.random() < 0.9) for name in PEOPLE}
    groups = {name: frozenset(dice.sample(GROUPS, dice.randint(0, 3))) for name in PEOPLE}
    chain = make_chain(dice)
    members = {group: tuple(name for name in PEOPLE if group in groups[name]) for group in GROUPS}
    return Standing(chain, people, groups), Model(people, members, chains=(chain,))


def test_a_chain_can_be_finished_exactly_when_trying_everybody_finds_a_way() -> None:
    answers = {True: 0, False: 0}
    for seed in range(400):
        dice = random.Random(seed)
        standing, model = _company(dice)
        plain: dict[str, Any] = to_plain(model)
        judge = Simulator(plain, PEOPLE)
        duties = standing.chain.duties
        ways = [
            done for done in product(PEOPLE, repeat=len(duties)) if judge.fine(plain["chains"][0], done, frozenset())
        ]
        for _ in range(6):
            taken = dice.sample(duties, dice.randint(0, 2))
            carried = {duty: dice.choice(PEOPLE) for duty in taken}
            if not all(standing.may_carry(name, duty) for duty, name in carried.items()):
                continue
            expected = any(all(done[duties.index(duty)] == name for duty, name in carried.items()) for done in ways)
            assert standing.ahead.finishes(carried) == expected, (seed, carried)
            answers[expected] += 1
    assert min(answers.values()) > 100


def test_one_who_lost_the_right_to_a_duty_that_is_done_stands_in_nobodys_way() -> None:
    people = {"ann": Member(), "ben": Member()}
    rules = {"develop": Rule(group="dev"), "review": Rule(group="dev")}
    chain = Duties("release", ("develop", "review"), rules, (Separated("separate", ("develop", "review")),))
    standing = Standing(chain, people, {"ann": frozenset(), "ben": frozenset({"dev"})})
    assert standing.ahead.finishes({"develop": "ann"})
    assert not standing.ahead.finishes({"develop": "ben"})


def test_who_could_instead_is_found_however_many_could_not() -> None:
    """Of thirty who may test, all but the last are the only ones for a duty that comes later, one each."""
    names = [f"p{number:02}" for number in range(30)]
    later = tuple(f"later{number}" for number in range(29))
    duties = ("test", *later)
    groups = {name: frozenset({"testers", f"only{number}"}) for number, name in enumerate(names)}
    rules = {"test": Rule(group="testers"), **{duty: Rule(group=f"only{number}") for number, duty in enumerate(later)}}
    chain = Duties("release", duties, rules, (Separated("separate", duties),))
    standing = Standing(chain, {name: Member() for name in names}, groups)
    assert standing.instead({}, "test") == ("p29",)


def test_a_broken_separation_is_told_of_those_who_break_it() -> None:
    duties = ("develop", "review", "test", "deploy")
    rules = (
        Separated("separate", duties),
        Separated("independent", ("review",), by="vendor"),
        Separated("at_least", duties, count=3),
    )
    people = {"ann": Member("acme"), "bob": Member("acme"), "eve": Member(), "ivy": Member()}
    standing = Standing(Duties("release", duties, {}, rules), people, dict.fromkeys(people, frozenset()))
    separate, independent, at_least = rules

    def told(*who: str) -> list[tuple[Separated, ...]]:
        carried = dict(zip(duties, who, strict=True))
        return [standing.at_odds(carried, duty) for duty in duties]

    assert told("ann", "eve", "bob", "ivy") == [(), (), (), ()]
    # Who reviews stands by while the one who develops deploys as well.
    assert told("ann", "eve", "bob", "ann") == [(separate,), (), (), (separate,)]
    assert told("ann", "bob", "eve", "ivy") == [(independent,), (independent,), (), ()]
    # Carried three times over: each of the three is at odds, though none alone would mend it.
    three = told("eve", "ann", "eve", "eve")
    assert [separate in found for found in three] == [True, False, True, True]
    assert all(at_least in found for found in told("eve", "ivy", "eve", "ivy"))


def test_what_holds_is_told_of_nobody_and_what_does_not_of_somebody() -> None:
    seen = {True: 0, False: 0}
    for seed in range(300):
        dice = random.Random(seed)
        standing, _ = _company(dice)
        carried = {duty: dice.choice(PEOPLE) for duty in standing.chain.duties}
        told = {rule for duty in carried for rule in standing.at_odds(carried, duty)}
        last = standing.chain.duties[-1]
        rest = {duty: name for duty, name in carried.items() if duty != last}
        is_broken = standing.broken(rest, last, carried[last]) is not None
        assert bool(told) == is_broken, seed
        seen[is_broken] += 1
    assert min(seen.values()) > 20
