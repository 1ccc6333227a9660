"""Decide: what waits for this person, one after another; and one request as all see it who may."""

import json
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from interlock.domain.grants import RequestKind, RequestState
from interlock.errors import NotFound, Refusal
from interlock.services.deny_request import deny_request
from interlock.services.effect_of_change import effect_of_proposal
from interlock.services.effect_of_grant import effect_of_grant
from interlock.services.effect_of_statement import effect_of_statement
from interlock.services.give_approval import give_approval
from interlock.services.list_requests import RequestView, Scope, list_requests, show_request
from interlock.services.passkeys import Shown, begin_presence, prove_for_request
from interlock.services.read_policy import Activates, ProposalView, may_activate, read_proposal
from interlock.services.review_request import review_request
from interlock.services.sample_rows import forget_sample, show_sample, why_no_sample
from interlock.services.step_up import step_up
from interlock.services.withdraw_request import withdraw_request
from interlock.web.authentication import ServicesOf
from interlock.web.console.browser_sessions import Visitor
from interlock.web.console.page import HEADERS, Acting, PageRoute, Visiting, page, renew_session, to
from interlock.web.console.text_changes import Change, changes_of
from interlock.web.models import InPath, InQuery, answer
from interlock.web.oauth import bad_request, needed
from interlock.web.routers.entrance import address_of
from interlock.web.services import Services

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_SHOWN = 50
_REQUESTS = 100
_LONGEST_CEREMONY = 100


@router.get("/decide")
async def inbox(request: Request, services: ServicesOf, visitor: Visiting, after: InQuery = "") -> Response:
    """The one that has waited longest, and the others; ``after`` is what was just decided."""
    waiting = await _waiting(services, visitor)
    return await _show(request, services, visitor, waiting, waiting[0] if waiting else None, after=after)


