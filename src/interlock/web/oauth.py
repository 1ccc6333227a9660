"""What the authorization server's calls share: forms, errors as RFC 6749 wants them, and who the client is.

Every call that gives a token carries a DPoP proof, and every token is bound to its key: there are no bearer tokens.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from interlock.domain.codec import from_plain
from interlock.domain.oauth import ClientKind, OauthClient, Scope
from interlock.errors import Failure, InterlockError, Refusal
from interlock.identity.client_assertions import ASSERTION_TYPE, ClientAssertions
from interlock.identity.oauth_clients import OWN, OWN_ID, fetch_client
from interlock.identity.public_fetch import PublicFetch
from interlock.identity.refusals import NonceNeeded, NotAuthentic, ProofRefused
from interlock.identity.tokens import AUDIENCE
from interlock.identity.workload_tokens import WorkloadTokens
from interlock.ports.identity import PasskeyChecking
from interlock.ports.state import WaitingRoom
from interlock.services.attempts import network_of
from interlock.services.desk import Desk
from interlock.web.boundary import BODY_LIMIT

_log = logging.getLogger("interlock.web")

SCOPES = (Scope.READ.value, Scope.LOGIN.value)
_RFC_CODES = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_response_type",
        "invalid_scope",
        "access_denied",
        "invalid_target",
        "invalid_request_uri",
        "authorization_pending",
        "slow_down",
        "expired_token",
        "invalid_redirect_uri",
        "invalid_client_metadata",
        "unsupported_token_type",
    }
)
_MOST_FIELDS = 50
_NO_SECRETS = ("invalid_client", "There are no client secrets here.", "Use private_key_jwt, or none.")


class BasicRefusedError(Refusal):
    """A client came with a name and a password in the header."""


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """``issuer`` is the one name of this server (RFC 8414): an https address without a path."""

    issuer: str
    waiting: WaitingRoom
    assertions: ClientAssertions
    fetch: PublicFetch
    passkeys: PasskeyChecking
    workloads: WorkloadTokens


Call = Callable[..., Awaitable[Response]]


def oauth_call(call: Call) -> Call:
    """Turns what goes wrong into RFC 6749's errors (section 5.2)."""

    @wraps(call)
    async def answered(*given: Any, **named: Any) -> Response:
        try:
            return await call(*given, **named)
        except InterlockError as error:
            return oauth_error(error)

    return answered


def oauth_error(error: InterlockError) -> JSONResponse:
    status, code, scheme = 400, "invalid_request", "DPoP"
    match error:
        case NonceNeeded():
            code = "use_dpop_nonce"
        case ProofRefused():
            code = "invalid_dpop_proof"
        case NotAuthentic():
            code = "invalid_grant"
        case BasicRefusedError():
            # RFC 6749 section 5.2: who tried to authenticate by a scheme is answered in it.
            status, code, scheme = 401, error.code, 'Basic realm="interlock",'
        case Refusal():
            code = error.code if error.code in _RFC_CODES else "access_denied"
            if code == "invalid_client":
                status = 401
        case Failure():
            _log.warning("A call failed: %s", error)
            status, code = 503, "temporarily_unavailable"
    said = "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in str(error))
    headers = {"WWW-Authenticate": f'{scheme} error="{code}"'}
    return JSONResponse({"error": code, "error_description": said}, status_code=status, headers=headers)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of an ``application/x-www-form-urlencoded`` body. None comes twice (RFC 6749 section 3.2)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise bad_request("the body is no form")
    body = await request.body()
    if len(body) > BODY_LIMIT:
        raise bad_request("the body is too long")
    return fields_of(body.decode("utf-8", "replace"))


def fields_of(encoded: str) -> dict[str, str]:
    """The fields of a form or a query; empty ones count as left out (RFC 6749 section 3.1)."""
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise bad_request("it has too many parameters") from error
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise bad_request("a parameter came twice")
        fields[name] = value
    return {name: value for name, value in fields.items() if value}


def bad_request(why: str) -> Refusal:
    return Refusal("invalid_request", f"The request is not as it must be: {why}.", "See docs/oauth.md.")


def check_resource(issuer: str, form: Mapping[str, str]) -> None:
    """RFC 8707: there is one resource here. Raises Refusal (``invalid_target``)."""
    for name in ("resource", "audience"):
        if form.get(name, "").rstrip("/") not in ("", issuer, AUDIENCE):
            raise Refusal("invalid_target", "Tokens are given for this server alone.", "Leave resource out.")


def needed(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise bad_request(f"{name} is missing")
    return value


async def find_client(request: Request, desk: Desk, server: AuthorizationServer, client_id: str) -> OauthClient:
    """The client of that id, wherever it is known from. Raises Refusal (``invalid_client``)."""
    if client_id == OWN_ID:
        return OWN
    async with desk.state.reading() as reading:
        kept = await reading.oauth_client(client_id)
    if kept is not None and kept.ended_at is not None:
        raise _unknown()
    if client_id.startswith("https://"):
        # Fetched each time it is asked for: its host may have changed it, or taken it back.
        return await fetch_client(server.fetch, client_id, desk.clock.now(), _network(request))
    if kept is not None:
        return kept
    waits = await server.waiting.look(f"client {client_id}")
    if waits is None:
        raise _unknown()
    return from_plain(OauthClient, waits)


async def authenticate_client(
    request: Request, desk: Desk, server: AuthorizationServer, form: Mapping[str, str]
) -> OauthClient:
    """Who calls. A client with a key proves it; one without says who it is, and no more is believed of it."""
    if request.headers.get("authorization", "").lower().startswith("basic"):
        raise BasicRefusedError(*_NO_SECRETS)
    if "client_secret" in form:
        raise Refusal(*_NO_SECRETS)
    assertion = form.get("client_assertion", "")
    if not assertion:
        client = await find_client(request, desk, server, needed(form, "client_id"))
        if client.has_key:
            raise Refusal("invalid_client", "This client has a key and did not prove it.", "Send a client_assertion.")
        return client
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise Refusal("invalid_client", "The assertion's type is not known here.", f"Known is {ASSERTION_TYPE}.")
    claimed = server.assertions.claimed_client(assertion)
    if form.get("client_id", claimed) != claimed:
        raise Refusal("invalid_client", "client_id and the assertion name two clients.", "Name one.")
    client = await find_client(request, desk, server, claimed)
    if not client.has_key:
        raise Refusal("invalid_client", "This client has no key, so it cannot sign for itself.", "Use none.")
    await server.assertions.check(assertion, client=client.id, jwks=client.jwks)
    return client


def refuse_agent(client: OauthClient) -> None:
    """An agent comes with what its owner gave; nobody is asked to let one in."""
    if client.kind is ClientKind.AGENT:
        raise Refusal("unauthorized_client", "An agent does not ask people.", "Exchange a token of its owner's.")


def origin_of(request: Request, purpose: str) -> str:
    """What the waiting room counts by: the caller's network."""
    return f"{purpose} {_network(request)}"


def _network(request: Request) -> str:
    return network_of(request.client.host if request.client is not None else "unknown")


def _unknown() -> Refusal:
    return Refusal("invalid_client", "There is no such client.", "Register it, or name its metadata document.")
