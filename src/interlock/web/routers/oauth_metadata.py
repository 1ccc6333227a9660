"""What the authorization server says of itself (RFC 8414, RFC 9728, RFC 7517), and registration (RFC 7591)."""

import secrets
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from interlock.domain.codec import to_plain
from interlock.domain.oauth import ClientKind, Scope
from interlock.identity.jose import ALGORITHMS
from interlock.identity.oauth_clients import read_client
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ServicesOf
from interlock.web.described import OAUTH_ERRORS
from interlock.web.oauth import bad_request, oauth_call, origin_of

router = APIRouter(responses=OAUTH_ERRORS)

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GRANTS = ("authorization_code", "refresh_token", DEVICE_GRANT, EXCHANGE_GRANT, JWT_GRANT, "client_credentials")
_UNUSED_CLIENT = timedelta(days=30)


@router.get("/.well-known/oauth-authorization-server", responses=told(answered.METADATA))
async def server_metadata(services: ServicesOf) -> JSONResponse:
    issuer = services.oauth.issuer
    methods = ["none", "private_key_jwt"]
    said: dict[str, Any] = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "pushed_authorization_request_endpoint": f"{issuer}/oauth/par",
        "device_authorization_endpoint": f"{issuer}/oauth/device",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "registration_endpoint": f"{issuer}/oauth/register",
        "jwks_uri": f"{issuer}/oauth/jwks",
        "scopes_supported": [Scope.READ.value],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANTS),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": ["private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
        "require_pushed_authorization_requests": False,
    }
    return JSONResponse(said)


@router.get("/.well-known/oauth-protected-resource", responses=told(answered.RESOURCE_METADATA))
async def resource_metadata(services: ServicesOf) -> JSONResponse:
    issuer = services.oauth.issuer
    said = {
        "resource": issuer,
        "authorization_servers": [issuer],
        "scopes_supported": [Scope.READ.value],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "dpop_bound_access_tokens_required": True,
        "resource_name": "Interlock",
    }
    return JSONResponse(said)


@router.get("/.well-known/ssf-configuration", responses=told(answered.METADATA))
async def transmitter_metadata(services: ServicesOf) -> JSONResponse:
    """Who tells of security events (OpenID Shared Signals Framework 1.0, section 7.1). Receivers stand in the file."""
    issuer = services.oauth.issuer
    said = {
        "spec_version": "1_0",
        "issuer": issuer,
        "jwks_uri": f"{issuer}/oauth/jwks",
        "delivery_methods_supported": ["urn:ietf:rfc:8935"],
    }
    return JSONResponse(said)


@router.get("/oauth/jwks", responses=told(answered.JWKS))
async def keys(services: ServicesOf) -> JSONResponse:
    return JSONResponse(services.tokens.jwks())


@router.post("/oauth/register", status_code=201, responses=told(answered.REGISTERED, status=201))
@oauth_call
async def register(request: Request, services: ServicesOf) -> Response:
    """A client registers itself. It is kept for good when a person first lets it do something, else for 30 days."""
    try:
        metadata = await request.json()
    except (ValueError, RecursionError) as error:
        raise bad_request("the body is not JSON") from error
    if not isinstance(metadata, dict):
        raise bad_request("the body is no JSON object")
    now = services.desk.clock.now()
    client = read_client(f"c-{secrets.token_hex(16)}", ClientKind.REGISTERED, metadata, now)
    await services.oauth.waiting.put(
        f"client {client.id}", to_plain(client), until=now + _UNUSED_CLIENT, origin=origin_of(request, "register")
    )
    said = {
        "client_id": client.id,
        "client_id_issued_at": int(now.timestamp()),
        "client_name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "token_endpoint_auth_method": "private_key_jwt" if client.has_key else "none",
        "grant_types": ["authorization_code", "refresh_token", DEVICE_GRANT],
        "response_types": ["code"],
        "scope": Scope.READ.value,
        "dpop_bound_access_tokens": True,
    }
    return JSONResponse(said | ({"jwks": client.jwks} if client.has_key else {}), status_code=201)
