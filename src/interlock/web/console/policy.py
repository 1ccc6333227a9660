"""Policy: the active version, and those before it with what changed."""

import difflib
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from interlock.errors import NotFound
from interlock.services.read_policy import read_policies
from interlock.web.authentication import ServicesOf
from interlock.web.console.page import PageRoute, Visiting, page

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/policy")
async def policy(
    request: Request,
    services: ServicesOf,
    visitor: Visiting,
    version: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Response:
    versions = await read_policies(services.desk, person=visitor.name)
    shown = next((one for one in versions if one.version == (version or versions[0].version)), None)
    if shown is None:
        raise NotFound("There is no such version of the policy.", "See the page Policy.")
    before = next((one for one in versions if one.version < shown.version), None)
    changes = []
    if before is not None:
        lines = difflib.unified_diff(before.yaml.splitlines(), shown.yaml.splitlines(), lineterm="", n=3)
        changes = [line for line in lines if not line.startswith(("---", "+++"))][:1000]
    context: dict[str, Any] = {"versions": versions, "shown": shown, "changes": changes, "before": before}
    return page(request, visitor, "policy.html", title="Policy", place="policy", **context)
