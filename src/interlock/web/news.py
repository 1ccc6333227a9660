"""Waiting for something to happen: one follower of the state for all calls of this process that wait."""

import asyncio
from contextlib import suppress

from interlock.errors import Failure
from interlock.ports.state import State

_RETRY_S = 1.0


class News:
    """Follows the state from the first wait on, until ``close``."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._happened = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None
        self._closed = False

    def latest(self) -> asyncio.Event:
        """An event that is set at the next change. Take it before the read whose result is waited to change."""
        if self._follower is None and not self._closed:
            self._follower = asyncio.create_task(self._follow())
        return self._happened

    async def close(self) -> None:
        self._closed = True
        self._tell()
        if self._follower is not None:
            self._follower.cancel()
            with suppress(asyncio.CancelledError):
                await self._follower

    async def _follow(self) -> None:
        while True:
            # A database that is away is the callers' own next answer; here it is only a reason to look again.
            with suppress(Failure):
                async with self._state.reading() as reading:
                    head = await reading.ledger_head()
                async for _ in self._state.changes(head):
                    self._tell()
            self._tell()
            await asyncio.sleep(_RETRY_S)

    def _tell(self) -> None:
        happened, self._happened = self._happened, asyncio.Event()
        happened.set()


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Return when ``event`` is set, or after ``seconds``."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
