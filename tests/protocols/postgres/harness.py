"""A small gateway for tests: the machine over real sockets, with verdicts from a callable.

It admits everyone with the password ``let-me-in`` (or any certificate), decides with ``rule``, and remembers every
call. What is held waits until the test calls ``decide`` on the session, or is answered by ``on_hold``.
"""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from interlock.domain.resources import Resource
from interlock.domain.snapshot import UpstreamCredential
from interlock.errors import PeerError
from interlock.gateway.connection import Connection
from interlock.gateway.dialling import connect
from interlock.gateway.listening import Listener, open_listener
from interlock.gateway.loop import pump_of
from interlock.gateway.pump import Pump
from interlock.gateway.settings import Listen
from interlock.gateway.tls import upstream_context
from interlock.ports.precedents import Precedents
from interlock.ports.protocol import (
    Admission,
    Aside,
    Credentials,
    Impact,
    PeerCertificate,
    Proceed,
    Refused,
    Scene,
    Verdict,
)
from interlock.ports.sample import NO_SAMPLE, Sample
from interlock.ports.statement import Outcome, Statement
from interlock.protocols.postgres import PROTOCOL

PASSWORD = "let-me-in"
_HIGH, _LOW = 256 * 1024, 64 * 1024

Rule = Callable[[Statement], Verdict | None]


def always(statement: Statement) -> Verdict:
    return Proceed()


@dataclass
class Upstream:
    """Where the harness connects, as whom, and with which settings of the resource."""

    host: str
    port: int
    database: str
    user: str = "postgres"
    secret: str | None = None
    tls: dict[str, str] | None = None
    read_only: bool = False
    personal: bool = False
    settings: dict[str, object] = field(default_factory=dict)

    def admission(self) -> Admission:
        settings: dict[str, object] = {"database": self.database, **self.settings}
        if self.tls is not None:
            settings["tls"] = self.tls
        if self.personal:
            settings["account"] = "per-person"
        resource = Resource("orders", "postgres", self.host, self.port, settings=settings)
        return Admission("s-1", "dev", resource, UpstreamCredential(self.user, self.secret), self.read_only)


@dataclass
class TinyGateway:
    """The listener. ``sessions`` are all connections so far, the newest last."""

    upstream: Upstream
    rule: Rule = always
    on_hold: Callable[[Impact], Proceed | Refused | None] = lambda impact: None
    port: int = 0
    context: ssl.SSLContext | None = None
    sessions: "list[Session]" = field(default_factory=list)
    asides: int = 0
    clear_text: bool = False
    pump: Pump = field(init=False)

    @property
    def session(self) -> "Session":
        return self.sessions[-1]

    def texts(self) -> list[str]:
        """The texts of all statements that were asked about, by all sessions."""
        return [statement.text for session in self.sessions for statement in session.asked.values()]

    def dsn_url(self, database: str = "orders") -> str:
        return f"postgresql://dev:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def dsn(self, **more: str) -> str:
        parts = {
            "host": "127.0.0.1",
            "port": str(self.port),
            "dbname": "orders",
            "user": "dev",
            "password": PASSWORD,
            "sslmode": "require",
            **more,
        }
        escaped = {name: part.replace("\\", "\\\\").replace("'", "\\'") for name, part in parts.items()}
        return " ".join(f"{name}='{part}'" for name, part in escaped.items())


