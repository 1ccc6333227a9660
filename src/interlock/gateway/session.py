"""One client's connection and the machine that speaks for it: everything a machine may ask of the gateway.

It goes through the stages of ``gateway.stages``. Each call into the machine goes through ``_enter``: whatever it raises
ends this session and touches no other.
"""

import logging
from collections.abc import Callable

from interlock.errors import Misuse, PeerError
from interlock.gateway.admission import Rights
from interlock.gateway.connection import Connection
from interlock.gateway.door import judge_clear_text, judge_credentials
from interlock.gateway.feed_messages import Key
from interlock.gateway.judging import Party
from interlock.gateway.recorder import Recording
from interlock.gateway.shared import Shared
from interlock.gateway.sides import Sides
from interlock.gateway.signals import Signals
from interlock.gateway.stages import Stage
from interlock.gateway.standing import Standing
from interlock.gateway.statements import Statements
from interlock.gateway.timers import Timers
from interlock.ports.precedents import Precedents
from interlock.ports.protocol import (
    Aside,
    Credentials,
    Impact,
    Machine,
    PeerCertificate,
    Proceed,
    ProtocolAdapter,
    Refused,
    Scene,
    Verdict,
)
from interlock.ports.sample import NO_SAMPLE, Sample
from interlock.ports.statement import Outcome, Statement
from interlock.services.ids import new_id

_LOG = logging.getLogger("interlock.gateway")
_ADMITTED, _OPEN = Stage.ADMITTED, Stage.OPEN
_LOOK_S = 1.0
_FAULT = "The gateway met a fault of its own and ends this session."


