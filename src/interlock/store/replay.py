"""Which DPoP proofs were used, shared by all control planes. Implements :class:`interlock.ports.state.ReplayCache`.

This is a cache and no state: it has no ledger entries. It is an ordinary table and not an unlogged one, so that a
proof caught on its way cannot be used again after a crash of the database; its commits do not wait for the disk, which
leaves a window of less than a second.
"""

import hashlib
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from interlock.errors import Misuse
from interlock.ports.clock import Clock, SystemClock
from interlock.store.connecting import open_engine
from interlock.store.failures import as_failures
from interlock.store.tables import seen_proofs

PRUNE_EVERY = timedelta(seconds=30)
_NEVER = datetime.min.replace(tzinfo=UTC)


class PostgresReplayCache:
    """``url`` as for PostgresState."""

    def __init__(self, url: str, *, clock: Clock | None = None, connections: int = 8) -> None:
        self._engine = open_engine(url, connections=connections)
        self._clock = clock or SystemClock()
        self._pruned_at = _NEVER

    async def close(self) -> None:
        await self._engine.dispose()

    async def first_use(self, jkt: str, jti: str, until: datetime) -> bool:
        if until.tzinfo is None:
            raise Misuse("a time without a zone")
        statement = insert(seen_proofs).values(proof=_proof(jkt, jti), until=until).on_conflict_do_nothing()
        with as_failures():
            async with self._engine.begin() as connection:
                await connection.execute(select(func.set_config("synchronous_commit", "off", True)))
                used = await connection.execute(statement.returning(seen_proofs.c.proof))
                first = used.one_or_none() is not None
                await self._prune(connection)
        return first

    async def was_used(self, jkt: str, jti: str) -> bool:
        statement = select(seen_proofs.c.proof).where(seen_proofs.c.proof == _proof(jkt, jti))
        with as_failures():
            async with self._engine.begin() as connection:
                return (await connection.execute(statement)).one_or_none() is not None

    async def _prune(self, connection: AsyncConnection) -> None:
        now = self._clock.now()
        # A clock that was set back must not stop the pruning.
        if abs(now - self._pruned_at) < PRUNE_EVERY:
            return
        self._pruned_at = now
        # Skip what another control plane is pruning at this moment: two that delete the same rows could deadlock.
        over = select(seen_proofs.c.proof).where(seen_proofs.c.until < now).with_for_update(skip_locked=True)
        await connection.execute(delete(seen_proofs).where(seen_proofs.c.proof.in_(over)))


def _proof(jkt: str, jti: str) -> bytes:
    """One key for the pair, of one length whatever a client sends."""
    key = jkt.encode(errors="surrogatepass")
    return hashlib.sha256(len(key).to_bytes(8) + key + jti.encode(errors="surrogatepass")).digest()
