"""Keeps a worker's knowledge current by the control plane's feed, and says when it is too old to be used.

Rules that everything else relies on:

* INVARIANT: ``fresh`` is true only while the lease runs, the clocks agree, the rules of the active policy are built
  and the control plane has not said to stop. Nothing is decided otherwise, and nobody switches it on: it comes back
  with the control plane.
* What the feed says is applied in order and at once; a message that does not fit what is known (one before it that was
  never heard, a row that cannot be read, a time that jumped) makes everything stale until a new snapshot has come.
* A lost connection is mended with back-off. While the lease still runs that changes nothing.
* A new policy is compiled in a thread. Grants and persons that end with it end at once; statements wait until the new
  rules stand, for they may be narrower.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from interlock.domain.snapshot import PolicyText, Snapshot
from interlock.errors import InterlockError
from interlock.gateway.clock import WorkerClock
from interlock.gateway.feed_messages import (
    Beat,
    Change,
    FeedBroken,
    Key,
    Stop,
    WatchAsked,
    Whole,
    apply_change,
    check_version,
    read_message,
)
from interlock.gateway.rules import Rules
from interlock.ports.control import ControlPlane

_LOG = logging.getLogger("interlock.gateway")
_LONGEST_PAUSE_S = 2.0
_LOOK_S = 0.25
_FIRST_LEASE_S = 10.0


class FollowerListener(Protocol):
    """Who is told what became known. Called on the loop, in order, never with an await in between."""

    def changed(self, touched: frozenset[Key] | None) -> None:
        """These rows changed; None: anything may have (a snapshot, other rules, another time)."""

    def refreshed(self) -> None:
        """What was known had been stale and is fresh again: statements that wait may be decided."""

    def applied(self, version: int, *, ended: bool) -> None:
        """Everything up to ``version`` is known and was told to ``changed``; ``ended``: something may have ended by it,
        and somebody waits to hear that it did."""

    def watch_asked(self, session: str, ticket: str) -> None: ...


class _Nobody:
    def changed(self, touched: frozenset[Key] | None) -> None:
        return

    def refreshed(self) -> None:
        return

    def applied(self, version: int, *, ended: bool) -> None:
        return

    def watch_asked(self, session: str, ticket: str) -> None:
        return


class Follower:
    """``snapshot`` and ``rules`` are what is known; look at ``fresh`` before deciding anything from them."""

    def __init__(
        self,
        control: ControlPlane,
        clock: WorkerClock,
        build: Callable[[PolicyText], Rules],
    ) -> None:
        self.clock = clock
        self.snapshot: Snapshot | None = None
        self.rules: Rules | None = None
        self._pair: tuple[Snapshot, Rules] | None = None
        self._control = control
        self._build = build
        self._listener: FollowerListener = _Nobody()
        self._waiting: set[asyncio.Future[None]] = set()
        self._lease_s = _FIRST_LEASE_S
        self._heard_at = self._connected_at = clock.steady()
        self._deadline = 0.0
        self._wanted: PolicyText | None = None
        self._stopped = ""
        self._building: asyncio.Task[None] | None = None
        self._why = "this gateway has not reached the control plane yet"
        self._was_fresh = False
        self._pause_s = 0.0

    def listen(self, listener: FollowerListener) -> None:
        """Who is told from now on. Before ``run``."""
        self._listener = listener

    @property
    def fresh(self) -> bool:
        return self.clock.steady() < self._deadline and self._wanted is None and not self._stopped

    @property
    def hearing(self) -> bool:
        """Whether the lease runs, whatever else keeps this worker from deciding."""
        return self.clock.steady() < self._deadline

    def known(self) -> tuple[Snapshot, Rules] | None:
        """What may be decided from, or None while it is stale."""
        return self.known_at(self.clock.steady())

    def known_at(self, steady_s: float) -> tuple[Snapshot, Rules] | None:
        """As ``known``, when the clock reads ``steady_s`` now."""
        if self._wanted is not None or self._stopped or steady_s >= self._deadline:
            return None
        snapshot, rules = self.snapshot, self.rules
        if snapshot is None or rules is None:
            return None
        pair = self._pair
        if pair is None or pair[0] is not snapshot or pair[1] is not rules:
            pair = self._pair = (snapshot, rules)
        return pair

    @property
    def why_stale(self) -> str:
        """A clause for people: 'this gateway has not heard from the control plane for 12 s'."""
        if self._wanted is not None and self.clock.steady() < self._deadline:
            return "this gateway is reading a new policy"
        if self._stopped and self.clock.steady() < self._deadline:
            return self._stopped
        if self._deadline > 0.0:
            silent_s = self.clock.steady() - self._heard_at
            return f"this gateway has not heard from the control plane for {silent_s:.0f} s"
        return self._why

    async def become_fresh(self, within_s: float) -> bool:
        """Wait until it is fresh, if it is not. False when it did not become so in time."""
        if not self.fresh:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            await asyncio.wait({waiting}, timeout=within_s)
            self._waiting.discard(waiting)
        return self.fresh

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            while True:
                reader = asyncio.create_task(self._read_feed())
                try:
                    await self._look_after(reader)
                finally:
                    reader.cancel()
                    await asyncio.wait({reader})
                self._note_end(reader)
                self._pause_s = min(_LONGEST_PAUSE_S, max(0.05, self._pause_s * 2))
                await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0))  # noqa: S311 -- spreads reconnections
        finally:
            if self._building is not None:
                self._building.cancel()

    async def _look_after(self, reader: asyncio.Task[None]) -> None:
        """Return when the connection is over or of no more use."""
        while not reader.done():
            await asyncio.wait({reader}, timeout=_LOOK_S)
            jump_s = self.clock.wall_jump()
            if jump_s and self.snapshot is not None:
                self._stale(f"the clock of this gateway's machine jumped by {jump_s:+.0f} s")
                return
            # A connection has one lease to say something, whatever was heard on the one before.
            if self.clock.steady() > max(self._heard_at, self._connected_at) + self._lease_s:
                self._tell_staleness()
                return

    def _note_end(self, reader: asyncio.Task[None]) -> None:
        if reader.cancelled():
            return
        error = reader.exception()
        if isinstance(error, InterlockError):
            _LOG.warning("The feed ended: %s", error)
        elif error is not None and not isinstance(error, FeedBroken):
            _LOG.error("The feed ended by a fault of ours.", exc_info=error)

    async def _read_feed(self) -> None:
        self._connected_at = self.clock.steady()
        known = False
        async with _closing(self._control.feed()) as feed:
            async for plain in feed:
                try:
                    self._take(plain, known=known)
                except FeedBroken as broken:
                    # Now, not when the connection is closed: that takes as long as the other side lets it.
                    self._stale(f"the control plane's feed does not fit what was known ({broken})")
                    raise
                known = True

    def _take(self, plain: Mapping[str, Any], *, known: bool) -> None:
        """``known``: the snapshot of this connection has come."""
        message = read_message(plain)
        if isinstance(message, Whole):
            self._take_snapshot(message)
        elif not known or self.snapshot is None:
            raise FeedBroken("it did not begin with a snapshot")
        elif isinstance(message, Change):
            self._take_change(self.snapshot, message)
        elif isinstance(message, Beat):
            self._take_beat(self.snapshot, message)
        elif isinstance(message, Stop):
            self._stop(message.why)
        elif isinstance(message, WatchAsked):
            self._listener.watch_asked(message.session, message.ticket)

    def _take_snapshot(self, message: Whole) -> None:
        took_s = self.clock.steady() - self._connected_at
        if took_s > message.lease_s:
            raise FeedBroken(f"the snapshot took {took_s:.0f} s to come, longer than the lease")
        if self.snapshot is not None and message.snapshot.version < self.snapshot.version:
            _LOG.warning("The state went back from %d to %d.", self.snapshot.version, message.snapshot.version)
        self._lease_s = message.lease_s
        self._pause_s = 0.0
        self.clock.anchor(message.snapshot.at)
        self.snapshot = message.snapshot
        self._stopped = message.stopped
        self._want(message.snapshot.policy)
        self._listener.changed(None)
        self._listener.applied(message.snapshot.version, ended=True)
        self._hear()

    def _take_change(self, snapshot: Snapshot, change: Change) -> None:
        self._check_time(change.at)
        self.snapshot = apply_change(snapshot, change)
        if change.policy is not None:
            self._want(change.policy)
        self._listener.changed(change.touched)
        self._listener.applied(change.version, ended=change.ends)
        self._hear()

    def _take_beat(self, snapshot: Snapshot, beat: Beat) -> None:
        self._check_time(beat.at)
        check_version(snapshot, beat.version)
        self._listener.applied(beat.version, ended=False)
        self._hear()

    def _check_time(self, at: datetime) -> None:
        off_s = self.clock.hear(at)
        if off_s:
            raise FeedBroken(f"its time was off by {off_s:+.1f} s: a clock jumped, or messages come late")

    def _hear(self) -> None:
        self._heard_at = self.clock.steady()
        self._deadline = self._heard_at + self._lease_s
        self._tell_freshness()

    def _stale(self, why: str) -> None:
        self._why = why
        self._deadline = 0.0
        self._tell_staleness()

    def _stop(self, why: str) -> None:
        self._stopped = why
        if why:
            self._tell_staleness()
        else:
            self._tell_freshness()

    def _tell_staleness(self) -> None:
        if self._was_fresh:
            self._was_fresh = False
            _LOG.warning("Nothing is decided until it is mended: %s.", self.why_stale)

    def _tell_freshness(self) -> None:
        if self.fresh:
            first = not self._was_fresh
            self._was_fresh = True
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)
            if first:
                _LOG.info("What this worker knows is fresh.")
            self._listener.refreshed()

    def _want(self, policy: PolicyText) -> None:
        """Have the rules of ``policy``; until they are built nothing is fresh."""
        if self.rules is not None and self.rules.digest == policy.digest:
            self._wanted = None
            return
        self._wanted = policy
        if self._building is None:
            self._building = asyncio.create_task(self._build_rules())

    async def _build_rules(self) -> None:
        try:
            while (policy := self._wanted) is not None:
                try:
                    rules = await asyncio.to_thread(self._build, policy)
                except Exception:  # noqa: BLE001 -- whatever stops the rules from standing, nothing is decided
                    _LOG.exception("The active policy cannot be used by this gateway; nothing is decided.")
                    # Tried again with the next snapshot, or at once when another policy came meanwhile.
                    if self._wanted is policy:
                        return
                    continue
                if self._wanted is policy and self.snapshot is not None:
                    self.rules = rules
                    self._wanted = None
                    self._listener.changed(None)
                    self._tell_freshness()
        finally:
            self._building = None


@contextlib.asynccontextmanager
async def _closing(feed: AsyncIterator[Mapping[str, Any]]) -> AsyncIterator[AsyncIterator[Mapping[str, Any]]]:
    try:
        yield feed
    finally:
        close = getattr(feed, "aclose", None)
        if close is not None:
            await close()
