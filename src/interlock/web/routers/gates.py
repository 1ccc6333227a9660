"""The gate: may this duty be done on this commit now, and if not, what is missing."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints

from interlock.domain.codec import to_plain
from interlock.domain.delivery import Verdict
from interlock.domain.grants import Request as RequestEntity
from interlock.errors import Refusal
from interlock.services.emergency_deployment import Emergency, ask_in_emergency
from interlock.services.gate import ask_gate, record_answer
from interlock.services.gate_bundle import write_bundle
from interlock.services.lend_for_deployment import Deployment, Lent, find_lent, lend_for_deployment
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ServicesOf, SignedInPerson, Working
from interlock.web.models import Body, InPath, Name, answer, joined
from interlock.web.routers.entrance import address_of
from interlock.web.routers.resources import connect_words
from interlock.web.services import Services

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


@router.post("", responses=told(answered.GATE))
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
    csr: Annotated[str, StringConstraints(min_length=1, max_length=8192)] | None = None
    """With it, once the grant has begun, comes a client certificate for the caller's own key."""


@router.post("/lend", responses=told(answered.LENT))
async def lend(request: Request, body: LendBody, services: ServicesOf, caller: Working) -> JSONResponse:
    _check_csr(services, body.csr, caller.key)
    wish = Deployment(
        acting=caller.acting,
        key=caller.key,
        chain=body.chain,
        artifact=body.artifact,
        environment=body.environment,
        duration=timedelta(seconds=body.duration_s),
        address=address_of(request),
    )
    return _lent(await lend_for_deployment(services.delivery, wish), services, request, body.csr)


class EmergencyBody(Body):
    chain: Name
    artifact: Name
    environment: _Environment
    duration_s: Annotated[int, Field(gt=0, le=366 * 86400)]
    reason: Annotated[str, StringConstraints(max_length=4000)]


@router.post("/emergency", responses=told(RequestEntity))
async def emergency(body: EmergencyBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """Ask to deploy past a shut gate; another person has to confirm it."""
    wish = Emergency(
        login_id=caller.login.id,
        chain=body.chain,
        artifact=body.artifact,
        environment=body.environment,
        duration=timedelta(seconds=body.duration_s),
        reason=body.reason,
    )
    return answer(await ask_in_emergency(services.delivery, wish))


class LentBody(Body):
    csr: Annotated[str, StringConstraints(min_length=1, max_length=8192)] | None = None


@router.post("/lent/{request_id}", responses=told(answered.LENT))
async def lent(
    request_id: InPath, request: Request, body: LentBody, services: ServicesOf, caller: Working
) -> JSONResponse:
    """What became of the caller's own request for a deployment; to be asked again while it is open."""
    _check_csr(services, body.csr, caller.key)
    found = await find_lent(services.delivery, request_id=request_id, person=caller.name, key=caller.key)
    return _lent(found, services, request, body.csr)


def _check_csr(services: Services, csr: str | None, key: str) -> None:
    if csr is not None and services.front.authority.key_of_request(csr) != key:
        raise Refusal(
            "key-mismatch",
            "The certificate request was signed with another key than the call was proved with.",
            "Use one key for both.",
        )


def _lent(found: Lent, services: Services, request: Request, csr: str | None) -> JSONResponse:
    resource = services.desk.configuration.resources.get(found.request.resource)
    said: dict[str, Any] = {"grant": found.grant, "person": found.request.person}
    if found.grant is not None and resource is not None:
        said["connect"] = connect_words(services, resource.kind, resource.name, request)
        said["kind"] = resource.kind
        if csr is not None:
            now = services.desk.clock.now()
            said["certificate"] = services.front.authority.issue_client(csr, login=found.login, at=now)
    return answer(joined(found.request, **said))


def plain_verdict(verdict: Verdict) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(verdict)
    return {"open": verdict.open, **plain}
