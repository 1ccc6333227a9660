"""The seam between the gateway and a protocol.

A protocol is one folder that exports one object, ``PROTOCOL``, of the shape :class:`ProtocolAdapter`. For each
client connection the gateway asks it for a :class:`Machine`: a state machine without sockets, clock or awaits. The
gateway calls the machine when something happened; the machine calls its :class:`Outlet` for what it wants done.
The machine never sees policy: it describes a statement, the gateway decides.

The life of a connection, as calls (``→`` gateway to machine, ``←`` machine to outlet)::

    → client_bytes           ← secure_client        the protocol's own way into TLS, or none
    → client_secured         ← authenticate         a certificate, or a password for one connection
    → admitted               ← open_upstream        admitted carries resource, credential, read-only or not
    → upstream_opened        ← to_upstream          the protocol's own handshake (TLS, SCRAM …)
    → upstream_bytes         ← established          from here statements may be asked about
    → client_bytes           ← ask                  one statement; answered at once or by decided()
      Proceed                ← to_upstream          after which the machine reports ← finish
      Refused                ← to_client            the protocol's own error; the connection stays usable
      Held                   (measure the impact)   ← hold; later → told, then → decided with Proceed or Refused
    → ending                 ← to_client            the last words; the gateway closes both sides after

Rules that the gateway relies on:

* A machine forwards nothing that was not covered by a Proceed, apart from its handshake and bytes that belong to a
  statement that is already proceeding (such as a copy's rows).
* After Proceed for a statement the machine calls ``finish`` exactly once, also when the connection breaks.
* A machine holds bounded memory: it calls ``pause_client`` when it cannot take more, and streams results.
* Everything a machine raises ends the session: :class:`~interlock.errors.PeerError` with its sentence, anything else
  as a fault of ours. Nothing is ever forwarded after an exception.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from interlock.domain.actions import Need
from interlock.domain.decisions import Obligation
from interlock.domain.resources import Resource
from interlock.domain.snapshot import UpstreamCredential
from interlock.ports.precedents import Precedents
from interlock.ports.sample import NO_SAMPLE, Sample
from interlock.ports.statement import Outcome, Statement


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """The client's verified certificate, DER. It was issued by our own authority and is within its window."""

    der: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyCertificate:
    """An OpenSSH user certificate in wire form, of whose key the client proved possession. Not judged otherwise yet."""

    blob: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who the client says it is. Exactly one of ``certificate``, ``key_certificate`` and ``password`` is given.

    ``resource`` is the resource's name as the client wrote it, ``user`` the user it named (may be empty),
    ``client`` a short description of its software for the record.
    """

    resource: str
    user: str = ""
    certificate: PeerCertificate | None = None
    password: str | None = field(default=None, repr=False)
    client: str = ""
    key_certificate: KeyCertificate | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """The gateway's yes to a connection.

    ``read_only`` is true when no grant of the session allows an action that changes anything: the machine must then
    make the upstream refuse changes as well, where the upstream can. ``may_execute`` is true when some grant allows
    ``execute``. ``trust`` is the operator's CA bundle (PEM file) for the upstream's TLS, or None for the system's.
    """

    session: str
    person: str
    resource: Resource
    credential: UpstreamCredential | None
    read_only: bool
    may_execute: bool = False


@dataclass(frozen=True, slots=True)
class Proceed:
    """Yes. The machine must honour every obligation; it declared in ``honours`` which it can."""

    obligations: tuple[Obligation, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """No. ``sentence`` is for the person and says what to do next; ``code`` is a stable word."""

    sentence: str
    code: str = "denied"


@dataclass(frozen=True, slots=True)
class Held:
    """Not yet: another person must approve this very statement.

    The machine measures the impact if it can, within the limits given, and then calls ``Outlet.hold``.
    """

    measure: bool
    lock_wait_s: float = 2.0
    measure_s: float = 15.0


Verdict = Proceed | Refused | Held


@dataclass(frozen=True, slots=True)
class PartImpact:
    """What a statement would do to one part of the resource, such as a table. ``total`` is how many there are."""

    part: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    total: int | None = None

    @property
    def touched(self) -> int:
        return self.inserted + self.updated + self.deleted


@dataclass(frozen=True, slots=True)
class Impact:
    """What a held statement would do, measured; ``unmeasured`` says why not when it could not be.

    ``parts`` are ordered, the statement's own target first. ``dependents`` names what else would go (views, foreign
    keys). ``over_fence`` is the count that the fence met, when the hold comes from a fence.
    """

    parts: tuple[PartImpact, ...] = ()
    dependents: tuple[str, ...] = ()
    unmeasured: str = ""
    over_fence: int | None = None

    @property
    def touched(self) -> int:
        return sum(part.touched for part in self.parts)


@dataclass(frozen=True, slots=True)
class TerminalOutput:
    """What a person was shown. ``text`` may hold control characters and anything else."""

    text: str


@dataclass(frozen=True, slots=True)
class TerminalInput:
    """What a person typed, or sent: secret, since it may be a password. It is recorded and shown to nobody."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TerminalSize:
    columns: int
    rows: int


Scene = TerminalOutput | TerminalInput | TerminalSize
"""A moment of a terminal, which belongs to the statement that it runs in."""


