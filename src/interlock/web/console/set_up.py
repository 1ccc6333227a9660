"""Set-up: the first run in the browser. Each step makes YAML, and goes the way of every change of the policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fastapi import APIRouter, Request
from fastapi.responses import Response

from interlock.errors import NotFound, Refusal
from interlock.ports.upstream import Tried
from interlock.services.effect_of_change import ChangeEffect, effect_of_text
from interlock.services.list_people import list_people
from interlock.services.propose_policy import propose_policy
from interlock.services.read_policy import read_active
from interlock.services.set_up import Progress, set_up_progress, try_draft, try_resource
from interlock.services.step_up import step_up
from interlock.web.authentication import ServicesOf
from interlock.web.console import forms
from interlock.web.console.browser_sessions import Visitor
from interlock.web.console.forms import Entry
from interlock.web.console.page import Acting, PageRoute, Visiting, page, renew_session, to
from interlock.web.console.text_changes import Change, changes_of
from interlock.web.models import InPath
from interlock.web.routers.entrance import address_of
from interlock.web.services import Services

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_REASONS = {
    "administrator": "a second administrator",
    "resource": "the first resource",
    "contract": "the first contract",
}


@dataclass(frozen=True, slots=True)
class Made:
    """What a step came to, with the fields it came from."""

    step: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    yaml: str = ""
    changed: Sequence[Change] = ()
    tried: Tried | None = None
    effect: ChangeEffect | None = None


@router.get("/set-up")
async def set_up(request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    return await _show(request, services, visitor, Made())


@router.post("/set-up/try/{name}")
async def try_active(name: InPath, request: Request, services: ServicesOf, act: Acting) -> Response:
    """Connect to a resource of the active policy."""
    visitor, _ = act
    tried = await try_resource(services.desk, services.try_upstream, login_id=visitor.login.id, name=name)
    return await _show(request, services, visitor, Made(tried=tried))


@router.post("/set-up/{step}")
async def take_step(step: InPath, request: Request, services: ServicesOf, act: Acting) -> Response:
    """Show the YAML of a step, try its connection, or propose it."""
    visitor, form = act
    if step not in _REASONS:
        raise NotFound("There is no such step.", "See the page Set-up.")
    # Who may not set up is told so before anything that they sent is read.
    await set_up_progress(services.desk, person=visitor.name)
    made = Made(step, form)
    try:
        if form.get("totp"):
            code = form["totp"].replace(" ", "")[:16]
            await step_up(services.front, login_id=visitor.login.id, totp=code, address=address_of(request))
            await renew_session(request, services, visitor)
        entries = await _entries(services, visitor, step, form)
        active = await read_active(services.desk, person=visitor.name)
        text = forms.added_to(active.yaml, entries)
        made = replace(made, yaml=forms.yaml_of(entries), changed=changes_of(active.yaml, text))
        if form.get("do") == "propose":
            asked = await propose_policy(
                services.desk, login_id=visitor.login.id, yaml=text, cedar=active.cedar, reason=_REASONS[step]
            )
            response: Response = to(f"/requests/{asked.id}")
        else:
            if form.get("do") == "try":
                made = replace(made, tried=await _try(services, visitor, text, active.cedar, entries[0].name))
            effect = await effect_of_text(services.desk, person=visitor.name, yaml=text, cedar=active.cedar)
            response = await _show(request, services, visitor, replace(made, effect=effect))
    except NotFound:
        raise
    except Refusal as refusal:
        response = await _show(request, services, visitor, made, refusal)
    return response


async def _try(services: Services, visitor: Visitor, yaml: str, cedar: Mapping[str, str], name: str) -> Tried:
    attempt, login_id = services.try_upstream, visitor.login.id
    return await try_draft(services.desk, attempt, login_id=login_id, yaml=yaml, cedar=cedar, name=name)


async def _entries(services: Services, visitor: Visitor, step: str, form: dict[str, str]) -> list[Entry]:
    known = services.desk.configuration
    if step == "administrator":
        return forms.administrator(form)
    if step == "resource":
        return forms.resource(form, sorted(known.roles))
    people = [one.name for one in await list_people(services.desk, person=visitor.name)]
    return forms.contract(form, sorted(known.vendors), people)


async def _show(
    request: Request, services: Services, visitor: Visitor, made: Made, problem: Refusal | None = None
) -> Response:
    progress = await set_up_progress(services.desk, person=visitor.name)
    return page(
        request,
        visitor,
        "set_up.html",
        status=200 if problem is None else 403,
        title="Set-up",
        place="set-up",
        problem=problem,
        progress=progress,
        step=made.step or _next(progress),
        given=made.given,
        made=made.step,
        yaml=made.yaml,
        changed=made.changed,
        tried=made.tried,
        effect=made.effect,
        kinds=sorted(services.listeners) or ["postgres"],
    )


def _next(progress: Progress) -> str:
    """The step that is to be taken."""
    if len(progress.administrators) < 2:
        return "administrator"
    return "resource" if not progress.resources else "" if progress.contracts else "contract"
