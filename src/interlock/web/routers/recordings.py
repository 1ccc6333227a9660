"""Recordings: searched, kept, let go."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from interlock.domain.grants import Request as RequestEntity
from interlock.domain.retention import LegalHold
from interlock.errors import Refusal
from interlock.services.retention import Due, list_due, list_holds, open_deletion, open_lifting, place_hold
from interlock.services.search_recordings import Found, Wanted, search_recordings
from interlock.web.answers import told
from interlock.web.authentication import ServicesOf, SignedInPerson
from interlock.web.models import Body, InPath, InQuery, Name, Text, WithReason, answer
from interlock.web.recordings import read_segment

router = APIRouter(prefix="/v1/recordings")


class Deletion(Body):
    sessions: Annotated[list[Name], Field(min_length=1, max_length=100)]
    reason: Text


class Hold(Body):
    session: Annotated[str, Field(max_length=254)] = ""
    person: Annotated[str, Field(max_length=254)] = ""
    resource: Annotated[str, Field(max_length=254)] = ""
    reason: Text


@router.get("/search", responses=told(Found))
async def search(
    services: ServicesOf,
    caller: SignedInPerson,
    q: InQuery,
    person: Annotated[str | None, Query(max_length=254)] = None,
    resource: Annotated[str | None, Query(max_length=254)] = None,
    since: Annotated[str | None, Query(max_length=40)] = None,
    until: Annotated[str | None, Query(max_length=40)] = None,
) -> JSONResponse:
    """Statements with all the words. The search is in the ledger before its answer is sent."""
    return answer(
        await search_recordings(
            services.desk,
            services.master_key,
            services.segment_words,
            partial(read_segment, services),
            person=caller.name,
            login=caller.login,
            wanted=Wanted(q, person, resource, _moment(since), _moment(until)),
        )
    )


@router.get("/due", responses=told(Sequence[Due]))
async def due(services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    return answer(await list_due(services.desk, person=caller.name))


@router.post("/deletions", responses=told(RequestEntity))
async def delete(body: Deletion, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    return answer(
        await open_deletion(services.desk, login_id=caller.login.id, sessions=body.sessions, reason=body.reason)
    )


@router.get("/holds", responses=told(Sequence[LegalHold]))
async def holds(services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    return answer(await list_holds(services.desk, person=caller.name))


@router.post("/holds", responses=told(LegalHold))
async def hold(body: Hold, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    return answer(
        await place_hold(
            services.desk,
            login_id=caller.login.id,
            session=body.session,
            person=body.person,
            resource=body.resource,
            reason=body.reason,
        )
    )


@router.post("/holds/{hold_id}/lift", responses=told(RequestEntity))
async def lift(hold_id: InPath, body: WithReason, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    return answer(await open_lifting(services.desk, login_id=caller.login.id, hold_id=hold_id, reason=body.reason))


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal("bad-time", f"{text[:40]} is no time.", "Write it as 2026-11-28T09:00:00Z.") from error
    if moment.tzinfo is None:
        raise Refusal("bad-time", "The time has no zone.", "Write it as 2026-11-28T09:00:00Z.")
    return moment
