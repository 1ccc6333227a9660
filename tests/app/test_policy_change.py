"""The policy is changed as people change it, against a running whole; a changed file alone changes nothing."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.test_duties import CONFIGURATION
from tests.support.stack import Stack, running_stack

LEAD, SECOND, DEV = "lead@example.com", "second@example.com", "dev@acme.example"
POLICY = CONFIGURATION.replace(
    "second@example.com: {groups: [dba]}", "second@example.com: {groups: [dba, administrators]}"
)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack(POLICY, {}) as running:
        yield running


def _file(stack: Stack, text: str) -> Path:
    path = stack.folder / "changed.yaml"
    path.write_text(text)
    return path


def _refused(finished: "subprocess.CompletedProcess[str]") -> str:
    assert finished.returncode == 1, finished.stdout
    return finished.stderr


def test_the_first_acts_alone_and_then_nobody_does(stack: Stack) -> None:
    lead = stack.member(LEAD)
    first = _file(stack, POLICY.replace("longest: 2h", "longest: 1h"))
    request = stack.ask(lead, "policy", "propose", str(first), "--reason", "too long")["id"]
    stack.run(lead, "policy", "activate", request, totp=True)
    stack.member(SECOND)
    second = _file(stack, POLICY.replace("longest: 2h", "longest: 30m"))
    assert (
        "The role writer is lent for 30m at most (was 1h)."
        in stack.run(lead, "policy", "diff", str(second), check=False).stdout
    )
    request = stack.ask(lead, "policy", "propose", str(second), "--reason", "still too long")["id"]
    assert "not approved yet" in _refused(stack.run(lead, "policy", "activate", request, check=False))
    assert "Nobody approves their own request." in _refused(stack.run(lead, "approve", request, "--yes", check=False))


def test_the_whole_chain_and_what_the_other_sees(stack: Stack) -> None:
    lead, second, dev = stack.member(LEAD), stack.member(SECOND), stack.member(DEV)
    file = _file(
        stack, POLICY.replace("longest: 2h", "longest: 45m").replace("separate: all", "separate: [develop, review]")
    )
    request = stack.ask(lead, "policy", "propose", str(file), "--reason", "shorter")["id"]
    waiting = [view["id"] for view in stack.ask(second, "requests", "--to-decide")]
    assert request in waiting
    seen = stack.run(second, "policy", "show", request, "--text").stdout
    assert "The role writer is lent for 45m at most (was 1h)." in seen
    assert "-    lend: {longest: 1h" in seen
    assert "+    lend: {longest: 45m" in seen
    assert "There is no request" in _refused(stack.run(dev, "policy", "show", request, check=False))
    assert "may not read the policy" in _refused(stack.run(dev, "policy", "show", check=False))
    stack.run(second, "approve", request, "--yes", totp=True)
    assert "is active" in stack.run(lead, "policy", "activate", request).stdout
    assert "longest: 45m" in stack.run(second, "policy", "show").stdout
    assert "45m" in _refused(
        stack.run(lead, "request", "orders", "--role", "writer", "--for", "1h", "--reason", "x", check=False)
    )
    (entry,) = [e for e in stack.ask(lead, "ledger", "search", request) if e["kind"] == "policy.activated"]
    assert json.loads(json.dumps(entry))["actor"] == LEAD


def test_a_change_that_breaks_a_claim_is_refused_with_the_way(stack: Stack) -> None:
    lead = stack.member(LEAD)
    file = _file(stack, POLICY.replace("    separate: all\n", ""))
    told = _refused(stack.run(lead, "policy", "propose", str(file), "--reason", "simpler", check=False))
    assert "It would break a claim: the chain release takes 2 persons" in told
    assert "interlock duty take release develop" in told


def test_a_changed_file_is_not_applied_by_a_restart(stack: Stack) -> None:
    lead = stack.member(LEAD)
    stack.stop()
    stack.config = POLICY.replace("longest: 2h", "longest: 8h")
    stack.start()
    assert "interlock.yaml was not applied" in (stack.folder / "up.log").read_text()
    stack.sign_in(lead)
    assert "longest: 45m" in stack.run(lead, "policy", "show", "--server", stack.server).stdout
