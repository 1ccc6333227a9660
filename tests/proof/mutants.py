"""Mutants of policies that are proven safe, judged by the simulator.

The long run: python -m tests.proof.mutants 10000
"""

import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from interlock.domain.codec import to_plain
from interlock.proof.certificate import write_certificate
from interlock.proof.check import check_certificate
from interlock.proof.model import Model
from interlock.proof.prove import Prover
from interlock.proof.verdicts import Claim, Counted, Outcome, Proof, Verdict
from tests.proof.policies import GOALS, MUTATIONS, make_policy
from tests.proof.simulator import least_team


@dataclass
class Score:
    """``missed``: the prover says that it takes so many, and fewer can. ``false_alarms``: the other way round."""

    mutants: int = 0
    dangerous: int = 0
    refused_certificates: int = 0
    missed: list[str] = field(default_factory=list)
    false_alarms: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)


def judge_mutants(count: int, seed: int, *, least: int = 2) -> Score:
    """Of policies that are proven to take ``least`` persons."""
    dice, score = random.Random(seed), Score()
    while score.mutants < count:
        model = make_policy(dice)
        prover = Prover(model)
        for goal in GOALS:
            claim = Claim(goal, Counted.PERSONS, least)
            verdict = prover.judge(claim, most=least)
            if verdict.outcome is not Outcome.PROVEN or verdict.never:
                continue
            for mutate in MUTATIONS:
                mutant = mutate(model, dice)
                if dice.random() < 0.3:
                    mutant = dice.choice(MUTATIONS)(mutant, dice)
                _judge(mutant, claim, mutate.__name__, score)
    return score


def _judge(mutant: Model, claim: Claim, kind: str, score: Score) -> None:
    plain: dict[str, Any] = to_plain(mutant)
    verdict = Prover(mutant).judge(claim, most=claim.least)
    attack = least_team(plain, to_plain(claim.goal), claim.least - 1)
    score.mutants += 1
    if attack is not None:
        score.dangerous += 1
        score.kinds[kind] += 1
    if attack is not None and verdict.outcome is Outcome.PROVEN:
        score.missed.append(f"{kind}: {attack} can do {claim.goal}: {mutant}")
    if attack is None and verdict.outcome is not Outcome.PROVEN:
        score.false_alarms.append(f"{kind}: {verdict}: {mutant}")
    if verdict.outcome is Outcome.PROVEN and not _certified(mutant, verdict):
        score.refused_certificates += 1


def _certified(model: Model, verdict: Verdict) -> bool:
    answers = check_certificate(write_certificate(model, Proof((verdict,), ()))).claims
    return [proven for _, proven, _ in answers] == [True]


if __name__ == "__main__":
    result = judge_mutants(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, seed=int((sys.argv[2:] or ["1"])[0]))
    sys.stdout.write(
        f"{result.mutants} mutants, {result.dangerous} of them dangerous, {len(result.missed)} missed, "
        f"{len(result.false_alarms)} false alarms, {result.refused_certificates} certificates refused\n"
    )
    sys.stdout.write(", ".join(f"{kind} {count}" for kind, count in result.kinds.most_common()) + "\n")
    sys.exit(1 if result.missed or result.refused_certificates else 0)
