"""Recordings: their segments, their keys, and what keeps them."""

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on

from interlock.domain.grants import Activity
from interlock.domain.recordings import RecordingKey, Segment
from interlock.domain.retention import LegalHold
from interlock.store import tables
from interlock.store.reads import Reads, any_of
from interlock.store.rows import keepable


class RecordingReads(Reads):
    """Recordings: their segments, their keys, and what keeps them."""

    async def recorded(self, *, after: Activity | None = None, limit: int = 500) -> Sequence[Activity]:
        """Sessions that are over and whose recording can still be read, the oldest first; those behind ``after``."""
        table, keys = tables.activities, tables.recording_keys
        query = select(table).join(keys, and_(keys.c.session == table.c.id, keys.c.destroyed_at.is_(None)))
        query = query.where(table.c.closed_at.is_not(None)).order_by(table.c.opened_at, table.c.id).limit(limit)
        if after is not None:
            query = query.where(tuple_(table.c.opened_at, table.c.id) > tuple_(after.opened_at, after.id))
        return await self._all(Activity, query)

    async def segments(self, session: str, *, after: int = 0, limit: int = 1000) -> Sequence[Segment]:
        """Those of a session's recording with a number above ``after``, in their order."""
        if not keepable(session):
            return []
        table = tables.segments
        query = select(table).where(table.c.session == session, table.c.number > after)
        return await self._all(Segment, query.order_by(table.c.number).limit(limit))

    async def last_segment(self, session: str) -> Segment | None:
        if not keepable(session):
            return None
        table = tables.segments
        query = select(table).where(table.c.session == session).order_by(table.c.number.desc()).limit(1)
        found = await self._all(Segment, query)
        return found[0] if found else None

    async def last_segments(self, sessions: Sequence[str]) -> Mapping[str, Segment]:
        """By the sessions of those that have one."""
        table = tables.segments
        query = select(table).ext(distinct_on(table.c.session)).where(any_of(table.c.session, sessions))
        found = await self._all(Segment, query.order_by(table.c.session, table.c.number.desc()))
        return {one.session: one for one in found}

    async def recording_key(self, session: str) -> RecordingKey | None:
        return await self._one(RecordingKey, session=session)

    async def recording_keys_named(self, sessions: Sequence[str]) -> Mapping[str, RecordingKey]:
        return await self._named(RecordingKey, "session", sessions)

    async def recording_keys(self, *, wrapped_by_other_than: str, limit: int = 1000) -> Sequence[RecordingKey]:
        """Those that are not destroyed and that another version of the master key wrapped."""
        table = tables.recording_keys
        query = select(table).where(table.c.master != wrapped_by_other_than, table.c.destroyed_at.is_(None))
        return await self._all(RecordingKey, query.order_by(table.c.session).limit(limit))

    async def recording_keys_to_erase(self, *, limit: int = 100) -> Sequence[RecordingKey]:
        """Those of deleted recordings whose segments are not gone yet."""
        table = tables.recording_keys
        query = select(table).where(table.c.destroyed_at.is_not(None), table.c.erased_at.is_(None))
        return await self._all(RecordingKey, query.order_by(table.c.session).limit(limit))

    async def legal_hold(self, hold_id: str) -> LegalHold | None:
        return await self._one(LegalHold, id=hold_id)

    async def legal_holds(self) -> Sequence[LegalHold]:
        """All that were ever placed, the oldest first."""
        table = tables.legal_holds
        return await self._all(LegalHold, select(table).order_by(table.c.placed_at, table.c.id))
