"""The one boundary of the API: what may come in, what goes out, and how an error becomes an answer.

Errors are ``{"error": {"code", "sentence", "remedy"}}``: a Refusal 403, NotFound 404, bad input 422, not signed in 401
with the challenge of RFC 9449, a Failure 503, a fault of ours 500. What was sent is never quoted back.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interlock.errors import Failure, InterlockError, NotFound, Refusal
from interlock.identity.dpop import Nonces
from interlock.identity.jose import ALGORITHMS
from interlock.identity.refusals import NotAuthentic
from interlock.services.attempts import network_of
from interlock.web.large_bodies import LargeBodies

_log = logging.getLogger("interlock.web")

BODY_LIMIT = 64 * 1024
GATEWAY_BODY_LIMIT = 160 * 1024 * 1024
"""A held statement may have 64 MiB. Bodies of gateways are read only after the gateway is known."""
FORGE_BODY_LIMIT = 8 * 1024 * 1024
"""A push of many commits. Read before it is known who sent it, see ``large_bodies``."""
ADMISSION_BODY_LIMIT = 4 * 1024 * 1024
"""A pod as a cluster describes it, now and before: etcd keeps no object of more than 1.5 MiB. The same holds."""
POLICY_BODY_LIMIT = 8 * 1024 * 1024
"""A whole policy with its Cedar files; read, too, only after the person is known."""
PROPOSALS = "/v1/policy/proposals"
BODY_TIME_S = 60.0
"""How long a body may take to come."""
STRANGERS_BODY_TIME_S = 20.0
"""The same for a large one of a sender that is not known yet, from when it has its place."""
GATEWAY_PREFIX = "/v1/gateway/"
_STRANGERS = {"/v1/forges/": FORGE_BODY_LIMIT, "/v1/admission/": ADMISSION_BODY_LIMIT}

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class BadInputError(Refusal):
    """What a gateway sent does not fit. ``place`` says where."""

    def __init__(self, place: str) -> None:
        super().__init__("bad-input", f"What was sent does not fit: {place}.", "See docs/api.md.")


class Boundary:
    """The outermost ASGI layer: host, size, headers, and the last word on what nobody caught."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str], nonces: Nonces, large: LargeBodies) -> None:
        self._app = app
        self._hosts = hosts
        self._nonces = nonces
        self._large = large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_marked(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                nonce = (b"dpop-nonce", self._nonces.current().encode())
                own = message.get("headers", ())
                said = {name.lower() for name, _ in own}
                # A page says itself what it may load; whatever it does not say is said here.
                headers = [header for header in _HEADERS if header[0] not in said]
                message["headers"] = [*own, *headers, nonce]
            await send(message)

        refusal = self._refuse(scope)
        body = _Body(scope, receive, self._large)
        try:
            if refusal is not None:
                await refusal(scope, receive, send_marked)
                return
            await self._app(scope, body.receive, send_marked)
        except Exception:
            _log.exception("%s %s met a fault of ours.", scope["method"], scope["path"])
            if started:
                raise
            await _fault()(scope, receive, send_marked)
        finally:
            await body.over()

    def _refuse(self, scope: Scope) -> JSONResponse | None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or host_name(hosts[0].decode("latin-1")) not in self._hosts:
            return error_answer(
                421, "wrong-host", "This server does not answer under that name.", "Use one of its own."
            )
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        if lengths and (not lengths[0].isdigit() or int(lengths[0]) > _limit(scope)):
            return _too_large()
        return None


def host_name(host: str) -> str:
    """The name in a Host header, without the port, lower case."""
    if host.startswith("["):
        return host.partition("]")[0].removeprefix("[").lower()
    return host.partition(":")[0].lower()


def _limit(scope: Scope) -> int:
    path: str = scope["path"]
    if path.startswith(GATEWAY_PREFIX):
        return GATEWAY_BODY_LIMIT
    if path == PROPOSALS:
        return POLICY_BODY_LIMIT
    return _stranger_limit(path) or BODY_LIMIT


def _stranger_limit(path: str) -> int | None:
    """The limit of a call whose sender is known by its body alone, if by anything."""
    return next((limit for prefix, limit in _STRANGERS.items() if path.startswith(prefix)), None)


class _Body:
    """The body of one call: bounded in size and time, and a large one of a stranger in how many come at once."""

    def __init__(self, scope: Scope, receive: Receive, large: LargeBodies) -> None:
        self._receive = receive
        self._large = large
        self._limit = _limit(scope)
        self._is_strangers = _stranger_limit(scope["path"]) is not None
        client = scope.get("client")
        self._network = network_of(client[0] if client else "unknown")
        self._size = 0
        self._whole = self._placed = False
        self._until = asyncio.get_running_loop().time() + BODY_TIME_S

    async def receive(self) -> Message:
        try:
            # When the body is whole, what comes next is the caller's leaving, for which there is no time.
            async with asyncio.timeout_at(None if self._whole else self._until):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408) from None
        if message["type"] == "http.request":
            self._whole = not message.get("more_body", False)
            self._size += len(message.get("body", b""))
            if self._size > self._limit:
                # The kind of exception that FastAPI lets through while it reads a body.
                raise HTTPException(413)
            if self._is_strangers and self._size > BODY_LIMIT and not self._placed:
                await self._take_place()
        return message

    async def over(self) -> None:
        """The call has been answered."""
        if self._placed:
            self._placed = False
            await self._large.leave(self._network)

    async def _take_place(self) -> None:
        if not await self._large.enter(self._network):
            raise HTTPException(503)
        self._placed = True
        self._until = asyncio.get_running_loop().time() + STRANGERS_BODY_TIME_S


