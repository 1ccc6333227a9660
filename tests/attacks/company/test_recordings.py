"""Recordings of a running system: searched, forged on the disk, read by who may not, and let go by two."""

import json
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support.libpq import conninfo_of
from tests.support.stack import Member, Stack


def until(found: Callable[[], Any], within_s: float = 30) -> Any:
    end = time.monotonic() + within_s
    while not (what := found()):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.3)
    return what


@pytest.fixture(scope="module")
def recorded(stack: Stack, ann: Member, lead: Member, boss: Member, auditor: Member) -> str:
    """The number of a closed session of ann's, in which she looked for Zanzibar."""
    stack.grant(ann, "shop", "reader", [lead])
    with psycopg.connect(conninfo_of(stack.variables(ann, "shop"))) as client:
        client.execute("SELECT count(*) FROM orders WHERE note = 'Zanzibar 4711'")
    hits = until(lambda: stack.ask(auditor, "ledger", "search", "zanzibar 4711", "--statements")["hits"])
    number = str(hits[0]["session"])
    until(lambda: any(one["id"] == number and one["closed_at"] for one in stack.ask(boss, "sessions")))
    return number


def _verify(stack: Stack, boss: Member) -> dict[str, Any]:
    words = ("ledger", "verify", "--recordings", str(stack.data / "recordings"), "--json")
    found: dict[str, Any] = json.loads(stack.run(boss, *words, check=False).stdout)
    return found


def test_only_who_was_lent_the_role_finds_the_statement(
    stack: Stack, recorded: str, auditor: Member, owner: Member, boss: Member, gus: Member, second: Member
) -> None:
    words = ("ledger", "search", "Zanzibar", "--statements", "--resource", "shop", "--since", "2026-01-01")
    (hit,) = stack.ask(auditor, *words)["hits"]
    assert (hit["session"], hit["text"]) == (recorded, "SELECT count(*) FROM orders WHERE note = 'Zanzibar 4711'")
    for other in (owner, boss, gus, second):
        assert stack.ask(other, *words)["hits"] == []


def test_nothing_of_the_statement_is_in_the_store(stack: Stack, recorded: str) -> None:
    stored = [path.read_bytes() for path in (stack.data / "recordings").rglob("*") if path.is_file()]
    assert any(recorded.encode() in content for content in stored), "the header says whose it is"
    assert not any(b"Zanzibar" in content or b"4711" in content for content in stored)


def test_a_segment_that_was_cut_off_on_the_disk_is_named_and_not_shown(
    stack: Stack, recorded: str, boss: Member, auditor: Member
) -> None:
    path = next(
        path
        for path in (stack.data / "recordings").rglob("*")
        if path.is_file() and f'"session":"{recorded}"'.encode() in path.read_bytes()
    )
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    try:
        found = _verify(stack, boss)
        assert found["holds"] is False
        assert f"of {recorded}" in found["reason"]
        assert "is cut off" in found["reason"]
        refused = stack.run(auditor, "replay", recorded, check=False)
        assert refused.returncode == 1
        assert "changed or damaged" in refused.stderr
        assert "Zanzibar" not in refused.stdout
    finally:
        path.write_bytes(whole)
    assert _verify(stack, boss)["holds"] is True


def test_two_others_let_it_go_and_the_ledger_still_verifies(
    stack: Stack, recorded: str, boss: Member, ann: Member, lead: Member, second: Member, auditor: Member
) -> None:
    assert stack.run(ann, "recordings", "delete", recorded, "--reason", "mine", check=False).returncode == 1
    hold = stack.ask(boss, "recordings", "hold", "--session", recorded, "--reason", "a lawsuit")["id"]
    kept = stack.run(boss, "recordings", "delete", recorded, "--reason", "asked to", check=False)
    assert f"legal hold {hold}" in kept.stderr
    for command in (("lift", hold), ("delete", recorded)):
        request = stack.ask(boss, "recordings", *command, "--reason", "asked to")["id"]
        assert stack.run(boss, "approve", request, "--yes", check=False).returncode == 1
        for approver in (lead, second):
            stack.run(approver, "approve", request, "--yes")
    gone = stack.run(auditor, "replay", recorded, check=False)
    assert "was deleted at" in gone.stderr
    until(
        lambda: any(
            recorded in one["event"].values() for one in stack.ask(boss, "ledger", "search", "recording.erased")
        )
    )
    found = _verify(stack, boss)
    assert found["holds"] is True
    (said,) = [sentence for sentence in found["deleted"] if recorded in sentence]
    assert "asked for by boss@example.com (asked to), allowed by lead@example.com and second@example.com" in said
    assert stack.ask(auditor, "ledger", "search", "Zanzibar", "--statements")["hits"] == []
