"""The state in PostgreSQL. Implements :class:`interlock.ports.state.State`."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from interlock.errors import Misuse
from interlock.ports.clock import Clock, SystemClock
from interlock.ports.state import Entity, Reading, UnitOfWork
from interlock.store.chronicle import Chronicle, Page
from interlock.store.connecting import open_engine
from interlock.store.failures import as_failures
from interlock.store.known_people import KnownPeople
from interlock.store.listening import Bell
from interlock.store.reading import PostgresReading
from interlock.store.unit_of_work import PostgresUnitOfWork

_KEYS_AT_ONCE = 1000


class PostgresState:
    """``url`` names a database whose schema :func:`interlock.store.migrate.migrate` has made.

    Opens its connections as they are needed, on the event loop that uses it; ``close`` gives them back. A database
    that goes away is a ``Failure`` for whoever asks meanwhile; when it is back, everything works again.
    """

    def __init__(self, url: str, *, clock: Clock | None = None, connections: int = 20) -> None:
        self._engine = open_engine(url, connections=connections)
        self._clock = clock or SystemClock()
        self._bell = Bell(url)
        self._chronicle = Chronicle(self._bell, self._page, self._head)
        self._known = KnownPeople()
        self._closed = False

    async def close(self) -> None:
        self._closed = True
        await self._chronicle.close()
        await self._bell.close()
        await self._engine.dispose()

    def reading(self) -> AbstractAsyncContextManager[Reading]:
        return self._reading()

    def changing(self, actor: str) -> AbstractAsyncContextManager[UnitOfWork]:
        if not actor:
            raise Misuse("a change has an actor")
        return self._changing(actor)

    def changes(self, after: int) -> AsyncGenerator[tuple[int, Sequence[Entity]]]:
        return self._chronicle.follow(after)

    async def _page(self, after: int) -> Page:
        async with self._reading() as reading:
            return await reading.changed(after, limit=_KEYS_AT_ONCE)

    async def _head(self) -> int:
        async with self._reading() as reading:
            return await reading.ledger_head()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[PostgresReading]:
        async with self._connection() as connection:
            with as_failures():
                # One snapshot for all reads of the block, which the server itself keeps from writing.
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            reading = PostgresReading(connection, self._known)
            try:
                yield reading
            finally:
                reading.end()

    @asynccontextmanager
    async def _changing(self, actor: str) -> AsyncIterator[PostgresUnitOfWork]:
        async with self._connection() as connection:
            unit = PostgresUnitOfWork(connection, actor, self._clock)
            try:
                yield unit
                await unit.commit()
            finally:
                unit.end()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection of the pool; what was not committed when it is given back is rolled back."""
        if self._closed:
            raise Misuse("the state was used after it was closed")
        connection = self._engine.connect()
        with as_failures():
            await connection.start()
        try:
            yield connection
        finally:
            # Shielded, so that a cancelled caller's locks are not held until the server notices.
            await asyncio.shield(_give_back(connection))


async def _give_back(connection: AsyncConnection) -> None:
    """To the pool, or, when it was lost meanwhile, to nobody. What came of its block is known by now, and said."""
    try:
        await connection.close()
    except (SQLAlchemyError, OSError):
        with contextlib.suppress(SQLAlchemyError, OSError):
            await connection.invalidate()
            await connection.close()
