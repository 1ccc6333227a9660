"""Invitations: given, confirmed and ended by those of the company; opened and used by who comes."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints

from interlock.services.arrive import Arrival, arrive, look_at_invitation
from interlock.services.invite import confirm_invited, end_invitation, invite, list_invitations
from interlock.web import answered
from interlock.web.answers import Many, told
from interlock.web.authentication import ProvedKey, ReadingPerson, ServicesOf, SignedInPerson
from interlock.web.models import Body, InPath, Name, Secret, WithReason, answer, joined
from interlock.web.routers.entrance import address_of

router = APIRouter(prefix="/v1")

_Link = Annotated[str, StringConstraints(min_length=1, max_length=200)]
HIDDEN = ("code_hash",)


class InviteBody(Body):
    person: Name


class WordsBody(Body):
    words: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class LinkBody(Body):
    code: _Link = Field(repr=False)


class ArriveBody(LinkBody):
    password: Secret = Field(repr=False)


@router.post("/contracts/{name}/invite", responses=told(answered.INVITED))
async def give(name: InPath, body: InviteBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    invited = await invite(services.front, login_id=caller.login.id, contract=name, person=body.person)
    # Behind the # it is in no log of any server, and in no Referer.
    link = f"{services.oauth.issuer}/invitation#{invited.text}"
    return answer(joined_without(invited.invitation, code=invited.text, link=link))


@router.get("/invitations", responses=told(Many(answered.INVITATION)))
async def list_mine(services: ServicesOf, caller: ReadingPerson) -> JSONResponse:
    return answer([joined_without(one) for one in await list_invitations(services.desk, person=caller.name)])


@router.post("/invitations/{invitation_id}/confirm", responses=told(answered.INVITATION))
async def confirm(invitation_id: InPath, body: WordsBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """The sponsor says the words that the person reads to them."""
    confirmed = await confirm_invited(
        services.desk, login_id=caller.login.id, invitation_id=invitation_id, words=body.words
    )
    return answer(joined_without(confirmed))


@router.post("/invitations/{invitation_id}/end", responses=told(answered.INVITATION))
async def end(invitation_id: InPath, body: WithReason, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    ended = await end_invitation(services.desk, by=caller.name, invitation_id=invitation_id, reason=body.reason)
    return answer(joined_without(ended))


@router.post("/arrivals/look", responses=told(Arrival))
async def look(request: Request, body: LinkBody, services: ServicesOf, proof: ProvedKey) -> JSONResponse:
    """What the link says; the first key that asks is bound to it."""
    return answer(await look_at_invitation(services.front, code=body.code, key=proof.jkt, address=address_of(request)))


@router.post("/arrivals", responses=told(answered.ARRIVED))
async def come_in(request: Request, body: ArriveBody, services: ServicesOf, proof: ProvedKey) -> JSONResponse:
    enrolled = await arrive(
        services.front, code=body.code, key=proof.jkt, password=body.password, address=address_of(request)
    )
    return answer({"person": enrolled.person, "totp_secret": enrolled.totp_secret, "totp_uri": enrolled.totp_uri})


def joined_without(entity: object, **more: object) -> dict[str, object]:
    """The entity with ``more``, without what nobody is shown."""
    return {name: value for name, value in joined(entity, **more).items() if name not in HIDDEN}
