"""One of all that run: elected by an advisory lock that its own connection holds, for as long as it lasts.

Who holds it asks the server something every few seconds. One that does not (it is frozen, or its machine is) is given
up by the server after :data:`GIVEN_UP`, and the lock with it, so that another is elected.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import asyncpg

from interlock.store.connecting import connect
from interlock.store.failures import DRIVER_ERRORS, as_failures

GIVEN_UP = timedelta(seconds=15)
_ELECTION_S = 0.5
_GO_ON_SHARE = 5


class Elected:
    """The connection that holds the lock. Those who ask it wait for each other; its queries raise what asyncpg does."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._asking = asyncio.Lock()

    async def fetch(self, query: str, *given: object) -> list[asyncpg.Record]:
        async with self._asking:
            rows: list[asyncpg.Record] = await self._connection.fetch(query, *given)
            return rows

    async def fetchval(self, query: str, *given: object) -> Any:
        async with self._asking:
            return await self._connection.fetchval(query, *given)


@asynccontextmanager
async def elected(url: str, lock: tuple[int, int], given_up: timedelta = GIVEN_UP) -> AsyncIterator[Elected]:
    """The connection that holds ``lock``, once it is had; the lock goes with it. Raises Failure."""
    with as_failures():
        connection = await connect(url)
    try:
        milliseconds = str(round(given_up / timedelta(milliseconds=1)))
        with as_failures():
            await connection.fetchval("SELECT set_config('idle_session_timeout', $1, false)", milliseconds)
        # Waiting for the lock in the server would end by the connection's time limits.
        while True:
            if await _holds(connection, lock):
                break
            await asyncio.sleep(_ELECTION_S)
        held = Elected(connection)
        going_on = asyncio.create_task(_go_on(held, given_up.total_seconds() / _GO_ON_SHARE))
        try:
            yield held
        finally:
            going_on.cancel()
            await asyncio.gather(going_on, return_exceptions=True)
    finally:
        connection.terminate()


async def check_elected(held: Elected) -> None:
    """Raises Failure when the connection, and the lock with it, is lost."""
    with as_failures():
        await held.fetchval("SELECT 1")


async def _go_on(held: Elected, pause_s: float) -> None:
    """Until the connection is lost, which whoever checks learns next."""
    with suppress(*DRIVER_ERRORS):
        while True:
            await asyncio.sleep(pause_s)
            await held.fetchval("SELECT 1")


async def _holds(connection: asyncpg.Connection, lock: tuple[int, int]) -> bool:
    with as_failures():
        return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", *lock))
