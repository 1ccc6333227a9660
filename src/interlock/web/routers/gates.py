"""The gate: may this duty be done on this commit now, and if not, what is missing."""

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import StringConstraints

from interlock.domain.codec import to_plain
from interlock.domain.delivery import Verdict
from interlock.services.gate import ask_gate, record_answer
from interlock.services.gate_bundle import write_bundle
from interlock.web.authentication import ServicesOf, Working
from interlock.web.models import Body, Name

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


def plain_verdict(verdict: Verdict) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(verdict)
    return {"open": verdict.open, **plain}
