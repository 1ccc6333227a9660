"""Signing in to the server: TLS, the startup message, a password in the form it asks for, its first ReadyForQuery.

Everything that goes wrong here is turned into a sentence that names the resource and says who can mend it; the
server's own words are kept inside it.
"""

from collections.abc import Callable

from interlock.domain.resources import Resource
from interlock.errors import PeerError
from interlock.ports.protocol import Admission, Aside, AsideChannel, Outlet
from interlock.protocols.postgres import messages
from interlock.protocols.postgres.framer import Message, Piece
from interlock.protocols.postgres.scram import MECHANISM, ScramClient, md5_answer
from interlock.protocols.postgres.settings import UpstreamTls, choose_tls, is_local, named_application

_OK, _CLEARTEXT, _MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 10, 11, 12


class UpstreamSignIn:
    """One sign-in. ``greeting`` collects what the client must see of it: parameters and notices, in order."""

    def __init__(
        self,
        outlet: Outlet,
        admission: Admission,
        database: str,
        parameters: dict[str, str],
        settle: Callable[[str, str], None],
    ) -> None:
        self._outlet = outlet
        self._resource = admission.resource
        self._credential = admission.credential
        self._tls = choose_tls(admission.resource)
        self._parameters = [*_pin(parameters, admission).items()]
        self._database = database
        self._settle = settle
        self._scram: ScramClient | None = None
        self._proven = False
        self._authenticated = False
        self._awaits_tls = False
        self.greeting: list[bytes] = []
        self.key = b""
        self.done = False

    @property
    def awaits_tls(self) -> bool:
        """Whether the next byte from the server is its answer to the wish for TLS, which is no message."""
        return self._awaits_tls

    def opened(self) -> None:
        if self._tls.mode == "disable":
            self.secured()
        else:
            self._awaits_tls = True
            self._outlet.to_upstream(messages.SSL_REQUEST)

    def answered_tls(self, payload: bytes) -> None:
        read_tls_answer(payload, self._resource)
        self._awaits_tls = False
        self._outlet.secure_upstream(self._resource.host, self._tls.mode, self._tls.trust)

    def secured(self) -> None:
        if self._credential is None:
            raise PeerError(
                f"Interlock has no credential for {self._resource.name}.",
                "Its operator must give the resource a credential in the configuration.",
            )
        start = [("user", self._credential.user), ("database", self._database), *self._parameters]
        self._outlet.to_upstream(messages.startup(start))

    def take(self, piece: Piece) -> None:
        """One message of the server's, up to the first ReadyForQuery, after which ``done`` is true."""
        code = chr(piece.code)
        if not isinstance(piece, Message):
            raise self._out_of_place(code)
        if code == "R" and not self._authenticated:
            self._take_authentication(piece.raw)
        elif code == "E":
            raise self._refused(messages.read_fields(piece.raw))
        elif code == "N":
            self.greeting.append(piece.raw)
        elif not self._authenticated or code not in "SKZ":
            raise self._out_of_place(code)
        elif code == "S":
            self._settle(*messages.read_parameter_status(piece.raw))
            self.greeting.append(piece.raw)
        elif code == "K":
            self.key = piece.raw[5:]
        else:
            if messages.read_ready(piece.raw) != ord("I"):
                raise self._out_of_place(code)
            self.done = True

    def _take_authentication(self, raw: bytes) -> None:
        if len(raw) < 9:
            raise messages.malformed("Authentication")
        method = int.from_bytes(raw[5:9], "big")
        body = raw[9:]
        if method == _OK:
            if self._scram is not None and not self._proven:
                raise PeerError(f"The server of {self._resource.name} ended the SCRAM sign-in without its proof.")
            self._authenticated = True
        elif method == _CLEARTEXT:
            self._give_cleartext()
        elif method == _MD5 and len(body) == 4:
            self._outlet.to_upstream(messages.password(md5_answer(self._user(), self._secret(), body)))
        elif method == _SASL:
            self._start_scram(body)
        elif method == _SASL_CONTINUE and self._scram is not None:
            self._outlet.to_upstream(messages.sasl_response(self._scram.final(body)))
        elif method == _SASL_FINAL and self._scram is not None:
            self._scram.check(body)
            self._proven = True
        else:
            raise PeerError(
                f"The server of {self._resource.name} asks for a sign-in of kind {method}, which Interlock cannot do.",
                "Its operator may allow scram-sha-256 for Interlock's user in pg_hba.conf.",
            )

    def _give_cleartext(self) -> None:
        secret = self._secret()
        if self._tls.mode == "disable" and not is_local(self._resource.host):
            raise PeerError(
                f"The server of {self._resource.name} asks for the password in clear text over a connection without"
                " TLS, and does not get it.",
                "Its operator may turn on TLS for the resource, or scram-sha-256 in pg_hba.conf.",
            )
        self._outlet.to_upstream(messages.password(messages.encode(secret)))

    def _start_scram(self, body: bytes) -> None:
        if self._scram is not None or MECHANISM.encode() not in body.split(b"\x00"):
            raise PeerError(f"The server of {self._resource.name} offers no SCRAM-SHA-256 sign-in.")
        self._scram = ScramClient(self._secret())
        self._outlet.to_upstream(messages.sasl_initial(MECHANISM, self._scram.first()))

    def _user(self) -> str:
        return self._credential.user if self._credential is not None else ""

    def _secret(self) -> str:
        if self._credential is None or self._credential.secret is None:
            raise PeerError(
                f"The server of {self._resource.name} asks for a password, and Interlock has none for it.",
                "Its operator must give the resource's credential a secret in the configuration.",
            )
        return self._credential.secret

    def _out_of_place(self, code: str) -> PeerError:
        return PeerError(f"The server of {self._resource.name} sent {code!r} in the middle of the sign-in.")

    def _refused(self, fields: dict[str, str]) -> PeerError:
        name = self._resource.name
        sqlstate, said = fields.get("C", ""), fields.get("M", "no reason given")
        quoted = f"It said: {said} ({sqlstate})."
        if sqlstate.startswith("28"):
            return PeerError(
                f"The server of {name} refused the credential that Interlock has for it. {quoted}",
                f"The operator of {name} must mend the credential in the configuration.",
            )
        if sqlstate == "3D000":
            return PeerError(
                f"The server of {name} has no database called {self._database!r}.", f"Connect with dbname={name}."
            )
        if sqlstate in ("53300", "57P03"):
            return PeerError(f"The server of {name} takes no connection now. {quoted}", "Try again in a moment.")
        return PeerError(f"The server of {name} did not open a session. {quoted}", f"Ask the operator of {name}.")


