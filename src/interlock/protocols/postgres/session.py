"""One client's connection from its first byte to its last: the phases, and what each event means in each of them.

::

    STARTING    the client says who it is and what it wants      startup.py
    ADMITTING   the gateway decides whether it may
    OPENING     the connection to the server is being made
    SIGNING_IN  the server's own handshake                       upstream.py
    OPEN        statements                                       relay.py, steady.py, replies.py
    ENDED       last words are said, nothing counts any more

A phase is only ever left downwards. The client learns that it is in when the server has let the gateway in: until
then every failure can still be told as the one answer to its connection attempt.
"""

from enum import Enum

from interlock.errors import PeerError
from interlock.ports.protocol import Admission, Outlet, PeerCertificate, Proceed, Refused
from interlock.protocols.postgres import messages
from interlock.protocols.postgres.framer import Piece, frame_client, frame_server
from interlock.protocols.postgres.lane import Lane
from interlock.protocols.postgres.names import Running
from interlock.protocols.postgres.reading import Reader
from interlock.protocols.postgres.relay import Relay
from interlock.protocols.postgres.replies import Replies
from interlock.protocols.postgres.reported import ForbiddenStateError, Reported
from interlock.protocols.postgres.sink import Sink
from interlock.protocols.postgres.startup import ClientStartup, StartupError
from interlock.protocols.postgres.steady import Steady
from interlock.protocols.postgres.upstream import UpstreamSignIn, open_cancel

_EARLY_LIMIT = 64 * 1024


class Phase(Enum):
    STARTING = 1
    ADMITTING = 2
    OPENING = 3
    SIGNING_IN = 4
    OPEN = 5
    ENDED = 6


_OPEN = Phase.OPEN


class _Boundary:
    """Around every event: the one place where a broken protocol becomes an answer."""

    __slots__ = ("_machine",)

    def __init__(self, machine: "PostgresMachine") -> None:
        self._machine = machine

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: object) -> None:
        if error is None:
            self._machine.send_gathered()
        elif isinstance(error, PeerError):
            self._machine.end_broken(error)


