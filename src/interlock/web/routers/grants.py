"""Grants: look and end."""

from collections.abc import Sequence

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from interlock.domain.grants import Grant
from interlock.services.end_grant import end_grant
from interlock.services.list_people import list_grants
from interlock.web.answers import told
from interlock.web.authentication import ReadingPerson, ServicesOf, SignedInPerson
from interlock.web.models import InPath, WithReason, answer

router = APIRouter(prefix="/v1/grants")


@router.get("", responses=told(Sequence[Grant]))
async def list_active(services: ServicesOf, caller: ReadingPerson) -> JSONResponse:
    return answer(await list_grants(services.desk, person=caller.name))


@router.post("/{grant_id}/end", responses=told(Grant))
async def end(grant_id: InPath, body: WithReason, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    return answer(await end_grant(services.desk, by=caller.name, grant_id=grant_id, reason=body.reason))