class Session:
    """One connection: owner of both sides, and the machine's outlet."""

    def __init__(self, gateway: TinyGateway) -> None:
        self._gateway = gateway
        self._client: Connection | None = None
        self._server: Connection | None = None
        self.machine = PROTOCOL.open_machine(self)
        self.asked: dict[int, Statement] = {}
        self.finished: dict[int, Outcome] = {}
        self.held: dict[int, Impact] = {}
        self.samples: dict[int, Sample] = {}
        self.withdrawn: list[int] = []
        self.keys: list[bytes] = []
        self.credentials: Credentials | None = None
        self.is_established = False
        self.faults: list[BaseException] = []
        self.pauses = 0
        self.why = ""
        gateway.sessions.append(self)

    # the connections' owner

    def connection_opened(self, connection: Connection) -> None:
        if self._client is None:
            self._client = connection
            return
        self._server = connection
        self._call(self.machine.upstream_opened)

    def received(self, connection: Connection, payload: bytes) -> None:
        if connection is self._client:
            self._call(self.machine.client_bytes, payload)
        else:
            self._call(self.machine.upstream_bytes, payload)

    def secured(self, connection: Connection, certificate: bytes | None) -> None:
        if connection is self._client:
            self._call(self.machine.client_secured, PeerCertificate(certificate) if certificate else None)
        else:
            self._call(self.machine.upstream_secured)

    def peer_finished(self, connection: Connection) -> None:
        self.connection_lost(connection, "")

    def connection_lost(self, connection: Connection, why: str) -> None:
        if connection is self._client:
            self._call(self.machine.client_closed)
        else:
            self._call(self.machine.upstream_closed, why)
        self.close()

    def write_pressure(self, connection: Connection, *, high: bool) -> None:
        other = self._server if connection is self._client else self._client
        if other is not None:
            (other.pause if high else other.resume)()

    def _call(self, method: Callable[..., None], *arguments: object) -> None:
        try:
            method(*arguments)
        except PeerError as error:
            self.faults.append(error)
            self.close(str(error))
        except Exception as error:
            self.faults.append(error)
            self.close("a fault")
            raise

    def decide(self, number: int, verdict: Proceed | Refused) -> None:
        self._call(self.machine.decided, number, verdict)

    # the outlet

    def to_client(self, payload: bytes | bytearray | memoryview) -> None:
        if self._client is not None:
            self._client.send(payload)

    def to_upstream(self, payload: bytes | bytearray | memoryview) -> None:
        if self._server is not None:
            self._server.send(payload)

    def secure_client(self, after: bytes = b"", rest: bytes = b"", alpn: tuple[str, ...] = ()) -> None:
        context = self._gateway.context
        if self._client is None or context is None:
            raise RuntimeError("no client to secure")
        if alpn:
            context.set_alpn_protocols(list(alpn))
        self._client.send(after)
        self._client.secure(context, rest=rest)

    def refuse_clear_text(self) -> Refused | None:
        return None if self._gateway.clear_text else Refused("This connection is not encrypted.", "clear-text")

    def secure_upstream(self, server_name: str, mode: str, trust: str | None = None) -> None:
        if self._server is not None:
            self._server.secure(upstream_context(mode, trust), server_name=server_name)

    def authenticate(self, credentials: Credentials) -> None:
        self.credentials = credentials
        loop = asyncio.get_running_loop()
        if credentials.resource != "orders":
            loop.call_soon(self._call, self.machine.turned_away, Refused("There is no such resource for you."))
        elif credentials.certificate is None and credentials.password != PASSWORD:
            loop.call_soon(self._call, self.machine.turned_away, Refused("The password is not valid any more."))
        else:
            loop.call_soon(self._call, self.machine.admitted, self._gateway.upstream.admission())

    def open_upstream(self) -> None:
        asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        upstream = self._gateway.upstream
        path = f"{upstream.host}/.s.PGSQL.{upstream.port}" if upstream.host.startswith("/") else ""
        try:
            sock = await connect(path or upstream.host, upstream.port)
        except OSError as error:
            self._call(self.machine.upstream_closed, f"{error.strerror or error}")
        else:
            self._gateway.pump.open(sock, Connection(self, _HIGH, _LOW))

    def open_aside(self, aside: Aside) -> None:
        self._gateway.asides += 1
        asyncio.get_running_loop().create_task(self._carry_aside(aside))

    async def _carry_aside(self, aside: Aside) -> None:
        upstream = self._gateway.upstream
        sock = await connect(upstream.host, upstream.port)
        self._gateway.pump.open(sock, Connection(AsideOwner(aside), _HIGH, _LOW))

    def established(self) -> Precedents:
        self.is_established = True
        return Precedents()

    def ask(self, number: int, statement: Statement) -> Verdict | None:
        self.asked[number] = statement
        verdict = self._gateway.rule(statement)
        if verdict is None:
            asyncio.get_running_loop().call_later(0.01, self.decide, number, Proceed())
        return verdict

    def hold(self, number: int, impact: Impact, sample: Sample = NO_SAMPLE) -> None:
        self.samples[number] = sample
        self.held[number] = impact
        self._call_soon_told("Statement held: another person must approve it.")
        verdict = self._gateway.on_hold(impact)
        if verdict is not None:
            asyncio.get_running_loop().call_later(0.02, self.decide, number, verdict)

    def _call_soon_told(self, sentence: str) -> None:
        asyncio.get_running_loop().call_soon(self._call, self.machine.told, sentence)

    def withdraw(self, number: int) -> None:
        self.withdrawn.append(number)
        asyncio.get_running_loop().call_soon(self.decide, number, Refused("Withdrawn.", "withdrawn"))

    def record(self, number: int, scene: Scene, then: Callable[[], None], *, durable: bool = False) -> None:
        raise AssertionError("PostgreSQL has no terminal")

    def finish(self, number: int, outcome: Outcome) -> None:
        if number in self.finished:
            raise RuntimeError(f"statement {number} finished twice")
        self.finished[number] = outcome

    def mint_interrupt_key(self, size_bytes: int) -> bytes:
        key = bytes([0, 0, 0, len(self._gateway.sessions)]) + bytes(range(size_bytes - 4))
        self.keys.append(key)
        return key

    def interrupt(self, key: bytes) -> None:
        for session in self._gateway.sessions:
            if key in session.keys:
                asyncio.get_running_loop().call_soon(session._call, session.machine.interrupted)

    def pause_client(self) -> None:
        self.pauses += 1
        if self._client is not None:
            self._client.pause()

    def resume_client(self) -> None:
        if self._client is not None:
            self._client.resume()

    def close(self, why: str = "") -> None:
        self.why = self.why or why
        for side in (self._client, self._server):
            if side is not None:
                side.close()


