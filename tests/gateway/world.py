"""A whole gateway for tests: authority, control desk, toy store, and a worker, in this process or in one of its own."""

import asyncio
import hashlib
import json
import os
import shutil
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import tests.toy
from interlock.domain.grants import Grant, Login
from interlock.domain.people import Contract, Person
from interlock.domain.snapshot import PolicyText, UpstreamCredential
from interlock.gateway.settings import Limits, Listen, ServerIdentity, WorkerSettings
from interlock.gateway.worker import Worker, working
from interlock.identity.authority import Authority, make_request
from interlock.identity.keys import new_key, private_pem, thumbprint
from interlock.policy.load import digest_of
from interlock.ports.control import PasswordHolder
from interlock.wire.segments import open_segment, segment_path
from tests.support.control import ControlDesk, DeskLink
from tests.support.toy_store import ToyStore

DEV = "dev@acme.example"
LEAD = "lead@example.com"

POLICY = """
resources:
  things:
    kind: toy
    address: 127.0.0.1:{port}
    credential: {{user: toy, secret: "env:TOY"}}
    labels: {{environment: test}}{tls}
  others:
    kind: toy
    address: 127.0.0.1:{port}
    labels: {{environment: test}}
vendors:
  acme: {{}}
people:
  lead@example.com: {{groups: [dba]}}
  dba2@example.com: {{groups: [dba]}}
  dev@acme.example: {{vendor: acme}}
contracts:
  acme-work: {{vendor: acme, sponsor: lead@example.com, start: 2020-01-01, end: 2090-01-01, roles: [reader, writer]}}
roles:
  reader:
    on: {{kind: toy, environment: test}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
  writer:
    on: {{kind: toy, environment: test}}
    allow: [connect, read, write, destroy]
    fence: {{rows: 3}}
    hold: [destroy]
    lend: {{longest: 2h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
"""


def policy(store_port: int, *, version: int = 1, tls: str = "", more: str = "") -> PolicyText:
    text = POLICY.format(port=store_port, tls=f"\n    tls: {tls}" if tls else "") + more
    return PolicyText(version, digest_of(text, {}), text)


@dataclass
class Gate:
    """What a test plays with. ``address`` is where the toy is listened for."""

    folder: Path
    authority: Authority
    desk: ControlDesk
    store: ToyStore
    limits: Limits = field(default_factory=Limits)
    address: tuple[str, int] = ("", 0)
    worker: Worker | None = None
    clients: list["ToyClient"] = field(default_factory=list)
    login_key: Any = field(default_factory=new_key)

    @property
    def login(self) -> Login:
        now = datetime.now(UTC)
        return Login("l-1", DEV, thumbprint(self.login_key), now - timedelta(minutes=1), now + timedelta(hours=8), now)

    def settings(self, index: int = 0) -> WorkerSettings:
        keys = self.folder / "keys"
        return WorkerSettings(
            gateway="here",
            index=index,
            listen={"toy": Listen("127.0.0.1", 0)},
            identity=ServerIdentity(keys / "server.pem", keys / "server.key", keys / "authority.pem"),
            journal=self.folder / "journal",
            run=self.folder / "run",
            recordings=str(self.folder / "recordings"),
            limits=self.limits,
        )

    def working(self, settings: WorkerSettings) -> AbstractAsyncContextManager[Worker]:
        return working(settings, {"toy": tests.toy.PROTOCOL}, DeskLink(self.desk.port))

    def lend(self, role: str, grant: str = "g-1", *, resource: str = "things", last_s: float = 3600) -> Grant:
        now = self.desk.now()
        lent = Grant(
            id=grant,
            request="r-0",
            person=DEV,
            role=role,
            resource=resource,
            key=self.login.key,
            starts_at=now - timedelta(seconds=1),
            ends_at=now + timedelta(seconds=last_s),
            contract="acme-work",
        )
        self.desk.put("grants", grant, lent)
        return lent

    def certificate(self, login: Login | None = None, at: datetime | None = None) -> Path:
        """A file (PEM) with a client's certificate and key."""
        request = make_request(self.login_key)
        login = login or self.login
        issued = self.authority.issue_client(request, login=login, at=at or datetime.now(UTC))
        path = self.folder / "client.pem"
        path.write_bytes(issued.encode() + private_pem(self.login_key))
        return path

    async def connect(self) -> "ToyClient":
        client = await ToyClient.open(*self.address)
        self.clients.append(client)
        return client

    async def enter(self, resource: str = "things", address: tuple[str, int] | None = None) -> "ToyClient":
        """A client with a password, through the door."""
        secret = f"pw-{len(self.clients)}"
        self.desk.passwords[f"{secret}@{resource}"] = PasswordHolder(DEV, "l-1")
        client = await ToyClient.open(*(address or self.address))
        self.clients.append(client)
        await client.say(f"HELLO {resource} {secret}")
        said = await client.line()
        if not said.startswith("+welcome"):
            raise AssertionError(said)
        return client

    async def knock(self) -> str:
        """What a client with a good password is told."""
        self.desk.passwords["knock@things"] = PasswordHolder(DEV, "l-1")
        client = await self.connect()
        return await client.ask("HELLO things knock")

    async def recording(self, session: str) -> list[dict[str, Any]]:
        """The recording of a session whose end was reported, by its segments."""
        await until(lambda: session in self.desk.ends)
        end, kept = self.desk.ends[session], self.desk.kept[session]
        assert (end.segments, end.recording) == (len(kept), kept[-1].digest)
        return self.recorded(session)

    def recorded(self, session: str) -> list[dict[str, Any]]:
        """What is in the segments of a session that were reported, each following on the one before it."""
        records: list[dict[str, Any]] = []
        previous = ""
        for number, segment in enumerate(self.desk.kept.get(session, ()), 1):
            content = (self.folder / "recordings" / segment_path(segment.digest)).read_bytes()
            assert hashlib.sha256(content).hexdigest() == segment.digest
            header, plain = open_segment(self.desk.keys[session], content)
            assert (header.session, header.number, header.previous) == (session, number, previous)
            records += [json.loads(line) for line in plain.splitlines()]
            assert (header.last, records[-1]["n"]) == (segment.records, segment.records)
            previous = segment.digest
        return records


