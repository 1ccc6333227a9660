"""Hearing of commits: one LISTEN for all that follow the ledger, with a poll beside it.

A notification says only that something was committed; what it was is read from the tables. So a lost one costs time
(at most ``POLL_S``), never an entry.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from interlock.errors import Failure
from interlock.store.connecting import connect
from interlock.store.failures import DRIVER_ERRORS, as_failures

CHANNEL = "interlock_ledger"
POLL_S = 1.0


class Ear:
    """One follower's wait for the next commit."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._deaf = False

    def clear(self) -> None:
        self._rung.clear()

    def ring(self) -> None:
        self._rung.set()

    def deafen(self) -> None:
        self._deaf = True
        self._rung.set()

    async def wait(self) -> None:
        """Return when something was committed since ``clear``, or when it is time to look. Failure when it is lost."""
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._rung.wait()
        if self._deaf:
            raise Failure("The connection to the state's database was lost.", "It is opened again on the next try.")


class Bell:
    """Rings every ear when something was committed, and when the listening connection was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ears: set[Ear] = set()
        self._connection: asyncpg.Connection | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def hearing(self) -> AsyncIterator[Ear]:
        ear = Ear()
        await self._open()
        self._ears.add(ear)
        try:
            yield ear
        finally:
            self._ears.discard(ear)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            with suppress(*DRIVER_ERRORS):
                await connection.close(timeout=5)
        self._lose()

    async def _open(self) -> None:
        async with self._opening:
            if self._connection is not None and not self._connection.is_closed():
                return
            with as_failures():
                connection = await connect(self._url)
                try:
                    connection.add_termination_listener(lambda *_: self._lose())
                    await connection.add_listener(CHANNEL, lambda *_: self._ring())
                except BaseException:
                    # a follower that is stopped right here would leave it open, with nobody to close it
                    connection.terminate()
                    raise
            self._connection = connection

    def _ring(self) -> None:
        for ear in self._ears:
            ear.ring()

    def _lose(self) -> None:
        for ear in self._ears:
            ear.deafen()
