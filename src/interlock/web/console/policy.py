"""Policy: the active version and those before it with what changed; a change proposed, looked at, put into effect."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from interlock.domain.grants import RequestKind, RequestState
from interlock.errors import NotFound, Refusal
from interlock.ports.state import LedgerEntry
from interlock.services.activate_policy import activate_policy
from interlock.services.effect_of_change import ChangeEffect, effect_of_text
from interlock.services.list_people import search_ledger
from interlock.services.list_requests import Scope, list_requests
from interlock.services.propose_policy import propose_policy
from interlock.services.read_policy import read_active, read_history
from interlock.services.step_up import step_up
from interlock.web.authentication import ServicesOf
from interlock.web.console.browser_sessions import Visitor
from interlock.web.console.decide import show_again
from interlock.web.console.page import Acting, PageRoute, Visiting, page, renew_session, to
from interlock.web.console.text_changes import changes_of
from interlock.web.models import InPath
from interlock.web.routers.entrance import address_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_WAITING = (RequestState.OPEN, RequestState.APPROVED)
_EDITED_BYTES = 40_000
"""What can be sent back in a form, and what a page may weigh. A longer policy is changed in its file."""
_CEDAR = "cedar "
"""Before the name of a Cedar file in a form."""


@router.get("/policy")
async def policy(
    request: Request,
    services: ServicesOf,
    visitor: Visiting,
    version: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    before: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> Response:
    history = await read_history(services.desk, person=visitor.name, version=version, before=before)
    changes = [] if history.before is None else changes_of(history.before.yaml, history.shown.yaml)
    asked = await list_requests(services.desk, person=visitor.name, scope=Scope.ALL, limit=200)
    entries = await search_ledger(services.desk, person=visitor.name, kind="policy.activated", limit=100)
    context: dict[str, Any] = {
        "history": history,
        "shown": history.shown,
        "changes": changes,
        "before": history.before,
        "proposals": [v for v in asked if v.request.kind is RequestKind.POLICY and v.request.state in _WAITING],
        "activated": {_version_of(entry): entry for entry in entries},
    }
    return page(request, visitor, "policy.html", title="Policy", place="policy", **context)


@router.get("/policy/change")
async def write(request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    active = await read_active(services.desk, person=visitor.name)
    return _editor(request, visitor, {"yaml": active.yaml, **{_CEDAR + n: t for n, t in active.cedar.items()}})


@router.post("/policy/change")
async def look(request: Request, services: ServicesOf, act: Acting) -> Response:
    """What the text would change and come to; or it is proposed."""
    visitor, form = act
    active = await read_active(services.desk, person=visitor.name)
    yaml = _lines(form.get("yaml", ""))
    cedar = {name.removeprefix(_CEDAR): _lines(text) for name, text in form.items() if name.startswith(_CEDAR)}
    form = {**form, "yaml": yaml, **{_CEDAR + name: text for name, text in cedar.items()}}
    changes = changes_of(active.yaml, yaml)
    try:
        if form.get("do") == "propose":
            asked = await propose_policy(
                services.desk,
                login_id=visitor.login.id,
                yaml=yaml,
                cedar=cedar,
                reason=form.get("reason", ""),
            )
            return to(f"/requests/{asked.id}")
        effect = await effect_of_text(services.desk, person=visitor.name, yaml=yaml, cedar=cedar)
    except NotFound:
        raise
    except Refusal as refusal:
        return _editor(request, visitor, form, changes=changes, problem=refusal)
    return _editor(request, visitor, form, changes=changes, effect=effect)


@router.post("/policy/proposals/{request_id}/activate")
async def activate(request_id: InPath, request: Request, services: ServicesOf, act: Acting) -> Response:
    visitor, form = act
    try:
        if form.get("totp"):
            code = form["totp"].replace(" ", "")[:16]
            await step_up(services.front, login_id=visitor.login.id, totp=code, address=address_of(request))
            await renew_session(request, services, visitor)
        await activate_policy(services.desk, login_id=visitor.login.id, request_id=request_id)
        response: Response = to(f"/requests/{request_id}")
    except NotFound:
        raise
    except Refusal as refusal:
        response = await show_again(request, services, visitor, request_id, refusal)
    return response


def _editor(
    request: Request,
    visitor: Visitor,
    given: Mapping[str, str],
    *,
    changes: Any = (),
    effect: ChangeEffect | None = None,
    problem: Refusal | None = None,
) -> Response:
    cedar = {name.removeprefix(_CEDAR): text for name, text in given.items() if name.startswith(_CEDAR)}
    return page(
        request,
        visitor,
        "policy_change.html",
        status=200 if problem is None else 403,
        title="Change the policy",
        place="policy",
        yaml=given.get("yaml", ""),
        too_long=sum(len(text.encode()) for text in given.values()) > _EDITED_BYTES,
        cedar=cedar,
        reason=given.get("reason", ""),
        changes=changes,
        effect=effect,
        problem=problem,
    )


def _version_of(entry: LedgerEntry) -> int:
    return int(json.loads(entry.body)["event"]["version"])


def _lines(text: str) -> str:
    """As files have it: a browser sends a form's lines with CR LF."""
    return text.replace("\r\n", "\n")
