"""What is looked for in the ledger, and what was found."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from interlock.services.list_alarms import WatchKept, list_alarms
from interlock.web.answers import told
from interlock.web.authentication import ServicesOf, SignedInPerson
from interlock.web.models import answer

router = APIRouter(prefix="/v1/detections")


@router.get("", responses=told(WatchKept))
async def detections(
    services: ServicesOf, caller: SignedInPerson, limit: Annotated[int, Query(ge=1, le=1000)] = 200
) -> JSONResponse:
    return answer(await list_alarms(services.desk, person=caller.name, limit=limit))
