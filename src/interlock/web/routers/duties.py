"""Duties of chains over artifacts."""

from collections.abc import Sequence

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from interlock.domain.duties import Duty
from interlock.services.duties import Taken, do_duty, list_duties, take_duty
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ServicesOf, Working
from interlock.web.models import Body, InQuery, Name, answer

router = APIRouter(prefix="/v1/duties")


class DutyBody(Body):
    chain: Name
    duty: Name
    artifact: Name


class DoneBody(DutyBody):
    content: Name


@router.get("", responses=told(Sequence[Duty]))
async def history(services: ServicesOf, caller: Working, chain: InQuery, artifact: InQuery) -> JSONResponse:
    return answer(await list_duties(services.desk, person=caller.name, chain=chain, artifact=artifact))


@router.post("/take", responses=told(Taken))
async def take(body: DutyBody, services: ServicesOf, caller: Working) -> JSONResponse:
    return answer(
        await take_duty(services.desk, acting=caller.acting, chain=body.chain, duty=body.duty, artifact=body.artifact)
    )


@router.post("/done", responses=told(answered.DUTY_DONE))
async def done(body: DoneBody, services: ServicesOf, caller: Working) -> JSONResponse:
    own, *voided = await do_duty(
        services.desk,
        acting=caller.acting,
        chain=body.chain,
        duty=body.duty,
        artifact=body.artifact,
        content=body.content,
    )
    return answer({"duty": own, "voided": voided})
