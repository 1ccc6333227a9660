"""Passkeys: the ceremonies as a browser makes them."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints

from interlock.services.passkeys import (
    Ceremony,
    Shown,
    add_passkey,
    begin_adding,
    begin_presence,
    begin_sign_in,
    end_passkey,
    list_passkeys,
    sign_in_with_passkey,
    step_up_with_passkey,
)
from interlock.web import answered
from interlock.web.answers import Many, told
from interlock.web.authentication import ProvedKey, ServicesOf, SignedInPerson
from interlock.web.models import Body, InPath, WithReason, answer, joined
from interlock.web.oauth import origin_of
from interlock.web.routers.entrance import address_of

router = APIRouter(prefix="/v1/passkeys")


class ShownBody(Body):
    ceremony: Annotated[str, StringConstraints(min_length=1, max_length=100)] = Field(repr=False)
    credential: dict[str, Any] = Field(repr=False)

    def shown(self) -> Shown:
        return Shown(self.ceremony, self.credential)


class AddBody(ShownBody):
    name: Annotated[str, StringConstraints(max_length=100)] = ""


class PresenceBody(Body):
    digest: Annotated[str, StringConstraints(max_length=128, pattern=r"^[^\x00]*$")] = ""


@router.post("/begin", responses=told(Ceremony))
async def begin_to_add(services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    return answer(await begin_adding(services.passkeys, login_id=caller.login.id))


@router.post("", responses=told(answered.PASSKEY_ADDED))
async def add(body: AddBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    passkey = await add_passkey(services.passkeys, login_id=caller.login.id, shown=body.shown(), name=body.name)
    return answer({"id": passkey.id, "name": passkey.name, "added_at": passkey.added_at})


@router.get("", responses=told(Many(answered.PASSKEY)))
async def list_mine(services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    found = await list_passkeys(services.desk, person=caller.name)
    return answer([{"id": p.id, "name": p.name, "added_at": p.added_at, "used_at": p.used_at} for p in found])


@router.post("/sign-in/begin", responses=told(Ceremony))
async def begin_to_sign_in(request: Request, services: ServicesOf, proof: ProvedKey) -> JSONResponse:
    return answer(await begin_sign_in(services.passkeys, key=proof.jkt, network=origin_of(request, "ceremony")))


@router.post("/sign-in", responses=told(answered.LOGIN_WITH_TOKEN))
async def sign_in(request: Request, body: ShownBody, services: ServicesOf, proof: ProvedKey) -> JSONResponse:
    login, token = await sign_in_with_passkey(
        services.passkeys, key=proof.jkt, shown=body.shown(), address=address_of(request)
    )
    return answer(joined(login, login=login.id, token=token.text, token_ends_at=token.ends_at))


@router.post("/presence/begin", responses=told(Ceremony))
async def begin_to_prove(body: PresenceBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """``digest`` of the request that is to be approved; without one, presence in this login."""
    return answer(await begin_presence(services.passkeys, login_id=caller.login.id, digest=body.digest))


@router.post("/presence", responses=told(answered.FRESH_TOKEN))
async def prove(body: ShownBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    login, token = await step_up_with_passkey(services.passkeys, login_id=caller.login.id, shown=body.shown())
    return answer({"token": token.text, "token_ends_at": token.ends_at, "present_at": login.present_at})


@router.post("/{passkey_id}/end", responses=told(answered.NAMED))
async def end(passkey_id: InPath, body: WithReason, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    ended = await end_passkey(services.desk, by=caller.name, passkey_id=passkey_id, reason=body.reason)
    return answer({"id": ended.id, "name": ended.name})