@router.get("/decide/{request_id}")
async def decide_one(request_id: InPath, request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    waiting = await _waiting(services, visitor)
    view = await show_request(services.desk, person=visitor.name, request_id=request_id)
    return await _show(request, services, visitor, waiting, view)


@router.get("/requests/{request_id}")
async def one(request_id: InPath, request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    view = await show_request(services.desk, person=visitor.name, request_id=request_id)
    return await _show_one(request, services, visitor, view)


@router.get("/requests/{request_id}/prover")
async def prover(request_id: InPath, request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    """What the prover says about it. The page of the request asks for it by itself, since it may take a moment."""
    view = await show_request(services.desk, person=visitor.name, request_id=request_id)
    grant = change = None
    if view.request.kind is RequestKind.STATEMENT:
        grant = await effect_of_statement(services.desk, reader=visitor.name, request_id=request_id)
    elif view.request.kind is RequestKind.GRANT:
        grant = await effect_of_grant(services.desk, reader=visitor.name, request_id=request_id)
    else:
        change = await effect_of_proposal(services.desk, reader=visitor.name, request_id=request_id)
    title = f"What the prover says about {request_id}"
    context: dict[str, Any] = {"view": view, "grant": grant, "change": change}
    return page(request, visitor, "prover.html", title=title, place="decide", **context)


@router.get("/requests/{request_id}/statement")
async def statement(request_id: InPath, services: ServicesOf, visitor: Visiting) -> Response:
    """A held statement and its values, whole, as a file: what acts in it is written as JSON writes it."""
    view = await show_request(services.desk, person=visitor.name, request_id=request_id)
    if view.request.kind is not RequestKind.STATEMENT:
        raise NotFound(f"{request_id} asks for no statement.", "Look at its page.")
    whole = {name: view.request.content.get(name) for name in ("text", "parameters")}
    disposition = {"Content-Disposition": f'attachment; filename="{view.request.id}.json"'}
    return Response(json.dumps(whole, indent=1), media_type="application/json", headers={**HEADERS, **disposition})


@router.get("/requests")
async def mine(
    request: Request, services: ServicesOf, visitor: Visiting, scope: InQuery = "mine", before: InQuery = ""
) -> Response:
    wanted = Scope.ALL if scope == "all" else Scope.MINE
    found = await list_requests(services.desk, person=visitor.name, scope=wanted, before=before, limit=_REQUESTS + 1)
    following = found[_REQUESTS - 1].request.id if len(found) > _REQUESTS else ""
    context: dict[str, Any] = {"views": found[:_REQUESTS], "scope": wanted.value, "following": following}
    return page(request, visitor, "requests.html", title="Requests", place="decide", **context)


@router.post("/requests/{request_id}/ceremony")
async def ceremony(request_id: InPath, services: ServicesOf, act: Acting) -> JSONResponse:
    """What the passkey is to sign: a challenge made of the digest of what the page showed."""
    visitor, form = act
    await show_request(services.desk, person=visitor.name, request_id=request_id)
    return answer(await begin_presence(services.passkeys, login_id=visitor.login.id, digest=needed(form, "digest")))


@router.post("/requests/{request_id}/approve")
async def approve(request_id: InPath, request: Request, services: ServicesOf, act: Acting) -> Response:
    visitor, form = act
    try:
        signed_at = None
        if "credential" in form:
            shown = shown_credential(form)
            digest = needed(form, "digest")
            signed_at = await prove_for_request(
                services.passkeys, login_id=visitor.login.id, digest=digest, shown=shown
            )
            await renew_session(request, services, visitor)
        else:
            # A cookie alone approves nothing, however fresh the login's proof of presence is.
            code = needed(form, "totp").replace(" ", "")[:16]
            await step_up(services.front, login_id=visitor.login.id, totp=code, address=address_of(request))
            await renew_session(request, services, visitor)
        await give_approval(
            services.desk,
            login_id=visitor.login.id,
            request_id=request_id,
            digest=needed(form, "digest"),
            signed_at=signed_at,
        )
    except NotFound:
        raise
    except Refusal as refusal:
        response = await show_again(request, services, visitor, request_id, refusal)
    else:
        response = to(f"/decide?after={request_id}")
    return response


@router.post("/requests/{request_id}/sample")
async def sample(request_id: InPath, request: Request, services: ServicesOf, act: Acting) -> Response:
    """Rows of a held statement, for who decides. The page of the request takes the part of it that has them."""
    visitor, _ = act
    shown = refusal = None
    try:
        shown = await show_sample(
            services.desk, services.master_key, services.oauth.waiting, login=visitor.login, request_id=request_id
        )
    except NotFound:
        raise
    except Refusal as no:
        refusal = no
    inside = request.headers.get("hx-request") is not None
    return page(
        request,
        visitor,
        "sample.html",
        status=200 if refusal is None or inside else 403,
        title=f"Rows that {request_id} touches",
        place="decide",
        request_id=request_id,
        sample=shown,
        refusal=refusal,
    )


@router.post("/requests/{request_id}/deny")
async def deny(request_id: InPath, request: Request, services: ServicesOf, act: Acting) -> Response:
    visitor, form = act
    try:
        await deny_request(services.desk, by=visitor.name, request_id=request_id, reason=form.get("reason", ""))
        await forget_sample(services.oauth.waiting, request_id)
    except NotFound:
        raise
    except Refusal as refusal:
        return await show_again(request, services, visitor, request_id, refusal)
    return to(f"/decide?after={request_id}")


@router.post("/requests/{request_id}/withdraw")
async def withdraw(request_id: InPath, services: ServicesOf, act: Acting) -> Response:
    visitor, _ = act
    await withdraw_request(services.desk, person=visitor.name, request_id=request_id)
    return to(f"/requests/{request_id}")


async def _waiting(services: Services, visitor: Visitor) -> list[RequestView]:
    """A held statement has somebody who waits in front of it: those come first, then the oldest."""
    found = await list_requests(services.desk, person=visitor.name, scope=Scope.TO_DECIDE, limit=_SHOWN)
    return sorted(found, key=lambda view: (view.request.session is None, view.request.opened_at))


async def _show(
    request: Request,
    services: Services,
    visitor: Visitor,
    waiting: list[RequestView],
    view: RequestView | None,
    *,
    after: str = "",
) -> Response:
    done = None
    if after:
        try:
            done = await show_request(services.desk, person=visitor.name, request_id=after)
        except NotFound:
            done = None
    context: dict[str, Any] = {"title": "Decide", "place": "decide", "waiting": waiting, "view": view, "done": done}
    if view is not None:
        context |= await _detail(services, visitor, view)
    return page(request, visitor, "decide.html", **context)


async def _show_one(
    request: Request,
    services: Services,
    visitor: Visitor,
    view: RequestView,
    refusal: Refusal | None = None,
) -> Response:
    context = await _detail(services, visitor, view)
    title = f"Request {view.request.id}"
    status = 200 if refusal is None else 403
    return page(
        request,
        visitor,
        "request.html",
        status=status,
        title=title,
        place="decide",
        view=view,
        problem=refusal,
        **context,
    )


async def _detail(services: Services, visitor: Visitor, view: RequestView) -> dict[str, Any]:
    asked = view.request
    review = await review_request(services.desk, reader=visitor.name, request_id=asked.id)
    context: dict[str, Any] = {
        "review": review,
        "content": asked.content,
        "is_open": asked.state is RequestState.OPEN,
        "proves": asked.kind in (RequestKind.GRANT, RequestKind.STATEMENT) and asked.state is RequestState.OPEN,
        "changes": (),
        "activates": Activates.NO,
        "no_rows": None,
    }
    if asked.kind is RequestKind.STATEMENT and view.may_decide:
        context["no_rows"] = await why_no_sample(services.desk, login=visitor.login, request_id=asked.id)
    if asked.kind is RequestKind.POLICY:
        whole = await read_proposal(services.desk, person=visitor.name, request_id=asked.id)
        context["activates"] = await may_activate(services.desk, person=visitor.name, request_id=asked.id)
        context["proves"] = whole.current and asked.state in (RequestState.OPEN, RequestState.APPROVED)
        context["changes"] = _text_changes(whole) if whole.current else ()
    return context


def _text_changes(whole: ProposalView) -> list[tuple[str, Sequence[Change]]]:
    """For each file that changes what changes in it; the configuration first."""
    active, proposed = whole.active, whole.proposal
    names = sorted({*active.cedar, *proposed.cedar})
    texts = [("interlock.yaml", active.yaml, proposed.yaml)]
    texts += [(name, active.cedar.get(name, ""), proposed.cedar.get(name, "")) for name in names]
    return [(name, changes_of(old, new)) for name, old, new in texts if old != new]


async def show_again(
    request: Request, services: Services, visitor: Visitor, request_id: str, refusal: Refusal
) -> Response:
    """The same page with the reason."""
    view = await show_request(services.desk, person=visitor.name, request_id=request_id)
    return await _show_one(request, services, visitor, view, refusal)


def shown_credential(form: dict[str, str]) -> Shown:
    """What a passkey answered, as the page's script sends it."""
    try:
        credential = json.loads(form["credential"])
    except (ValueError, RecursionError) as error:
        raise bad_request("the credential is not JSON") from error
    if not isinstance(credential, dict):
        raise bad_request("the credential is no object")
    return Shown(needed(form, "ceremony")[:_LONGEST_CEREMONY], credential)
