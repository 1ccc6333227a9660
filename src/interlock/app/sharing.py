"""Several control planes and one sink: one of them tells it, and the others see whether it does.

They take turns (:mod:`interlock.app.taking_turns`). All of them know how it goes, so that an enforced sink that is not
told stops the gateways of all.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial

from interlock.app.background import beside, follow, for_good
from interlock.app.sinking import Feeding, feed_sink, longest_pause_s, tell_all
from interlock.app.taking_turns import Turn, take_turns
from interlock.policy.configuration import SinkSource
from interlock.ports.state import State
from interlock.services.desk import Desk

_log = logging.getLogger("interlock.sinks")


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
    turn = Turn(feeding.tellings, feeding.teller, source.name, f"The sink {source.name}")
    await take_turns(
        turn,
        partial(_tell, state, source, feeding, turn),
        _log,
        longest_pause_s=longest_pause_s(source),
        onlooker=_Onlooker(state, source, feeding),
    )


async def _tell(state: State, source: SinkSource, feeding: Feeding, turn: Turn) -> None:
    sink = await feeding.open(source)
    try:
        async with aclosing(tell_all(state, source, sink, turn, feeding.outflow)) as positions:
            async for position in positions:
                # also where there was nothing to send: it can be told now, whatever was wrong before
                await turn.reach(position)
    finally:
        await sink.close()


class _Onlooker:
    """Sees whether another one tells a sink, and says so to the outflow."""

    def __init__(self, state: State, source: SinkSource, feeding: Feeding) -> None:
        self._state = state
        self._source = source
        self._feeding = feeding
        self._wanted = 0

    def failed(self) -> None:
        self._feeding.outflow.failed(self._source.name)

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
