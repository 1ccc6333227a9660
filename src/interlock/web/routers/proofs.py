"""Proofs on the state as it is, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from interlock.services.explain_why import Explained, explain_live
from interlock.services.prove_state import Proved, prove_state
from interlock.web.answers import told
from interlock.web.authentication import ServicesOf, SignedInPerson
from interlock.web.models import InQuery, answer

router = APIRouter(prefix="/v1")


@router.get("/proof", responses=told(Proved))
async def proof(
    services: ServicesOf,
    caller: SignedInPerson,
    chain: InQuery | None = None,
    persons: Annotated[int | None, Query(ge=1, le=6)] = None,
    absent: Annotated[list[InQuery] | None, Query(max_length=100)] = None,
) -> JSONResponse:
    found = await prove_state(services.desk, by=caller.name, chain=chain, persons=persons, absent=absent or ())
    return answer(found)


@router.get("/why", responses=told(Explained))
async def why(
    services: ServicesOf, caller: SignedInPerson, person: InQuery, action: InQuery, resource: InQuery
) -> JSONResponse:
    found = await explain_live(services.desk, by=caller.name, person=person, action=action, resource=resource)
    return answer(found)
