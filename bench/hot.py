"""What our own code costs for one steady statement: no socket, no kernel, no server, no client.

    python -m bench.hot [--only simple,extended] [--slices 200] [--statements 400]

A worker of this process, with the benchmark's policy and a journal on the disk, gets the bytes that pgbench and
PostgreSQL would send, straight into the connections of one session, and what it writes is thrown away. So what is
left is what is ours: framing, the template, deciding, recording, TLS, the journal and its thread. Each shape is told
as the *least* of many short slices: another load on the machine makes slices slower and never quicker.

``client`` and ``server`` are what one chunk from that side takes by the clock; ``CPU`` is what the operating system
charged the whole process for a statement, until all records were on the disk.
"""

import argparse
import asyncio
import contextlib
import itertools
import shutil
import socket
import ssl
import struct
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from bench.stage import DATABASE, policy
from interlock.domain.codec import to_plain
from interlock.domain.grants import Grant, Login
from interlock.domain.people import Person
from interlock.domain.resources import Resource
from interlock.domain.snapshot import PolicyText, Snapshot, UpstreamCredential
from interlock.errors import Refusal
from interlock.gateway import sides
from interlock.gateway.connection import Connection
from interlock.gateway.loop import PumpLoop
from interlock.gateway.pump import Pipe, Pump, Receiver
from interlock.gateway.session import Session
from interlock.gateway.settings import Listen, ServerIdentity, WorkerSettings
from interlock.gateway.worker import Worker, working
from interlock.identity.authority import Authority
from interlock.policy.load import digest_of
from interlock.ports.control import (
    HoldOpened,
    HoldOpening,
    PassTaken,
    PasswordHolder,
    RecordingStanding,
    SegmentReport,
    SessionCount,
    SessionEnd,
    SessionStart,
    Wanted,
)
from interlock.ports.protocol import ProtocolAdapter
from interlock.protocols.postgres import PROTOCOL, messages

PERSON, LOGIN, KEY = "dev@example.com", "l-1", "the key of a login"
_LEASE_S = 3600.0
_SELECT = "SELECT abalance FROM pgbench_accounts WHERE aid = "
_UPDATE = "UPDATE pgbench_accounts SET abalance = abalance + {0} WHERE aid = {0};"
_DONE = b"C\x00\x00\x00\x0dSELECT 1\x00"
_INT4 = struct.pack("!ihihih", 0, 0, 23, 4, -1, 0)


@dataclass(frozen=True, slots=True)
class Shape:
    """What the client and the server say of one statement. ``opening`` is said once before, with its answer."""

    name: str
    asks: Sequence[bytes]
    answer: bytes
    opening: tuple[bytes, bytes] = (b"", b"")


@dataclass(slots=True)
class Cost:
    """µs a statement, each the least that was seen."""

    client: float = float("inf")
    server: float = float("inf")
    cpu: float = float("inf")

    def take(self, client: float, server: float, cpu: float) -> None:
        self.client = min(self.client, client)
        self.server = min(self.server, server)
        self.cpu = min(self.cpu, cpu)


def shapes() -> Iterator[Shape]:
    """pgbench's select-only in its three modes, its UPDATE in a transaction, and what the policy refuses."""
    numbers = [str(10_000 + 37 * number) for number in range(64)]
    described = messages.frame(b"T", struct.pack("!h", 1) + b"abalance\x00" + _INT4)
    row = messages.frame(b"D", struct.pack("!hi", 1, 1) + b"0")
    ready = messages.ready(ord("I"))
    asks = [messages.query(f"{_SELECT}{number};") for number in numbers]
    yield Shape("simple", asks, described + row + _DONE + ready)
    run = messages.describe(b"P", "") + messages.execute("") + messages.SYNC
    parse = messages.parse("", f"{_SELECT}$1;")
    asks = [parse + messages.bind("", "", messages.bind_tail([number])) + run for number in numbers]
    parsed, bound = messages.frame(b"1", b""), messages.frame(b"2", b"")
    yield Shape("extended", asks, parsed + bound + described + row + _DONE + ready)
    asks = [messages.bind("", "P_0", messages.bind_tail([number])) + run for number in numbers]
    opening = (messages.parse("P_0", f"{_SELECT}$1;") + messages.SYNC, parsed + ready)
    yield Shape("prepared", asks, bound + described + row + _DONE + ready, opening)
    inside = messages.ready(ord("T"))
    updated = messages.frame(b"C", b"UPDATE 1\x00")
    asks = [messages.query(_UPDATE.format(number)) for number in numbers]
    begun = (messages.query("BEGIN;"), messages.frame(b"C", b"BEGIN\x00") + inside)
    yield Shape("update in a transaction", asks, updated + inside, begun)
    yield Shape("refused", [messages.query("DROP TABLE pgbench_accounts")], b"")


