"""A proof that remembers the one before says what a proof from nothing says."""

import random

from interlock.domain.codec import to_plain
from interlock.proof.prove import Prover
from interlock.proof.reach import Memory
from interlock.proof.verdicts import Claim, Counted
from tests.proof.policies import GOALS, MUTATIONS, make_policy
from tests.proof.simulator import Simulator


def test_what_is_remembered_changes_no_verdict() -> None:
    kept = brought = 0
    for seed in range(60):
        dice, memory = random.Random(seed), Memory()
        model = make_policy(dice)
        for _ in range(8):
            prover, fresh = Prover(model, memory=memory), Prover(model)
            for goal in GOALS:
                for claim in (Claim(goal, Counted.PERSONS, least) for least in (2, 3, 4)):
                    known = len(memory.facts)
                    found, expected = prover.judge(claim, most=4), fresh.judge(claim, most=4)
                    kept += len(memory.facts) == known
                    assert (found.outcome, found.least, found.most, found.never) == (
                        expected.outcome,
                        expected.least,
                        expected.most,
                        expected.never,
                    )
                    assert found.vendors == expected.vendors
                    if found.team:
                        brought += any(step.what == "invite" for step in found.steps)
                        assert Simulator(to_plain(model), found.team).can(to_plain(goal)), (seed, goal)
            model = dice.choice(MUTATIONS)(model, dice)
    assert kept > 500
    assert brought > 20
