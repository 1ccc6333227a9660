"""What strangers began and may come back to within minutes. Implements :class:`interlock.ports.state.WaitingRoom`.

No state and no ledger entries, like the replay cache. A network may have so many things waiting and no more: what
strangers may put here without a name is bounded. Content is kept as JSON.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from interlock.errors import Refusal
from interlock.ports.clock import Clock, SystemClock
from interlock.store.connecting import open_engine
from interlock.store.failures import as_failures
from interlock.store.tables import waiting

MOST_OF_ONE_NETWORK = 200
PRUNE_EVERY = timedelta(seconds=30)
_NEVER = datetime.min.replace(tzinfo=UTC)


class PostgresWaitingRoom:
    """``url`` as for PostgresState."""

    def __init__(self, url: str, *, clock: Clock | None = None, connections: int = 4) -> None:
        self._engine = open_engine(url, connections=connections)
        self._clock = clock or SystemClock()
        self._pruned_at = _NEVER

    async def close(self) -> None:
        await self._engine.dispose()

    async def put(self, name: str, content: Mapping[str, Any], *, until: datetime, origin: str) -> None:
        now = self._clock.now()
        statement = insert(waiting).values(name=_hash(name), content=dict(content), until=until, origin=origin)
        written = statement.on_conflict_do_update(
            index_elements=["name"], set_={"content": statement.excluded.content, "until": statement.excluded.until}
        )
        here = select(func.count()).where(waiting.c.origin == origin, waiting.c.until > now)
        with as_failures():
            async with self._engine.begin() as connection:
                if abs(now - self._pruned_at) >= PRUNE_EVERY:
                    self._pruned_at = now
                    over = select(waiting.c.name).where(waiting.c.until < now).with_for_update(skip_locked=True)
                    await connection.execute(delete(waiting).where(waiting.c.name.in_(over)))
                if (await connection.execute(here)).scalar_one() >= MOST_OF_ONE_NETWORK:
                    raise Refusal(
                        "too-many-waiting",
                        "Too much that was begun from here was not brought to its end.",
                        "Wait some minutes.",
                    )
                await connection.execute(written)

    async def look(self, name: str) -> Mapping[str, Any] | None:
        query = select(waiting.c.content).where(waiting.c.name == _hash(name), waiting.c.until > self._clock.now())
        with as_failures():
            async with self._engine.begin() as connection:
                found = (await connection.execute(query)).one_or_none()
        return None if found is None else found.content

    async def change(self, name: str, content: Mapping[str, Any]) -> None:
        with as_failures():
            async with self._engine.begin() as connection:
                await connection.execute(
                    update(waiting).where(waiting.c.name == _hash(name)).values(content=dict(content))
                )

    async def take(self, name: str) -> Mapping[str, Any] | None:
        statement = delete(waiting).where(waiting.c.name == _hash(name)).returning(waiting.c.content, waiting.c.until)
        with as_failures():
            async with self._engine.begin() as connection:
                found = (await connection.execute(statement)).one_or_none()
        return None if found is None or found.until <= self._clock.now() else found.content


def _hash(name: str) -> str:
    """Names are secrets of those who wait: who reads the table must not be able to use them."""
    return hashlib.sha256(name.encode(errors="replace")).hexdigest()
