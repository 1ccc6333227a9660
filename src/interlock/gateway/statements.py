"""The statements of one session, from ``ask`` to ``finish``: decided, recorded, let through, refused or held.

INVARIANT: a Proceed is given only when a decision from fresh knowledge allows the statement, the machine can keep every
obligation, and the statement's record is in the journal: on disk when its change can take effect at once.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Protocol

from interlock.domain.decisions import Decision, Fence
from interlock.domain.decisions import Effect as Allow
from interlock.domain.snapshot import Snapshot
from interlock.errors import Misuse
from interlock.gateway.holds import Hold
from interlock.gateway.judging import Judge, Party
from interlock.gateway.recorder import Recording
from interlock.gateway.rules import Rules
from interlock.gateway.shared import Shared
from interlock.ports.precedents import Precedents
from interlock.ports.protocol import Held, Impact, Proceed, Refused, Verdict
from interlock.ports.sample import NO_SAMPLE, Sample
from interlock.ports.statement import Described, Outcome, Statement

_LOG = logging.getLogger("interlock.gateway")
_NONE = -1
"""No statement's number."""


class Stage(Enum):
    """``parked`` waits for fresh knowledge, ``recording`` for the disk, ``held`` for people; then it proceeds."""

    PARKED = "parked"
    RECORDING = "recording"
    HELD = "held"
    PROCEEDING = "proceeding"


# Looked up for every statement.
_PARKED, _PROCEEDING = Stage.PARKED, Stage.PROCEEDING
_DENY, _HOLD = Allow.DENY, Allow.HOLD


class Pending:
    """A statement that is asked about and not finished. ``proceeded`` once the machine was told so."""

    number: int
    statement: Statement
    stage: Stage
    started_s: float
    decision: Decision | None
    hold: Hold | None
    proceeded: bool
    parked_until: float


def _new_pending(number: int, statement: Statement, started_s: float) -> Pending:
    """``started_s`` is what the worker's clock read. Made for every statement: without what calling a class costs."""
    made = Pending.__new__(Pending)
    made.number = number
    made.statement = statement
    made.stage = _PARKED
    made.started_s = started_s
    made.decision = None
    made.hold = None
    made.proceeded = False
    made.parked_until = 0.0
    return made


class Teller(Protocol):
    """The way back into the machine; each call is an entry of its own, never inside another."""

    def decided(self, number: int, verdict: Proceed | Refused) -> None: ...

    def told(self, sentence: str) -> None: ...


