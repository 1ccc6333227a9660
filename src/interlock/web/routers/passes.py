"""Passes: proofs of presence for connections, asked for and given."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints

from interlock.services.ask_pass import PassView, PassWish, ask_pass, show_pass, withdraw_pass
from interlock.services.give_pass import begin_touch, give_by_code, give_by_touch
from interlock.services.passkeys import Ceremony
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ServicesOf, SignedInPerson
from interlock.web.models import Body, InPath, Name, answer
from interlock.web.routers.entrance import address_of
from interlock.web.routers.passkeys import ShownBody
from interlock.web.services import Services

router = APIRouter(prefix="/v1/passes")


class PassBody(Body):
    resource: Name
    role: Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00]*$")] = ""
    connections: int = 1
    password: bool = False


class CodeBody(Body):
    totp: Annotated[str, StringConstraints(min_length=1, max_length=16)] = Field(repr=False)


@router.post("", responses=told(answered.PASS))
async def ask(request: Request, body: PassBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """It gives nothing yet: the person proves to be there on ``page``, or with a code."""
    wish = PassWish(
        caller.login.id, body.resource, body.role, body.connections, address_of(request), password=body.password
    )
    return answer(_shown(services, await ask_pass(services.desk, services.oauth.waiting, wish)))


@router.get("/{pass_id}", responses=told(answered.PASS))
async def show(pass_id: InPath, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    found = await show_pass(services.desk, services.oauth.waiting, person=caller.name, pass_id=pass_id)
    return answer(_shown(services, found))


@router.post("/{pass_id}/withdraw", responses=told(answered.NOTHING))
async def withdraw(pass_id: InPath, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """Whoever asked for it waits no longer."""
    await withdraw_pass(services.oauth.waiting, person=caller.name, pass_id=pass_id)
    return answer({})


@router.post("/{pass_id}/code", responses=told(answered.PASS_GIVEN))
async def prove_by_code(
    pass_id: InPath, request: Request, body: CodeBody, services: ServicesOf, caller: SignedInPerson
) -> JSONResponse:
    given = await give_by_code(
        services.passkeys, login_id=caller.login.id, pass_id=pass_id, totp=body.totp, address=address_of(request)
    )
    return answer({"id": given.id, "expires_at": given.expires_at, "connections": given.connections})


@router.post("/{pass_id}/begin", responses=told(Ceremony))
async def begin(pass_id: InPath, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """What the passkey is to sign: a challenge made of the digest of what was asked for."""
    return answer(await begin_touch(services.passkeys, login_id=caller.login.id, pass_id=pass_id))


@router.post("/{pass_id}/touch", responses=told(answered.PASS_GIVEN))
async def prove_by_touch(
    pass_id: InPath, body: ShownBody, services: ServicesOf, caller: SignedInPerson
) -> JSONResponse:
    given = await give_by_touch(services.passkeys, login_id=caller.login.id, pass_id=pass_id, shown=body.shown())
    return answer({"id": given.id, "expires_at": given.expires_at, "connections": given.connections})


def _shown(services: Services, view: PassView) -> dict[str, Any]:
    return {
        "id": view.id,
        "content": view.content,
        "digest": view.digest,
        "by": "passkey" if view.by_passkey else "code",
        "page": f"{services.oauth.issuer}/passes/{view.id}",
        "given": view.given is not None,
        "expires_at": view.given.expires_at if view.given is not None else None,
    }
