"""The SCIM calls over HTTP. The directory brings a secret: the one bearer that is taken here, see docs/scim.md."""

import asyncio
import hashlib
import hmac

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    EnterpriseUser,
    ETag,
    Filter,
    Group,
    Pagination,
    Patch,
    ResourceType,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    User,
)
from scim2_server.handler import AsyncScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.service import ScimService

from interlock.errors import Failure
from interlock.services.hearing import ANSWER_WITHIN_S, await_hearing
from interlock.web.authentication import ServicesOf
from interlock.web.scim.storage import StateStorage
from interlock.web.services import Services

router = APIRouter(prefix="/scim/v2")

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_MOST_RESULTS = 500
_MOST_OPERATIONS = 200
_LARGEST_BULK_BYTES = 60 * 1024


def _provider() -> ScimProvider:
    config = ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=True, max_operations=_MOST_OPERATIONS, max_payload_size=_LARGEST_BULK_BYTES),
        filter=Filter(supported=True, max_results=_MOST_RESULTS),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=True),
        etag=ETag(supported=True),
        pagination=Pagination(cursor=False, index=True),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer",
                description="The directory's secret, named by scim.secret in interlock.yaml",
            )
        ],
    )
    return ScimProvider(
        models=[User, EnterpriseUser, Group],
        resource_types=[ResourceType.from_resource(User[EnterpriseUser]), ResourceType.from_resource(Group)],
        config=config,
    )


PROVIDER = _provider()


@router.api_route("/{path:path}", methods=_METHODS, include_in_schema=False)
async def scim(path: str, request: Request, services: ServicesOf) -> Response:
    section = services.desk.configuration.scim
    if section is None or not _is_directory(request, services):
        return _refused()
    asked_s = asyncio.get_running_loop().time()
    storage = StateStorage(services.desk, PROVIDER, section)
    handler = AsyncScimHandler(ScimService(PROVIDER), storage)
    asked = ScimRequest(
        method=request.method,
        path=f"/{path}",
        base_url=f"https://{request.headers['host']}/scim/v2",
        query=dict(request.query_params),
        headers=list(request.headers.items()),
        body=await request.body(),
    )
    try:
        answered = await handler.handle(asked)
    except Failure:
        raise
    except Exception as error:  # noqa: BLE001 -- the service knows which of them are answers; the rest is a 500
        answered = handler.service.error_response(error)
    if storage.ended_upto:
        # What was ended is ended; whoever asks is told so once the gateways have heard, or a moment later.
        left_s = ANSWER_WITHIN_S - (asyncio.get_running_loop().time() - asked_s)
        await await_hearing(services.desk.state, storage.ended_upto, max(0.0, left_s))
    content = None if answered.body is None else answered.body
    if content is None:
        headers = {name: value for name, value in answered.headers.items() if name.lower() != "content-type"}
        return Response(status_code=answered.status, headers=headers)
    return JSONResponse(content, status_code=answered.status, headers=answered.headers)


def _is_directory(request: Request, services: Services) -> bool:
    """INVARIANT: without a secret nobody is the directory."""
    found = request.headers.getlist("authorization")
    if len(found) != 1 or not services.scim_secret:
        return False
    scheme, _, given = found[0].partition(" ")
    digests = (hashlib.sha256(text.encode(errors="replace")).digest() for text in (given, services.scim_secret))
    return scheme.lower() == "bearer" and hmac.compare_digest(*digests)


def _refused() -> JSONResponse:
    said = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": "401",
        "detail": "Only the company's directory calls here, with its secret.",
    }
    headers = {"WWW-Authenticate": "Bearer", "Content-Type": "application/scim+json"}
    return JSONResponse(said, status_code=401, headers=headers)
