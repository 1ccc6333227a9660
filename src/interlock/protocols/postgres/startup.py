"""The client's side of opening a session, until it is known who asks for what.

A connection begins in one of five ways (PostgreSQL documentation, "Start-up", "SSL Session Encryption"):

* ``SSLRequest``: answered ``S``, then TLS; the client begins anew inside of it;
* TLS at once (PostgreSQL 17 clients with ``sslnegotiation=direct``), known by its first byte;
* ``GSSENCRequest``: answered ``N``, the client begins anew;
* ``CancelRequest``: its key is handed on, and the connection ends without an answer, as a server does it;
* ``StartupMessage``: who and what. Only inside TLS, because what follows would otherwise be readable on the way, or
  where the gateway lets a client on its own machine stay in the clear.

A client with a certificate is known by it. Any other is asked for a password, which is one for one connection.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from interlock.errors import PeerError
from interlock.ports.protocol import Credentials, Outlet, PeerCertificate
from interlock.protocols.postgres import messages
from interlock.protocols.postgres.settings import read_client_parameters, split_database

ALPN = ("postgresql",)

_TLS_HANDSHAKE = 0x16
_PACKET_LIMIT = 10_000
_CLEARTEXT_PASSWORD = 3
_LONG_KEY_BYTES = 36
_SHORT_KEY_BYTES = 8


class StartupError(PeerError):
    """A session that cannot open; ``sqlstate`` goes with the sentence."""

    def __init__(self, sqlstate: str, sentence: str, remedy: str = "") -> None:
        super().__init__(sentence, remedy)
        self.sqlstate = sqlstate


@dataclass(slots=True)
class Opening:
    """What the client asked for. ``database`` is None for the resource's own; ``parameters`` may be passed on."""

    resource: str
    user: str
    database: str | None
    parameters: dict[str, str] = field(default_factory=dict)
    long_key: bool = False

    @property
    def key_bytes(self) -> int:
        """How long the key is under which this client may ask for an interruption, in bytes."""
        return _LONG_KEY_BYTES if self.long_key else _SHORT_KEY_BYTES


class ClientStartup:
    """Reads what a client sends before its session. ``send`` is where answers go."""

    def __init__(self, outlet: Outlet, send: Callable[[bytes], None]) -> None:
        self._outlet = outlet
        self._send = send
        self._received = bytearray()
        self._secure = False
        self._securing = False
        self._refused_gss = False
        self._certificate: PeerCertificate | None = None
        self._wants_password = False
        self.opening: Opening | None = None
        self.done = False

    def secured(self, certificate: PeerCertificate | None) -> None:
        """TLS stands. What the client sent before it does not count any more."""
        self._received.clear()
        self._secure = True
        self._securing = False
        self._certificate = certificate

    def received(self, payload: bytes) -> None:
        self._received += payload
        while self._received and not self.done and not self._securing:
            if not (self._read_password() if self._wants_password else self._read_packet()):
                break
        if len(self._received) > 2 * _PACKET_LIMIT:
            raise StartupError("08P01", "The client sent more than a session's start needs.")

    def take_rest(self) -> bytes:
        """What came after the last message read here; it belongs to the session."""
        rest = bytes(self._received)
        self._received.clear()
        return rest

    def _read_packet(self) -> bool:
        received = self._received
        if received[0] == _TLS_HANDSHAKE and not self._secure:
            self._start_tls(b"", bytes(received))
            return False
        if len(received) < 8:
            return False
        length = int.from_bytes(received[:4], "big")
        if not 8 <= length <= _PACKET_LIMIT:
            raise StartupError("08P01", f"The client's first message announces {length} bytes, which none has.")
        if len(received) < length:
            return False
        code = int.from_bytes(received[4:8], "big")
        body = bytes(received[8:length])
        del received[:length]
        self._take_packet(code, body)
        return True

    def _take_packet(self, code: int, body: bytes) -> None:
        if code == messages.SSL_REQUEST_CODE and not self._secure:
            rest = bytes(self._received)
            self._start_tls(b"S", rest)
        elif code == messages.GSSENC_REQUEST_CODE and not self._secure and not self._refused_gss:
            self._refused_gss = True
            self._send(b"N")
        elif code == messages.CANCEL_REQUEST_CODE:
            self.done = True
            if body:
                self._outlet.interrupt(body)
            self._outlet.close("a cancel request")
        else:
            self._take_startup(code, body)

    def _start_tls(self, after: bytes, rest: bytes) -> None:
        self._received.clear()
        self._securing = True
        self._outlet.secure_client(after, rest, ALPN)

    def _take_startup(self, protocol: int, body: bytes) -> None:
        major, minor = protocol >> 16, protocol & 0xFFFF
        if major != 3:
            raise StartupError("0A000", f"PostgreSQL's protocol {major}.{minor} is not spoken here; 3.0 to 3.2 are.")
        asked = messages.read_startup(body)
        refused = None if self._secure else self._outlet.refuse_clear_text()
        if refused is not None:
            raise StartupError("28000", refused.sentence, "Connect with sslmode=require.")
        unknown = [name for name in asked if name.startswith("_pq_.")]
        if protocol > messages.NEWEST_PROTOCOL or unknown:
            self._send(messages.negotiate(min(protocol, messages.NEWEST_PROTOCOL), unknown))
        user = asked.get("user", "")
        resource, database = split_database(asked.get("database") or user)
        if not resource:
            raise StartupError(
                "3D000", "The client did not say which resource it wants.", "Name it as the database: dbname=RESOURCE."
            )
        parameters = self._read_parameters(asked)
        self.opening = Opening(resource, user, database, parameters, long_key=minor >= 2)
        if self._certificate is not None:
            self._authenticate(None)
        else:
            self._wants_password = True
            self._send(messages.authentication(_CLEARTEXT_PASSWORD))

    def _read_parameters(self, asked: dict[str, str]) -> dict[str, str]:
        try:
            return read_client_parameters(asked)
        except PeerError as error:
            raise StartupError("22023", error.sentence, error.remedy) from None

    def _read_password(self) -> bool:
        received = self._received
        if len(received) < 5:
            return False
        length = int.from_bytes(received[1:5], "big")
        if received[0] != ord("p") or not 5 <= length <= _PACKET_LIMIT:
            raise StartupError("08P01", "The client was asked for a password and sent something else.")
        if len(received) < 1 + length:
            return False
        secret = bytes(received[5 : 1 + length])
        del received[: 1 + length]
        if secret.find(b"\x00") != len(secret) - 1:
            raise StartupError("08P01", "The client's password message does not follow PostgreSQL's protocol.")
        self._authenticate(messages.decode(secret[:-1]))
        return True

    def _authenticate(self, password: str | None) -> None:
        opening = self.opening
        if opening is None:
            raise StartupError("08P01", "The client sent a password before it said who it is.")
        self.done = True
        self._outlet.authenticate(
            Credentials(
                resource=opening.resource,
                user=opening.user,
                certificate=self._certificate if password is None else None,
                password=password,
                client=opening.parameters.get("application_name", ""),
            )
        )
