"""What a gateway worker is told: everything once, then each change, and a beat in between.

Holds to:

* the first message is a snapshot of one consistent state, and what follows starts exactly behind it
* only what is not over is in it; what ends leaves by a ``drop``. The end of a window needs no message: every row
  carries its window, and the worker's own clock reads it
* each change says which version it comes ``after``, the last one told, so that a worker that missed a message knows
* a beat says that the worker has everything if ``version`` is the last that it was told. INVARIANT: it is sent only
  after the state was asked and had nothing newer, so that a worker that is not being told of changes loses its lease
* INVARIANT: before anything is told by which the worker may go on, it is known for how long it could (``lasts``), to
  all who end something (``services.hearing``); and before the first of it is read
* secrets are fetched from their vaults, kept in memory, and sent to gateways only; they are fetched anew every minute.
  One that cannot be fetched at first is left out, so that its resource cannot be opened, and one that cannot be
  fetched any more stays as it was last known
* while something that must be told what happens is not (``outflow``), gateways are stopped
* a policy that was activated, here or by another control plane, is told at once, with the secrets of its resources
  right after it. Where this control plane cannot read it, or the lease changed, the feeds end, and begin anew
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from interlock.domain.codec import to_plain
from interlock.domain.grants import RequestKind, RequestState
from interlock.domain.snapshot import HeldRequest, PolicyText, Snapshot, UpstreamCredential
from interlock.errors import Failure
from interlock.ports.state import Entity, Reading
from interlock.services.credentials import AccountSecrets, Credentials
from interlock.services.desk import Desk
from interlock.services.endings import MANY
from interlock.services.feed_changes import Translation, credentials_message, held_request
from interlock.services.hearing import BEATS_IN_A_LEASE, longest_after
from interlock.services.outflow import Outflow

Message = Mapping[str, Any]
Lasts = Callable[[timedelta], Awaitable[None]]
"""Makes known that a worker may go on for so long from now (``ports.state.Followings.lasts``)."""

_REFRESH_S = 60.0
_FLOW_S = 1.0
_RECENTLY_DECIDED = 500


async def follow(
    desk: Desk, credentials: Credentials, outflow: Outflow | None = None, *, lasts: Lasts
) -> AsyncGenerator[Message, None]:
    """The feed's messages (``ports.control``), in JSON's own types, without an end of its own.

    Raises Failure when the state is lost or another policy became active. ``watch`` messages are the caller's to add.
    """
    follower = _Follower(desk, credentials, outflow or Outflow(), lasts)
    yield await follower.start()
    async with aclosing(follower.messages()) as messages:
        async for message in messages:
            yield message


async def take_snapshot(
    desk: Desk,
    reading: Reading,
    secrets: Mapping[str, UpstreamCredential],
    own: AccountSecrets | None = None,
) -> Snapshot:
    """Everything that is not over, as it is in ``reading``. ``secrets`` are the credentials by resource, ``own`` makes
    those of people's own accounts."""
    now = desk.clock.now()
    policy = await reading.policy()
    if policy is None:
        raise Failure("No policy is active yet.", "Start the control plane with an interlock.yaml.")
    live = await reading.activities(live=True, limit=MANY)
    return Snapshot(
        version=await reading.ledger_head(),
        at=now,
        policy=policy,
        people={person.name: person for person in await reading.people() if person.active},
        contracts={c.name: c for c in await reading.contracts() if c.ended_at is None and now < c.end},
        grants={grant.id: grant for grant in await reading.grants(active_at=now, limit=MANY)},
        logins={login.id: login for login in await reading.logins(active_at=now)},
        credentials=secrets,
        held=await _held(desk, reading),
        cuts={activity.id: activity.cut_why for activity in live if activity.cut_why},
        alarms={activity.id: activity.held_why for activity in live if activity.held_why},
        accounts={} if own is None else {a.id: own.credential_of(a) for a in await reading.accounts(live=True)},
    )


async def _held(desk: Desk, reading: Reading) -> dict[str, HeldRequest]:
    """Holds that wait or may run, and those ended so lately that a worker may not have heard it."""
    now, hold = desk.clock.now(), desk.configuration.timing.hold
    held = {}
    for state in RequestState:
        if state is RequestState.USED:
            continue
        for request in await reading.requests(
            state=state, limit=MANY if state is RequestState.OPEN else _RECENTLY_DECIDED
        ):
            until = (
                request.expires_at if request.decided_at is None else max(request.expires_at, request.decided_at + hold)
            )
            if request.kind is RequestKind.STATEMENT and now < until:
                held[request.id] = held_request(request)
    return held


