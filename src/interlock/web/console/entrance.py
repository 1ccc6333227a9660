"""In and out: a browser that has proved its login's key gets a session; your own page; the news that pages wait for."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from interlock.services.end_login import end_login
from interlock.services.passkeys import list_passkeys
from interlock.web.authentication import ServicesOf, SignedInPerson, active_caller
from interlock.web.console.browser_sessions import cookie_of, end_session, give_cookie, open_session, take_cookie
from interlock.web.console.page import HEADERS, Acting, PageRoute, Visiting, page, to
from interlock.web.models import answer
from interlock.web.news import wait_for
from interlock.web.services import Services

router = APIRouter(route_class=PageRoute, include_in_schema=False)
opening = APIRouter(include_in_schema=False)
"""Called by the sign-in page's script, and answered as the API answers."""

_CALM_S = 1.0
"""A burst of changes is told once."""
_BEAT_S = 15.0


@opening.post("/console/session")
async def begin(request: Request, services: ServicesOf, caller: SignedInPerson) -> JSONResponse:
    """The cookie for a login whose key this very call proves. A session that the browser had before is over."""
    response = answer({"person": caller.name})
    give_cookie(response, await open_session(services, caller.login, cookie_of(request)))
    return response


@router.get("/you")
async def you(request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    passkeys = await list_passkeys(services.desk, person=visitor.name)
    return page(request, visitor, "you.html", title="You", place="you", passkeys=passkeys)


@router.post("/sign-out")
async def leave(services: ServicesOf, act: Acting) -> Response:
    """The login ends, and with it what it opened: the page that follows forgets its token."""
    visitor, _ = act
    await end_session(services, visitor.number)
    await end_login(services.desk, by=visitor.name, login_id=visitor.login.id)
    response = to("/sign-in?left=1")
    take_cookie(response)
    return response


@router.get("/news")
async def news(services: ServicesOf, visitor: Visiting) -> StreamingResponse:
    """``news`` whenever something has changed, for whom it may concern: what, the page that asks again is told."""
    headers = {**HEADERS, "X-Accel-Buffering": "no"}
    return StreamingResponse(_told(services, visitor.login.id), media_type="text/event-stream", headers=headers)


async def _told(services: Services, login: str) -> AsyncIterator[str]:
    yield "retry: 3000\n\n"
    happened = services.news.latest()
    while not services.streams.closing:
        await wait_for(happened, _BEAT_S)
        told = happened.is_set()
        if told:
            # Taken before it is told: what happens from here on is told the next time.
            happened = services.news.latest()
        if await active_caller(services, login) is None:
            yield "event: over\ndata: \n\n"
            return
        yield "event: news\ndata: \n\n" if told else ": still here\n\n"
        await asyncio.sleep(_CALM_S)