class PostgresMachine:
    """PostgreSQL's :class:`~interlock.ports.protocol.Machine`."""

    def __init__(self, outlet: Outlet, reader: Reader) -> None:
        self._outlet = outlet
        self._reader = reader
        self._boundary = _Boundary(self)
        self._phase = Phase.STARTING
        self._sink = Sink(outlet.to_client)
        self._startup = ClientStartup(outlet, self._say)
        self._client_framer = frame_client()
        self._server_framer = frame_server()
        self._early = bytearray()
        self._admission: Admission | None = None
        self._sign_in: UpstreamSignIn | None = None
        self._relay: Relay | None = None
        self._replies: Replies | None = None
        self._steady: Steady | None = None
        self._lane: Lane | None = None
        self._reported = Reported(read_only=True)
        self._key = b""
        self._said_last_words = False

    # --- the client

    def client_bytes(self, payload: bytes) -> None:
        if self._phase is not _OPEN:
            self._take_early(payload)
            return
        # As in _Boundary, which costs more than the rest of this.
        lane, steady = self._lane, self._steady
        try:
            if lane is None or steady is None or not lane.ask(payload):
                self._take_from_client(payload)
            elif not lane.taken:
                steady.pump()
        except PeerError as error:
            self.end_broken(error)
            raise
        self.send_gathered()

    def _say(self, message: bytes) -> None:
        self._sink.write(message)

    def _take_early(self, payload: bytes) -> None:
        with self._boundary:
            if self._phase is Phase.STARTING:
                self._startup.received(payload)
                self._after_startup()
            elif self._phase is not Phase.ENDED:
                self._early += payload
                if len(self._early) > _EARLY_LIMIT:
                    raise PeerError("The client sent more than a session's start needs.")

    def client_secured(self, certificate: PeerCertificate | None) -> None:
        with self._boundary:
            self._startup.secured(certificate)

    def client_closed(self) -> None:
        with self._boundary:
            self._leave("the client closed the connection")

    # --- the gateway

    def admitted(self, admission: Admission) -> None:
        with self._boundary:
            if self._phase is Phase.ADMITTING:
                self._admission = admission
                self._phase = Phase.OPENING
                self._outlet.open_upstream()

    def turned_away(self, refusal: Refused) -> None:
        with self._boundary:
            if self._phase is Phase.ADMITTING:
                self._say_last_words("28000", refusal.sentence)
                self._end(refusal.sentence)

    def decided(self, number: int, verdict: Proceed | Refused) -> None:
        with self._boundary:
            if self._relay is not None and self._steady is not None and self._phase is _OPEN:
                if self._lane is not None and self._lane.decided(number, verdict):
                    return
                self._unfold()
                self._relay.decided(number, verdict)
                self._steady.pump()

    def told(self, sentence: str) -> None:
        with self._boundary:
            if self._phase is _OPEN:
                self._sink.interject(messages.notice(sentence))

    def interrupted(self) -> None:
        with self._boundary:
            relay = self._relay
            if relay is None or self._phase is not _OPEN:
                return
            self._unfold()
            relay.cancel()
            if relay.awaiting is not None:
                self._outlet.withdraw(relay.awaiting)
            elif relay.replies.expected:
                self._cancel_upstream()

    def ending(self, sentence: str) -> None:
        with self._boundary:
            if self._phase is not Phase.ENDED:
                self._say_last_words("57P01", sentence)
                self._stop(sentence)

    # --- the server

    def upstream_opened(self) -> None:
        with self._boundary:
            opening, admission = self._startup.opening, self._admission
            if self._phase is not Phase.OPENING or opening is None or admission is None:
                return
            self._phase = Phase.SIGNING_IN
            shared = not admission.resource.personal
            self._reported = Reported(admission.read_only, admission.person if shared else "")
            own = str(admission.resource.settings.get("database") or admission.resource.name)
            if admission.resource.personal and opening.database is not None and opening.database != own:
                raise StartupError(
                    "3D000",
                    f"Your account on {admission.resource.name} is for its database {own} alone.",
                    f"Connect with dbname={admission.resource.name}.",
                )
            database = opening.database or own
            self._sign_in = UpstreamSignIn(self._outlet, admission, database, opening.parameters, self._reported.follow)
            self._sign_in.opened()

    def upstream_secured(self) -> None:
        with self._boundary:
            if self._sign_in is not None and self._phase is Phase.SIGNING_IN:
                self._sign_in.secured()

    def upstream_bytes(self, payload: bytes) -> None:
        if self._phase is not _OPEN:
            self._take_handshake(payload)
            return
        # As in _Boundary, which costs more than the rest of this.
        lane = self._lane
        if lane is not None and lane.taken and lane.take_answer(payload):
            return
        try:
            self._take_from_server(self._server_framer.feed(payload))
        except PeerError as error:
            self.end_broken(error)
            raise
        self.send_gathered()

    def _take_handshake(self, payload: bytes) -> None:
        with self._boundary:
            if self._phase is Phase.SIGNING_IN and self._sign_in is not None and self._sign_in.awaits_tls:
                self._sign_in.answered_tls(payload)
            elif self._phase is Phase.SIGNING_IN:
                self._take_from_server(self._server_framer.feed(payload))

    def upstream_closed(self, why: str) -> None:
        with self._boundary:
            if self._phase is Phase.ENDED:
                return
            name = "" if self._admission is None else self._admission.resource.name
            reason = f": {why.rstrip('.')}" if why else ""
            if self._phase is _OPEN:
                sentence = f"The server of {name} closed the connection{reason}."
            else:
                sentence = f"The server of {name} cannot be reached{reason}. Ask its operator whether it is running."
            self._say_last_words("08006", sentence)
            self._end(sentence)

    # --- in between

    def send_gathered(self) -> None:
        """An event was taken without a fault: what was gathered for either side goes out as one piece."""
        relay = self._relay
        if relay is not None and relay.upstream:
            gathered, relay.upstream = relay.upstream, []
            self._outlet.to_upstream(gathered[0] if len(gathered) == 1 else b"".join(gathered))
        self._sink.flush()

    def end_broken(self, error: PeerError) -> None:
        """The protocol was broken: the client is told, and nothing that was gathered goes upstream."""
        if self._phase is not Phase.ENDED:
            sqlstate = error.sqlstate if isinstance(error, StartupError) else "08P01"
            if isinstance(error, ForbiddenStateError):
                sqlstate = "57P01"
            self._say_last_words(sqlstate, error.sentence, error.remedy)
            self._stop(error.sentence)

    def _unfold(self) -> None:
        """What went the short way goes on the long one, where everything can happen to it."""
        if self._lane is not None:
            self._lane.unfold()

    def _after_startup(self) -> None:
        if not self._startup.done:
            return
        if self._startup.opening is None:
            self._phase = Phase.ENDED
            return
        self._phase = Phase.ADMITTING
        self._early += self._startup.take_rest()

    def _take_from_client(self, payload: bytes) -> None:
        relay, steady = self._relay, self._steady
        if relay is None or steady is None:
            return
        pieces = self._client_framer.feed(payload)
        relay.put(pieces)
        if relay.holding and any(piece.code == ord("X") for piece in pieces):
            self._leave("the client said goodbye")
            return
        steady.pump()

    def _take_from_server(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            if self._phase is _OPEN and self._replies is not None:
                self._replies.take(piece)
            elif self._phase is Phase.SIGNING_IN and self._sign_in is not None:
                self._sign_in.take(piece)
                if self._sign_in.done:
                    self._open(self._sign_in)
        if self._phase is _OPEN and self._steady is not None:
            self._steady.pump()

    def _open(self, sign_in: UpstreamSignIn) -> None:
        """The server let the gateway in: let the client in."""
        opening, admission = self._startup.opening, self._admission
        if opening is None or admission is None:
            return
        self._reported.check_start()
        self._phase = Phase.OPEN
        self._key = sign_in.key
        replies = Replies(self._sink, self._finish, self._reported.follow)
        relay = Relay(self._outlet, admission, self._sink, replies)
        self._relay = relay
        self._replies = replies
        self._steady = Steady(relay, self._reader, self._reported, lambda: self._leave("the client said goodbye"))
        precedents = self._outlet.established()
        framers = (self._client_framer, self._server_framer)
        self._lane = Lane(relay, self._reader, self._steady.scripts, framers, precedents)
        self._sink.write(messages.authentication(0))
        for raw in sign_in.greeting:
            self._sink.write(raw)
        self._sink.write(messages.key_data(self._outlet.mint_interrupt_key(opening.key_bytes)))
        self._sink.write(messages.ready(replies.status))
        early, self._early = bytes(self._early), bytearray()
        if early:
            self._take_from_client(early)

    def _finish(self, running: Running) -> None:
        self._outlet.finish(running.number, running.outcome())

    def _cancel_upstream(self) -> None:
        if self._admission is not None and self._key:
            self._outlet.open_aside(open_cancel(self._admission.resource, self._key))

    def _leave(self, why: str) -> None:
        """The client is gone. A held statement is wanted by nobody any more, a running one is stopped."""
        if self._phase is Phase.ENDED:
            return
        self._stop(why)
        if self._admission is not None:
            self._outlet.to_upstream(messages.TERMINATE)
        self._outlet.close(why)

    def _end(self, why: str) -> None:
        self._stop(why)
        self._sink.flush()
        self._outlet.close(why)

    def _stop(self, why: str) -> None:
        """Nothing more is sent upstream; what runs there is stopped, and everything that was to proceed is finished."""
        self._unfold()
        was_open = self._phase is _OPEN
        self._phase = Phase.ENDED
        relay = self._relay
        if relay is None or not was_open:
            return
        relay.upstream = []
        if relay.awaiting is not None:
            self._outlet.withdraw(relay.awaiting)
        if relay.replies.expected and not relay.replies.fatal:
            self._cancel_upstream()
        relay.abandon()
        relay.replies.abandon(f"not finished: {why}")

    def _say_last_words(self, sqlstate: str, sentence: str, remedy: str = "") -> None:
        """A FATAL error, unless it would fall into the middle of a message, or the server has said its own."""
        relay = self._relay
        if self._said_last_words or not self._sink.between_messages or (relay is not None and relay.replies.fatal):
            return
        self._said_last_words = True
        self._sink.drop_kept()
        self._sink.write(messages.error(sqlstate, f"{sentence} {remedy}".strip(), severity="FATAL"))
        self._sink.flush()
