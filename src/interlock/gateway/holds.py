"""One held statement, from the measured impact to the answer.

The request is opened, the client is told what it waits for, and the feed says how the request stands. On a yes the
statement is judged once more, the approval is taken (which succeeds once), the release is written down durably, and the
statement proceeds. Every other end is a refusal. INVARIANT: no time-out and no failure ever lets it proceed.
"""

import asyncio
import secrets
import time
from typing import Protocol

from interlock.domain.decisions import Decision
from interlock.domain.decisions import Effect as Allow
from interlock.domain.grants import RequestState
from interlock.errors import Failure, Refusal
from interlock.gateway.admission import Rights
from interlock.gateway.recorder import Recording, show_parameters
from interlock.gateway.shared import Shared
from interlock.ports.control import ControlPlane, HoldOpened, HoldOpening
from interlock.ports.protocol import Impact, Refused
from interlock.ports.sample import Sample
from interlock.ports.statement import Statement

_LOOK_S = 1.0
_RETRY_S = 0.5
_AFTER_EXPIRY_S = 2.0
_NOT_RUN = "It did not run."


class HoldParty(Protocol):
    """The statements that a hold belongs to."""

    shared: Shared
    session: str
    rights: Rights
    recording: Recording

    def judge_again(self, number: int) -> Decision | None: ...

    def show(self, sentence: str) -> None: ...

    def refuse_held(self, number: int, refused: Refused) -> None: ...

    def release_held(self, number: int, decision: Decision, reason: str) -> None: ...


class _RefusedError(Exception):
    """The hold ends with this answer."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.sentence)
        self.refused = refused


class Hold:
    """``found`` is what the statement would do, and some of the rows that it would touch."""

    def __init__(
        self, party: HoldParty, number: int, statement: Statement, decision: Decision, found: tuple[Impact, Sample]
    ) -> None:
        self.request = ""
        self._party = party
        self._number = number
        self._statement = statement
        self._decision = decision
        self._impact, self._sample = found
        self._news = asyncio.Event()
        self._withdrawn = False
        self._seen = False
        self._stale_since: float | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = self._party.shared.loop.create_task(self._run())

    def look(self) -> None:
        """How the request stands may have changed."""
        self._news.set()

    def withdraw(self) -> None:
        """The client no longer wants it; it is refused."""
        self._withdrawn = True
        self._news.set()

    def stop(self, why: str) -> None:
        """Nobody waits for an answer any more."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            self._withdraw_request(why)

    async def _run(self) -> None:
        try:
            opened = await self._open()
            self._party.recording.held(self._number, opened.request, self._impact)
            self._party.show(describe_hold(opened, self._statement, self._impact))
            decision = await self._approved(opened)
        except _RefusedError as end:
            self._task = None
            self._party.refuse_held(self._number, end.refused)
        except Refusal as refusal:
            self._task = None
            self._party.refuse_held(self._number, Refused(f"{refusal} {_NOT_RUN}", refusal.code))
        else:
            self._task = None
            self._party.release_held(self._number, decision, f"approved: {opened.request}")

    async def _open(self) -> HoldOpened:
        shared, party = self._party.shared, self._party
        opening = HoldOpening(
            session=party.session,
            number=self._number,
            person=party.rights.person,
            resource=party.rights.resource.name,
            roles=self._decision.roles or tuple(sorted(party.rights.roles)),
            text=self._statement.text,
            parameters=show_parameters(self._statement.parameters, self._statement.formats),
            needs=self._statement.needs,
            impact=self._impact,
            why=self._decision.reason or "It changes more rows than the fence lets through.",
            sample=self._sample,
            salt=secrets.token_hex(16),
        )
        while True:
            self._refuse_if_hopeless()
            try:
                # A statement can be asked about only when the control plane knows the session that waits.
                async with asyncio.timeout(_LOOK_S):
                    await shared.reporter.known(party.session)
                opened = await shared.control.open_hold(opening)
            except (Failure, TimeoutError):
                await self._pause(_RETRY_S)
            else:
                self.request = opened.request
                return opened

    async def _approved(self, opened: HoldOpened) -> Decision:
        """Wait for the yes, and use it. Raises _RefusedError, or Refusal when the approval cannot be used."""
        taken = False
        while True:
            self._refuse_if_hopeless()
            if self._party.shared.known is not None and (taken or self._is_approved(opened)):
                decision = self._judge_again()
                if taken:
                    return decision
                taken = await self._take(opened)
            else:
                await self._pause(_LOOK_S)

    async def _take(self, opened: HoldOpened) -> bool:
        try:
            await self._party.shared.control.take_hold(opened.request, opened.digest)
        except Failure:
            await self._pause(_RETRY_S)
            return False
        return True

    def _is_approved(self, opened: HoldOpened) -> bool:
        shared = self._party.shared
        snapshot = shared.follower.snapshot
        stands = None if snapshot is None else snapshot.held.get(opened.request)
        if stands is None:
            if self._seen:
                raise _RefusedError(Refused(f"The request {opened.request} is over. {_NOT_RUN}", "over"))
        else:
            self._seen = True
            if stands.state == RequestState.APPROVED.value:
                return True
            if stands.state != RequestState.OPEN.value:
                sentence = stands.sentence or f"It is {stands.state}."
                raise _RefusedError(Refused(f"{opened.request}: {sentence} {_NOT_RUN}", stands.state))
        if (shared.now() - opened.expires_at).total_seconds() > _AFTER_EXPIRY_S:
            raise _RefusedError(
                Refused(f"{opened.request}: Nobody approved it in time. {_NOT_RUN}", RequestState.EXPIRED.value)
            )
        return False

    def _judge_again(self) -> Decision:
        decision = self._party.judge_again(self._number)
        if decision is None:
            raise _RefusedError(Refused(f"Nothing waits for it any more. {_NOT_RUN}", "over"))
        if decision.effect is Allow.DENY:
            self._withdraw_request("it is no longer allowed")
            raise _RefusedError(Refused(f"It was approved, and is no longer allowed: {decision.reason}"))
        if decision.effect is Allow.HOLD and not set(decision.roles) <= set(self._decision.roles or decision.roles):
            self._withdraw_request("the policy asks for other approvals now")
            raise _RefusedError(
                Refused(f"The policy asks for other approvals now. {_NOT_RUN} Send it again.", "changed")
            )
        return decision

    def _refuse_if_hopeless(self) -> None:
        if self._withdrawn:
            self._withdraw_request("the client withdrew it")
            raise _RefusedError(Refused(f"You withdrew it. {_NOT_RUN}", "withdrawn"))
        shared = self._party.shared
        if shared.known is not None:
            self._stale_since = None
            return
        if self._stale_since is None:
            self._stale_since = time.monotonic()
        if time.monotonic() - self._stale_since > shared.limits.stale_wait_s:
            self._withdraw_request("its gateway lost the control plane")
            raise _RefusedError(
                Refused(f"{_NOT_RUN} Nothing is allowed now, because {shared.follower.why_stale}.", "stale")
            )

    async def _pause(self, most_s: float) -> None:
        # Not ``wait_for``: it swallows a cancellation that comes with the event, and what ended would wait on.
        try:
            async with asyncio.timeout(most_s):
                await self._news.wait()
        except TimeoutError:
            return
        finally:
            self._news.clear()

    def _withdraw_request(self, reason: str) -> None:
        if self.request:
            self._party.shared.run_errand(_withdraw(self._party.shared.control, self.request, reason))


