"""Evidence: duties done on commits, signed by who did them, and what builders say that they made."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import StringConstraints

from interlock.domain.delivery import Evidence
from interlock.services.evidence import (
    Wanted,
    describe_duty,
    give_evidence,
    list_evidence,
    shown,
    take_provenance,
)
from interlock.web import answered
from interlock.web.answers import Many, told
from interlock.web.authentication import ReadingPerson, ServicesOf, Working
from interlock.web.models import Body, InQuery, Name, answer

router = APIRouter(prefix="/v1/evidence")
_Envelope = Annotated[str, StringConstraints(min_length=2, max_length=60_000)]
_Environment = Annotated[str, StringConstraints(max_length=63)]


class AboutBody(Body):
    chain: Name
    duty: Name
    artifact: Name
    environment: _Environment = ""
    jwk: dict[str, Any]


class EnvelopeBody(Body):
    envelope: _Envelope


class ProvenanceBody(EnvelopeBody):
    repository: Name


@router.get("", responses=told(Sequence[Evidence]))
async def about(services: ServicesOf, caller: ReadingPerson, artifact: InQuery) -> JSONResponse:
    found = await list_evidence(services.delivery, person=caller.name, artifact=artifact)
    return answer([{**shown(one), "envelope": one.envelope} for one in found])


@router.post("/describe", responses=told(Mapping[str, Any]))
async def describe(body: AboutBody, services: ServicesOf, caller: Working) -> JSONResponse:
    wanted = Wanted(body.chain, body.duty, body.artifact, body.environment)
    return answer(await describe_duty(services.delivery, acting=caller.acting, wanted=wanted, jwk=body.jwk))


@router.post("", responses=told(answered.EVIDENCE))
async def give(body: EnvelopeBody, services: ServicesOf, caller: Working) -> JSONResponse:
    kept = await give_evidence(services.delivery, acting=caller.acting, key=caller.key, envelope=body.envelope)
    return answer(shown(kept))


@router.post("/builds", responses=told(Many(answered.EVIDENCE)))
async def builds(body: ProvenanceBody, services: ServicesOf, caller: Working) -> JSONResponse:
    kept = await take_provenance(services.delivery, by=caller.name, repository=body.repository, envelope=body.envelope)
    return answer([shown(one) for one in kept])


@router.get("/key", responses=told(answered.KEY))
async def key(services: ServicesOf, caller: ReadingPerson) -> JSONResponse:
    return answer({"key": services.attest_key})