class Throwaway:
    """A pipe on which nothing leaves any more once it is ``shut``; until then what was written can be taken."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        with socket.create_server(("127.0.0.1", 0)) as listener:
            near = socket.create_connection(listener.getsockname())
            self._far, _ = listener.accept()
        near.setblocking(False)
        self._far.setblocking(False)
        # What the connection writes goes through it, and what becomes of the pipe is told to nobody.
        self.pipe: Pipe = pump.open(near, Receiver())

    def take(self) -> bytes:
        self._pump.settle()
        taken = bytearray()
        with contextlib.suppress(BlockingIOError):
            while chunk := self._far.recv(1 << 16):
                taken += chunk
        return bytes(taken)

    def shut(self) -> None:
        self.take()
        self.pipe.close()
        self._far.close()


class _Desk:
    """A control plane that knows one person, and tells it once."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        text = policy(5432)
        end = now + timedelta(hours=8)
        grant = Grant("g-1", "r-1", PERSON, "role0", DATABASE, KEY, now - timedelta(seconds=1), end, None)
        self._snapshot = Snapshot(
            version=1,
            at=now,
            policy=PolicyText(1, digest_of(text, {}), text),
            people={PERSON: Person(PERSON)},
            grants={grant.id: grant},
            logins={LOGIN: Login(LOGIN, PERSON, KEY, now, end, now)},
            credentials={DATABASE: UpstreamCredential("postgres", "secret")},
        )

    async def feed(self) -> AsyncIterator[Mapping[str, Any]]:
        yield {"type": "snapshot", "lease_s": _LEASE_S, "snapshot": to_plain(self._snapshot)}
        while True:
            await asyncio.sleep(_LEASE_S / 4)
            yield {"type": "beat", "version": 1, "at": to_plain(datetime.now(UTC))}

    async def take_password(self, password: str, resource: str, address: str) -> PasswordHolder:
        return PasswordHolder(PERSON, LOGIN)

    async def take_pass(self, wanted: Wanted) -> PassTaken:
        raise Refusal("presence-needed", "Nobody is there.")

    async def report(
        self,
        starts: Sequence[SessionStart],
        ends: Sequence[SessionEnd],
        counts: Sequence[SessionCount] = (),
        kept: Sequence[SegmentReport] = (),
        applied: int | None = None,
    ) -> Sequence[RecordingStanding]:
        return ()

    async def leave(self) -> None: ...

    async def open_hold(self, opening: HoldOpening) -> HoldOpened:
        raise Refusal("Nothing is held here.", "none")

    async def take_hold(self, request: str, digest: str) -> None: ...

    async def withdraw_hold(self, request: str, reason: str) -> None: ...

    async def watched(self, ticket: str, records: Sequence[Mapping[str, Any]], *, ended: bool) -> bool:
        return False


class Line:
    """One open session between two throwaway pipes, and the client's half of its TLS."""

    def __init__(self, worker: Worker, *, tls: bool) -> None:
        self.session = Session(worker.shared, cast("ProtocolAdapter", PROTOCOL), clear_text=True)
        self.client = self.session.client
        self.towards_client, self.towards_server = Throwaway(worker.shared.pump), Throwaway(worker.shared.pump)
        self.upstream: Connection | None = None
        self._tls = tls
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._engine = context.wrap_bio(self._incoming, self._outgoing)

    async def open(self) -> None:
        """From the first byte to the first ReadyForQuery, as a client with a password."""

        async def dial(
            _pump: Pump, _resource: Resource, _adapter: object, upstream: Connection, _within_s: float
        ) -> None:
            self.upstream = upstream
            upstream.connection_made(self.towards_server.pipe)

        # Nobody listens: the machine is given the server's end of a connection as it dials.
        vars(sides)["dial"] = dial
        self.client.connection_made(self.towards_client.pipe)
        if self._tls:
            await self._shake_hands()
        asked = [("user", "dev"), ("database", DATABASE)]
        self.say(messages.startup(asked))
        self.say(messages.password(b"any"))
        await _until(lambda: self.upstream is not None)
        settings = {"client_encoding": "UTF8", "standard_conforming_strings": "on", "search_path": '"$user", public'}
        greeting = [
            messages.frame(b"S", f"{name}\0{value}\0".encode())
            for name, value in {**settings, "server_version": "15.1", "is_superuser": "off"}.items()
        ]
        key = messages.key_data(struct.pack("!ii", 7, 8))
        self.answer(messages.authentication(0) + b"".join(greeting) + key + messages.ready(ord("I")))
        await _until(lambda: self.session.recording is not None)
        self.towards_client.take()
        self.towards_server.take()

    def encrypt(self, plain: bytes) -> bytes:
        if not self._tls:
            return plain
        self._engine.write(plain)
        return self._outgoing.read()

    def say(self, plain: bytes) -> None:
        self.client.data_received(self.encrypt(plain))

    def answer(self, payload: bytes) -> None:
        if self.upstream is None:
            raise SystemExit("The session was not opened.")
        self.upstream.data_received(payload)

    async def _shake_hands(self) -> None:
        self.client.data_received(messages.SSL_REQUEST)
        self.towards_client.take()
        for _ in range(8):
            try:
                self._engine.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.client.data_received(self._outgoing.read())
                await asyncio.sleep(0)
                self._incoming.write(self.towards_client.take())
        self.client.data_received(self._outgoing.read())
        self.towards_client.take()


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- nothing tells of it
            await asyncio.sleep(0.001)


