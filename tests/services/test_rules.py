"""The rule sets that are shipped: each loads, each is proven whole, and each of some weakenings of it is refuted."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from interlock.policy.load import load_configuration
from interlock.proof.certificate import write_certificate
from interlock.proof.check import check_certificate
from interlock.proof.verdicts import Outcome, Proof
from interlock.services.proof_model import LiveState
from interlock.services.prove_state import prove_model

RULES = Path(__file__).parents[2] / "docs" / "rules"
NAMES = sorted(path.stem for path in RULES.glob("*.yaml"))

Pairs = tuple[tuple[str, str], ...]
_OWNERS = "policy: {approvals: [{from: {group: owners}, count: 2}]}"
WEAKER: dict[str, dict[str, Pairs]] = {
    "delivery": {
        "one person in every group, and nothing apart": (
            ("    separate: all\n    independent: {review: team}\n", ""),
            (
                "ada@example.com: {groups: [developers]}",
                "ada@example.com: {groups: [developers, reviewers, builders, operators]}",
            ),
        ),
        "operators take the role at once, and it holds nothing": (
            ("    hold: [alter, destroy]", "#"),
            (
                "    lend: {longest: 1h,",
                (
                    "    break_glass: {longest: 1h, by: {group: operators}, tell: {group: owners}, "
                    "review: {group: owners}}\n"
                    "    lend: {longest: 1h,"
                ),
            ),
        ),
        "one person who is away stops it": (("  hal@example.com: {groups: [operators]}\n", ""),),
        "two change the policy": ((_OWNERS, ""),),
    },
    "database-change": {
        "who writes may approve and run it": (
            ("    separate: all\n", "    separate: [[backup, log]]\n"),
            ("ada@example.com: {groups: [developers]}", "ada@example.com: {groups: [developers, dba]}"),
            ("eve@example.com: {groups: [operators]}", "eve@example.com: {groups: [operators, dba, developers]}"),
        ),
        "one log owner": (("  hal@example.com: {groups: [log-owners]}\n", ""),),
        "two change the policy": ((_OWNERS, ""),),
    },
    "payment": {
        "maker and checker are one": (
            ("    separate: all\n    independent: {approve: team, release: team}\n", ""),
            (
                "ada@example.com: {groups: [vendor-master]}",
                "ada@example.com: {groups: [vendor-master, clerks, approvers, treasury]}",
            ),
        ),
        "one treasurer": (("  hal@example.com: {groups: [treasury]}\n", ""),),
        "two change the policy": ((_OWNERS, ""),),
    },
    "key-ceremony": {
        "two safes, one controller, one officer": (
            (
                (
                    "    separate: [[open-safe, open-second-safe], [administer, witness]]\n"
                    "    at_least: {persons: 3, duties: [first-share, second-share, third-share]}\n"
                ),
                "",
            ),
        ),
        "one controller may be away no more": (("  fay@example.com: {groups: [safe-controllers]}\n  gus", "  gus"),),
        "two change the policy": (("policy: {approvals: [{from: {group: owners}, count: 4}]}", ""),),
    },
    "backup": {
        "who makes them deletes them": (
            ("    separate: all\n    dead_ends: refuse\n", ""),
            (
                "ada@example.com: {groups: [operators]}",
                "ada@example.com: {groups: [operators, records, recovery, custodians]}",
            ),
        ),
        "one restorer": (("  hal@example.com: {groups: [recovery]}\n", ""),),
        "two change the policy": ((_OWNERS, ""),),
    },
}


def _prove(text: str) -> tuple[Proof, str]:
    configuration = load_configuration(text, "rules.yaml")
    people, contracts = list(configuration.people.values()), list(configuration.contracts.values())
    state = LiveState(configuration, people, contracts, datetime(2026, 11, 1, tzinfo=UTC), configuration.identities)
    model, proof = prove_model(state, None, None, ())
    return proof, write_certificate(model, proof)


@pytest.mark.parametrize("name", NAMES)
def test_every_claim_of_a_rule_set_is_proven_and_the_checker_accepts_it(name: str) -> None:
    proof, certificate = _prove((RULES / f"{name}.yaml").read_text())
    assert proof.holds, [v for v in proof.verdicts if v.outcome is not Outcome.PROVEN]
    answers = check_certificate(certificate).claims
    assert answers
    assert all(proven for _, proven, _ in answers), answers


@pytest.mark.parametrize(("name", "weakening"), [(name, weak) for name in NAMES for weak in WEAKER[name]])
def test_a_weaker_one_is_refuted_with_a_way(name: str, weakening: str) -> None:
    text = (RULES / f"{name}.yaml").read_text()
    for before, after in WEAKER[name][weakening]:
        assert before in text
        text = text.replace(before, after)
    proof, _ = _prove(text)
    refuted = [verdict for verdict in proof.verdicts if verdict.outcome is Outcome.REFUTED]
    assert refuted
    assert all(verdict.team for verdict in refuted)


def test_each_has_weakenings_and_is_listed() -> None:
    assert set(NAMES) == set(WEAKER)
    listed = (RULES / "README.md").read_text()
    assert all(f"[{name}.yaml]({name}.yaml)" in listed for name in NAMES)
