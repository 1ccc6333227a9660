"""Notices: what waits for this person, what they are to know, and by which accounts in chats they are told."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from interlock.domain.notices import ChatLink
from interlock.domain.people import Contract, Extension
from interlock.errors import NotFound, Refusal
from interlock.ports.notify import ChatNotifier
from interlock.services.link_chat import Claim, begin_link, claim_for, confirm_link, list_links, no_claim, unlink
from interlock.services.list_people import list_contracts, list_extensions
from interlock.services.list_requests import RequestView, Scope, list_requests
from interlock.services.passkeys import begin_presence, list_passkeys, prove_for_request
from interlock.services.step_up import step_up
from interlock.web.authentication import ServicesOf
from interlock.web.console.browser_sessions import Visitor
from interlock.web.console.decide import shown_credential
from interlock.web.console.page import HEADERS, Acting, PageRoute, Visiting, now_of, page, render, renew_session, to
from interlock.web.models import InPath, answer
from interlock.web.oauth import needed
from interlock.web.routers.entrance import address_of
from interlock.web.services import Services

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat, the person's account in it, and one that waits to be confirmed as theirs."""

    name: str
    link: ChatLink | None
    claim: Claim | None


@router.get("/notices")
async def notices(request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    return await _show(request, services, visitor)


@router.get("/notices/count")
async def count(request: Request, services: ServicesOf, visitor: Visiting) -> HTMLResponse:
    """The piece of every page's head that says how much waits."""
    waiting, extensions, reviews = await _waiting(request, services, visitor)
    unseen = await services.outbox.unseen(visitor.name)
    number = len(waiting) + len(extensions) + len(reviews) + unseen
    return HTMLResponse(render("_bell.html", number=number, place=""), headers=HEADERS)


@router.post("/notices/seen")
async def seen(services: ServicesOf, act: Acting) -> Response:
    """Everything up to what the page showed."""
    visitor, form = act
    upto = needed(form, "upto")
    if not (upto.isascii() and upto.isdigit() and len(upto) < 16):
        raise Refusal("invalid_request", "The page sent something else than it shows.", "Open it again.")
    await services.outbox.see(visitor.name, int(upto), services.desk.clock.now())
    return to("/notices")


@router.post("/notices/chats/{notifier}/begin")
async def begin(notifier: InPath, request: Request, services: ServicesOf, act: Acting) -> Response:
    """A code to say in the chat. It is shown once, and in no address."""
    visitor, _ = act
    _check_chat(services, notifier)
    code = await begin_link(services.desk, services.oauth.waiting, person=visitor.name, notifier=notifier)
    return await _show(request, services, visitor, code=code, coded=notifier)


@router.post("/notices/chats/{notifier}/ceremony")
async def ceremony(services: ServicesOf, notifier: InPath, act: Acting) -> JSONResponse:
    visitor, form = act
    _check_chat(services, notifier)
    return answer(await begin_presence(services.passkeys, login_id=visitor.login.id, digest=needed(form, "digest")))


@router.post("/notices/chats/{notifier}/confirm")
async def confirm(notifier: InPath, request: Request, services: ServicesOf, act: Acting) -> Response:
    visitor, form = act
    _check_chat(services, notifier)
    digest, signed_at = needed(form, "digest"), None
    try:
        if await claim_for(services.oauth.waiting, person=visitor.name, notifier=notifier) is None:
            # before a code is used up for nothing
            raise no_claim()
        if "credential" in form:
            shown = shown_credential(form)
            signed_at = await prove_for_request(
                services.passkeys, login_id=visitor.login.id, digest=digest, shown=shown
            )
        else:
            # A cookie alone links nothing, however fresh the login's proof of presence is.
            code = needed(form, "totp").replace(" ", "")[:16]
            await step_up(services.front, login_id=visitor.login.id, totp=code, address=address_of(request))
        await renew_session(request, services, visitor)
        await confirm_link(
            services.desk,
            services.oauth.waiting,
            login_id=visitor.login.id,
            notifier=notifier,
            digest=digest,
            signed_at=signed_at,
        )
    except NotFound:
        raise
    except Refusal as refusal:
        response = await _show(request, services, visitor, refusal=refusal)
    else:
        response = to("/notices")
    return response


@router.post("/notices/chats/{notifier}/unlink")
async def end_link(notifier: InPath, services: ServicesOf, act: Acting) -> Response:
    visitor, _ = act
    await unlink(services.desk, by=visitor.name, notifier=notifier)
    return to("/notices")


async def _show(
    request: Request,
    services: Services,
    visitor: Visitor,
    *,
    code: str = "",
    coded: str = "",
    refusal: Refusal | None = None,
) -> Response:
    waiting, extensions, reviews = await _waiting(request, services, visitor)
    told = await services.outbox.kept_for(visitor.name, _SHOWN)
    return page(
        request,
        visitor,
        "notices.html",
        status=200 if refusal is None else 403,
        title="Notices",
        place="notices",
        problem=refusal,
        waiting=waiting,
        extensions=extensions,
        reviews=reviews,
        told=told,
        unseen=[letter for letter in told if not letter.seen],
        chats=await _chats(services, visitor),
        code=code,
        coded=coded,
        has_passkey=bool(await list_passkeys(services.desk, person=visitor.name)),
    )


async def _waiting(
    request: Request, services: Services, visitor: Visitor
) -> tuple[Sequence[RequestView], Sequence[Extension], Sequence[Contract]]:
    desk, name, now = services.desk, visitor.name, now_of(request)
    waiting = await list_requests(desk, person=name, scope=Scope.TO_DECIDE, limit=_SHOWN)
    contracts = await list_contracts(desk, person=name)
    reviews = [c for c in contracts if c.sponsor == name and c.running(now) and c.review_due is not None]
    return waiting, await list_extensions(desk, person=name), reviews


async def _chats(services: Services, visitor: Visitor) -> list[Chat]:
    links = {link.notifier: link for link in await list_links(services.desk, person=visitor.name)}
    names = sorted(name for name, notifier in services.notifiers.items() if isinstance(notifier, ChatNotifier))
    waiting = services.oauth.waiting
    return [Chat(name, links.get(name), await claim_for(waiting, person=visitor.name, notifier=name)) for name in names]


def _check_chat(services: Services, notifier: str) -> None:
    if not isinstance(services.notifiers.get(notifier), ChatNotifier):
        raise NotFound("There is no such chat here.", "See the page Notices.")
