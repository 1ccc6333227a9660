"""Where a client asks a person: pushed requests (RFC 9126), the authorization endpoint, device codes (RFC 8628).

The authorization endpoint decides nothing. It checks what the client asks, keeps it under a number of its own, and
sends the browser to the page where the person signs in and says yes or no (``consents``).

A wrong client or address is told to the person and never redirected to: a redirect would then be anybody's.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from interlock.domain.codec import to_plain
from interlock.domain.oauth import OauthClient, Scope
from interlock.errors import Refusal
from interlock.identity.oauth_clients import OWN_ID, may_redirect, scopes_of
from interlock.services.delegations import DEVICE_CODE_LIFETIME, hash_of
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ServicesOf, prove_key
from interlock.web.described import OAUTH_ERRORS, content
from interlock.web.oauth import (
    SCOPES,
    authenticate_client,
    bad_request,
    check_resource,
    fields_of,
    find_client,
    needed,
    oauth_call,
    origin_of,
    read_form,
    refuse_agent,
)
from interlock.web.pages import error_page
from interlock.web.services import Services

router = APIRouter(responses=OAUTH_ERRORS)

PUSHED = "urn:ietf:params:oauth:request_uri:"
_PUSHED_LIFETIME = timedelta(seconds=90)
CONSENT_LIFETIME = timedelta(minutes=10)
POLL_S = 5
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""RFC 8628 section 6.1: no vowels, so no words."""
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_THUMBPRINT = _CHALLENGE


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks of a person. ``device`` is the hash of a device code, and then there is no redirect.

    ``from_address`` is where it was asked from.
    """

    client: OauthClient
    scopes: frozenset[str]
    redirect_uri: str
    state: str
    challenge: str
    key: str
    from_address: str
    device: str = ""
    looker: str = ""


@router.post("/oauth/par", status_code=201, responses=told(answered.PUSHED, status=201))
@oauth_call
async def push(request: Request, services: ServicesOf) -> Response:
    """RFC 9126: the request goes ahead of the browser, from the client itself."""
    form = await read_form(request)
    client = await authenticate_client(request, services.desk, services.oauth, form)
    if "request_uri" in form:
        raise bad_request("a pushed request names no other")
    key = form.get("dpop_jkt", "")
    if request.headers.get("dpop"):
        proved = (await prove_key(request, services)).jkt
        if key not in ("", proved):
            raise bad_request("dpop_jkt is not the proof's key")
        key = proved
    fields = {name: value for name, value in form.items() if not name.startswith("client_assertion")}
    fields |= {"client_id": client.id} | ({"dpop_jkt": key} if key else {})
    redirect = _redirect_of(client, fields)
    _read(services.oauth.issuer, client, redirect, fields, request)
    number = secrets.token_urlsafe(24)
    until = services.desk.clock.now() + _PUSHED_LIFETIME
    await services.oauth.waiting.put(f"pushed {number}", fields, until=until, origin=origin_of(request, "push"))
    said = {"request_uri": PUSHED + number, "expires_in": int(_PUSHED_LIFETIME.total_seconds())}
    return JSONResponse(said, status_code=201)


@router.get("/oauth/authorize", status_code=303, response_class=RedirectResponse, responses=content("text/html", 400))
async def authorize(request: Request, services: ServicesOf) -> Response:
    try:
        fields = await _fields(services, fields_of(request.url.query))
        client = await find_client(request, services.desk, services.oauth, needed(fields, "client_id"))
        redirect = _redirect_of(client, fields)
    except Refusal as refusal:
        return error_page(refusal)
    try:
        asked = _read(services.oauth.issuer, client, redirect, fields, request)
        number = secrets.token_urlsafe(24)
        await keep_asked(services, number, asked, origin_of(request, "consent"))
    except Refusal as refusal:
        state = fields.get("state", "")
        return RedirectResponse(redirect_error(services, redirect, state, refusal), status_code=303)
    return RedirectResponse(f"/sign-in?request={number}", status_code=303)


@router.post("/oauth/device", responses=told(answered.DEVICE))
@oauth_call
async def ask_for_device(request: Request, services: ServicesOf) -> Response:
    """RFC 8628. With a proof, the tokens can be had with that key alone."""
    form = await read_form(request)
    client = await authenticate_client(request, services.desk, services.oauth, form)
    refuse_agent(client)
    check_resource(services.oauth.issuer, form)
    key = (await prove_key(request, services)).jkt if request.headers.get("dpop") else ""
    code = secrets.token_urlsafe(32)
    letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
    user_code = f"{letters[:4]}-{letters[4:]}"
    asked = Asked(client, _scopes(client, form), "", "", "", key, _address(request), device=hash_of(code))
    until = services.desk.clock.now() + DEVICE_CODE_LIFETIME
    origin = origin_of(request, "device")
    await services.oauth.waiting.put(f"asked {user_code}", to_plain(asked), until=until, origin=origin)
    await services.oauth.waiting.put(f"device {asked.device}", {"polled_at": 0}, until=until, origin=origin)
    page = f"{services.oauth.issuer}/device"
    said = {
        "device_code": code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?code={user_code}",
        "expires_in": int(DEVICE_CODE_LIFETIME.total_seconds()),
        "interval": POLL_S,
    }
    return JSONResponse(said)


async def keep_asked(services: Services, number: str, asked: Asked, origin: str) -> None:
    until = services.desk.clock.now() + CONSENT_LIFETIME
    await services.oauth.waiting.put(f"asked {number}", to_plain(asked), until=until, origin=origin)


def redirect_to(services: Services, uri: str, fields: Mapping[str, str]) -> str:
    """``uri`` with the answer, always with ``iss`` (RFC 9207): a client of several servers knows whose it is."""
    joint = "&" if urlsplit(uri).query else "?"
    return uri + joint + urlencode({**{k: v for k, v in fields.items() if v}, "iss": services.oauth.issuer})


def redirect_error(services: Services, uri: str, state: str, refusal: Refusal) -> str:
    # Words of ours have dashes, those of the RFCs have none; a client knows the latter alone.
    code = "temporarily_unavailable" if "-" in refusal.code else refusal.code
    fields = {"error": code, "error_description": refusal.sentence, "state": state}
    return redirect_to(services, uri, fields)


async def _fields(services: Services, given: dict[str, str]) -> dict[str, str]:
    """The parameters: those that were pushed, or those of the query, never a mixture."""
    pushed = given.get("request_uri", "")
    if not pushed:
        return given
    if not pushed.startswith(PUSHED):
        raise Refusal("invalid_request_uri", "This request_uri was not given out here.", "Push the request first.")
    kept: Mapping[str, Any] | None = await services.oauth.waiting.take(f"pushed {pushed.removeprefix(PUSHED)}")
    if kept is None:
        raise Refusal("invalid_request_uri", "This request is unknown, too old, or was used.", "Start again.")
    if kept["client_id"] != given.get("client_id"):
        raise Refusal("invalid_request_uri", "This request is another client's.", "Start again.")
    return {str(name): str(value) for name, value in kept.items()}


def _redirect_of(client: OauthClient, fields: Mapping[str, str]) -> str:
    refuse_agent(client)
    uri = needed(fields, "redirect_uri")
    if not may_redirect(client, uri):
        raise bad_request("the redirect_uri is not one of the client's")
    return uri


def _read(issuer: str, client: OauthClient, redirect: str, fields: Mapping[str, str], request: Request) -> Asked:
    if "request" in fields:
        raise Refusal("request_not_supported", "Requests as JWTs are not taken.", "Push the request.")
    if fields.get("response_type") != "code":
        raise Refusal("unsupported_response_type", "Only the response type code is known here.", "Ask for code.")
    if fields.get("response_mode", "query") != "query":
        raise bad_request("only the response mode query is known here")
    challenge = fields.get("code_challenge", "")
    # The method must be said: left out it would mean "plain", which protects nothing.
    if fields.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise bad_request("a code_challenge by S256 is needed (PKCE)")
    check_resource(issuer, fields)
    key = fields.get("dpop_jkt", "")
    if key and not _THUMBPRINT.fullmatch(key):
        raise bad_request("dpop_jkt is no thumbprint")
    if len(fields.get("state", "")) > 1000:
        raise bad_request("state is too long")
    return Asked(client, _scopes(client, fields), redirect, fields.get("state", ""), challenge, key, _address(request))


def _scopes(client: OauthClient, fields: Mapping[str, str]) -> frozenset[str]:
    scopes = scopes_of(fields.get("scope", Scope.READ.value), SCOPES)
    if Scope.LOGIN in scopes and (client.id != OWN_ID or len(scopes) > 1):
        raise Refusal("invalid_scope", "The scope login is the command line's alone, and alone.", "Ask for read.")
    return scopes or frozenset({Scope.READ.value})


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else "unknown"
