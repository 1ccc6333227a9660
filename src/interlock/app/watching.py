"""Watches the ledger for what the detections look for: on one elected control plane, on from where the last one was.

Holds to:

* every entry after the first start is looked at, in order; an alarm is raised before the memory goes past its entry
* what came before the watch is learnt from (who used what, how much), and raises nothing
* other detections than the memory was made with: it is made anew, and alarms go on from where they were; so it is when
  the policy changes while it watches
* while nothing is looked for, nothing is read, and what happens meanwhile raises nothing later
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

from interlock.app.background import beside, for_good, when_elected
from interlock.errors import Failure
from interlock.ledger.entries import Unreadable, read_body
from interlock.ledger.watch import Watch, digest_of
from interlock.ports.state import WatchMemory
from interlock.services.desk import Desk
from interlock.services.raise_alarm import raise_alarm
from interlock.store.locks import WATCH_LOCK
from interlock.store.watch_memory import PostgresWatchMemory

_AT_ONCE = 500
_KEEP_S = 2.0
_PAUSE_S = 1.0
_log = logging.getLogger("interlock.watch")


@asynccontextmanager
async def watching(desk: Desk, url: str) -> AsyncIterator[None]:
    """The watch runs, or waits for its election, while the block does."""
    memory = PostgresWatchMemory(url)
    work = partial(when_elected, url, WATCH_LOCK, partial(watch_ledger, desk, memory))
    try:
        async with beside(for_good(work, "The ledger is not watched", _log, pause_s=_PAUSE_S)):
            yield
    finally:
        await memory.close()


async def watch_ledger(desk: Desk, memory: WatchMemory, check: Callable[[], Awaitable[None]]) -> None:
    """Watch until cancelled. ``check`` raises Failure when another one was elected."""
    while True:
        if desk.configuration.detections:
            await _watch_for_these(desk, memory, check)
        else:
            await check()
            await _pass_by(desk, memory)
            await asyncio.sleep(_KEEP_S)


async def _watch_for_these(desk: Desk, memory: WatchMemory, check: Callable[[], Awaitable[None]]) -> None:
    """Return when something else is looked for."""
    reader = await _take_up(desk, memory)
    await reader.read(check)
    async with aclosing(desk.state.changes(reader.position)) as changes:
        async for _ in changes:
            if reader.is_out_of_date:
                # what was read by the old ones is past for the new ones
                await reader.keep()
                return
            await reader.read(check)


async def _pass_by(desk: Desk, memory: WatchMemory) -> None:
    """Nothing is looked for: what happened until now is past, should something be."""
    async with desk.state.reading() as reading:
        head = await reading.ledger_head()
    kept = await memory.load()
    if kept is None or kept["position"] < head:
        await memory.keep({"position": head, "digest": "", "watch": {}})


async def _take_up(desk: Desk, memory: WatchMemory) -> "_Reader":
    kept = await memory.load()
    if kept is None:
        async with desk.state.reading() as reading:
            kept = {"position": await reading.ledger_head(), "digest": "", "watch": {}}
        await memory.keep(kept)
    return _Reader(desk, memory, kept)


class _Reader:
    """``position`` is up to where the ledger was read, ``_raised`` up to where alarms were raised."""

    def __init__(self, desk: Desk, memory: WatchMemory, kept: Any) -> None:
        self._configuration = desk.configuration
        detections = tuple(desk.configuration.detections.values())
        self._desk = desk
        self._memory = memory
        self._digest = digest_of(detections)
        self._raised = int(kept["position"])
        known = kept["digest"] == self._digest
        self._watch = Watch(detections, kept["watch"] if known else None)
        self.position = self._raised if known else 0
        self._kept_at = 0.0

    @property
    def is_out_of_date(self) -> bool:
        """Whether the policy looks for something else by now."""
        active = self._desk.configuration
        if active is self._configuration:
            return False
        return digest_of(tuple(active.detections.values())) != self._digest

    async def read(self, check: Callable[[], Awaitable[None]]) -> None:
        """Read to the ledger's end."""
        while True:
            async with self._desk.state.reading() as reading:
                entries = await reading.ledger(after=self.position, limit=_AT_ONCE)
            if not entries:
                return
            await check()
            for entry in entries:
                await self._look(entry.position, entry.body)
            if self.position >= self._raised and time.monotonic() - self._kept_at > _KEEP_S:
                await self.keep()

    async def _look(self, position: int, body: bytes) -> None:
        try:
            found = self._watch.take(read_body(body))
        except Unreadable as error:
            raise Failure(f"Entry {position} cannot be read: {error}.", "Type: interlock ledger verify") from error
        if position > self._raised:
            for finding in found:
                alarm = await raise_alarm(self._desk, finding)
                if alarm is not None:
                    _log.warning("%s (%s, entry %d): %s", alarm.detection, alarm.response, position, alarm.sentence)
        self.position = position

    async def keep(self) -> None:
        # INVARIANT: the memory follows the alarms: what is read again raises the same ones, which are there already
        self._kept_at = time.monotonic()
        self._raised = self.position
        await self._memory.keep({"position": self.position, "digest": self._digest, "watch": self._watch.memory()})