class Outlet(Protocol):
    """What a machine may ask of the gateway. None of these blocks."""

    def to_client(self, payload: bytes | bytearray | memoryview) -> None: ...

    def to_upstream(self, payload: bytes | bytearray | memoryview) -> None: ...

    def secure_client(self, after: bytes = b"", rest: bytes = b"", alpn: tuple[str, ...] = ()) -> None:
        """Start TLS as the server. ``after`` is sent in plain first; ``rest`` was already read and is TLS's.

        ``alpn`` are the application protocol names (RFC 7301) to choose from when the client offers some.
        """

    def refuse_clear_text(self) -> Refused | None:
        """Why the client may not go on without TLS, or None when the operator lets clients on this machine do so.

        A machine asks before it reads anything that would be a secret on the way, such as a password.
        """

    def secure_upstream(self, server_name: str, mode: str, trust: str | None = None) -> None:
        """Start TLS as the client. ``mode`` is ``verify-full``, ``verify-ca`` or ``require``; ``trust`` a PEM file."""

    def authenticate(self, credentials: Credentials) -> None:
        """Answered by ``admitted`` or ``turned_away``. May be called once."""

    def open_upstream(self) -> None:
        """Connect to the admitted resource. Answered by ``upstream_opened`` or ``upstream_closed``."""

    def open_aside(self, aside: "Aside") -> None:
        """One more connection to the session's resource, driven by ``aside``; for out-of-band signals."""

    def established(self) -> Precedents:
        """The upstream's handshake is over: the session is open and its window and grants are watched.

        What it returns a machine may ask in the place of ``ask``, for what it has asked often.
        """

    def ask(self, number: int, statement: Statement) -> Verdict | None:
        """Decide on a statement. ``number`` is the machine's own, growing. None: ``decided`` will be called later."""

    def hold(self, number: int, impact: Impact, sample: Sample = NO_SAMPLE) -> None:
        """The impact of a held statement is known (or why not): ask people. ``told`` and ``decided`` follow.

        ``sample`` are some of the rows that it touches, for those who decide and may read them.
        """

    def withdraw(self, number: int) -> None:
        """The client no longer wants the statement, held already or still measured. Answered by ``decided``, Refused.

        Nothing happens when it is not held, so a machine may call it whenever it waits for a verdict.
        """

    def finish(self, number: int, outcome: Outcome) -> None: ...

    def record(self, number: int, scene: Scene, then: Callable[[], None], *, durable: bool = False) -> None:
        """Write a moment of the terminal of a proceeding statement down; ``then`` hands it on.

        ``then`` is called at once, or with ``durable``, and while the disk hangs, when the record is on disk. Calls
        come in order, and none comes when the session has ended meanwhile.
        """

    def mint_interrupt_key(self, size_bytes: int) -> bytes:
        """A fresh unguessable key under which any connection to any worker may ``interrupt`` this session."""

    def interrupt(self, key: bytes) -> None:
        """A client without a session presented ``key``: deliver ``interrupted`` to the session that has it, if any."""

    def pause_client(self) -> None: ...

    def resume_client(self) -> None: ...

    def close(self, why: str = "") -> None:
        """End the connection after what was sent has left. ``why`` is for the record."""


class Machine(Protocol):
    """One client connection, as a state machine. Called by the gateway, never concurrently."""

    def client_bytes(self, payload: bytes) -> None: ...

    def client_secured(self, certificate: PeerCertificate | None) -> None: ...

    def client_closed(self) -> None: ...

    def admitted(self, admission: Admission) -> None: ...

    def turned_away(self, refusal: Refused) -> None: ...

    def upstream_opened(self) -> None: ...

    def upstream_secured(self) -> None: ...

    def upstream_bytes(self, payload: bytes) -> None: ...

    def upstream_closed(self, why: str) -> None: ...

    def decided(self, number: int, verdict: Proceed | Refused) -> None: ...

    def told(self, sentence: str) -> None:
        """Something the person should see without it being an answer (a NOTICE, a line on a terminal)."""

    def interrupted(self) -> None: ...

    def ending(self, sentence: str) -> None:
        """The session is cut. Send the last words with ``to_client`` now; the gateway closes everything after."""


class Aside(Protocol):
    """An out-of-band connection to the upstream, such as one that carries a cancel request."""

    def opened(self, channel: "AsideChannel") -> None: ...

    def secured(self) -> None: ...

    def received(self, payload: bytes) -> None: ...


class AsideChannel(Protocol):
    def send(self, payload: bytes) -> None: ...

    def secure(self, server_name: str, mode: str, trust: str | None = None) -> None: ...

    def close(self) -> None: ...


class ProtocolAdapter(Protocol):
    """What a protocol folder exports as ``PROTOCOL``.

    ``name`` is the resource's ``kind`` and the listener's name; ``honours`` the obligation types its machine can
    keep: a decision with any other is a deny.

    An adapter may also have ``prepare(folder)``, called in a worker before it listens with the folder that has the
    gateway's own keys (it raises Failure when it cannot use them); ``parting``, true when its machine's ``ending`` may
    send last words to the upstream as well, such as a signal to what runs there; ``listens_when_used``, true when it is
    listened for only while a resource speaks it; and ``upstream_socket``, the name of the Unix socket in the folder
    that is a resource's host, such as ``.s.PGSQL.{port}``; without it such a host is the path of the socket itself.
    """

    @property
    def name(self) -> str: ...

    @property
    def default_port(self) -> int: ...

    @property
    def default_upstream_port(self) -> int: ...

    @property
    def honours(self) -> frozenset[type]: ...

    def check_settings(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """The mistakes in a resource's protocol-specific settings, one sentence each; empty when it is usable."""

    def open_machine(self, outlet: Outlet) -> Machine: ...

    def describe(self, text: str) -> tuple[Need, ...]:
        """What a statement text would need, for ``policy test`` and explanations. Never raises on bad text."""
