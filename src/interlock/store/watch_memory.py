"""What the watch remembers. Implements :class:`interlock.ports.state.WatchMemory`. No state, like the replay cache:
all of it follows from the ledger."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from interlock.store.connecting import open_engine
from interlock.store.failures import as_failures
from interlock.store.tables import watch_memory

_NAME = "watch"


class PostgresWatchMemory:
    """``url`` as for PostgresState."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url, connections=2)

    async def close(self) -> None:
        await self._engine.dispose()

    async def load(self) -> Mapping[str, Any] | None:
        query = select(watch_memory.c.content).where(watch_memory.c.name == _NAME)
        with as_failures():
            async with self._engine.begin() as connection:
                found = (await connection.execute(query)).one_or_none()
        return None if found is None else found.content

    async def keep(self, content: Mapping[str, Any]) -> None:
        statement = insert(watch_memory).values(name=_NAME, content=dict(content))
        written = statement.on_conflict_do_update(index_elements=["name"], set_={"content": statement.excluded.content})
        with as_failures():
            async with self._engine.begin() as connection:
                await connection.execute(written)
