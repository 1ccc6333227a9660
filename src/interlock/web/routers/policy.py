"""The policy: the active one, and changes of it that are proposed, looked at and activated."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints, ValidationError

from interlock.domain.grants import Request as RequestEntity
from interlock.domain.snapshot import PolicyText
from interlock.services.activate_policy import activate_policy
from interlock.services.propose_policy import propose_policy
from interlock.services.read_policy import ProposalView, read_active, read_proposal
from interlock.services.risks import RiskRow, list_risks
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ReadingPerson, ServicesOf, SignedInPerson
from interlock.web.boundary import BadInputError, read_gateway_body
from interlock.web.models import Body, InPath, Name, Text, answer, joined

router = APIRouter(prefix="/v1/policy")

_Whole = Annotated[str, StringConstraints(max_length=4 * 1024 * 1024, pattern=r"^[^\x00]*$")]


class ProposeBody(Body):
    yaml: _Whole
    cedar: Annotated[dict[Name, _Whole], Field(max_length=1000)]
    reason: Text


@router.get("", responses=told(PolicyText))
async def active(services: ServicesOf, caller: ReadingPerson) -> JSONResponse:
    return answer(await read_active(services.desk, person=caller.name))


@router.get("/risks", responses=told(tuple[RiskRow, ...]))
async def risks(services: ServicesOf, caller: ReadingPerson) -> JSONResponse:
    return answer(await list_risks(services.desk, person=caller.name))


@router.post("/proposals", responses=told(RequestEntity))
async def propose(request: Request, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    # The body is long, so it is read by the route itself, after the caller is known.
    try:
        body = ProposeBody.model_validate(await read_gateway_body(request))
    except ValidationError as error:
        raise BadInputError("yaml, cedar and reason") from error
    return answer(
        await propose_policy(
            services.desk, login_id=caller.login.id, yaml=body.yaml, cedar=body.cedar, reason=body.reason
        )
    )


@router.get("/proposals/{request_id}", responses=told(ProposalView))
async def show(request_id: InPath, services: ServicesOf, caller: ReadingPerson) -> JSONResponse:
    """The whole text of a change, and of the policy that it changes."""
    return answer(await read_proposal(services.desk, person=caller.name, request_id=request_id))


@router.post("/proposals/{request_id}/activate", responses=told(answered.ACTIVATED))
async def activate(request_id: InPath, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    activated = await activate_policy(services.desk, login_id=caller.login.id, request_id=request_id)
    policy = activated.applied.policy
    return answer(
        joined(activated.request, version=policy.version, policy=policy.digest, ended=activated.applied.ended)
    )
