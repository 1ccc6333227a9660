"""A person says what a client may do: looked at, then allowed or refused, by the very browser that looked.

INVARIANT: who says yes has signed in, with a key of their own, and proves that key with this call; the first key that
looks at a request is the only one that may answer it. No cookie takes part, so no other page can say yes for anybody,
and a consent that one person began cannot be finished in another's name.
"""

import secrets
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints

from interlock.domain.codec import from_plain
from interlock.domain.oauth import ClientKind, Scope
from interlock.errors import NotFound, Refusal
from interlock.services.delegations import CODE_LIFETIME, DEVICE_CODE_LIFETIME, Wish, give_delegation, hash_of
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import Caller, ServicesOf, SignedInPerson
from interlock.web.models import Body, answer
from interlock.web.routers.oauth_authorize import Asked, keep_asked, redirect_error, redirect_to
from interlock.web.services import Services

router = APIRouter(prefix="/v1/consents")

_WORDS = {
    Scope.READ.value: "see what you can see here: resources, requests, grants, sessions, people and contracts",
    Scope.LOGIN.value: "be signed in as you on the machine where it runs, with a key of that machine",
}
_Number = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class LookBody(Body):
    request: _Number = Field(repr=False)


class AnswerBody(Body):
    request: _Number = Field(repr=False)
    allow: bool


@router.post("/look", responses=told(answered.CONSENT))
async def look(body: LookBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """Who asks for what; from here on this login alone may answer."""
    number, asked = await _asked(services, body.request, caller)
    if not asked.looker:
        await keep_asked(services, number, replace(asked, looker=caller.login.key), f"looked {caller.name}")
    client = asked.client
    said: dict[str, Any] = {
        "client": client.name,
        "known_by": urlsplit(client.id).hostname if client.kind is ClientKind.DOCUMENT else client.kind.value,
        "scopes": [_WORDS[scope] for scope in sorted(asked.scopes)],
        "answer_goes_to": urlsplit(asked.redirect_uri).hostname or "the device that shows the code",
        "from_address": asked.from_address,
        "person": caller.name,
        "until": caller.login.ends_at,
    }
    return answer(said)


@router.post("", responses=told(answered.REDIRECT))
async def give_answer(body: AnswerBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """``{redirect}``: where the browser goes now; empty for a device."""
    number, asked = await _asked(services, body.request, caller)
    if asked.looker != caller.login.key:
        raise Refusal("not-looked", "Nobody says yes to what they did not see.", "Open the page again.")
    if await services.oauth.waiting.take(f"asked {number}") is None:
        raise _gone()
    if not body.allow:
        return await _refuse(services, asked)
    wish = Wish(asked.client, asked.scopes, asked.key, asked.challenge, asked.redirect_uri)
    if asked.device:
        await give_delegation(
            services.desk, login_id=caller.login.id, wish=wish, code_hash=asked.device, lifetime=DEVICE_CODE_LIFETIME
        )
        return answer({"redirect": ""})
    code = secrets.token_urlsafe(32)
    await give_delegation(
        services.desk, login_id=caller.login.id, wish=wish, code_hash=hash_of(code), lifetime=CODE_LIFETIME
    )
    return answer({"redirect": redirect_to(services, asked.redirect_uri, {"code": code, "state": asked.state})})


async def _refuse(services: Services, asked: Asked) -> JSONResponse:
    if asked.device:
        await services.oauth.waiting.change(f"device {asked.device}", {"polled_at": 0, "denied": True})
        return answer({"redirect": ""})
    no = Refusal("access_denied", "The person said no.", "")
    return answer({"redirect": redirect_error(services, asked.redirect_uri, asked.state, no)})


async def _asked(services: Services, number: str, caller: Caller) -> tuple[str, Asked]:
    """A number as it stands in the page's address, or a device's code as a person types it."""
    typed = "".join(letter for letter in number.upper() if letter.isalnum())
    for name in (number, f"{typed[:4]}-{typed[4:]}"):
        kept = await services.oauth.waiting.look(f"asked {name}")
        if kept is not None:
            asked = from_plain(Asked, kept)
            if asked.looker not in ("", caller.login.key):
                raise Refusal("another-browser", "Another browser is answering this already.", "Start again.")
            return name, asked
    raise _gone()


def _gone() -> NotFound:
    return NotFound("This request is unknown, too old, or was answered.", "Start again where you came from.")
