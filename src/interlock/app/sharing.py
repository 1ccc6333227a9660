"""Several control planes and one sink: one of them tells it, and the others see whether it does.

Who tells has the sink for some seconds in the state's database and says every two that it goes on
(:mod:`interlock.store.tellings`). One that dies, or is stopped, is followed by another after those seconds, from the
last position that it kept: what it had sent since comes again, at most one batch. One that cannot tell the sink lets
go of it, since another may be able to. All of them know how it goes, so that an enforced sink that is not told stops
the gateways of all.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from interlock.app.background import beside, follow, for_good
from interlock.app.sinking import Feeding, feed_sink, longest_pause_s, next_pause_s, tell_all
from interlock.errors import Failure, InterlockError
from interlock.policy.configuration import SinkSource
from interlock.ports.state import State
from interlock.services.desk import Desk
from interlock.store.tellings import LEASE

_LOOK_S = 1.0
_GO_ON_S = 2.0
_log = logging.getLogger("interlock.sinks")


class _TakenOver(Failure):
    """Another control plane tells the sink by now."""


@asynccontextmanager
async def feeding_sinks(desk: Desk, feeding: Feeding) -> AsyncIterator[None]:
    """Every sink of the active policy is told while the block runs, by this control plane or by another.

    Raises Failure for one that cannot be what it says. One that comes with a later policy and cannot is a sink that is
    down: it is said, tried again, and stops the gateways when it is enforced.
    """
    for source in desk.configuration.sinks.values():
        await (await feeding.open(source)).close()
    async with beside(follow_sinks(desk, feeding)):
        yield


async def follow_sinks(desk: Desk, feeding: Feeding) -> None:
    """Feed the sinks that the active policy names, until cancelled; within a second of a change those of the new one.

    A sink of the same name goes on from where the one before it was told.
    """

    def wanted() -> list[SinkSource]:
        sources = list(desk.configuration.sinks.values())
        feeding.outflow.follow(source.name for source in sources if source.enforced)
        return sources

    async def feed(source: SinkSource) -> None:
        await for_good(
            partial(_feed_one, desk.state, source, feeding),
            f"The sink {source.name} is not told",
            _log,
            pause_s=longest_pause_s(source),
        )

    await follow(wanted, feed)


async def _feed_one(state: State, source: SinkSource, feeding: Feeding) -> None:
    # until it has taken what waits for it, it is one that is not told
    feeding.outflow.failed(source.name)
    if feeding.adapter_of(source).here:
        sink = await feeding.open(source)
        try:
            await feed_sink(state, source, sink, feeding.cursor_of(source), feeding.outflow)
        finally:
            await sink.close()
    else:
        await share_sink(state, source, feeding)


async def share_sink(state: State, source: SinkSource, feeding: Feeding) -> None:
    """Until cancelled: tell the sink whenever it is ours, and else look whether it is told."""
    cursor = feeding.cursor_of(source)
    # An installation of before kept it in a file.
    await feeding.tellings.begin(source.name, await cursor.reached())
    await asyncio.to_thread(cursor.remove)
    onlooker = _Onlooker(state, source, feeding)
    pause_s, not_before = 0.0, 0.0
    while True:
        begun = time.monotonic()
        try:
            if begun >= not_before and await feeding.tellings.take(source.name, feeding.teller):
                await _tell_while_ours(state, source, feeding)
            await onlooker.look()
        except _TakenOver:
            _log.warning("The sink %s is told by another control plane from now on.", source.name)
        except InterlockError as error:
            feeding.outflow.failed(source.name)
            if time.monotonic() - begun > longest_pause_s(source):
                pause_s = 0.0
            if not pause_s:
                _log.warning("The sink %s is behind and will be told later: %s", source.name, error)
            pause_s = next_pause_s(source, pause_s)
            not_before = time.monotonic() + pause_s
            with suppress(InterlockError):
                await feeding.tellings.leave(source.name, feeding.teller, str(error))
        await asyncio.sleep(_LOOK_S)


@dataclass(frozen=True, slots=True)
class _Ours:
    """How far the sink was told, in the database. Implements :class:`interlock.app.sinking.Progress`."""

    feeding: Feeding
    sink: str

    async def reached(self) -> int:
        told = await self.feeding.tellings.look(self.sink)
        return 0 if told is None else told.position

    async def reach(self, position: int) -> None:
        if not await self.feeding.tellings.move(self.sink, self.feeding.teller, position):
            raise _TakenOver(f"Another control plane tells the sink {self.sink}.", "Nothing is to be done.")


async def _tell_while_ours(state: State, source: SinkSource, feeding: Feeding) -> None:
    """Raises Failure when it cannot be told, or is ours no more."""
    works = [asyncio.create_task(_tell(state, source, feeding)), asyncio.create_task(_go_on(source, feeding))]
    try:
        done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
        for work in done:
            work.result()
    except asyncio.CancelledError:
        await _end(works)
        with suppress(InterlockError):
            await feeding.tellings.leave(source.name, feeding.teller)
        raise
    finally:
        await _end(works)


async def _end(works: "list[asyncio.Task[None]]") -> None:
    for work in works:
        work.cancel()
    await asyncio.gather(*works, return_exceptions=True)


async def _tell(state: State, source: SinkSource, feeding: Feeding) -> None:
    sink, ours = await feeding.open(source), _Ours(feeding, source.name)
    try:
        async with aclosing(tell_all(state, source, sink, ours, feeding.outflow)) as positions:
            async for position in positions:
                # also where there was nothing to send: it can be told now, whatever was wrong before
                await ours.reach(position)
    finally:
        await sink.close()


async def _go_on(source: SinkSource, feeding: Feeding) -> None:
    """INVARIANT: ends, and the telling with it, before another may take the sink, also while nothing answers us."""
    while True:
        await asyncio.sleep(_GO_ON_S)
        try:
            async with asyncio.timeout(LEASE.total_seconds() - 2 * _GO_ON_S):
                ours = await feeding.tellings.take(source.name, feeding.teller)
        except TimeoutError as error:
            raise Failure("The state's database does not answer in time.", "`interlock doctor` looks at it.") from error
        if not ours:
            raise _TakenOver(f"Another control plane tells the sink {source.name}.", "Nothing is to be done.")


class _Onlooker:
    """Sees whether another one tells a sink, and says so to the outflow."""

    def __init__(self, state: State, source: SinkSource, feeding: Feeding) -> None:
        self._state = state
        self._source = source
        self._feeding = feeding
        self._wanted = 0

    async def look(self) -> None:
        """What was there at the last look has to be told by now, or waits since then."""
        name, outflow = self._source.name, self._feeding.outflow
        told = await self._feeding.tellings.look(name)
        async with self._state.reading() as reading:
            head = await reading.ledger_head()
        if told is None or told.fault:
            outflow.failed(name)
        elif told.position >= self._wanted:
            # one that is new to us has to have everything that there is
            if self._wanted or told.position >= head:
                outflow.told(name)
            self._wanted = head
            if told.position < head:
                outflow.sending(name)
        else:
            outflow.sending(name)