class _Follower:
    """One worker's feed."""

    def __init__(self, desk: Desk, credentials: Credentials, outflow: Outflow, lasts: Lasts) -> None:
        self._desk = desk
        self._credentials = credentials
        self._outflow = outflow
        self._lasts = lasts
        self._known_at_s = 0.0
        self._stopped = ""
        self._secrets: dict[str, UpstreamCredential] = {}
        self._version = 0
        """Up to where the state was heard."""
        self._told = 0
        """The version of the last snapshot or change that was told: what concerns no gateway is not."""
        self._translation = Translation((), credentials.accounts)
        self._digest = ""
        """Of the policy whose secrets were told."""
        self._lease_s = 0.0

    async def start(self) -> Message:
        async with self._desk.state.reading() as reading:
            await self._desk.check_policy(reading)
        self._secrets = await self._fetch()
        self._lease_s = self._desk.configuration.timing.lease.total_seconds()
        await self._make_known()
        async with self._desk.state.reading() as reading:
            await self._desk.check_policy(reading)
            snapshot = await take_snapshot(self._desk, reading, self._secrets, self._credentials.accounts)
        self._version = self._told = snapshot.version
        self._translation = Translation(snapshot.alarms, self._credentials.accounts)
        self._stopped = self._outflow.why_stopped
        plain = to_plain(snapshot)
        self._digest = snapshot.policy.digest
        if self._desk.configuration.timing.lease.total_seconds() != self._lease_s:
            raise Failure("The lease has changed.", "The gateways follow anew by themselves.")
        return {"type": "snapshot", "lease_s": self._lease_s, "snapshot": plain, "stopped": self._stopped}

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Whatever comes first of a change, a stop, a beat and fresh credentials, for ever."""
        changes = self._desk.state.changes(self._version)
        coming = asyncio.ensure_future(_next(changes))
        beating = asyncio.ensure_future(asyncio.sleep(0))
        fetching = asyncio.ensure_future(self._fetch_later())
        flowing = asyncio.ensure_future(self._outflow.changed(_FLOW_S))
        try:
            while True:
                await asyncio.wait({coming, beating, fetching, flowing}, return_when=asyncio.FIRST_COMPLETED)
                if flowing.done():
                    flowing = asyncio.ensure_future(self._outflow.changed(_FLOW_S))
                    stopped, self._stopped = self._stopped, self._outflow.why_stopped
                    if stopped != self._stopped:
                        yield {"type": "stop", "why": self._stopped} if self._stopped else {"type": "go"}
                if coming.done():
                    message = self._changed(*coming.result())
                    if self._digest != self._desk.configuration.digest:
                        # Another policy may have other resources: their secrets are fetched now.
                        self._digest = self._desk.configuration.digest
                        fetching.cancel()
                        fetching = asyncio.ensure_future(self._fetch())
                    coming = asyncio.ensure_future(_next(changes))
                    if message is not None:
                        await self._stay_known()
                        yield self._following(message)
                if beating.done():
                    beating = asyncio.ensure_future(asyncio.sleep(self._lease_s / BEATS_IN_A_LEASE))
                    if await self._has_everything():
                        beat = {"type": "beat", "version": self._told, "at": to_plain(self._desk.clock.now())}
                        await self._make_known()
                        yield beat
                if fetching.done():
                    message = self._fetched(fetching.result())
                    fetching = asyncio.ensure_future(self._fetch_later())
                    if message is not None:
                        await self._stay_known()
                        yield self._following(message)
        finally:
            for task in (coming, beating, fetching, flowing):
                task.cancel()
            await asyncio.gather(coming, beating, fetching, flowing, return_exceptions=True)
            if isinstance(changes, AsyncGenerator):
                await changes.aclose()

    def _changed(self, version: int, entities: Sequence[Entity]) -> Message | None:
        self._version = version
        newest = max(
            (entity for entity in entities if isinstance(entity, PolicyText)), key=lambda p: p.version, default=None
        )
        if newest is not None:
            self._desk.adopt(newest)
            if self._desk.configuration.timing.lease.total_seconds() != self._lease_s:
                raise Failure("The lease has changed.", "The gateways follow anew by themselves.")
        return self._translation.message(version, self._desk.clock.now(), entities)

    def _following(self, change: Message) -> Message:
        """``change``, linked to what was told before it."""
        after, self._told = self._told, self._version
        return {**change, "after": after}

    async def _make_known(self) -> None:
        self._known_at_s = time.monotonic()
        await self._lasts(longest_after(timedelta(seconds=self._lease_s)))

    async def _stay_known(self) -> None:
        """What is told now may be gone on with for longer than was said."""
        if time.monotonic() >= self._known_at_s + self._lease_s / BEATS_IN_A_LEASE:
            await self._make_known()

    async def _has_everything(self) -> bool:
        async with self._desk.state.reading() as reading:
            return await reading.ledger_head() <= self._version

    async def _fetch(self) -> dict[str, UpstreamCredential]:
        return await self._credentials.fetch_all(self._desk.configuration.resources)

    async def _fetch_later(self) -> dict[str, UpstreamCredential]:
        await asyncio.sleep(_REFRESH_S)
        return await self._fetch()

    def _fetched(self, fresh: dict[str, UpstreamCredential]) -> Message | None:
        resources = self._desk.configuration.resources
        kept = {name: secret for name, secret in self._secrets.items() if name in resources}
        before, self._secrets = self._secrets, {**kept, **fresh}
        return credentials_message(self._version, self._desk.clock.now(), before, self._secrets)


async def _next(changes: AsyncIterator[tuple[int, Sequence[Entity]]]) -> tuple[int, Sequence[Entity]]:
    try:
        return await anext(changes)
    except StopAsyncIteration as end:
        raise Failure("The state tells of no more changes.", "Start the control plane again.") from end
