"""Signing in through identity providers: begun and finished by the browser's own key."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints

from interlock.domain.codec import from_plain, to_plain
from interlock.errors import NotFound, Refusal
from interlock.identity.oidc import Asked
from interlock.services.passkeys import CEREMONY_LIFETIME
from interlock.services.sign_in_elsewhere import Known, sign_in_elsewhere
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ProvedKey, ServicesOf
from interlock.web.models import Body, InPath, answer, joined
from interlock.web.oauth import origin_of
from interlock.web.routers.entrance import address_of

router = APIRouter(prefix="/v1/providers")

_WAITS = 5 * CEREMONY_LIFETIME
_Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class AnswerBody(Body):
    state: _Text = Field(repr=False)
    code: _Text = Field(repr=False)
    iss: _Text | None = None


@router.get("", responses=told(Sequence[str]))
async def list_all(services: ServicesOf) -> JSONResponse:
    return answer(sorted(services.providers))


@router.post("/{name}/begin", responses=told(answered.REDIRECT))
async def begin(name: InPath, request: Request, services: ServicesOf, proof: ProvedKey) -> JSONResponse:
    """``{redirect}``: where the browser goes to sign in."""
    provider = services.providers.get(name)
    if provider is None:
        raise NotFound(f"There is no identity provider {name} here.", "See the sign-in page.")
    presence = services.desk.configuration.timing.presence
    url, asked = await provider.ask(f"{services.oauth.issuer}/sign-in", presence)
    kept = {"asked": to_plain(asked), "key": proof.jkt}
    until = services.desk.clock.now() + _WAITS
    await services.oauth.waiting.put(f"oidc {asked.state}", kept, until=until, origin=origin_of(request, "oidc"))
    return answer({"redirect": url})


@router.post("/answer", responses=told(answered.LOGIN_WITH_TOKEN))
async def finish(body: AnswerBody, request: Request, services: ServicesOf, proof: ProvedKey) -> JSONResponse:
    """What the provider sent the browser back with. The login and its token."""
    kept = await services.oauth.waiting.take(f"oidc {body.state}")
    if kept is None or kept["key"] != proof.jkt:
        raise Refusal("bad-answer", "This browser asked no provider, or not this one, or too long ago.", "Begin again.")
    asked = from_plain(Asked, kept["asked"])
    provider = services.providers.get(asked.provider)
    if provider is None:
        raise NotFound("That identity provider is no longer here.", "Begin again.")
    told = await provider.take(asked, body.code, body.iss, services.desk.clock.now())
    known = Known(provider.name, provider.settings, told.issuer, told.subject, told.claims, told.present_at)
    login, token = await sign_in_elsewhere(services.front, known, key=proof.jkt, address=address_of(request))
    return answer(joined(login, login=login.id, token=token.text, token_ends_at=token.ends_at))