class ToyClient:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> "ToyClient":
        return cls(*await asyncio.open_connection(host, port))

    async def say(self, line: str) -> None:
        self.writer.write(f"{line}\n".encode())
        await self.writer.drain()

    async def line(self, within_s: float = 30.0) -> str:
        """The next line, without its end; empty when the connection is over."""
        try:
            return (await asyncio.wait_for(self.reader.readline(), within_s)).decode().rstrip("\n")
        except (ConnectionError, ssl.SSLError):
            return ""

    async def ask(self, line: str, within_s: float = 30.0) -> str:
        await self.say(line)
        return await self.line(within_s)

    async def rest(self, within_s: float = 30.0) -> str:
        """Everything until the connection is over."""
        parts = []
        while line := await self.line(within_s):
            parts.append(line)
        return "\n".join(parts)

    def close(self) -> None:
        self.writer.transport.abort()


async def until(condition: Any, within_s: float = 30.0) -> None:
    """Return when ``condition()`` is true; fail when it does not become so."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 -- what is waited for lies in another process as often as not
            await asyncio.sleep(0.01)


@asynccontextmanager
async def surroundings(folder: Path, *, lease_s: float = 5.0, limits: Limits | None = None) -> AsyncIterator[Gate]:
    """Everything but the worker."""
    authority = Authority.open(folder / "keys", datetime.now(UTC))
    authority.ensure_server(folder / "keys", ["localhost"], datetime.now(UTC))
    (folder / "run").mkdir(exist_ok=True)
    async with AsyncExitStack() as held:
        store = await held.enter_async_context(ToyStore())
        desk = await held.enter_async_context(ControlDesk(policy(store.port), lease_s=lease_s))
        gate = Gate(folder, authority, desk, store, limits or Limits())
        for person in (Person(LEAD, groups=frozenset({"dba"})), Person(DEV, vendor="acme")):
            desk.put("people", person.name, person)
        start, end = datetime(2020, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)
        roles = frozenset({"reader", "writer"})
        desk.put("contracts", "acme-work", Contract("acme-work", "acme", LEAD, start, end, roles))
        desk.put("logins", "l-1", gate.login)
        desk.put("credentials", "things", UpstreamCredential("toy", "secret"))
        try:
            yield gate
        finally:
            for client in gate.clients:
                client.close()


@asynccontextmanager
async def gateway(folder: Path, *, lease_s: float = 5.0, limits: Limits | None = None) -> AsyncIterator[Gate]:
    """Everything, with a worker in this process."""
    async with surroundings(folder, lease_s=lease_s, limits=limits) as gate, inner_worker(gate):
        yield gate


@asynccontextmanager
async def inner_worker(gate: Gate, index: int = 0) -> AsyncIterator[Worker]:
    async with gate.working(gate.settings(index)) as worker:
        gate.worker = worker
        gate.address = worker.addresses["toy"]
        yield worker


@dataclass
class WorkerProcess:
    process: asyncio.subprocess.Process
    address: tuple[str, int]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def outer_worker(
    gate: Gate, index: int = 0, *, environment: Mapping[str, str] | None = None, before: str = ""
) -> AsyncIterator[WorkerProcess]:
    """A worker in a process of its own that discovers the toy in a folder where it was dropped."""
    protocols = gate.folder / "protocols"
    if not (protocols / "toy").exists():
        shutil.copytree(
            Path(tests.toy.__file__).parent, protocols / "toy", ignore=shutil.ignore_patterns("__pycache__")
        )
    told = {
        "data": str(gate.folder),
        "index": index,
        "desk": gate.desk.port,
        "limits": {name: getattr(gate.limits, name) for name in Limits.__slots__},
        "before": before,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.gateway_process",
        json.dumps(told),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "INTERLOCK_PROTOCOLS": str(protocols), **(environment or {})},
    )
    try:
        if process.stdout is None:
            raise AssertionError("no pipe")
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 60) or "{}")
        if "failed" in ready:
            raise AssertionError(ready["failed"])
        host, port = ready["toy"]
        worker = WorkerProcess(process, (host, port))
        gate.address = worker.address
        yield worker
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
