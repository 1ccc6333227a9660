"""Requests: open, look, wait, approve, deny, withdraw."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from interlock.domain.grants import Request as RequestEntity
from interlock.domain.grants import RequestState
from interlock.ports.sample import Sample
from interlock.services.break_glass import break_glass
from interlock.services.deny_request import deny_request
from interlock.services.give_approval import give_approval
from interlock.services.list_requests import RequestView, Scope, list_requests, show_request
from interlock.services.open_request import open_request
from interlock.services.passkeys import prove_for_request
from interlock.services.sample_rows import forget_sample, show_sample
from interlock.services.withdraw_request import withdraw_request
from interlock.web import answered
from interlock.web.answers import Many, told
from interlock.web.authentication import Caller, ReadingPerson, ServicesOf, SignedInPerson, active_caller
from interlock.web.models import Body, InPath, Name, Text, WithReason, answer, joined
from interlock.web.news import wait_for
from interlock.web.routers.passkeys import ShownBody
from interlock.web.services import Services

router = APIRouter(prefix="/v1/requests")

LONGEST_WAIT_S = 30.0
_LONGEST_IN_LISTS = 2000


class OpenBody(Body):
    resource: Name
    role: Name
    duration_s: Annotated[int, Field(gt=0, le=366 * 86400)]
    reason: Text
    artifact: Annotated[str, Field(max_length=254, pattern=r"^[^\x00]*$")] = ""


@router.post("/break-glass", responses=told(answered.GLASS))
async def break_the_glass(body: OpenBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """Take the role at once; two others must close the review that opens."""
    broken = await break_glass(
        services.desk,
        login_id=caller.login.id,
        resource=body.resource,
        role=body.role,
        duration=timedelta(seconds=body.duration_s),
        reason=body.reason,
        artifact=body.artifact,
    )
    return answer(joined(broken.review, grant=broken.grant))


class ApproveBody(Body):
    digest: Annotated[str, Field(max_length=128, pattern=r"^[^\x00]*$")]
    passkey: ShownBody | None = None


@router.post("", responses=told(answered.REQUEST_SHOWN))
async def open_one(body: OpenBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    request = await open_request(
        services.desk,
        login_id=caller.login.id,
        resource=body.resource,
        role=body.role,
        duration=timedelta(seconds=body.duration_s),
        reason=body.reason,
        artifact=body.artifact,
    )
    return answer(_plain(await show_request(services.desk, person=caller.name, request_id=request.id)))


@router.get("", responses=told(Many(answered.REQUEST_SHOWN)))
async def list_some(services: ServicesOf, caller: ReadingPerson, scope: Scope = Scope.MINE) -> JSONResponse:
    views = await list_requests(services.desk, person=caller.name, scope=scope)
    return answer([_shortened(_plain(view)) for view in views])


@router.get("/{request_id}", responses=told(answered.REQUEST_SHOWN))
async def show_one(
    request_id: InPath,
    services: ServicesOf,
    caller: ReadingPerson,
    wait: Annotated[float, Query(ge=0, le=3600, allow_inf_nan=False)] = 0.0,
) -> JSONResponse:
    """The request; with ``wait``, when it is no longer open, or after that many seconds (30 at most)."""
    view = await show_request(services.desk, person=caller.name, request_id=request_id)
    if wait and view.request.state is RequestState.OPEN:
        view = await _await_decision(services, caller, request_id, min(wait, LONGEST_WAIT_S))
    return answer(_plain(view))


@router.post("/{request_id}/approve", responses=told(answered.APPROVED))
async def approve(request_id: InPath, body: ApproveBody, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    signed_at = None
    if body.passkey is not None:
        signed_at = await prove_for_request(
            services.passkeys, login_id=caller.login.id, digest=body.digest, shown=body.passkey.shown()
        )
    approved = await give_approval(
        services.desk, login_id=caller.login.id, request_id=request_id, digest=body.digest, signed_at=signed_at
    )
    return answer(joined(approved.request, missing=approved.tally.missing, grant=approved.grant))


@router.post(
    "/{request_id}/sample",
    responses=told(
        Sample,
        example={
            "parts": [
                {
                    "part": "table public.orders",
                    "moment": "before",
                    "columns": ["id", "status"],
                    "rows": [[{"text": "4711", "cut": ""}, {"text": "closed", "cut": ""}]],
                    "left_out": ["card_token"],
                    "more_columns": 0,
                    "why_not": "",
                }
            ],
            "why_not": "",
        },
    ),
)
async def sample(request_id: InPath, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """Some rows that the held statement touches, for who decides on it and may read them. That you look is recorded."""
    shown = await show_sample(
        services.desk, services.master_key, services.oauth.waiting, login=caller.login, request_id=request_id
    )
    return answer(shown)


@router.post("/{request_id}/deny", responses=told(RequestEntity))
async def deny(request_id: InPath, body: WithReason, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    denied = await deny_request(services.desk, by=caller.name, request_id=request_id, reason=body.reason)
    await forget_sample(services.oauth.waiting, request_id)
    return answer(denied)


@router.post("/{request_id}/withdraw", responses=told(RequestEntity))
async def withdraw(request_id: InPath, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    return answer(await withdraw_request(services.desk, person=caller.name, request_id=request_id))


async def _await_decision(services: Services, caller: Caller, request_id: str, wait_s: float) -> RequestView:
    loop = asyncio.get_running_loop()
    until = loop.time() + wait_s
    while True:
        happened = services.news.latest()
        view = await show_request(services.desk, person=caller.name, request_id=request_id)
        # A login may end while the call waits; what it may see ends with it.
        over = (
            loop.time() >= until or services.streams.closing or await active_caller(services, caller.login.id) is None
        )
        if over or view.request.state is not RequestState.OPEN:
            return view
        await wait_for(happened, until - loop.time())


def _plain(view: RequestView) -> dict[str, Any]:
    return joined(
        view.request,
        approvals=view.approvals,
        missing=view.missing,
        judges=view.judges,
        may_decide=view.may_decide,
    )


def _shortened(plain: Mapping[str, Any]) -> dict[str, Any]:
    """For lists: a statement's text may be very long, and nobody approves from a list."""
    content = dict(plain["content"])
    text = content.get("text")
    if isinstance(text, str) and len(text) > _LONGEST_IN_LISTS:
        content |= {"text": text[:_LONGEST_IN_LISTS], "text_cut": True, "parameters": []}
    return {**plain, "content": content}
