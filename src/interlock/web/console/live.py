"""Live: sessions now, their statements as they come, and the button that cuts them."""

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from interlock.domain.grants import Activity
from interlock.services.cut_session import cut_session
from interlock.services.list_sessions import list_sessions, read_recording, show_session
from interlock.web.authentication import Caller, ServicesOf
from interlock.web.console.page import HEADERS, Acting, PageRoute, Visiting, page, render, to, with_terminals
from interlock.web.console.records import Told, read_record
from interlock.web.models import InPath, InQuery
from interlock.web.routers.sessions import watched
from interlock.web.services import Services
from interlock.web.streams import NDJSON

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_PAGE = 100


@router.get("/live")
async def sessions(request: Request, services: ServicesOf, visitor: Visiting, before: InQuery = "") -> Response:
    found = await list_sessions(services.desk, person=visitor.name, live=True, before=before or None, limit=_PAGE + 1)
    following = found[_PAGE - 1].id if len(found) > _PAGE else ""
    context: dict[str, Any] = {"sessions": found[:_PAGE], "before": before, "following": following}
    return page(request, visitor, "live.html", title="Live", place="live", **context)


@router.get("/live/{session_id}")
async def session(session_id: InPath, request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    activity = await show_session(services.desk, person=visitor.name, session_id=session_id)
    if activity.closed_at is not None:
        return to(f"/recordings/{session_id}")
    resource = services.desk.configuration.resources.get(activity.resource)
    terminal = resource is not None and resource.kind == "ssh"
    title = f"Session {session_id}"
    shown = page(request, visitor, "live_session.html", title=title, place="live", session=activity, terminal=terminal)
    return with_terminals(shown) if terminal else shown


@router.post("/live/{session_id}/watch")
async def watch(session_id: InPath, services: ServicesOf, act: Acting) -> StreamingResponse:
    """The session's records, from its first one, as pieces of the page. The watching is in the ledger before."""
    visitor, _ = act
    activity = await show_session(services.desk, person=visitor.name, session_id=session_id)
    await read_recording(services.desk, person=visitor.name, session_id=session_id, login=visitor.login)
    caller = Caller(visitor.person, visitor.login)
    return StreamingResponse(_pieces(services, caller, activity), media_type="text/html", headers=HEADERS)


@router.post("/live/{session_id}/join")
async def join(session_id: InPath, services: ServicesOf, act: Acting) -> StreamingResponse:
    """The same records as lines of JSON, for a terminal to look at. The watching is in the ledger before."""
    visitor, _ = act
    activity = await show_session(services.desk, person=visitor.name, session_id=session_id)
    await read_recording(services.desk, person=visitor.name, session_id=session_id, login=visitor.login)
    lines = watched(services, Caller(visitor.person, visitor.login), activity)
    return StreamingResponse(lines, media_type=NDJSON, headers=HEADERS)


@router.post("/live/{session_id}/cut")
async def cut(session_id: InPath, services: ServicesOf, act: Acting) -> Response:
    visitor, form = act
    await cut_session(services.desk, by=visitor.name, session_id=session_id, reason=form.get("reason", ""))
    return to(f"/live/{session_id}")


async def _pieces(services: Services, caller: Caller, activity: Activity) -> AsyncIterator[str]:
    """One piece a batch; a record separator ends each, which no piece holds: what acts is written out."""
    told = Told()
    async for chunk in watched(services, caller, activity):
        records = [read_record(json.loads(line), told) for line in chunk.splitlines() if line]
        yield render("records.html", records=records) + "\x1e"
