"""Recordings: the sessions that are over, and one of them as a timeline."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from interlock.errors import NotFound, Refusal
from interlock.services.list_sessions import (
    check_may_read_recording,
    list_sessions,
    read_recording,
    show_session,
)
from interlock.services.search_recordings import Found, Hit, Wanted, search_recordings
from interlock.web.authentication import Caller, ServicesOf
from interlock.web.console.casts import Cast
from interlock.web.console.page import HEADERS, Acting, PageRoute, Visiting, page, to, with_terminals
from interlock.web.console.records import Line, Told, read_record
from interlock.web.console.shown import lines as lines_of
from interlock.web.console.shown import sql
from interlock.web.models import InPath, InQuery
from interlock.web.recordings import open_recording, read_segment
from interlock.web.routers.sessions import replayed

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_PAGE = 50
_LONGEST_WORDS = 400
_MOST_BYTES = 90_000
_MOST_BESIDE_A_PLAYER = 30_000
"""Of records' text on one page; what follows is on the next."""


@router.get("/recordings")
async def sessions(
    request: Request, services: ServicesOf, visitor: Visiting, before: InQuery = "", q: InQuery = ""
) -> Response:
    found = await list_sessions(services.desk, person=visitor.name, before=before or None, limit=_PAGE + 1)
    more, found = len(found) > _PAGE, found[:_PAGE]
    wanted = q.lower()
    shown = [s for s in found if s.closed_at is not None and wanted in f"{s.id} {s.person} {s.resource}".lower()]
    following = found[-1].id if more else ""
    return page(
        request,
        visitor,
        "recordings.html",
        title="Recordings",
        place="recordings",
        sessions=shown,
        q=q,
        following=following,
    )


@router.post("/recordings/search")
async def search(request: Request, services: ServicesOf, act: Acting) -> Response:
    """Statements that hold all the words. The search is in the ledger before it is answered."""
    visitor, form = act
    text = form.get("words", "").strip()[:_LONGEST_WORDS]
    found = problem = None
    places: dict[str, float] = {}
    try:
        found = await search_recordings(
            services.desk,
            services.master_key,
            services.segment_words,
            partial(read_segment, services),
            person=visitor.name,
            login=visitor.login,
            wanted=Wanted(text, form.get("person") or None, form.get("resource") or None),
        )
        for session_id in {hit.session for hit in found.hits}:
            activity = await show_session(services.desk, person=visitor.name, session_id=session_id)
            places[session_id] = activity.opened_at.timestamp()
    except NotFound:
        raise
    except Refusal as refusal:
        problem = refusal
    hits = [(hit, at := datetime.fromisoformat(hit.at), _place(at, places[hit.session])) for hit in _hits(found)]
    return page(
        request,
        visitor,
        "found.html",
        status=200 if problem is None else 403,
        title="Statements found",
        place="recordings",
        hits=hits,
        unread=found.unread if found else (),
        more=found is not None and found.more,
        given={name: form.get(name, "") for name in ("words", "person", "resource")},
        problem=problem,
    )


def _hits(found: Found | None) -> Sequence[Hit]:
    return () if found is None else found.hits


def _place(at: datetime, opened_s: float) -> float:
    """Where in its recording a moment is, in seconds."""
    return max(0.0, at.timestamp() - opened_s)


@router.get("/recordings/{session_id}")
async def session(
    session_id: InPath,
    request: Request,
    services: ServicesOf,
    visitor: Visiting,
    at: Annotated[float, Query(ge=0, le=1e9, allow_inf_nan=False)] = 0.0,
) -> Response:
    """What is known of it. Opening it is an act of its own, since it is written down."""
    activity = await show_session(services.desk, person=visitor.name, session_id=session_id)
    if activity.closed_at is None:
        return to(f"/live/{session_id}")
    context: dict[str, Any] = {
        "session": activity,
        "lines": None,
        "at": at,
        "after": 0,
        "following": 0,
        "terminal": False,
    }
    return page(request, visitor, "recording.html", title=f"Recording {session_id}", place="recordings", **context)


@router.post("/recordings/{session_id}")
async def replay(session_id: InPath, request: Request, services: ServicesOf, act: Acting) -> Response:
    visitor, form = act
    activity = await show_session(services.desk, person=visitor.name, session_id=session_id)
    chunks = await open_recording(services.desk, services.master_key, services.recordings, activity)
    await read_recording(services.desk, person=visitor.name, session_id=session_id, login=visitor.login)
    after = int(form["after"]) if form.get("after", "").isdecimal() and len(form["after"]) < 12 else 0
    lines: list[Line] = []
    terminal = False
    told, size, following = Told(), 0, 0
    async for place, record in _numbered(chunks):
        line = read_record(record, told)
        terminal = terminal or line.kind == "output"
        if place < after:
            continue
        size += _size_of(line)
        if lines and size > (_MOST_BESIDE_A_PLAYER if terminal else _MOST_BYTES):
            following = place
            break
        lines.append(line)
    opened = page(
        request,
        visitor,
        "recording.html",
        title=f"Recording {session_id}",
        place="recordings",
        session=activity,
        lines=lines,
        at=0.0,
        after=after,
        following=following,
        terminal=terminal,
    )
    return with_terminals(opened) if terminal else opened


def _size_of(line: Line) -> int:
    """About as many bytes as its part of the page."""
    shown = (lines_of(line.said), sql(line.statement or ""), lines_of(line.output), *line.parameters[:30], *line.parts)
    return 400 + sum(len(str(one)[:_MOST_BYTES].encode(errors="replace")) for one in shown)


@router.post("/recordings/{session_id}/cast")
async def cast(session_id: InPath, services: ServicesOf, act: Acting) -> StreamingResponse:
    """The terminals of a recording, as an asciicast. The reading is in the ledger before the first byte is sent."""
    visitor, _ = act
    activity = await check_may_read_recording(
        services.desk, person=visitor.name, session_id=session_id, login=visitor.login
    )
    chunks = await open_recording(services.desk, services.master_key, services.recordings, activity)
    await read_recording(services.desk, person=visitor.name, session_id=session_id, login=visitor.login)
    sent = replayed(services, Caller(visitor.person, visitor.login), activity, chunks)
    return StreamingResponse(_cast(sent), media_type="application/x-asciicast", headers=HEADERS)


async def _cast(chunks: AsyncIterator[bytes] | Iterator[bytes]) -> AsyncIterator[str]:
    made = Cast()
    async for _, record in _numbered(chunks):
        for line in made.lines_of(record):
            yield line


async def _numbered(chunks: AsyncIterator[bytes] | Iterator[bytes]) -> AsyncIterator[tuple[int, Mapping[str, Any]]]:
    """The records one by one, with their places."""
    rest, place = b"", 0
    async for chunk in _each(chunks):
        *whole, rest = (rest + chunk).split(b"\n")
        for text in whole:
            yield place, json.loads(text)
            place += 1
    if rest:
        yield place, json.loads(rest)


async def _each(chunks: AsyncIterator[bytes] | Iterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(chunks, AsyncIterator):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk
