"""Tokens given, told about and taken back: RFC 6749 section 5, RFC 8628, RFC 8693, RFC 7523, RFC 7662, RFC 7009.

Every token that is given is bound to the key of the proof (RFC 9449 section 5). A refresh token works once.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from interlock.domain.grants import Login
from interlock.domain.oauth import ClientKind, Delegation, OauthClient, Scope
from interlock.errors import Refusal
from interlock.identity.oauth_clients import scopes_of
from interlock.identity.refusals import TokenRefused
from interlock.identity.tokens import AUDIENCE, RefreshToken
from interlock.identity.tokens import Scope as TokenScope
from interlock.services.delegations import (
    Shown,
    delegate_to_agent,
    end_delegation,
    exchange_code,
    hash_of,
    refresh_delegation,
)
from interlock.services.logins import active_login
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ServicesOf, prove_key
from interlock.web.described import OAUTH_ERRORS
from interlock.web.oauth import SCOPES, authenticate_client, bad_request, check_resource, needed, oauth_call, read_form
from interlock.web.routers.entrance import address_of
from interlock.web.routers.oauth_authorize import POLL_S
from interlock.web.routers.oauth_metadata import DEVICE_GRANT, EXCHANGE_GRANT, JWT_GRANT
from interlock.web.routers.oauth_workloads import ACCESS_TOKEN, JOB_TOKENS, give_workload
from interlock.web.services import Services

router = APIRouter(responses=OAUTH_ERRORS)


@router.post("/oauth/token", responses=told(answered.TOKEN))
@oauth_call
async def token(request: Request, services: ServicesOf) -> Response:
    form = await read_form(request)
    grant = needed(form, "grant_type")
    check_resource(services.oauth.issuer, form)
    key = (await prove_key(request, services)).jkt
    if grant == JWT_GRANT or form.get("subject_token_type") in JOB_TOKENS:
        return await give_workload(request, services, form, key)
    client = await authenticate_client(request, services.desk, services.oauth, form)
    match grant:
        case "authorization_code":
            shown = Shown(
                client=client.id,
                code=needed(form, "code"),
                verifier=needed(form, "code_verifier"),
                # OAuth 2.1 leaves it out (section 10.2); who still sends it is held to it.
                redirect_uri=form.get("redirect_uri", ""),
                key=key,
                address=address_of(request),
            )
            return await _exchange(services, shown)
        case "refresh_token":
            return await _refresh(services, client, form, key)
        case _ if grant == DEVICE_GRANT:
            return await _poll(request, services, client, needed(form, "device_code"), key)
        case _ if grant == EXCHANGE_GRANT:
            return await _exchange_token(services, client, form, key)
        case "client_credentials":
            _need_agent(client)
            issued = services.tokens.issue_for_agent(client.id, key, services.desk.clock.now())
            return _answer(services, issued.text, issued.ends_at.timestamp(), {})
    raise Refusal("unsupported_grant_type", "This grant type is not known here.", "See docs/oauth.md.")


@router.post("/oauth/revoke", responses=told(answered.NOTHING))
@oauth_call
async def revoke(request: Request, services: ServicesOf) -> Response:
    """RFC 7009. Whichever of its tokens is shown, everything that the client was allowed ends."""
    form = await read_form(request)
    client = await authenticate_client(request, services.desk, services.oauth, form)
    named = _delegation_named(services, needed(form, "token"))
    if named is None:
        return JSONResponse({}, status_code=200)
    delegation_id, owner = named
    if owner != client.id:
        raise Refusal("invalid_grant", "This token was given to another client.", "Give back your own.")
    await end_delegation(
        services.desk, by=f"client:{client.id}", delegation_id=delegation_id, reason="the client gave it back"
    )
    return JSONResponse({}, status_code=200)


@router.post("/oauth/introspect", responses=told(answered.INTROSPECTED))
@oauth_call
async def introspect(request: Request, services: ServicesOf) -> Response:
    """RFC 7662, for a client that proves its key, about its own tokens, of whichever kind."""
    form = await read_form(request)
    client = await authenticate_client(request, services.desk, services.oauth, form)
    if not client.has_key:
        raise Refusal("invalid_client", "Only a client that proves its key may ask.", "Use private_key_jwt.")
    return JSONResponse(await _said_of(services, client, needed(form, "token")) or {"active": False})


async def _said_of(services: Services, client: OauthClient, text: str) -> dict[str, Any] | None:
    """What there is to say of a token that is the client's and works now, else None."""
    refresh = _refresh_in(services, text)
    if refresh is not None:
        delegation = await _live_delegation(services, refresh.delegation)
        if delegation is None or (refresh.client, refresh.generation) != (client.id, delegation.generation):
            return None
        return _about(services, delegation) | {"exp": int(delegation.ends_at.timestamp())}
    try:
        found = services.tokens.read(text)
    except TokenRefused:
        return None
    said = {
        "aud": AUDIENCE,
        "token_type": "DPoP",
        "iat": int(found.issued_at.timestamp()),
        "exp": int(found.ends_at.timestamp()),
        "cnf": {"jkt": found.key},
    }
    if found.scope is TokenScope.AGENT and found.subject == client.id:
        return said | {"active": True, "iss": services.oauth.issuer, "sub": client.id, "client_id": client.id}
    if found.scope is not TokenScope.CLIENT or client.id != found.client:
        return None
    delegation = await _live_delegation(services, found.delegation, found.key)
    return None if delegation is None else said | _about(services, delegation)


