"""All pages of the console."""

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from interlock.web.boundary import answer_http_error
from interlock.web.console import (
    ask,
    decide,
    duties,
    entrance,
    home,
    ledger,
    live,
    notices,
    passes,
    people,
    policy,
    recordings,
    set_up,
    static_files,
    terminal,
)
from interlock.web.console.page import error_page, wants_page

ROUTERS: tuple[APIRouter, ...] = (
    entrance.opening,
    entrance.router,
    home.router,
    notices.router,
    ask.router,
    decide.router,
    live.router,
    recordings.router,
    people.router,
    duties.router,
    policy.router,
    ledger.router,
    set_up.router,
    static_files.router,
    terminal.router,
    passes.router,
)


def add_console(api: FastAPI) -> None:
    """The pages beside the API's calls. What is no page of ours is told as a page to whoever asks for one."""
    for router in ROUTERS:
        api.include_router(router)
    api.add_exception_handler(HTTPException, _http_error)


async def _http_error(request: Request, error: Exception) -> Response:
    return await (error_page(request, error) if wants_page(request) else answer_http_error(request, error))
