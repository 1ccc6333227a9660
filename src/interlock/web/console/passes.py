"""A connection that waits for its person: what it is, and the touch or code that proves somebody is there for it."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from interlock.errors import NotFound, Refusal
from interlock.services.ask_pass import PassView, PassWish, ask_pass, show_pass
from interlock.services.give_pass import begin_touch, give_by_code, give_by_touch
from interlock.services.list_resources import list_resources
from interlock.web.authentication import ServicesOf
from interlock.web.console.browser_sessions import Visitor
from interlock.web.console.decide import shown_credential
from interlock.web.console.page import Acting, PageRoute, Visiting, page, to
from interlock.web.models import InPath, answer
from interlock.web.oauth import needed
from interlock.web.routers.entrance import address_of
from interlock.web.services import Services

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/passes/{pass_id}")
async def show(pass_id: InPath, request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    return await _show(request, services, visitor, pass_id)


@router.post("/passes/{pass_id}/ceremony")
async def ceremony(pass_id: InPath, services: ServicesOf, act: Acting) -> JSONResponse:
    """What the passkey is to sign: a challenge made of the digest of what the page showed."""
    visitor, _ = act
    return answer(await begin_touch(services.passkeys, login_id=visitor.login.id, pass_id=pass_id))


@router.post("/passes/{pass_id}")
async def prove(pass_id: InPath, request: Request, services: ServicesOf, act: Acting) -> Response:
    visitor, form = act
    try:
        await give(request, services, visitor, pass_id, form)
    except NotFound:
        raise
    except Refusal as refusal:
        return await _show(request, services, visitor, pass_id, refusal)
    return to(f"/passes/{pass_id}")


async def _show(
    request: Request, services: Services, visitor: Visitor, pass_id: str, problem: Refusal | None = None
) -> Response:
    asked = await show_pass(services.desk, services.oauth.waiting, person=visitor.name, pass_id=pass_id)
    status = 200 if problem is None else 403
    title = "A connection waits for you" if asked.given is None else "You were there"
    return page(request, visitor, "pass.html", status=status, title=title, place="home", asked=asked, problem=problem)


async def give(request: Request, services: Services, visitor: Visitor, pass_id: str, form: dict[str, str]) -> None:
    """What the form brought, as the proof. A cookie alone proves nothing. Raises Refusal."""
    if "credential" in form:
        shown = shown_credential(form)
        await give_by_touch(services.passkeys, login_id=visitor.login.id, pass_id=pass_id, shown=shown)
        return
    code = needed(form, "totp").replace(" ", "")[:16]
    await give_by_code(
        services.passkeys, login_id=visitor.login.id, pass_id=pass_id, totp=code, address=address_of(request)
    )


async def ask_where_needed(request: Request, services: Services, visitor: Visitor, resource: str) -> PassView | None:
    """The proof that a connection to ``resource`` with this browser's own login waits for; None where none is asked.

    It goes with a password that the console makes for it, here or for this terminal, and with nothing else.
    """
    views = await list_resources(services.desk, login_id=visitor.login.id)
    if not any(view.resource.name == resource and view.presence.needed for view in views):
        return None
    wish = PassWish(visitor.login.id, resource, address=address_of(request), password=True)
    return await ask_pass(services.desk, services.oauth.waiting, wish)