def _about(services: Services, delegation: Delegation) -> dict[str, Any]:
    said: dict[str, Any] = {
        "active": True,
        "iss": services.oauth.issuer,
        "sub": delegation.person,
        "client_id": delegation.client,
        "scope": " ".join(sorted(delegation.scopes)),
        "cnf": {"jkt": delegation.key},
    }
    return said | ({"act": {"sub": delegation.actor}} if delegation.actor else {})


async def _exchange(services: Services, shown: Shown) -> Response:
    exchanged = await exchange_code(services.desk, shown)
    if exchanged.login is not None:
        return _login_answer(services, exchanged.login)
    return _delegation_answer(services, exchanged.delegation)


async def _refresh(services: Services, client: OauthClient, form: Mapping[str, str], key: str) -> Response:
    shown = services.tokens.read_refresh(needed(form, "refresh_token"))
    if shown.client != client.id:
        raise Refusal("invalid_grant", "This refresh token is another client's.", "Use your own.")
    delegation = await refresh_delegation(
        services.desk,
        client=client.id,
        delegation_id=shown.delegation,
        generation=shown.generation,
        key=key,
        scopes=scopes_of(form.get("scope", ""), SCOPES),
    )
    return _delegation_answer(services, delegation)


async def _poll(request: Request, services: Services, client: OauthClient, code: str, key: str) -> Response:
    """RFC 8628 section 3.5: not yet, too often, no, or the tokens."""
    name = f"device {hash_of(code)}"
    async with services.desk.state.reading() as reading:
        given = await reading.delegations(code_hash=hash_of(code))
    if given:
        await services.oauth.waiting.take(name)
        return await _exchange(services, Shown(client.id, code, "", "", key, address_of(request)))
    waits = await services.oauth.waiting.look(name)
    if waits is None:
        raise Refusal("expired_token", "This device code is unknown or too old.", "Begin again.")
    if waits.get("denied"):
        raise Refusal("access_denied", "The person said no.", "")
    now = services.desk.clock.now()
    polled_at = float(waits["polled_at"])
    await services.oauth.waiting.change(name, {**waits, "polled_at": now.timestamp()})
    if now.timestamp() - polled_at < POLL_S - 0.5:
        raise Refusal("slow_down", "This is asked too often.", f"Wait {POLL_S + 5} seconds from now on.")
    raise Refusal("authorization_pending", "The person has not answered yet.", "Ask again.")


