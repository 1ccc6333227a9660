"""Home: what I can reach now, what waits for me, what I wait for."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response

from interlock.domain.grants import Request as Asked
from interlock.domain.grants import RequestKind, RequestState
from interlock.errors import NotFound, Refusal
from interlock.services.end_grant import end_grant
from interlock.services.issue_password import issue_password
from interlock.services.list_people import list_contracts, list_extensions
from interlock.services.list_requests import RequestView, Scope, list_requests
from interlock.services.list_resources import ResourceView, list_resources
from interlock.web.authentication import ServicesOf
from interlock.web.console.page import Acting, PageRoute, Visiting, local_path, now_of, page, to
from interlock.web.console.passes import ask_where_needed, give
from interlock.web.models import InPath
from interlock.web.oauth import needed
from interlock.web.routers.resources import connect_words

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_AGAIN_AT_MOST = 4


@dataclass(frozen=True, slots=True)
class Again:
    """Access as it was asked for last time."""

    resource: str
    role: str
    duration_s: int
    reason: str


@router.get("/")
async def home(request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    desk = services.desk
    resources = await list_resources(desk, login_id=visitor.login.id)
    mine = await list_requests(desk, person=visitor.name, scope=Scope.MINE, limit=50)
    waiting = await list_requests(desk, person=visitor.name, scope=Scope.TO_DECIDE, limit=50)
    contracts = await list_contracts(desk, person=visitor.name)
    now = now_of(request)
    return page(
        request,
        visitor,
        "home.html",
        title="Home",
        place="home",
        reach=[(view.resource, at_work) for view in resources for at_work in view.grants],
        waiting=waiting,
        extensions=await list_extensions(desk, person=visitor.name),
        reviews=[c for c in contracts if c.sponsor == visitor.name and c.running(now) and c.review_due is not None],
        open=[view for view in mine if view.request.state is RequestState.OPEN],
        decided=[view for view in mine if view.request.state is not RequestState.OPEN][:5],
        again=_again(mine, resources),
    )


@router.post("/connect")
async def connect(request: Request, services: ServicesOf, act: Acting) -> Response:
    """A password for a client such as psql, once the person proved to be there where that is asked. In no address."""
    visitor, form = act
    resource, presence, problem = needed(form, "resource"), "", None
    if "presence" in form:
        try:
            await give(request, services, visitor, needed(form, "presence"), form)
            presence = needed(form, "presence")
        except NotFound:
            raise
        except Refusal as refusal:
            problem = refusal
    asked = None if presence else await ask_where_needed(request, services, visitor, resource)
    title = f"Connect to {resource}"
    if asked is not None:
        status = 200 if problem is None else 403
        context = {"title": title, "place": "home", "asked": asked, "problem": problem}
        return page(request, visitor, "connect.html", status=status, **context)
    issued = await issue_password(services.desk, login_id=visitor.login.id, resource=resource, presence=presence)
    kind = services.desk.configuration.resources[resource].kind
    where = connect_words(services, kind, resource, request)
    return page(request, visitor, "connect.html", title=title, place="home", asked=None, issued=issued, where=where)


@router.post("/grants/{grant_id}/end")
async def end(grant_id: InPath, services: ServicesOf, act: Acting) -> Response:
    visitor, form = act
    reason = form.get("reason", "no longer needed")
    await end_grant(services.desk, by=visitor.name, grant_id=grant_id, reason=reason)
    return to(local_path(form.get("back", "/")))


def _again(mine: Sequence[RequestView], resources: Sequence[ResourceView]) -> list[Again]:
    """What was asked for before and may be asked for now, the newest of each once."""
    may_ask = {(view.resource.name, offer.role.name) for view in resources for offer in view.roles if offer.may_ask}
    held = {(at.grant.resource, at.grant.role) for view in resources for at in view.grants if at.usable}
    waits = {(v.request.resource, v.request.role) for v in mine if v.request.state is RequestState.OPEN}
    found: dict[tuple[str, str], Asked] = {}
    for view in mine:
        asked = view.request
        pair = (asked.resource, asked.role)
        if asked.kind is RequestKind.GRANT and pair in may_ask and pair not in held | waits:
            found.setdefault(pair, asked)
    return [
        Again(asked.resource, asked.role, int(asked.duration.total_seconds()), asked.reason)
        for asked in list(found.values())[:_AGAIN_AT_MOST]
        if asked.duration is not None
    ]