async def measure(worker: Worker, shape: Shape, *, tls: bool, slices: int, statements: int) -> Cost:
    """The least of ``slices``, each of ``statements``."""
    line = Line(worker, tls=tls)
    await line.open()
    if shape.opening[0]:
        line.say(shape.opening[0])
        line.answer(shape.opening[1])
    line.say(shape.asks[0])
    await asyncio.sleep(0.1)
    if shape.answer:
        line.answer(shape.answer)
    went_up, went_down = line.towards_server.take(), line.towards_client.take()
    if shape.answer and not went_up.endswith(shape.asks[0]):
        raise SystemExit(f"{shape.name} does not go through: {went_down!r}")
    line.towards_server.shut()
    line.towards_client.shut()
    cost = Cost()
    for _ in range(slices):
        chunks = [line.encrypt(ask) for ask in itertools.islice(itertools.cycle(shape.asks), statements)]
        cost.take(*await _slice(line, chunks, shape.answer))
        await asyncio.sleep(0.002)
    line.session.close()
    return cost


async def _slice(line: Line, chunks: list[bytes], answer: bytes) -> tuple[float, float, float]:
    from_client, upstream = line.client.data_received, line.upstream
    recording = line.session.recording
    if recording is None or upstream is None:
        raise SystemExit("The session ended.")
    from_server = upstream.data_received
    now = time.perf_counter_ns
    client = server = 0
    charged = time.process_time_ns()
    for chunk in chunks:
        began = now()
        from_client(chunk)
        between = now()
        if answer:
            from_server(answer)
        server += now() - between
        client += between - began
    while recording.durable < recording.written:  # noqa: ASYNC110 -- nothing tells of it
        await asyncio.sleep(0.005)
    charged = time.process_time_ns() - charged
    count = len(chunks)
    return client / count / 1e3, server / count / 1e3, charged / count / 1e3


async def run(chosen: argparse.Namespace, folder: Path) -> None:
    only = chosen.only.split(",") if chosen.only else []
    now = datetime.now(UTC)
    (folder / "run").mkdir()
    authority = Authority.open(folder / "keys", now)
    authority.ensure_server(folder / "keys", ["localhost"], now)
    keys = folder / "keys"
    settings = WorkerSettings(
        gateway="here",
        index=0,
        listen={"postgres": Listen("127.0.0.1", 0, clear_text=True)},
        identity=ServerIdentity(keys / "server.pem", keys / "server.key", keys / "authority.pem"),
        journal=folder / "journal",
        run=folder / "run",
        recordings=str(folder / "recordings"),
    )
    print("| µs a statement | TLS | client | server | CPU |\n| --- | --- | --- | --- | --- |")
    async with working(settings, {"postgres": cast("ProtocolAdapter", PROTOCOL)}, _Desk()) as worker:
        for shape in shapes():
            if only and shape.name not in only:
                continue
            for tls in (False, True):
                cost = await measure(worker, shape, tls=tls, slices=chosen.slices, statements=chosen.statements)
                secured = "yes" if tls else "no"
                print(
                    f"| {shape.name} | {secured} | {cost.client:.2f} | {cost.server:.2f} | {cost.cpu:.2f} |", flush=True
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names of shapes")
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--statements", type=int, default=400)
    parser.add_argument("--folder", default=None, help="where the journal goes")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="interlock-hot-", dir=chosen.folder))
    try:
        with asyncio.Runner(loop_factory=PumpLoop) as runner:
            runner.run(run(chosen, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
