"""The control plane's API as an ASGI application, with the console's pages beside it.

The API knows no cookies and no CORS: a page of another origin can call nothing, because every call needs a proof that
only the holder of a key can make. The pages have a session of their own (``console.browser_sessions``), which opens no
call of the API. TLS is the server's work (``app``).
"""

from typing import Any

from fastapi import FastAPI

from interlock.errors import Misuse
from interlock.web import pages
from interlock.web.answers import COMPONENTS
from interlock.web.boundary import Boundary, catch_errors
from interlock.web.console.pages import add_console
from interlock.web.described import ERRORS
from interlock.web.large_bodies import LargeBodies
from interlock.web.routers import (
    admission,
    agents,
    consents,
    detections,
    duties,
    entrance,
    evidence,
    forges,
    gates,
    gateways,
    grants,
    invitations,
    ledger,
    notify,
    oauth_authorize,
    oauth_metadata,
    oauth_token,
    oidc,
    passes,
    passkeys,
    people,
    policy,
    proofs,
    recordings,
    requests,
    resources,
    sessions,
    signals,
)
from interlock.web.scim import router as scim
from interlock.web.services import Services

ROUTERS = (
    entrance.router,
    resources.router,
    requests.router,
    grants.router,
    sessions.router,
    recordings.router,
    people.router,
    invitations.router,
    ledger.router,
    detections.router,
    proofs.router,
    policy.router,
    duties.router,
    evidence.router,
    gates.router,
    gateways.router,
    agents.router,
    passkeys.router,
    passes.router,
    oidc.router,
    consents.router,
)
OPEN_ROUTERS = (
    oauth_metadata.router,
    oauth_authorize.router,
    oauth_token.router,
    pages.router,
    scim.router,
    signals.router,
    forges.router,
    notify.router,
    admission.router,
)
"""What anybody may call: the authorization server, which finds out by itself who it talks to, and the pages."""


class DescribedApi(FastAPI):
    """With the forms of what it answers in its description."""

    def openapi(self) -> dict[str, Any]:
        described = super().openapi()
        schemas = described["components"]["schemas"]
        if twice := {name for name in schemas.keys() & COMPONENTS.keys() if schemas[name] is not COMPONENTS[name]}:
            raise Misuse(f"forms of answers are called as those of bodies: {', '.join(sorted(twice))}")
        schemas.update(COMPONENTS)
        return described


def build_api(services: Services) -> FastAPI:
    """The application. Call ``services.close()`` before its server waits for open connections."""
    api = _assemble()
    api.state.services = services
    catch_errors(api)
    add_console(api)
    api.state.large_bodies = LargeBodies()
    api.add_middleware(Boundary, hosts=services.hosts, nonces=services.proofs.nonces, large=api.state.large_bodies)
    return api


def describe_api() -> dict[str, Any]:
    """The OpenAPI description of all calls."""
    return _assemble().openapi()


def _assemble() -> FastAPI:
    api = DescribedApi(
        title="Interlock",
        summary="The control plane's API. How calls are proved, and what each is for: docs/api.md",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        # Calls carry tokens and proofs: nothing of them goes to a collector that the environment names.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    for router in (*ROUTERS, *OPEN_ROUTERS):
        api.include_router(router, responses=router.responses or ERRORS)
    return api