def _pin(parameters: dict[str, str], admission: Admission) -> dict[str, str]:
    """The client's settings with those that Interlock relies on. A reader's session is read-only at the server too,
    and on an account that is shared the name of the application says whose session it is."""
    pinned = {"client_encoding": "UTF8", **parameters, "standard_conforming_strings": "on"}
    if admission.read_only:
        pinned["default_transaction_read_only"] = "on"
    if not admission.resource.personal:
        pinned["application_name"] = named_application(admission.person, parameters.get("application_name", ""))
    return pinned


def read_tls_answer(payload: bytes, resource: Resource) -> None:
    """The server's answer to the wish for TLS. Bytes after it would be read as if they had come inside TLS."""
    if payload == b"S":
        return
    if payload[:1] == b"N":
        raise PeerError(
            f"The server of {resource.name} does not offer TLS, which the configuration asks for.",
            "Its operator may turn TLS on there, or write tls: {mode: disable} for the resource.",
        )
    raise PeerError(f"The server of {resource.name} answered the wish for TLS with something else.")


class CancelAside:
    """One connection to the server that carries a cancel request with the server's own key, and ends."""

    def __init__(self, resource: Resource, key: bytes) -> None:
        self._resource = resource
        self._tls: UpstreamTls = choose_tls(resource)
        self._key = key
        self._channel: AsideChannel | None = None

    def opened(self, channel: AsideChannel) -> None:
        self._channel = channel
        if self._tls.mode == "disable":
            self.secured()
        else:
            channel.send(messages.SSL_REQUEST)

    def received(self, payload: bytes) -> None:
        if self._channel is not None:
            read_tls_answer(payload, self._resource)
            self._channel.secure(self._resource.host, self._tls.mode, self._tls.trust)

    def secured(self) -> None:
        if self._channel is not None:
            self._channel.send(messages.cancel_request(self._key))
            self._channel.close()
            self._channel = None


def open_cancel(resource: Resource, key: bytes) -> Aside:
    return CancelAside(resource, key)
