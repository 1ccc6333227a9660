"""What ends by itself, and what stands open while everything is started again under other rules."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from tests.attacks.company.conftest import CONFIG, SECRETS
from tests.attacks.company.raw import caller_of, code_of
from tests.attacks.company.test_separation import ask_for, is_cut, open_session, refused, until
from tests.protocols.postgres.servers import TestServer
from tests.support.ports import free_port
from tests.support.stack import Member, Stack, running_stack

_TWO = "lend: {longest: 8h, approvals: [{from: {group: dba}, count: 2}"
_ONE = "lend: {longest: 8h, approvals: [{from: {people: [owner@example.com, lead@example.com]}, count: 1}"


@dataclass
class Company:
    stack: Stack
    port: int
    console: int

    def configure(self, last_day: str = "2036-12-31") -> None:
        text = CONFIG.format(port=self.port, last_day=last_day)
        self.stack.config = text.replace('console: "127.0.0.1:0"', f'console: "127.0.0.1:{self.console}"')

    def change_policy(self) -> None:
        """Put ``stack.config`` into effect as people do: one proposes, another approves."""
        stack = self.stack
        lead, boss = stack.member("lead@example.com"), stack.member("boss@example.com")
        file = stack.folder / "proposed.yaml"
        file.write_text(stack.config)
        request = stack.ask(lead, "policy", "propose", str(file), "--reason", "a change")["id"]
        stack.ask(boss, "policy", "approve", request, "--yes")
        stack.ask(lead, "policy", "activate", request)


@pytest.fixture(scope="module")
def company(shop: TestServer) -> Iterator[Company]:
    company = Company(Stack(Path(os.devnull), ""), shop.port, free_port())
    company.configure()
    with running_stack(company.stack.config, SECRETS) as stack:
        company.stack = stack
        yield company


@pytest.fixture(scope="module")
def ann(company: Company) -> Member:
    return company.stack.member("ann@acme.example")


@pytest.fixture(scope="module")
def lead(company: Company) -> Member:
    return company.stack.member("lead@example.com")


def test_a_short_grant_cuts_its_session_by_itself(company: Company, ann: Member, lead: Member) -> None:
    stack = company.stack
    stack.ask(lead, "approve", ask_for(stack, ann, "reader", resource="shop", length="4s"), "--yes")
    (grant,) = stack.ask(ann, "grants")
    with open_session(stack, ann) as session, pytest.raises(psycopg.OperationalError, match="has ended"):
        session.execute("SELECT pg_sleep(20)")
    late = datetime.now(UTC) - datetime.fromisoformat(grant["ends_at"])
    assert timedelta(0) <= late < timedelta(seconds=2)
    with pytest.raises(psycopg.OperationalError, match="no grant"):
        open_session(stack, ann)
    assert stack.ask(ann, "grants") == []


def test_a_proof_is_used_once_also_when_the_control_plane_was_killed(company: Company, ann: Member) -> None:
    stack, caller = company.stack, caller_of(company.stack, ann)
    with caller.client() as http:
        nonce = http.get("/v1/health").headers["dpop-nonce"]
        proof = caller.proof("GET", f"{stack.server}/v1/whoami", nonce)
        headers = {"DPoP": proof, **caller.authorization()}
        assert http.get("/v1/whoami", headers=headers).status_code == 200
        assert http.get("/v1/whoami", headers=headers).status_code == 401
    (control,) = stack.pids("control")
    os.kill(control, signal.SIGKILL)
    until(lambda: stack.pids("control") not in ([], [control]))
    until(lambda: stack.run(ann, "whoami", check=False).returncode == 0)
    with caller.client() as http:
        assert code_of(http.get("/v1/whoami", headers=headers))[0] == 401


def test_what_stands_open_is_judged_by_the_old_rules_and_the_new(company: Company, ann: Member, lead: Member) -> None:
    """One approval of two is there; then the policy asks for one, of others. It opens nothing."""
    stack = company.stack
    request, asked = ask_for(stack, ann, "pair"), ask_for(stack, ann, "reader")
    stack.ask(lead, "approve", request, "--yes")
    owner = stack.member("owner@example.com")
    loosened = stack.config.replace(_TWO, _ONE)
    strict = "{from: {group: dba}, count: 1}]"
    assert _TWO in stack.config
    before = stack.config
    stack.config = loosened.replace(strict, "{from: {group: dba}, count: 2}]", 1)
    company.change_policy()
    view = stack.ask(ann, "show", request)
    assert (view["state"], view["missing"]) == ("open", 1)
    assert "is not in the group dba" in refused(stack, owner, "approve", request, "--yes")
    assert "already" in refused(stack, lead, "approve", request, "--yes")
    assert stack.ask(lead, "approve", asked, "--yes")["missing"] == 1, "the stricter of both counts"
    assert stack.ask(ann, "grants") == []
    stack.run(ann, "withdraw", request)
    fresh = ask_for(stack, ann, "pair")
    assert stack.ask(owner, "approve", fresh, "--yes")["grant"], "what is asked now is judged by the rules of now"
    stack.config = before
    company.change_policy()


def test_a_contract_that_ends_by_itself_takes_sessions_and_logins_along(
    company: Company, ann: Member, lead: Member
) -> None:
    stack = company.stack
    # Before the contract's end come some ten commands. What one of them takes is seen first.
    began = time.monotonic()
    stack.sign_in(ann)
    end = datetime.now(UTC) + timedelta(seconds=10 + 20 * (time.monotonic() - began))
    company.configure(f"{end:%Y-%m-%dT%H:%M:%SZ}")
    company.change_policy()
    stack.sign_in(ann)
    told = refused(stack, ann, "request", "shop", "--role", "reader", "--for", "8h", "--reason", "x")
    assert told.startswith("The contract acme-shop ends at")
    left = int((end - datetime.now(UTC)).total_seconds()) - 2
    stack.ask(lead, "approve", ask_for(stack, ann, "reader", resource="shop", length=f"{left}s"), "--yes")
    waiting = ask_for(stack, ann, "reader", resource="down", length="1s")
    with open_session(stack, ann) as session:
        assert not is_cut(session)
        while datetime.now(UTC) < end:
            time.sleep(0.1)
        until(lambda: is_cut(session))
    assert "is over" in refused(stack, ann, "whoami")
    assert "No contract" in refused(stack, ann, "login", "--server", stack.server, "--person", ann.name)
    until(lambda: stack.run(lead, "approve", waiting, "--yes", check=False).returncode == 1)
    assert stack.ask(lead, "grants") == []
