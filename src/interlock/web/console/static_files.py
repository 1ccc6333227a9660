"""The console's own scripts and styles, and those of others that were put beside them when it was built."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import Response

from interlock.errors import NotFound
from interlock.web.console.page import PageRoute

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_KINDS = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
_OWN = ("console.css", "console.js", "theme.js", "icon.svg", "replay.js", "terminal.js")
_VENDORED = ("htmx.js", "asciinema-player.js", "asciinema-player.css", "xterm.js", "xterm.css", "xterm-fit.js")


@dataclass(frozen=True, slots=True)
class _File:
    plain: bytes
    compressed: bytes
    kind: str
    tag: str


@router.get("/static/{name}")
async def own(name: str, request: Request) -> Response:
    return _answer(name if name in _OWN else "", "", request)


@router.get("/static/vendor/{name}")
async def vendored(name: str, request: Request) -> Response:
    return _answer(name if name in _VENDORED else "", "vendor/", request)


def _answer(name: str, folder: str, request: Request) -> Response:
    found = _read(f"{folder}{name}") if name else None
    if found is None:
        raise NotFound("There is no such file.", "Start from Home.")
    headers = {"ETag": found.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.compressed, media_type=found.kind, headers={**headers, "Content-Encoding": "gzip"})
    return Response(found.plain, media_type=found.kind, headers=headers)


@cache
def _read(path: str) -> _File | None:
    file = files("interlock.web.console") / "static"
    for part in path.split("/"):
        file = file / part
    if not file.is_file():
        return None
    plain = file.read_bytes()
    tag = f'"{hashlib.sha256(plain).hexdigest()[:32]}"'
    return _File(plain, gzip.compress(plain, 9, mtime=0), _KINDS[path.rpartition(".")[2]], tag)
