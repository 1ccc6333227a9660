"""Duties and proofs as people type them, against a running whole."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import Stack, running_stack

COMMIT = "commit:" + "ab" * 20
CONTENT = "sha256:" + "cd" * 32
CONFIGURATION = """
listen: {console: "127.0.0.1:0", postgres: "127.0.0.1:0"}
resources:
  orders: {kind: postgres, address: "127.0.0.1:1", credential: {user: app}, labels: {environment: production}}
vendors: {acme: {}}
people:
  lead@example.com: {groups: [dba, administrators]}
  second@example.com: {groups: [dba]}
  dev@acme.example: {vendor: acme}
contracts:
  acme-orders:
    vendor: acme
    sponsor: lead@example.com
    start: 2020-01-01
    end: 2090-01-01
    roles: [writer]
    people: [dev@acme.example]
roles:
  writer:
    on: {kind: postgres, environment: production}
    allow: [connect, read, write, alter, destroy]
    hold: [alter, destroy]
    lend: {longest: 2h, approvals: [{from: {group: dba}, count: 1}]}
chains:
  release:
    duties: [develop, review, deploy]
    separate: all
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack(CONFIGURATION, {}) as running:
        yield running


def test_a_duty_is_taken_done_and_shown_and_the_next_belongs_to_another(stack: Stack) -> None:
    dev, second = stack.member("dev@acme.example"), stack.member("second@example.com")
    on = ("release", "develop", "--artifact", COMMIT)
    stack.run(dev, "duty", "take", *on)
    stack.run(dev, "duty", "done", *on, "--content", CONTENT)
    refused = stack.run(dev, "duty", "take", "release", "review", "--artifact", COMMIT, check=False)
    assert refused.returncode == 1
    assert "no person carries two of them. dev@acme.example did develop on" in refused.stderr
    assert "second@example.com" in refused.stderr
    stack.run(second, "duty", "take", "release", "review", "--artifact", COMMIT)
    history = stack.ask(second, "duty", "show", "release", "--artifact", COMMIT)
    assert [(one["duty"], one["person"], one["content"]) for one in history] == [
        ("develop", "dev@acme.example", CONTENT),
        ("review", "second@example.com", ""),
    ]


def test_a_proof_from_the_live_state_holds_for_the_checker(stack: Stack, tmp_path: Path) -> None:
    lead, second = stack.member("lead@example.com"), stack.member("second@example.com")
    refused = stack.run(second, "prove", check=False)
    assert refused.returncode == 1
    assert "second@example.com may not ask what everybody could do." in refused.stderr
    certificate = tmp_path / "certificate.json"
    said = stack.run(lead, "prove", "--certificate", str(certificate)).stdout
    assert "the chain release takes 3 persons at least" in said
    assert "destroy on orders takes 2 persons at least" in said
    asked = stack.run(lead, "prove", "release", "--persons", "3", "--absent", "second@example.com", check=False)
    assert asked.returncode == 1
    assert "the chain release" in asked.stdout
    # the other claim is not what was asked; what is taken for granted names a contract of that name
    assert "destroy on orders" not in asked.stdout
    checked = stack.run(None, "prove", "--check", str(certificate))
    assert "holds: destroy on orders takes 2 persons at least" in checked.stdout
    forged = json.loads(certificate.read_text())
    assert forged["model_sha256"] in checked.stdout
    forged["verdicts"][0]["claim"]["least"] = 4
    certificate.write_text(json.dumps(forged))
    assert stack.run(None, "prove", "--check", str(certificate), check=False).returncode == 1
    # Who has nothing but the file sees of which model it is, and who was taken to be away.
    away = stack.run(lead, "prove", "--absent", "second@example.com", "--certificate", str(certificate), check=False)
    assert "Absent, and in no team: second@example.com." in away.stdout
    told = json.loads(stack.run(None, "prove", "--check", str(certificate), "--json", check=False).stdout)
    assert (told["absent"], told["model_sha256"]) == (["second@example.com"], forged["model_sha256"])
    unwritable = stack.run(lead, "prove", "--certificate", str(tmp_path / "no" / "file"), check=False)
    assert unwritable.returncode == 1
    assert "cannot be written: No such file or directory." in unwritable.stderr
    for beside in (("--why", "a", "b", "c"), ("release",), ("--svg", "x.svg")):
        wrong = stack.run(None, "prove", "--check", str(certificate), *beside, check=False)
        assert (wrong.returncode, "--check stands alone" in wrong.stderr) == (2, True), wrong


def test_a_certificate_of_another_model_than_it_names_is_none(stack: Stack, tmp_path: Path) -> None:
    """The digest is what people compare with their installation's: one in which nobody may do anything proves all."""
    lead, file = stack.member("lead@example.com"), tmp_path / "certificate.json"
    stack.run(lead, "prove", "--certificate", str(file))
    document = json.loads(file.read_text())
    document["model"]["lends"] = []
    for verdict in document["verdicts"]:
        verdict.update(outcome="proven", cuts=[])
    file.write_text(json.dumps(document))
    answer = stack.run(None, "prove", "--check", str(file), check=False)
    assert answer.returncode == 1
    assert f"names the model {document['model_sha256']}, and holds another" in answer.stderr


def test_all_ways_to_a_thing_are_told_and_drawn(stack: Stack, tmp_path: Path) -> None:
    lead, second = stack.member("lead@example.com"), stack.member("second@example.com")
    picture = tmp_path / "why.svg"
    asked = ("prove", "--why", "dev@acme.example", "alter", "orders")
    said = stack.run(lead, *asked, "--svg", str(picture)).stdout
    assert "dev@acme.example can do alter on orders in 2 ways" in said
    assert "by a changed policy, with lead@example.com; second@example.com" in said
    assert "second@example.com: interlock policy propose FILE --reason REASON    # one that lends dev@acme" in said
    assert "2 of (lead@example.com, second@example.com)" not in said
    assert "1 of (lead@example.com, second@example.com)" in said
    assert "dev@acme.example: interlock request orders --role writer" in said
    assert "dev@acme.example" in picture.read_text()
    why = stack.ask(lead, *asked)["why"]
    assert [way["role"] for way in why["ways"]] == ["writer", "a changed policy"]
    change = stack.run(lead, "prove", "--why", "second@example.com", "alter", "the policy").stdout
    assert "second@example.com can do alter on the policy in 1 way" in change
    policy = stack.run(lead, "prove", "--why", "second@example.com", "grant", "orders")
    assert "by a changed policy, with lead@example.com" in policy.stdout
    assert stack.run(second, *asked, check=False).returncode == 1
    assert (
        "There is no person named nobody"
        in stack.run(lead, "prove", "--why", "nobody", "alter", "orders", check=False).stderr
    )
    assert (
        "There is no action sing"
        in stack.run(lead, "prove", "--why", "second@example.com", "sing", "orders", check=False).stderr
    )