async def _withdraw(control: ControlPlane, request: str, reason: str) -> None:
    """Tell the control plane that nobody waits any more; try until it hears, or the request has surely expired."""
    for pause_s in (*(_RETRY_S * 2**n for n in range(6)), *[30.0] * 20):
        try:
            await control.withdraw_hold(request, reason)
        except Failure:
            await asyncio.sleep(pause_s)
        else:
            return


def describe_hold(opened: HoldOpened, statement: Statement, impact: Impact) -> str:
    """What the waiting person sees."""
    name = statement.summary or "the statement"
    return (
        f"held: request {opened.request} · {describe_impact(name, impact)} · waiting for {opened.who}; Ctrl-C withdraws"
    )


def describe_impact(name: str, impact: Impact) -> str:
    """``DELETE would change 10,000 of 10,000 rows in table public.orders and 30,000 in table public.items``."""
    if impact.unmeasured:
        return f"what {name} would change is not known: {impact.unmeasured.rstrip('.')}"
    verb = "changed" if impact.over_fence is not None else "would change"
    touched = [part for part in impact.parts if part.touched]
    if not touched and impact.over_fence is not None:
        said = f"{name} {verb} {impact.over_fence:,} rows"
    elif not touched:
        said = f"{name} would change no rows"
    else:
        parts = []
        for place, part in enumerate(touched):
            # "1,000 of 0 rows" would say of an INSERT what nobody means.
            total = "" if part.total is None or not part.updated + part.deleted else f" of {part.total:,}"
            rows = " rows" if place == 0 else ""
            parts.append(f"{part.touched:,}{total if place == 0 else ''}{rows} in {part.part}")
        said = f"{name} {verb} {' and '.join(parts)}"
    if impact.over_fence is not None:
        said += ", more than the fence lets through, and was rolled back"
    if impact.dependents:
        said += f" · would go too: {', '.join(impact.dependents)}"
    return said