class Session:
    """The machine's Outlet, the owner of both connections, and what the registry of sessions knows."""

    def __init__(self, shared: Shared, adapter: ProtocolAdapter, *, clear_text: bool = False) -> None:
        self.id = ""
        self.stage = Stage.STRANGER
        self._sides = Sides(shared, adapter, self)
        self.client = self._sides.client
        self._shared = shared
        self._adapter = adapter
        self._clear_text = clear_text
        self._upstream: Connection | None = None
        self._machine: Machine | None = None
        self._standing: Standing | None = None
        self._recording: Recording | None = None
        self._statements: Statements | None = None
        self._described = ""
        self._timers = Timers(shared.loop)
        self._signals = Signals(shared, adapter)
        self._said_bytes = 0
        self._client_finished = False
        self._parting = False
        self._why = ""

    # --- the connections

    def connection_opened(self, connection: Connection) -> None:
        if connection is self.client:
            self._shared.strangers.enter(self, self.client.peer)
            self._timers.set("stranger", self._shared.limits.stranger_s, self._too_slow)
            self._enter(self._open_machine)
        elif self.stage is Stage.ADMITTED and self._machine is not None:
            self._upstream = connection
            self._enter(self._machine.upstream_opened)
        else:
            connection.abort()

    def _open_machine(self) -> None:
        self._machine = self._adapter.open_machine(self)

    def received(self, connection: Connection, payload: bytes) -> None:
        machine = self._machine
        if machine is None or (self.stage is not _OPEN and self.stage > _OPEN):
            return
        if connection is not self.client:
            try:
                machine.upstream_bytes(payload)
            except Exception as error:  # noqa: BLE001 -- a machine's fault ends its own session and nothing else
                self._fail(error)
            return
        if self.stage is not _OPEN and self.stage < _ADMITTED:
            self._said_bytes += len(payload)
            if self._said_bytes > self._shared.limits.stranger_bytes:
                self.drop("it sent too much without saying who it is")
                return
        try:
            machine.client_bytes(payload)
        except Exception as error:  # noqa: BLE001 -- as above
            self._fail(error)

    def secured(self, connection: Connection, certificate: bytes | None) -> None:
        machine = self._machine
        if machine is None:
            return
        if connection is self.client:
            shown = None if certificate is None else PeerCertificate(certificate)
            self._enter(lambda: machine.client_secured(shown))
        else:
            self._enter(machine.upstream_secured)

    def peer_finished(self, connection: Connection) -> None:
        if connection is not self.client:
            self._upstream_ended("")
            return
        self._tell_client_closed()
        if self.stage < Stage.LEAVING:
            self._leave_when_idle()

    def connection_lost(self, connection: Connection, why: str) -> None:
        if connection is not self.client:
            self._upstream_ended(why)
            return
        self._tell_client_closed()
        self._why = self._why or why or "the client left"
        self._leave(self._why)
        self._settle()

    def _tell_client_closed(self) -> None:
        """The client sends no more. Said once, by whoever sees it first."""
        if not self._client_finished and self._machine is not None:
            self._client_finished = True
            self._enter(self._machine.client_closed)

    def write_pressure(self, connection: Connection, *, high: bool) -> None:
        self._sides.regulate()

    def _upstream_ended(self, why: str) -> None:
        if self.stage < Stage.LEAVING and self._machine is not None:
            machine = self._machine
            self._enter(lambda: machine.upstream_closed(why))
            self._leave(why or "the resource closed the connection")
        self._sides.close_upstream()
        self._settle()

    # --- Outlet: bytes

    def to_client(self, payload: bytes | bytearray | memoryview) -> None:
        self.client.send(payload)

    def to_upstream(self, payload: bytes | bytearray | memoryview) -> None:
        upstream = self._upstream
        if upstream is not None and (self.stage is _OPEN or self.stage is _ADMITTED or self._parting):
            upstream.send(payload)

    def secure_client(self, after: bytes = b"", rest: bytes = b"", alpn: tuple[str, ...] = ()) -> None:
        self.client.send(after)
        self.client.secure(self._shared.tls.server(alpn), rest=rest)

    def refuse_clear_text(self) -> Refused | None:
        return judge_clear_text(allowed=self._clear_text, local=self.client.local)

    def secure_upstream(self, server_name: str, mode: str, trust: str | None = None) -> None:
        self._sides.secure_upstream(server_name, mode, trust)

    def pause_client(self) -> None:
        self._sides.ask_pause(pause=True)

    def resume_client(self) -> None:
        self._sides.ask_pause(pause=False)

    # --- Outlet: admission

    def authenticate(self, credentials: Credentials) -> None:
        if self.stage is not Stage.STRANGER:
            raise Misuse("a machine authenticated twice")
        shown = (credentials.certificate, credentials.key_certificate, credentials.password)
        if sum(one is not None for one in shown) != 1:
            raise Misuse("exactly one of certificate and password says who a client is")
        self.stage = Stage.ADMITTING
        self._described = credentials.client
        self._shared.run_errand(self._admit(credentials))

    async def _admit(self, credentials: Credentials) -> None:
        # Runs after the machine's call has returned, so that the answer is an entry of its own.
        verdict = await judge_credentials(self._shared, self._adapter.name, credentials, self.client.peer)
        if self.stage is not Stage.ADMITTING or self._machine is None:
            return
        machine = self._machine
        if isinstance(verdict, Refused):
            refused = verdict
            self._why = f"turned away: {refused.sentence}"
            _LOG.info("Turned %s away from %s: %s", self.client.peer, credentials.resource, refused.sentence)
            self._enter(lambda: machine.turned_away(refused))
            self._timers.set("turned away", self._shared.limits.close_s, self.client.abort)
            return
        self._begin(verdict)
        self._enter(lambda: machine.admitted(verdict.admission(self.id)))

    def _begin(self, rights: Rights) -> None:
        shared = self._shared
        self.id = new_id("s")
        self._standing = Standing(shared, self._timers, self.id, rights, ended=self._rights_ended)
        self.stage = Stage.ADMITTED
        shared.strangers.leave(self)
        self._timers.clear("stranger")
        self._recording = Recording(self.id, shared.journal, shared.clock, shared.archive)
        rules = shared.follower.rules
        if rules is not None and rules.configuration.detections:
            self._recording.tally.told = shared.reporter.counted
        self._statements = Statements(shared, Party(self.id, rights, self._adapter.honours), self._recording, self)
        shared.sessions.add(self)
        self._timers.set("handshake", shared.limits.handshake_s, self._upstream_too_slow)
        self._standing.set_window()

    # --- Outlet: the upstream

    def open_upstream(self) -> None:
        if self.stage is not Stage.ADMITTED or self._standing is None:
            raise Misuse("an upstream is opened once, after the admission")
        self._sides.reach(self._standing.rights.resource, self._upstream_ended)

    def open_aside(self, aside: Aside) -> None:
        if self._standing is not None and self.stage is not Stage.OVER:
            self._signals.open_aside(aside, self._standing.rights.resource)

    def established(self) -> Precedents:
        if self.stage is not Stage.ADMITTED or self._standing is None or self._statements is None:
            raise Misuse("only an admitted session is established, once")
        self.stage = Stage.OPEN
        self._timers.clear("handshake")
        rights = self._standing.rights
        start = rights.start(self.id, address=self.client.peer, client=self._described, at=self._shared.now())
        self._shared.archive.expect(self.id)
        self._statements.recording.open(start)
        self._shared.reporter.started(start)
        self._timers.set("unknown", _LOOK_S, self._look_after_start)
        if self._client_finished:
            self._leave_when_idle()
        return self._statements

    # --- Outlet: statements

    def ask(self, number: int, statement: Statement) -> Verdict | None:
        if self.stage is not _OPEN or self._statements is None:
            if self.stage > _OPEN:
                return Refused("The session is over.", "over")
            raise Misuse("a statement was asked about before the session was established")
        return self._statements.ask(number, statement)

    def hold(self, number: int, impact: Impact, sample: Sample = NO_SAMPLE) -> None:
        if self.stage is Stage.OPEN and self._statements is not None:
            self._statements.hold(number, impact, sample)
            self._look_after_client()

    def withdraw(self, number: int) -> None:
        if self._statements is not None:
            self._statements.withdraw(number)

    def finish(self, number: int, outcome: Outcome) -> None:
        if self._statements is not None:
            self._statements.finish(number, outcome)

    def record(self, number: int, scene: Scene, then: Callable[[], None], *, durable: bool = False) -> None:
        recording = self._recording
        if recording is None or self.stage is not _OPEN:
            return
        if durable or self._shared.journal.is_stalled():
            recording.scene(number, scene, lambda: self._enter(then))
        else:
            recording.scene(number, scene)
            then()

    def decided(self, number: int, verdict: Proceed | Refused) -> None:
        machine = self._machine
        if machine is not None and self.stage is Stage.OPEN:
            self._enter(lambda: machine.decided(number, verdict))

    def told(self, sentence: str) -> None:
        machine = self._machine
        if machine is not None and self.stage is Stage.OPEN:
            self._enter(lambda: machine.told(sentence))

    def tell_watched(self) -> None:
        """Somebody looks on: said where the protocol has a terminal to say it on."""
        if getattr(self._adapter, "tells_watched", False):
            self.told("Interlock: somebody looks on from now on. Who it is stands in the ledger.")

    # --- Outlet: interrupts

    def mint_interrupt_key(self, size_bytes: int) -> bytes:
        return self._signals.mint(size_bytes, self._interrupted)

    def interrupt(self, key: bytes) -> None:
        if self.stage is Stage.STRANGER:
            self._signals.interrupt(key, self.client.peer)

    def _interrupted(self) -> None:
        if self.stage is Stage.OPEN and self._machine is not None:
            self._enter(self._machine.interrupted)

    # --- the registry

    @property
    def recording(self) -> Recording | None:
        """Its recording, once it is open."""
        return self._recording if self.stage >= Stage.OPEN else None

    @property
    def rests_on(self) -> frozenset[Key]:
        return frozenset() if self._standing is None else self._standing.rights.rests_on

    def check(self) -> None:
        """Look whether what it rests on still holds, as far as is known."""
        if self._standing is not None and self.stage < Stage.CUT:
            self._standing.check()

    def _rights_ended(self, why: str) -> None:
        self.cut(f"Interlock ended this session: {why}.", why)

    def look_at_holds(self, requests: frozenset[str] | None) -> None:
        if self._statements is not None:
            self._statements.look_at_holds(requests)

    def decide_parked(self) -> None:
        if self._statements is not None:
            self._statements.decide_parked()

    # --- ends

    def close(self, why: str = "") -> None:
        self._leave(why)

    def cut(self, sentence: str, why: str) -> None:
        """End now: the last words go to the client, the upstream is left at once, whatever was under way."""
        if self.stage >= Stage.CUT:
            return
        speak = self.stage < Stage.LEAVING
        self.stage = Stage.CUT
        self._why = why
        if speak and self._machine is not None:
            self._say_last_words(self._machine, sentence)
        else:
            self._sides.abort_upstream()
        self.client.close()
        self._timers.set("last words", self._shared.limits.last_words_s, self._sides.abort)
        self._settle()

    def _say_last_words(self, machine: Machine, sentence: str) -> None:
        self._parting = bool(getattr(self._adapter, "parting", False))
        try:
            machine.ending(sentence)
        except Exception:  # noqa: BLE001 -- a fault in the last words must not keep the session open
            _LOG.exception("%s could not say its last words.", self.id)
        if self._parting:
            # What stops the running command there leaves first; nothing more is read or sent.
            self._parting = False
            self._sides.close_upstream()
        else:
            self._sides.abort_upstream()

    def drop(self, why: str) -> None:
        """Leave at once and say nothing."""
        self._why = self._why or why
        self._leave(why)
        self.client.abort()

    def _leave(self, why: str) -> None:
        if self.stage >= Stage.LEAVING:
            return
        self.stage = Stage.LEAVING
        self._why = self._why or why or "it ended"
        self._sides.close()
        self._timers.set("close", self._shared.limits.close_s, self._sides.abort)
        self._settle()

    def _leave_when_idle(self) -> None:
        """The client sends no more: go when what it sent has been answered."""
        if self.stage is Stage.STRANGER:
            self._leave("the client left")
        elif self.stage is Stage.OPEN and self._statements is not None:
            self._statements.on_idle = self._leave_soon
            self._leave_soon()

    def _leave_soon(self) -> None:
        # Not inside the machine's call: it may go on to the next statement, and what it says goes out first.
        self._shared.loop.call_soon(self._leave_if_idle)

    def _leave_if_idle(self) -> None:
        if self._statements is None or self._statements.idle:
            self._leave("the client left")

    def _settle(self) -> None:
        """Write the end down, and let go of everything, when nothing is connected any more."""
        if self.stage is Stage.OVER or self.stage < Stage.LEAVING:
            return
        shared = self._shared
        shared.strangers.leave(self)
        shared.sessions.remove(self)
        if self._statements is not None and not self._statements.over:
            self._statements.end(self._why)
        self._signals.forget_keys()
        if self._standing is not None:
            self._standing.forget()
        self._timers.clear("stranger", "handshake", "look", "unknown")
        if not self._sides.over:
            return
        self.stage = Stage.OVER
        self._timers.clear_all()
        recording, why = self._recording, self._why
        if recording is not None and recording.written:
            closed_at = shared.now()
            recording.close(why, lambda: shared.archive.take(recording, closed_at, why))
        self._machine = None

    # --- what goes wrong

    def _enter(self, call: Callable[[], None]) -> None:
        if self.stage >= Stage.LEAVING:
            return
        try:
            call()
        except Exception as error:  # noqa: BLE001 -- a machine's fault ends its own session and nothing else
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, PeerError):
            self.cut(str(error), error.sentence)
            return
        _LOG.error("%s ends by a fault of ours.", self.id or "A connection", exc_info=error)
        self.cut(_FAULT, "a fault of the gateway")

    def _too_slow(self) -> None:
        self.drop("it did not say in time who it is")

    def _upstream_too_slow(self) -> None:
        if self._standing is not None:
            self._upstream_ended(f"{self._standing.rights.resource.name} did not let the gateway in in time")

    def _look_after_start(self) -> None:
        """A session that the control plane does not know of, and could name to nobody, lives no longer than the lease:
        not even a statement that runs."""
        shared = self._shared
        if self.stage is not _OPEN or shared.reporter.has_told(self.id):
            return
        if shared.follower.hearing:
            self._timers.set("unknown", _LOOK_S, self._look_after_start)
        else:
            why = f"the control plane does not know of it yet, and {shared.follower.why_stale}"
            self.cut(f"Interlock ended this session: {why}. Connect again in a moment.", why)

    def _look_after_client(self) -> None:
        """While people are asked the client may not be read: ask the kernel whether it is still there."""
        self._timers.clear("look")
        if self._statements is None or not self._statements.holding:
            return
        if self.client.gone:
            self._tell_client_closed()
            self._leave("the client left")
        else:
            self._timers.set("look", _LOOK_S, self._look_after_client)
