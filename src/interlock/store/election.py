"""One of all that run: elected by an advisory lock that its own connection holds, for as long as it lasts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from interlock.store.connecting import connect
from interlock.store.failures import as_failures

_ELECTION_S = 0.5


@asynccontextmanager
async def elected(url: str, lock: tuple[int, int]) -> AsyncIterator[asyncpg.Connection]:
    """The connection that holds ``lock``, once it is had; the lock goes with it. Raises Failure."""
    with as_failures():
        connection = await connect(url)
    try:
        # Waiting for the lock in the server would end by the connection's time limits.
        while True:
            if await _holds(connection, lock):
                break
            await asyncio.sleep(_ELECTION_S)
        yield connection
    finally:
        connection.terminate()


async def check_elected(connection: asyncpg.Connection) -> None:
    """Raises Failure when the connection, and the lock with it, is lost."""
    with as_failures():
        await connection.fetchval("SELECT 1")


async def _holds(connection: asyncpg.Connection, lock: tuple[int, int]) -> bool:
    with as_failures():
        return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", *lock))
