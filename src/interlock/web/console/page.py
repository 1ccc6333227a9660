"""Pages: templates of this package, what each may load, and how an error becomes one.

The pages are not compressed: they carry a secret token beside text of others, whose length compression would tell.
"""

import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import URL
from starlette.exceptions import HTTPException

from interlock.errors import Failure, InterlockError, NotFound, Refusal
from interlock.identity.refusals import NotAuthentic
from interlock.web.authentication import ServicesOf
from interlock.web.boundary import error_answer, host_name
from interlock.web.console import shown
from interlock.web.console.browser_sessions import (
    Visitor,
    find_visitor,
    give_cookie,
    open_session,
    renew,
    renewed_number,
)
from interlock.web.oauth import read_form
from interlock.web.services import Services

_log = logging.getLogger("interlock.web")

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    # With no-referrer a browser hides the origin of a form, by which forged ones are known.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


_TERMINALS = CSP.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'").replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
)
"""For pages with a terminal: emulators write style sheets of their own, and the player's is WebAssembly."""


def with_terminals(answer: Response) -> Response:
    answer.headers["Content-Security-Policy"] = _TERMINALS
    return answer


class SignInNeeded(NotAuthentic):
    """Nobody is signed in with this browser."""

    def __init__(self) -> None:
        super().__init__("not-signed-in", "You are not signed in here, or no longer.", "Sign in.")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("interlock.web.console"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown.finish,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(shown.FILTERS)
    made.globals["left"] = shown.left
    made.globals["vendored"] = (files("interlock.web.console") / "static" / "vendor" / "htmx.js").is_file()
    return made


def render(name: str, **context: Any) -> str:
    return _environment().get_template(name).render(**context)


def page(request: Request, visitor: Visitor | None, name: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A whole page. ``place`` in the context is its entry in the navigation."""
    given = {"visitor": visitor, "path": request.url.path, "place": "", "now": now_of(request), "problem": None}
    return HTMLResponse(render(name, **{**given, **context}), status_code=status, headers=HEADERS)


def now_of(request: Request) -> datetime:
    now: datetime = request.app.state.services.desk.clock.now()
    return now


def to(path: str) -> RedirectResponse:
    """On to another page of ours, with GET."""
    return RedirectResponse(path, status_code=303, headers=HEADERS)


def to_sign_in(request: Request) -> Response:
    piece = request.headers.get("hx-request")
    there = _page_of(request) if piece else request.url if request.method == "GET" else None
    path = "/" if there is None else there.path + (f"?{there.query}" if there.query else "")
    where = f"{_home_of(request)}/sign-in?next={quote(path, safe='')}"
    if piece:
        return Response(status_code=401, headers={**HEADERS, "HX-Redirect": where})
    return to(where)


def _page_of(request: Request) -> URL | None:
    """The page that a piece was asked for by: the piece alone is nothing to come back to."""
    page = URL(request.headers.get("hx-current-url", ""))
    try:
        return page if page.netloc and page.netloc == request.headers.get("host") else None
    except ValueError:
        # It is no address.
        return None


def _home_of(request: Request) -> str:
    """Passkeys belong to a name: on this machine the console is called by it, not by a number."""
    issuer: str = request.app.state.services.oauth.issuer
    loopback = host_name(request.headers["host"]) in ("127.0.0.1", "::1")
    return issuer if loopback and urlsplit(issuer).hostname == "localhost" else ""


async def visiting(request: Request, services: ServicesOf) -> Visitor:
    """The person before the page. Raises SignInNeeded."""
    visitor = await find_visitor(services, request)
    if visitor is None:
        raise SignInNeeded
    return visitor


async def acting(request: Request, services: ServicesOf) -> tuple[Visitor, dict[str, str]]:
    """The person who sent a form of a page of ours, and its fields.

    Four things hold, each alone enough against a forged form: the cookie is not sent from other sites, the browser
    says that the form is ours, the origin is ours, and the form carries the token of this very session.
    """
    visitor = await visiting(request, services)
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    ours = f"https://{request.headers['host']}"
    if (origin is None and site is None) or origin not in (None, ours) or site not in (None, "same-origin"):
        raise _forged()
    form = await read_form(request)
    token = request.headers.get("x-form-token") or form.pop("token", "")
    if not visitor.sent_by(token):
        raise _forged()
    return visitor, form


def _forged() -> Refusal:
    return Refusal(
        "forged", "This form was not sent by a page of yours, or by one from before you signed in.", "Open it again."
    )


Visiting = Annotated[Visitor, Depends(visiting)]
Acting = Annotated[tuple[Visitor, dict[str, str]], Depends(acting)]


async def renew_session(request: Request, services: Services, visitor: Visitor) -> None:
    """A proof of presence gives the session a new number. It goes with whatever answers, be it an error."""
    renew(request, await open_session(services, visitor.login, visitor.number))


class PageRoute(APIRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                response = await handle(request)
            except SignInNeeded:
                return to_sign_in(request)
            except (InterlockError, RequestValidationError, HTTPException) as error:
                response = await error_page(request, error)
            if number := renewed_number(request):
                give_cookie(response, number)
            return response

        return answered


async def error_page(request: Request, error: Exception) -> Response:
    """A sentence and a way on. What was sent is never quoted."""
    status, sentence, remedy = 403, "", ""
    match error:
        case NotFound():
            status, sentence, remedy = 404, error.sentence, error.remedy
        case NotAuthentic():
            status, sentence, remedy = 401, error.sentence, error.remedy
        case Refusal():
            status = 400 if error.code in ("invalid_request", "forged") else 403
            sentence, remedy = error.sentence, error.remedy
        case Failure():
            _log.warning("A page failed: %s", error)
            status, sentence, remedy = 503, error.sentence, error.remedy
        case RequestValidationError():
            status, sentence, remedy = 400, "This address has something in it that does not fit.", "Start from Home."
        case HTTPException():
            status = error.status_code
            sentence = {
                404: "There is no such page.",
                405: "This page is not opened like that.",
                408: "What was sent took too long to come.",
                413: "What was sent is longer than this page takes.",
            }.get(status, "This cannot be answered.")
            remedy = "Start from Home."
    if "application/json" in request.headers.get("accept", ""):
        code = error.code if isinstance(error, Refusal) else "page"
        return error_answer(status, code, sentence, remedy)
    visitor = await find_visitor(request.app.state.services, request) if status != 503 else None
    return page(request, visitor, "error.html", status=status, sentence=sentence, remedy=remedy, title=sentence)


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks, and for nothing of the API."""
    api = ("/v1", "/oauth", "/scim", "/.well-known", "/mcp")
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(api)


def local_path(text: str) -> str:
    """``text`` if it is a path of ours, else Home: nobody is led elsewhere."""
    parts = urlsplit(text)
    ours = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return text if ours and text.isprintable() and "\\" not in text else "/"
