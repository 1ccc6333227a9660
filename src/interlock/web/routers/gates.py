"""The gate: may this duty be done on this commit now, and if not, what is missing."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints

from interlock.domain.codec import to_plain
from interlock.domain.delivery import Verdict
from interlock.services.gate import ask_gate, record_answer
from interlock.services.gate_bundle import write_bundle
from interlock.services.lend_for_deployment import lend_for_deployment
from interlock.web.authentication import ServicesOf, SignedInPerson, Working
from interlock.web.models import Body, Name, answer

router = APIRouter(prefix="/v1/gate")
_Environment = Annotated[str, StringConstraints(max_length=63)]


class GateBody(Body):
    chain: Name
    duty: Name
    artifact: Name
    environment: _Environment = ""
    anybody: bool = False
    """Ask for nobody in particular, instead of for the caller."""
    bundle: bool = False


@router.post("")
async def ask(body: GateBody, services: ServicesOf, caller: Working) -> JSONResponse:
    delivery = services.delivery
    verdict = await ask_gate(
        delivery,
        chain=body.chain,
        duty=body.duty,
        artifact=body.artifact,
        environment=body.environment,
        person=None if body.anybody else caller.name,
    )
    await record_answer(delivery, verdict)
    told = plain_verdict(verdict)
    if body.bundle and verdict.open:
        told["bundle"] = await write_bundle(delivery, verdict)
    return JSONResponse(told)


class LendBody(Body):
    chain: Name
    artifact: Name
    environment: _Environment
    duration_s: Annotated[int, Field(gt=0, le=366 * 86400)]


@router.post("/lend")
async def lend(body: LendBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    request = await lend_for_deployment(
        services.delivery,
        login_id=caller.login.id,
        chain=body.chain,
        artifact=body.artifact,
        environment=body.environment,
        duration=timedelta(seconds=body.duration_s),
    )
    return answer(request)


def plain_verdict(verdict: Verdict) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(verdict)
    return {"open": verdict.open, **plain}
