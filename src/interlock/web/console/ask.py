"""Ask: choose a resource; the smallest role that does the job is proposed; who will have to approve is shown before."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from interlock.domain.actions import Action
from interlock.domain.durations import parse_duration
from interlock.errors import NotFound, Refusal
from interlock.services.foresee_request import foresee_request
from interlock.services.list_resources import ResourceView, RoleOffer, list_resources
from interlock.services.open_request import open_request
from interlock.web.authentication import ServicesOf
from interlock.web.console.browser_sessions import Visitor
from interlock.web.console.page import Acting, PageRoute, Visiting, page, to
from interlock.web.models import InQuery
from interlock.web.oauth import needed
from interlock.web.services import Services

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_PAGE = 100
_JOBS = (
    ("read", "look at data"),
    ("write", "change data"),
    ("alter", "change the structure"),
    ("destroy", "remove data or structure"),
)
_WINDOWS = ("30m", "1h", "2h", "4h", "8h", "1d", "7d")


@router.get("/ask")
async def choose(
    request: Request,
    services: ServicesOf,
    visitor: Visiting,
    resource: InQuery = "",
    job: InQuery = "",
    role: InQuery = "",
    q: InQuery = "",
    after: InQuery = "",
) -> Response:
    views = await list_resources(services.desk, login_id=visitor.login.id)
    if not resource:
        found = [v for v in views if v.resource.name > after and q.lower() in v.resource.name.lower()]
        following = found[_PAGE - 1].resource.name if len(found) > _PAGE else ""
        context: dict[str, Any] = {"views": found[:_PAGE], "q": q, "following": following}
        return page(request, visitor, "ask.html", title="Ask", place="ask", **context)
    return await _ask_for(request, services, visitor, views, {"resource": resource, "job": job, "role": role})


@router.post("/ask")
async def ask(request: Request, services: ServicesOf, act: Acting) -> Response:
    visitor, form = act
    resource = needed(form, "resource")
    try:
        asked = await open_request(
            services.desk,
            login_id=visitor.login.id,
            resource=resource,
            role=needed(form, "role"),
            duration=_window(form),
            reason=form.get("reason", ""),
        )
    except Refusal as refusal:
        views = await list_resources(services.desk, login_id=visitor.login.id)
        return await _ask_for(request, services, visitor, views, form, refusal)
    return to(f"/requests/{asked.id}")


def _window(form: dict[str, str]) -> timedelta:
    if form.get("duration_s", "").isdecimal() and len(form["duration_s"]) < 10:
        return timedelta(seconds=int(form["duration_s"]))
    try:
        return parse_duration(needed(form, "window"))
    except ValueError as error:
        raise Refusal(
            "bad-duration", "The time is not one that can be asked for.", "Write such as 90m or 2h."
        ) from error


async def _ask_for(
    request: Request,
    services: Services,
    visitor: Visitor,
    views: Sequence[ResourceView],
    given: dict[str, str],
    refusal: Refusal | None = None,
) -> Response:
    view = next((view for view in views if view.resource.name == given["resource"]), None)
    if view is None:
        raise NotFound("There is no such resource for you.", "Choose one on the page Ask.")
    offers = sorted(view.roles, key=_width)
    job = given.get("job") or "read"
    chosen = next((o for o in offers if o.role.name == given.get("role")), None) or _smallest(offers, job)
    foresight = None
    if chosen is not None:
        shortest = timedelta(seconds=1)
        foresight = await foresee_request(
            services.desk,
            login_id=visitor.login.id,
            resource=view.resource.name,
            role=chosen.role.name,
            duration=shortest,
        )
    return page(
        request,
        visitor,
        "ask_for.html",
        status=200 if refusal is None else 403,
        title=f"Ask for {view.resource.name}",
        place="ask",
        view=view,
        offers=offers,
        chosen=chosen,
        proposed=_smallest(offers, job),
        job=job,
        jobs=_JOBS,
        windows=[w for w in _WINDOWS if chosen is None or parse_duration(w) <= chosen.role.lending.longest],
        foresight=foresight,
        given=given,
        problem=refusal,
    )


def _width(offer: RoleOffer) -> tuple[int, int, str]:
    """How much a role allows: the widest action first, then how many."""
    order = [action.value for action in Action]
    role = offer.role
    widest = max((order.index(action.value) for action in role.allow), default=0)
    return (widest, len(role.allow), role.name)


def _smallest(offers: Sequence[RoleOffer], job: str) -> RoleOffer | None:
    """The narrowest role that does the job and may be asked for; else the narrowest that does it."""
    fitting = [offer for offer in offers if job in {action.value for action in offer.role.allow}]
    return next((offer for offer in fitting if offer.may_ask), None) or next(iter(fitting or offers), None)
