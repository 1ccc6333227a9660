"""What is done about recordings in the background, on one elected control plane: their words are put into the index,
and the segments of deleted ones are taken from the store.

A segment that is missing or was changed has no words in the index; the log says so, and `interlock ledger verify
--recordings` names it. A store that cannot be read is tried again, and nothing is left out meanwhile.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from interlock.app.background import Check, beside, for_good, when_elected
from interlock.domain.grants import Activity
from interlock.domain.recordings import RecordingKey, Segment
from interlock.domain.work_events import RecordingErased, RecordingKept
from interlock.errors import Failure
from interlock.ledger.entries import read_body
from interlock.ports.master_key import MasterKey, Wrapped
from interlock.ports.segment_words import IndexedPart, SegmentWords
from interlock.ports.state import LedgerEntry
from interlock.services.desk import SYSTEM, Desk
from interlock.services.search_recordings import index_key, index_segment
from interlock.store.locks import KEEPING_LOCK
from interlock.web.recordings import StoreUnreadable, lines_of, read_object, segments_of
from interlock.wire.segments import segment_path

_PAUSE_S = 2.0
_AT_ONCE = 200
_log = logging.getLogger("interlock.control")


@dataclass(frozen=True, slots=True)
class Keeper:
    """What the work needs."""

    desk: Desk
    master: MasterKey
    store: ObjectStore
    index: SegmentWords


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A segment of a session, and the key that opens it."""

    activity: Activity
    segment: Segment
    opens: bytes


@asynccontextmanager
async def keeping(keeper: Keeper, url: str) -> AsyncIterator[None]:
    """The work goes on, or waits for its election, while the block runs."""
    work = partial(when_elected, url, KEEPING_LOCK, partial(_keep, keeper))
    async with beside(for_good(work, "Recordings are not indexed or erased now", _log, pause_s=_PAUSE_S)):
        yield


async def _keep(keeper: Keeper, check: Check) -> None:
    while True:
        await check()
        busy = await index_more(keeper)
        await erase_deleted(keeper)
        if not busy:
            await asyncio.sleep(_PAUSE_S)


async def index_more(keeper: Keeper) -> bool:
    """Index what the next entries of the ledger speak of. Whether there may be more at once. Raises Failure."""
    after = await keeper.index.upto()
    async with keeper.desk.state.reading() as reading:
        entries = await reading.ledger(after=after, limit=_AT_ONCE)
    if not entries:
        return False
    await keeper.index.add(await _parts_of(keeper, entries), upto=entries[-1].position)
    return len(entries) == _AT_ONCE


async def _parts_of(keeper: Keeper, entries: Sequence[LedgerEntry]) -> list[IndexedPart]:
    stored = [(entry.at, read_body(entry.body).event) for entry in entries if entry.kind == RecordingKept.kind]
    events = [(at, event) for at, event in stored if isinstance(event, RecordingKept)]
    if not events:
        return []
    sessions = sorted({event.session for _, event in events})
    async with keeper.desk.state.reading() as reading:
        activities = await reading.activities_named(sessions)
        keys = await reading.recording_keys_named(sessions)
    hashes = await index_key(keeper.desk, keeper.master)
    sealed: list[_Sealed] = []
    for at, event in events:
        activity, kept = activities.get(event.session), keys.get(event.session)
        if activity is None or kept is None or kept.destroyed_at is not None:
            continue
        opens = await keeper.master.unwrap(Wrapped(kept.wrapped, kept.master), event.session)
        for number, digest in enumerate(event.digests, event.first):
            sealed.append(_Sealed(activity, Segment(event.session, number, digest, event.records, at), opens))
    return await asyncio.to_thread(_index, keeper.store, hashes, sealed)


def _index(store: ObjectStore, hashes: bytes, sealed: Sequence[_Sealed]) -> list[IndexedPart]:
    """Blocks. Raises StoreUnreadable."""
    parts: list[IndexedPart] = []
    for one in sealed:
        try:
            lines = lines_of(one.opens, one.segment, read_object(store, one.segment))
            parts += index_segment(hashes, one.activity, one.segment, lines)
        except StoreUnreadable:
            raise
        except Failure as error:
            _log.warning("Not indexed: %s", error)
    return parts


async def erase_deleted(keeper: Keeper) -> int:
    """Take the segments of deleted recordings from the store: of how many. Raises Failure."""
    async with keeper.desk.state.reading() as reading:
        waiting = await reading.recording_keys_to_erase()
    for key in waiting:
        await keeper.index.forget(key.session)
        for segment in await segments_of(keeper.desk, key.session):
            await asyncio.to_thread(_remove, keeper.store, segment_path(segment.digest))
        async with keeper.desk.state.changing(SYSTEM) as work:
            await work.lock(RecordingKey, key.session)
            now = await work.recording_key(key.session)
            if now is not None:
                await work.save(replace(now, erased_at=keeper.desk.clock.now()))
            work.record(RecordingErased(session=key.session))
    return len(waiting)


def _remove(store: ObjectStore, path: str) -> None:
    try:
        obstore.delete(store, path)
    except FileNotFoundError:
        return
    except (BaseError, OSError) as error:
        raise Failure(f"{path} cannot be taken from the store for recordings: {error}.", "Mend the store.") from error