class Statements(Precedents):
    """What a machine asks of the gateway in one session. It is the :class:`~interlock.gateway.holds.HoldParty`."""

    def __init__(self, shared: Shared, party: Party, recording: Recording, teller: Teller) -> None:
        self.shared = shared
        self.session = party.session
        self.rights = party.rights
        self.recording = recording
        self._teller = teller
        self._pending: dict[int, Pending] = {}
        self._parked: dict[int, Pending] = {}
        self._over = False
        self._follower = shared.follower
        self._clock = shared.clock
        self._journal = shared.journal
        self._judge = Judge(shared, party)
        # The one that followed a precedent, and from when.
        self._followed = _NONE
        self._followed_s = 0.0
        self.on_idle: Callable[[], None] | None = None

    @property
    def idle(self) -> bool:
        return not self._pending and self._followed == _NONE

    @property
    def holding(self) -> bool:
        """Whether people are being asked about one of them."""
        return any(pending.hold is not None for pending in self._pending.values())

    @property
    def over(self) -> bool:
        return self._over

    # What the machine asks

    def ask(self, number: int, statement: Statement) -> Verdict | None:
        if number in self._pending:
            raise Misuse(f"statement {number} was asked about twice")
        started_s = self._clock.read()
        pending = _new_pending(number, statement, started_s)
        self._pending[number] = pending
        known = None if self._parked else self._follower.known_at(started_s)
        if known is None:
            self._park(pending)
            return None
        return self._decide(pending, known, started_s)

    def follow(
        self,
        number: int,
        described: Described,
        payload: bytes,
        start: int,
        end: int,
        parameters: tuple[bytes | None, ...],
        formats: tuple[int, ...],
    ) -> bool:
        """As ``ask``, of what is allowed by a decision that was made before and still stands."""
        if self._over or self._followed != _NONE or self._parked:
            return False
        now_s = self._clock.read()
        known = self._follower.known_at(now_s)
        if known is None:
            return False
        judged = self._judge.find_precedent(described, known)
        if judged is None:
            return False
        if self._journal.failure or self._journal.is_stalled():
            return False
        self.recording.statement_of(
            number, described, judged.decision, payload, start, end, False, parameters, formats, now_s
        )
        self._followed = number
        self._followed_s = now_s
        return True

    def ended(self, rows: int, changed: int, size_bytes: int, payload: bytes, start: int, end: int) -> None:
        number, self._followed = self._followed, _NONE
        if number == _NONE:
            raise Misuse("the end was told of a statement that followed no precedent")
        now_s = self._clock.read()
        took_us = int((now_s - self._followed_s) * 1_000_000)
        self.recording.outcome_of(number, rows, changed, size_bytes, payload, start, end, False, took_us, now_s)
        self._look_idle()

    def hold(self, number: int, impact: Impact, sample: Sample = NO_SAMPLE) -> None:
        pending = self._pending.get(number)
        if pending is None or pending.decision is None or pending.hold is not None:
            raise Misuse(f"statement {number} cannot be held now")
        fenced = any(isinstance(one, Fence) for one in pending.decision.obligations)
        if pending.stage is not Stage.HELD and not (pending.stage is Stage.PROCEEDING and fenced):
            raise Misuse(f"statement {number} is not held, and no fence was to be kept on it")
        pending.stage = Stage.HELD
        self._start_hold(pending, impact, sample)

    def withdraw(self, number: int) -> None:
        pending = self._pending.get(number)
        if pending is None or pending.stage is not Stage.HELD:
            return
        if pending.hold is not None:
            pending.hold.withdraw()
        else:
            self.shared.loop.call_soon(
                self.refuse_held, number, Refused("You withdrew it, so it did not run.", "withdrawn")
            )

    def finish(self, number: int, outcome: Outcome) -> None:
        if number == self._followed:
            self._finish_followed(outcome)
            self._look_idle()
            return
        pending = self._pending.get(number)
        if pending is None or not pending.proceeded:
            _LOG.debug("The end of statement %d of %s, which did not proceed.", number, self.session)
            return
        if pending.hold is not None:
            pending.hold.stop("its session no longer waits for it")
        self._forget(number)
        now_s = self._clock.read()
        self.recording.outcome(number, outcome, int((now_s - pending.started_s) * 1_000_000), now_s)

    # What the session tells

    def decide_parked(self) -> None:
        """Knowledge is fresh again: decide what waited, in order."""
        while self._parked and not self._over and (known := self.shared.known) is not None:
            number = next(iter(self._parked))
            pending = self._parked.pop(number)
            self._answer(pending, self._decide(pending, known, self._clock.read()))

    def refuse_overdue(self) -> None:
        """Refuse what has waited too long for fresh knowledge."""
        now = time.monotonic()
        overdue = [pending for pending in self._parked.values() if pending.parked_until <= now]
        for pending in overdue:
            del self._parked[pending.number]
            sentence = stale_sentence(self.shared)
            decision = Decision(Allow.DENY, sentence, needs=pending.statement.needs)
            self.recording.statement(pending.number, pending.statement, decision)
            self._forget(pending.number)
            self._teller.decided(pending.number, Refused(sentence, "stale"))

    def look_at_holds(self, requests: frozenset[str] | None) -> None:
        for pending in self._pending.values():
            if pending.hold is not None and (requests is None or pending.hold.request in requests):
                pending.hold.look()

    def end(self, why: str) -> None:
        """The session is over: nothing proceeds any more; what was under way is written down as cut off."""
        self._over = True
        self._parked.clear()
        for pending in tuple(self._pending.values()):
            if pending.hold is not None:
                pending.hold.stop(f"its session ended: {why}")
            if pending.proceeded:
                self.recording.outcome(pending.number, Outcome(error=f"cut off: {why}"), self._took_us(pending))
        self._pending.clear()
        if self._followed != _NONE:
            self._finish_followed(Outcome(error=f"cut off: {why}"))

    # What a hold tells

    def judge_again(self, number: int) -> Decision | None:
        pending = self._pending.get(number)
        if pending is None:
            return None
        known = self.shared.known
        if known is None:
            return Decision(Allow.DENY, stale_sentence(self.shared), needs=pending.statement.needs)
        return self._judge.judge(pending.statement, known).decision

    def show(self, sentence: str) -> None:
        if not self._over:
            self._teller.told(sentence)

    def refuse_held(self, number: int, refused: Refused) -> None:
        pending = self._pending.get(number)
        if pending is None or self._over or pending.stage is not Stage.HELD:
            return
        pending.hold = None
        self.recording.released(number, Allow.DENY.value, refused.sentence)
        if pending.proceeded:
            # It went out under a fence and was rolled back: the machine finishes it.
            pending.stage = Stage.PROCEEDING
        else:
            self._forget(number)
        self._teller.decided(number, refused)

    def release_held(self, number: int, decision: Decision, reason: str) -> None:
        pending = self._pending.get(number)
        if pending is None or self._over or pending.stage is not Stage.HELD:
            return
        pending.hold = None
        pending.stage = Stage.RECORDING
        # One approved statement ends the alarm's hold that it was held for, and no later one. The feed says so too, and
        # the client may be faster.
        self._judge.meet(pending.decision)
        # The people who approved took the fence away: they saw the count.
        kept = tuple(one for one in decision.obligations if not isinstance(one, Fence))
        pending.decision = replace(decision, obligations=kept)
        self.recording.released(number, Allow.ALLOW.value, reason, then=lambda: self._recorded(pending))

    # Inside

    def _decide(self, pending: Pending, known: tuple[Snapshot, Rules], steady_s: float) -> Verdict | None:
        """``steady_s`` is what the clock reads now."""
        statement = pending.statement
        if self._journal.failure:
            self._forget(pending.number)
            return Refused("The recording cannot be written, so nothing is allowed.", "recording")
        judged = self._judge.judge(statement, known)
        decision = pending.decision = judged.decision
        if judged.at_once and not self._journal.is_stalled():
            self.recording.statement(pending.number, statement, decision, None, steady_s)
            pending.stage = _PROCEEDING
            pending.proceeded = True
            return judged.yes
        if decision.effect is _DENY:
            self.recording.statement(pending.number, statement, decision)
            self._forget(pending.number)
            return Refused(decision.reason)
        if decision.effect is _HOLD:
            pending.stage = Stage.HELD
            self.recording.statement(pending.number, statement, decision)
            return self._held(statement)
        pending.stage = Stage.RECORDING
        self.recording.statement(pending.number, statement, decision, then=lambda: self._recorded(pending))
        return None

    def _held(self, statement: Statement) -> Held:
        rules = self.shared.follower.rules
        if rules is None:
            return Held(measure=statement.measurable)
        timing = rules.configuration.timing
        return Held(statement.measurable, timing.lock_wait.total_seconds(), timing.measure.total_seconds())

    def _recorded(self, pending: Pending) -> None:
        """The record is on disk: the statement may go out."""
        if self._over or pending.stage is not Stage.RECORDING or pending.decision is None:
            return
        pending.stage = Stage.PROCEEDING
        pending.proceeded = True
        self._teller.decided(pending.number, Proceed(pending.decision.obligations))

    def _answer(self, pending: Pending, verdict: Verdict | None) -> None:
        """Tell the verdict on a statement that was parked. The machine was not asked to measure it."""
        if isinstance(verdict, Held):
            self._start_hold(pending, Impact(unmeasured="The gateway had lost the control plane when it came."))
        elif verdict is not None:
            self._teller.decided(pending.number, verdict)

    def _start_hold(self, pending: Pending, impact: Impact, sample: Sample = NO_SAMPLE) -> None:
        if pending.decision is None:
            raise Misuse("a statement is held that was never decided")
        pending.hold = Hold(self, pending.number, pending.statement, pending.decision, (impact, sample))
        pending.hold.start()

    def _park(self, pending: Pending) -> None:
        wait_s = self.shared.limits.stale_wait_s
        pending.parked_until = time.monotonic() + wait_s
        self._parked[pending.number] = pending
        self.shared.loop.call_later(wait_s + 0.01, self.refuse_overdue)

    def _took_us(self, pending: Pending) -> int:
        return int((self._clock.read() - pending.started_s) * 1_000_000)

    def _finish_followed(self, outcome: Outcome) -> None:
        number, self._followed = self._followed, _NONE
        now_s = self._clock.read()
        self.recording.outcome(number, outcome, int((now_s - self._followed_s) * 1_000_000), now_s)

    def _forget(self, number: int) -> None:
        self._pending.pop(number, None)
        self._look_idle()

    def _look_idle(self) -> None:
        if self.on_idle is not None and self.idle:
            self.on_idle()


def stale_sentence(shared: Shared) -> str:
    return f"Nothing is allowed now, because {shared.follower.why_stale}. Try again in a moment."
