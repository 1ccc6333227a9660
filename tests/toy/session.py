"""One toy connection as a machine: ``HELLO resource [password]``, then a line at a time.

Before HELLO: ``STARTTLS`` (answered ``+TLS``, then TLS), TLS at once (its first byte gives it away), or
``INTERRUPT key``. After it ``KEY`` gives the session's interrupt key. A line that begins with ``+``, ``-``, ``!`` or
``*`` is an answer, a refusal, something told, the last words.
"""

from collections.abc import Generator
from enum import Enum

from interlock.domain.decisions import Fence
from interlock.errors import PeerError
from interlock.ports.protocol import (
    Admission,
    AsideChannel,
    Credentials,
    Held,
    Impact,
    Outlet,
    PartImpact,
    PeerCertificate,
    Proceed,
    Refused,
)
from interlock.ports.statement import Outcome, Statement

from .classify import classify  # noqa: TID252 -- the folder has no name of its own
from .framer import Answers, Lines  # noqa: TID252 -- as above

_ENOUGH_BYTES = 16 * 1024
_TLS_HANDSHAKE = 0x16


class Stage(Enum):
    START = 1
    TLS = 2
    ADMITTING = 3
    OPENING = 4
    OPEN = 5
    ENDED = 6


class Verdict(Enum):
    """What a script waits for: the gateway's verdict."""

    WAITED = "waited"


Script = Generator[str | Verdict, "str | Proceed | Refused", None]
"""Sends lines to the store and is sent their answers; yields ``Verdict.WAITED`` to be sent a verdict."""


class Interrupter:
    """Tells the store to stop what the session runs."""

    def __init__(self, name: str) -> None:
        self._name = name

    def opened(self, channel: AsideChannel) -> None:
        channel.send(f"stop {self._name}\n".encode())
        channel.close()

    def secured(self) -> None:
        return

    def received(self, payload: bytes) -> None:
        return


