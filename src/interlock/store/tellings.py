"""Which control plane tells a sink, or a receiver of security events, and how far it has come.

One at a time: it has whom it tells for a few seconds, and says again and again that it goes on. One that says so no
more (it is dead, stopped, or its connection is) loses it by the database's clock, and another goes on from there. No
state, like the followings: without it sinks are told everything again, and receivers what happens from then on.

INVARIANT: only who has it moves its position: one that wakes up after another took over moves nothing back.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Interval, cast, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from interlock.store.connecting import open_engine
from interlock.store.failures import as_failures
from interlock.store.tables import tellings

LEASE = timedelta(seconds=6)
_FREE = ""
_LONGEST_FAULT = 500


@dataclass(frozen=True, slots=True)
class Told:
    """``position`` was the last that the sink was told. ``teller`` is empty when nobody tells it now; ``fault`` is why
    it could not be told the last time, empty when it could."""

    position: int
    teller: str
    fault: str


class PostgresTellings:
    """``url`` as for PostgresState."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url, connections=4)

    async def close(self) -> None:
        await self._engine.dispose()

    async def begin(self, sink: str, position: int) -> None:
        """From ``position`` on, unless it is known how far the sink was told."""
        new = insert(tellings).values(
            sink=sink, position=position, teller=_FREE, until=func.clock_timestamp(), fault=""
        )
        with as_failures():
            async with self._engine.begin() as connection:
                await connection.execute(new.on_conflict_do_nothing())

    async def take(self, sink: str, teller: str) -> bool:
        """Whether ``teller`` has the sink from now on for :data:`LEASE`: nobody has it, or it had it itself."""
        now = func.clock_timestamp()
        until = now + cast(literal(LEASE), Interval)
        free = or_(tellings.c.teller == teller, tellings.c.until < now)
        taken = update(tellings).where(tellings.c.sink == sink, free).values(teller=teller, until=until)
        with as_failures():
            async with self._engine.begin() as connection:
                return bool((await connection.execute(taken)).rowcount)

    async def move(self, sink: str, teller: str, position: int) -> bool:
        """The sink was told up to ``position``. False when ``teller`` has it no more: nothing is moved."""
        mine = (tellings.c.sink == sink, tellings.c.teller == teller, tellings.c.until >= func.clock_timestamp())
        moved = update(tellings).where(*mine).values(position=func.greatest(tellings.c.position, position), fault="")
        with as_failures():
            async with self._engine.begin() as connection:
                return bool((await connection.execute(moved)).rowcount)

    async def leave(self, sink: str, teller: str, fault: str | None = None) -> None:
        """Another may take it at once. ``fault`` is why the sink could not be told, None when nothing is known."""
        left: dict[str, object] = {"teller": _FREE, "until": func.clock_timestamp()}
        if fault is not None:
            left["fault"] = fault[:_LONGEST_FAULT]
        mine = (tellings.c.sink == sink, tellings.c.teller == teller)
        with as_failures():
            async with self._engine.begin() as connection:
                await connection.execute(update(tellings).where(*mine).values(left))

    async def look(self, sink: str) -> Told | None:
        """None when it was never begun with."""
        query = select(
            tellings.c.position, tellings.c.teller, tellings.c.fault, tellings.c.until >= func.clock_timestamp()
        ).where(tellings.c.sink == sink)
        with as_failures():
            async with self._engine.begin() as connection:
                row = (await connection.execute(query)).one_or_none()
        return None if row is None else Told(int(row[0]), str(row[1]) if row[3] else _FREE, str(row[2]))
