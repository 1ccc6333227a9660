"""Which gateway workers may go on with what they were told. Implements :class:`interlock.ports.state.Followings`.

No state, like the replay cache: it says nothing that the ledger should. Its commits do wait for the disk: a worker that
was forgotten by a crash of the database could go on unseen. All times are the database's own, so that control planes
whose clocks differ agree on who may still be there.
"""

from datetime import timedelta

from sqlalchemy import Interval, Update, cast, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from interlock.store.connecting import open_engine
from interlock.store.failures import as_failures
from interlock.store.tables import followings, ledger

_KEPT = timedelta(days=1)
"""How long after its lease a worker stays in the table. It counts no more from the lease's end on."""


class PostgresFollowings:
    """``url`` as for PostgresState."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url, connections=4)

    async def close(self) -> None:
        await self._engine.dispose()

    async def lasts(self, gateway: str, worker: str, longest: timedelta) -> None:
        now = func.clock_timestamp()
        until = now + cast(literal(longest), Interval)
        # Who begins now is told of nothing older than what is there now.
        head = select(func.coalesce(func.max(ledger.c.position), 0)).scalar_subquery()
        begun = insert(followings).values(gateway=gateway, worker=worker, applied=head, until=until)
        kept = begun.on_conflict_do_update(
            index_elements=["gateway", "worker"],
            # A feed of before may have promised more.
            set_={"until": func.greatest(followings.c.until, begun.excluded.until)},
        )
        over = select(followings.c.gateway, followings.c.worker).where(followings.c.until < now - cast(_KEPT, Interval))
        rows = over.with_for_update(skip_locked=True).cte()
        gone = delete(followings).where(followings.c.gateway == rows.c.gateway, followings.c.worker == rows.c.worker)
        with as_failures():
            async with self._engine.begin() as connection:
                await connection.execute(kept)
                await connection.execute(gone)

    async def applied(self, gateway: str, worker: str, version: int) -> None:
        head = select(func.max(ledger.c.position)).scalar_subquery()
        mine = (followings.c.gateway == gateway, followings.c.worker == worker)
        said = update(followings).where(*mine, followings.c.applied < version, head >= version).values(applied=version)
        await self._say(said)

    async def leaves(self, gateway: str, worker: str) -> None:
        mine = (followings.c.gateway == gateway, followings.c.worker == worker)
        over = func.least(followings.c.until, func.clock_timestamp())
        await self._say(update(followings).where(*mine).values(until=over))

    async def _say(self, said: Update) -> None:
        with as_failures():
            async with self._engine.begin() as connection:
                await connection.execute(said)