async def _exchange_token(services: Services, client: OauthClient, form: Mapping[str, str], key: str) -> Response:
    """RFC 8693: an agent gets a token with which it acts for its owner, and which says so (``act``)."""
    _need_agent(client)
    if form.get("subject_token_type") != ACCESS_TOKEN or form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise bad_request("only access tokens are exchanged here")
    if "actor_token" in form or "actor_token_type" in form:
        raise bad_request("the agent that acts is the client itself; it sends no actor_token")
    try:
        subject = services.tokens.read(needed(form, "subject_token"))
    except TokenRefused as refusal:
        raise Refusal("invalid_grant", refusal.sentence, refusal.remedy) from refusal
    delegation = await _live_delegation(services, subject.delegation, subject.key)
    if subject.scope is not TokenScope.CLIENT or delegation is None:
        raise Refusal("invalid_grant", "The token to exchange is no client's, or is over.", "Get a fresh one.")
    scopes = scopes_of(form.get("scope", ""), SCOPES)
    given = await delegate_to_agent(services.desk, subject=delegation, agent=client, key=key, scopes=scopes)
    return _delegation_answer(services, given, {"issued_token_type": ACCESS_TOKEN})


async def _live_delegation(services: Services, delegation_id: str, key: str | None = None) -> Delegation | None:
    now = services.desk.clock.now()
    async with services.desk.state.reading() as reading:
        delegation = await reading.delegation(delegation_id)
        if delegation is None or not delegation.active(now) or key not in (None, delegation.key):
            return None
        try:
            await active_login(reading, delegation.login, now)
        except Refusal:
            return None
        person = await reading.person(delegation.person)
    return delegation if person is not None and person.active else None


def _refresh_in(services: Services, text: str) -> RefreshToken | None:
    try:
        return services.tokens.read_refresh(text)
    except TokenRefused:
        return None


def _delegation_named(services: Services, text: str) -> tuple[str, str] | None:
    """The delegation that a token of either kind names, with its client; None for what is no token of ours now.

    Raises Refusal (``unsupported_token_type``) for a token that is ended another way.
    """
    refresh = _refresh_in(services, text)
    if refresh is not None:
        return refresh.delegation, refresh.client
    try:
        access = services.tokens.read(text)
    except TokenRefused:
        return None
    if access.scope is not TokenScope.CLIENT:
        raise Refusal(
            "unsupported_token_type",
            "A token of this kind is not given back here.",
            "A login ends with `interlock logout`; an agent's or a job's token by itself, in minutes.",
        )
    return access.delegation, access.client


def _need_agent(client: OauthClient) -> None:
    if client.kind is not ClientKind.AGENT or not client.has_key:
        raise Refusal(
            "unauthorized_client", "This is for agents with a key and an owner.", "Add it: interlock agent add"
        )


def _delegation_answer(services: Services, delegation: Delegation, more: Mapping[str, Any] | None = None) -> Response:
    now = services.desk.clock.now()
    issued = services.tokens.issue_for_delegation(delegation, now)
    said: dict[str, Any] = {"scope": " ".join(sorted(delegation.scopes)), **(more or {})}
    if delegation.generation:
        said["refresh_token"] = services.tokens.issue_refresh(delegation, now)
    return _answer(services, issued.text, issued.ends_at.timestamp(), said)


def _login_answer(services: Services, login: Login) -> Response:
    issued = services.tokens.issue_for_login(login)
    said = {"scope": Scope.LOGIN.value, "login": login.id, "person": login.person}
    return _answer(services, issued.text, issued.ends_at.timestamp(), said)


def _answer(services: Services, text: str, ends_at: float, more: Mapping[str, Any]) -> Response:
    left_s = int(ends_at - services.desk.clock.now().timestamp())
    return JSONResponse(
        {"access_token": text, "token_type": "DPoP", "expires_in": left_s, **more}, headers={"Pragma": "no-cache"}
    )