def error_answer(
    status: int, code: str, sentence: str, remedy: str = "", headers: dict[str, str] | None = None
) -> JSONResponse:
    body = {"error": {"code": code, "sentence": sentence, "remedy": remedy}}
    return JSONResponse(body, status_code=status, headers=headers)


def _too_large() -> JSONResponse:
    return error_answer(413, "too-large", "What was sent is longer than this call takes.", "Send less.")


def _fault() -> JSONResponse:
    sentence = "Interlock met a fault of its own; nothing more is known here."
    return error_answer(500, "fault", sentence, "The operator finds it in the control plane's log.")


async def _interlock_error(request: Request, error: Exception) -> JSONResponse:
    match error:
        case NotAuthentic():
            # RFC 9728 section 5.1: a client that knows nothing of us finds out from here whom to ask for a token.
            metadata = f"{request.app.state.services.oauth.issuer}/.well-known/oauth-protected-resource"
            challenge = f'DPoP error="{error.oauth_error}", algs="{" ".join(ALGORITHMS)}"'
            challenge += f', resource_metadata="{metadata}"'
            return error_answer(401, error.code, error.sentence, error.remedy, {"WWW-Authenticate": challenge})
        case BadInputError():
            return error_answer(422, error.code, error.sentence, error.remedy)
        case NotFound():
            return error_answer(404, error.code, error.sentence, error.remedy)
        case Refusal():
            return error_answer(403, error.code, error.sentence, error.remedy)
        case Failure():
            _log.warning("A call failed: %s", error)
            return error_answer(503, "failure", error.sentence, error.remedy)
    raise error


async def _bad_input(_: Request, error: Exception) -> JSONResponse:
    problems: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
    said = "; ".join(sorted({f"{_place(problem['loc'])}: {problem['msg']}" for problem in problems}))
    return error_answer(422, "bad-input", f"What was sent does not fit: {said}."[:1000], "See docs/api.md.")


def _place(parts: Sequence[object]) -> str:
    # The last part of an unknown key is what the caller wrote; cut, so that it cannot fill the answer.
    return ".".join(str(part)[:40] for part in parts if part not in ("body", "query", "path")) or "the body"


async def answer_http_error(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    match status:
        case 404:
            return error_answer(404, "not-found", "There is no such call.", "See docs/api.md.")
        case 405:
            return error_answer(405, "bad-method", "This call is not made with that method.", "See docs/api.md.")
        case 408:
            return error_answer(408, "too-slow", "What was sent took too long to come.", "Try again.")
        case 413:
            return _too_large()
        case 503:
            return error_answer(503, "busy", "Too many large bodies come at once.", "Send it again in a moment.")
        case 400:
            return error_answer(422, "bad-input", "What was sent cannot be read.", "Send JSON in UTF-8.")
    return error_answer(status, "http", "The call cannot be answered.")


def catch_errors(api: FastAPI) -> None:
    handlers: dict[type[Exception], Callable[..., Any]] = {
        InterlockError: _interlock_error,
        RequestValidationError: _bad_input,
        HTTPException: answer_http_error,
    }
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)


async def read_gateway_body(request: Request) -> Any:
    """A gateway's JSON. Read by the route itself, after the gateway is known: these bodies may be large."""
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise BadInputError("the body is not JSON") from error