async def until(condition: Callable[[], object], within_s: float = 30) -> None:
    """Wait until ``condition`` holds; fail when it does not in time."""
    for _ in range(int(within_s / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError("what the test waits for did not happen")


class AsideOwner:
    """Drives an aside over one connection."""

    def __init__(self, aside: Aside) -> None:
        self._aside = aside
        self._connection: Connection | None = None

    def connection_opened(self, connection: Connection) -> None:
        self._connection = connection
        self._aside.opened(self)

    def received(self, connection: Connection, payload: bytes) -> None:
        self._aside.received(payload)

    def secured(self, connection: Connection, certificate: bytes | None) -> None:
        self._aside.secured()

    def peer_finished(self, connection: Connection) -> None:
        connection.close()

    def connection_lost(self, connection: Connection, why: str) -> None:
        return

    def write_pressure(self, connection: Connection, *, high: bool) -> None:
        return

    def send(self, payload: bytes) -> None:
        if self._connection is not None:
            self._connection.send(payload)

    def secure(self, server_name: str, mode: str, trust: str | None = None) -> None:
        if self._connection is not None:
            self._connection.secure(upstream_context(mode, trust), server_name=server_name)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def write_identity(folder: Path) -> tuple[Path, Path]:
    """A key and a self-signed certificate for 127.0.0.1 and localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_file, certificate_file = folder / "server.key", folder / "server.pem"
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    key_file.chmod(0o600)
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key_file, certificate_file


@asynccontextmanager
async def serving(gateway: TinyGateway, identity: tuple[Path, Path]) -> AsyncIterator[TinyGateway]:
    """Listen on a free port until the block ends."""
    key_file, certificate_file = identity
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    gateway.context = context
    loop = asyncio.get_running_loop()
    sock = open_listener("postgres", Listen("127.0.0.1", 0))
    gateway.port = sock.getsockname()[1]
    with pump_of(loop) as gateway.pump:
        listener = Listener(loop, gateway.pump, sock, lambda: Connection(Session(gateway), _HIGH, _LOW))
        try:
            yield gateway
        finally:
            listener.close()
            for session in gateway.sessions:
                session.close()
            await asyncio.sleep(0.05)
