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