class ToyMachine:
    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._stage = Stage.START
        self._lines = Lines()
        self._answers = Answers()
        self._certificate: PeerCertificate | None = None
        self._admission: Admission | None = None
        self._number = 0
        self._script: Script | None = None
        self._running = 0
        self._holding = 0
        self._outcome = Outcome()
        self._shown = False
        self._in_transaction = False
        self._client_gone = False
        self._paused = False

    # --- the client

    def client_bytes(self, payload: bytes) -> None:
        if self._stage is Stage.START and payload[0] == _TLS_HANDSHAKE and not self._lines.waiting:
            self._stage = Stage.TLS
            self._outlet.secure_client(rest=payload, alpn=("toy",))
            return
        self._lines.feed(payload)
        self._go_on()

    def client_secured(self, certificate: PeerCertificate | None) -> None:
        self._certificate = certificate
        self._stage = Stage.START

    def client_closed(self) -> None:
        self._client_gone = True
        if self._holding:
            self._outlet.withdraw(self._holding)
        elif self._script is None:
            self._outlet.close("the client left")

    # --- the gateway

    def admitted(self, admission: Admission) -> None:
        self._admission = admission
        self._stage = Stage.OPENING
        self._outlet.open_upstream()

    def turned_away(self, refusal: Refused) -> None:
        self._say(f"-{refusal.sentence}")
        self._outlet.close(refusal.sentence)

    def upstream_opened(self) -> None:
        admission = self._admission
        tls = None if admission is None else admission.resource.settings.get("tls")
        if isinstance(tls, dict):
            self._outlet.secure_upstream("localhost", str(tls["mode"]), tls.get("ca"))
        else:
            self.upstream_secured()

    def upstream_secured(self) -> None:
        admission = self._admission
        if admission is None:
            return
        self._outlet.to_upstream(f"name {admission.session}\n".encode())
        self._stage = Stage.OPEN
        self._outlet.established()
        self._say(f"+welcome {admission.person}{' (read only)' if admission.read_only else ''}")
        self._go_on()

    def upstream_bytes(self, payload: bytes) -> None:
        for part, line, ended in self._answers.feed(payload):
            if self._script is None:
                raise PeerError("The store said something unasked.")
            if self._shown:
                self._outcome = Outcome(rows=1, size_bytes=self._outcome.size_bytes + len(part), tag=line[:20])
                self._outlet.to_client(part)
            if ended:
                self._step(line)
        self._go_on()

    def upstream_closed(self, why: str) -> None:
        self._finish(f"cut off: {why}")
        self._say(f"*The store cannot be reached: {why}" if why else "*The store closed the connection.")
        self._outlet.close(why)

    def decided(self, number: int, verdict: Proceed | Refused) -> None:
        if self._script is not None and number == self._number:
            self._step(verdict)
            self._go_on()

    def told(self, sentence: str) -> None:
        self._say(f"!{sentence}")

    def interrupted(self) -> None:
        if self._holding:
            self._outlet.withdraw(self._holding)
        elif self._running and self._admission is not None:
            self._outlet.open_aside(Interrupter(self._admission.session))

    def ending(self, sentence: str) -> None:
        self._say(f"*{sentence}")
        self._finish("cut off")
        self._stage = Stage.ENDED

    # --- lines

    def _go_on(self) -> None:
        while self._stage in (Stage.START, Stage.OPEN) and self._script is None:
            line = self._lines.take()
            if line is None:
                break
            if self._stage is Stage.START:
                self._start(line)
            else:
                self._take(line)
        if self._paused != (self._lines.waiting > _ENOUGH_BYTES):
            self._paused = not self._paused
            (self._outlet.pause_client if self._paused else self._outlet.resume_client)()
        if self._client_gone and self._script is None and self._stage is Stage.OPEN:
            self._outlet.close("the client left")

    def _start(self, line: str) -> None:
        match line.split():
            case ["STARTTLS"]:
                self._stage = Stage.TLS
                self._outlet.secure_client(after=b"+TLS\n", rest=self._lines.take_all())
            case ["INTERRUPT", key]:
                self._outlet.interrupt(bytes.fromhex(key))
                self._outlet.close("an interrupt")
            case ["HELLO", resource, password]:
                self._stage = Stage.ADMITTING
                self._outlet.authenticate(Credentials(resource, password=password, client="toy"))
            case ["HELLO", resource] if self._certificate is not None:
                self._stage = Stage.ADMITTING
                self._outlet.authenticate(Credentials(resource, certificate=self._certificate, client="toy"))
            case _:
                raise PeerError("A toy begins with HELLO resource password.")

    def _take(self, line: str) -> None:
        if line == "KEY":
            self._say(f"+{self._outlet.mint_interrupt_key(16).hex()}")
            return
        if line == "crash":
            raise RuntimeError("the toy broke")
        self._number += 1
        self._outcome = Outcome()
        self._script = self._run(line, classify(line, in_transaction=self._in_transaction))
        self._step(None)

    def _run(self, line: str, statement: Statement) -> Script:
        number = self._number
        verdict = self._outlet.ask(number, statement)
        if isinstance(verdict, Held):
            impact = yield from self._measure(statement)
            verdict = yield from self._ask_people(number, impact)
        elif verdict is None:
            answered = yield Verdict.WAITED
            verdict = answered if isinstance(answered, Proceed | Refused) else None
        if not isinstance(verdict, Proceed):
            self._say(f"-{verdict.sentence}" if verdict is not None else "-no")
            return
        self._running = number
        fences = [one.rows for one in verdict.obligations if isinstance(one, Fence)]
        if fences and statement.summary == "set":
            yield from self._run_fenced(line, number, fences[0])
        else:
            yield from self._run_plainly(line)

    def _run_plainly(self, line: str) -> Script:
        self._shown = True
        answer = yield line
        self._shown = False
        if isinstance(answer, str) and answer.startswith("+"):
            self._in_transaction = {"begin": True, "commit": False}.get(line, self._in_transaction)
        self._finish()

    def _run_fenced(self, line: str, number: int, rows: int) -> Script:
        yield "begin"
        answer = yield line
        changed = int(str(answer).split()[-1])
        if changed <= rows:
            yield "commit"
            self._say(str(answer))
            self._finish(changed=changed)
            return
        yield "rollback"
        impact = Impact((PartImpact(f"key {line.split()[1]}", updated=changed),), over_fence=changed)
        verdict = yield from self._ask_people(number, impact)
        if isinstance(verdict, Proceed):
            yield from self._run_plainly(line)
        else:
            self._finish("rolled back")
            self._say(f"-{verdict.sentence}")

    def _measure(self, statement: Statement) -> Generator[str | Verdict, "str | Proceed | Refused", Impact]:
        key = statement.text.split()[1]
        answer = yield f"match {key}"
        _, matching, total = str(answer).split()
        return Impact((PartImpact(f"key {key}", deleted=int(matching), total=int(total)),))

    def _ask_people(
        self, number: int, impact: Impact
    ) -> Generator[str | Verdict, "str | Proceed | Refused", Proceed | Refused]:
        self._holding = number
        self._outlet.hold(number, impact)
        verdict = yield Verdict.WAITED
        self._holding = 0
        return verdict if isinstance(verdict, Proceed | Refused) else Refused("no verdict came")

    def _step(self, given: "str | Proceed | Refused | None") -> None:
        script = self._script
        if script is None:
            return
        try:
            wanted = next(script) if given is None else script.send(given)
        except StopIteration:
            self._script = None
            return
        if isinstance(wanted, str):
            self._outlet.to_upstream(f"{wanted}\n".encode())

    def _finish(self, error: str = "", changed: int = 0) -> None:
        if self._running:
            number, self._running = self._running, 0
            done = self._outcome
            self._outlet.finish(number, Outcome(done.rows, changed, done.size_bytes, error, done.tag))

    def _say(self, line: str) -> None:
        self._outlet.to_client(f"{line}\n".encode())
