"""The pages of the authorization server: sign in, say yes or no to a client. Files of this package, and one script.

They hold nothing: what is shown comes from calls of the API that the script makes with a key of the browser's own.
"""

from html import escape
from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from interlock.errors import Refusal
from interlock.web.described import BOUNDARY_ERRORS, content

router = APIRouter(responses=BOUNDARY_ERRORS)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_KINDS = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}


@router.get("/sign-in", response_class=Response, responses=content("text/html", 200))
async def sign_in_page() -> Response:
    return _file("sign-in.html")


@router.get("/device", response_class=Response, responses=content("text/html", 200))
async def device_page() -> Response:
    return _file("sign-in.html")


@router.get("/invitation", response_class=Response, responses=content("text/html", 200))
async def invitation_page() -> Response:
    return _file("sign-in.html")


@router.get("/sign-in/page.js", response_class=Response, responses=content("text/javascript", 200))
async def script() -> Response:
    return _file("sign-in.js")


@router.get("/sign-in/page.css", response_class=Response, responses=content("text/css", 200))
async def style() -> Response:
    return _file("sign-in.css")


def error_page(refusal: Refusal) -> Response:
    """What a person sees when a client's request cannot be answered to the client."""
    page = (files("interlock.web") / "static" / "refused.html").read_text()
    said = page.replace("{sentence}", escape(refusal.sentence)).replace("{remedy}", escape(refusal.remedy))
    return HTMLResponse(said, status_code=400, headers={"Content-Security-Policy": POLICY})


def _file(name: str) -> Response:
    content = (files("interlock.web") / "static" / name).read_bytes()
    kind = _KINDS[name.rpartition(".")[2]]
    return Response(content, media_type=kind, headers={"Content-Security-Policy": POLICY})
