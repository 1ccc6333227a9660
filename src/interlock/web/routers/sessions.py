"""Sessions: look, replay, watch, cut."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress

from fastapi import APIRouter
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import iterate_in_threadpool

from interlock.domain.grants import Activity
from interlock.errors import NotFound, Refusal
from interlock.services.cut_session import cut_session
from interlock.services.list_sessions import check_may_read_recording, list_sessions, read_recording, show_session
from interlock.web.answers import told
from interlock.web.authentication import Caller, ReadingPerson, ServicesOf, SignedInPerson, active_caller
from interlock.web.described import content
from interlock.web.models import InPath, WithReason, answer
from interlock.web.recordings import open_recording, without_input
from interlock.web.services import Services
from interlock.web.streams import NDJSON, line_of, ndjson

router = APIRouter(prefix="/v1/sessions")

LOOK_AGAIN_S = 2.0
"""How often a watcher's right to watch is looked at again."""

_SILENT_S = 10.0
"""How long a gateway may take to answer a watch."""


@router.get("", responses=told(Sequence[Activity]))
async def list_some(services: ServicesOf, caller: ReadingPerson, live: bool = False) -> JSONResponse:
    return answer(await list_sessions(services.desk, person=caller.name, live=live))


@router.get("/{session_id}", responses=told(Activity))
async def show_one(session_id: InPath, services: ServicesOf, caller: ReadingPerson) -> JSONResponse:
    return answer(await show_session(services.desk, person=caller.name, session_id=session_id))


@router.get("/{session_id}/records", response_class=StreamingResponse, responses=content(NDJSON, 200))
async def replay(session_id: InPath, services: ServicesOf, caller: SignedInPerson) -> StreamingResponse:
    """The recording. The reading is in the ledger before the first byte is sent."""
    activity = await check_may_read_recording(
        services.desk, person=caller.name, session_id=session_id, login=caller.login
    )
    chunks = await open_recording(services.desk, services.master_key, services.recordings, activity)
    await read_recording(services.desk, person=caller.name, session_id=session_id, login=caller.login)
    return StreamingResponse(replayed(services, caller, activity, chunks), media_type=NDJSON)


@router.get("/{session_id}/watch", response_class=StreamingResponse, responses=content(NDJSON, 200))
async def watch(session_id: InPath, services: ServicesOf, caller: SignedInPerson) -> StreamingResponse:
    """A live session's records, from its first one, as they come."""
    activity = await show_session(services.desk, person=caller.name, session_id=session_id)
    if activity.closed_at is not None:
        raise Refusal("over", f"{session_id} is closed.", f"Type `interlock replay {session_id}`.")
    await read_recording(services.desk, person=caller.name, session_id=session_id, login=caller.login)
    return ndjson(watched(services, caller, activity))


@router.post("/{session_id}/cut", responses=told(Activity))
async def cut(session_id: InPath, body: WithReason, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    return answer(await cut_session(services.desk, by=caller.name, session_id=session_id, reason=body.reason))


async def watched(services: Services, caller: Caller, activity: Activity) -> AsyncIterator[bytes]:
    """The lines of a live session, as they come. The caller has checked that it may be watched."""
    loop = asyncio.get_running_loop()
    with services.watches.watching(activity.id, activity.gateway) as watch:
        begun = looked = loop.time()
        while not services.streams.closing:
            batch = await services.streams.next_of(watch.batches, LOOK_AGAIN_S)
            if batch is not None:
                yield b"".join(line_of(without_input(record)) for record in batch.records)
                if batch.last:
                    return
            elif watch.too_slow:
                return
            if loop.time() - looked >= LOOK_AGAIN_S:
                looked = loop.time()
                silent = not watch.answered and looked - begun > _SILENT_S
                if silent or not await _may_go_on(services, caller, activity):
                    return


async def _may_go_on(services: Services, caller: Caller, activity: Activity) -> bool:
    """The watcher still may, and the session is still there."""
    now = await _may_read(services, caller, activity)
    return now is not None and now.closed_at is None


async def _may_read(services: Services, caller: Caller, activity: Activity) -> Activity | None:
    """The session as it is now, if the reader is still signed in and may still read its recording."""
    again = await active_caller(services, caller.login.id)
    if again is None:
        return None
    with suppress(NotFound, Refusal):
        return await check_may_read_recording(
            services.desk, person=again.name, session_id=activity.id, login=again.login
        )
    return None


async def replayed(
    services: Services, caller: Caller, activity: Activity, chunks: AsyncIterator[bytes] | Iterator[bytes]
) -> AsyncIterator[bytes]:
    """The parts of a recording, for as long as the caller may read it; then the answer breaks off."""
    loop = asyncio.get_running_loop()
    looked = loop.time()
    async for chunk in chunks if isinstance(chunks, AsyncIterator) else iterate_in_threadpool(chunks):
        if loop.time() - looked >= LOOK_AGAIN_S:
            if await _may_read(services, caller, activity) is None:
                raise ConnectionAbortedError(f"{caller.name} may no longer read {activity.id}")
            looked = loop.time()
        yield chunk
