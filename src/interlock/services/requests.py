"""What the use cases around requests share: finding one that can still be decided, its content and its digest."""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from interlock.domain.grants import Request, RequestState
from interlock.domain.rights_events import RequestOpened
from interlock.errors import NotFound, Refusal
from interlock.ledger.canonical import NotCanonical, canonical
from interlock.ports.state import Reading

REASON_LIMIT = 1000
"""The longest reason, in characters."""


async def locate(reading: Reading, request_id: str) -> Request:
    request = await reading.request(request_id)
    if request is None:
        raise not_found_request(request_id)
    return request


def not_found_request(request_id: str) -> NotFound:
    return NotFound(f"There is no request {request_id}.", "See `interlock requests`.")


def opened(request: Request) -> RequestOpened:
    """The event of a request that was just opened."""
    return RequestOpened(
        request=request.id,
        request_kind=request.kind.value,
        person=request.person,
        resource=request.resource,
        role=request.role,
        digest=request.digest,
        reason=request.reason,
        content=request.content,
    )


async def locate_open(reading: Reading, request_id: str, now: datetime) -> Request:
    """The request, if it can still be decided: open, and before the first moment outside its window."""
    request = await locate(reading, request_id)
    if request.state is RequestState.OPEN and now >= request.expires_at:
        raise Refusal(
            "expired",
            f"{request.id} expired at {request.expires_at:%Y-%m-%d %H:%M:%S} UTC without being decided.",
            "Ask again with `interlock request`.",
        )
    if request.state is not RequestState.OPEN:
        raise Refusal(
            "not-open",
            f"{request.id} is no longer open: it is {request.state.value}.",
            f"See `interlock show {request.id}`.",
        )
    return request


def digest_of(content: Mapping[str, object]) -> str:
    """SHA-256 (hex) of the content's canonical JSON (RFC 8785). Raises Refusal for text that cannot be kept."""
    try:
        body = canonical(content)
    except NotCanonical as error:
        raise Refusal("bad-text", f"This cannot be asked: {error}.", "Send text as valid UTF-8.") from error
    if b"\\u0000" in body:
        raise Refusal("bad-text", "This cannot be asked: there is a NUL character in it.", "Leave it out.")
    return hashlib.sha256(body).hexdigest()


def check_reason(reason: str) -> str:
    """The reason, trimmed. Refuses one that is empty, too long, or could act on the terminal it is shown on."""
    trimmed = reason.strip()
    if not trimmed:
        raise Refusal("reason-needed", "A reason is needed: others read it to decide.", "Give one with --reason.")
    if len(trimmed) > REASON_LIMIT:
        raise Refusal("reason-too-long", f"The reason is longer than {REASON_LIMIT} characters.", "Shorten it.")
    if not trimmed.isprintable():
        raise Refusal("bad-text", "The reason holds characters that cannot be printed.", "Write it on one plain line.")
    return trimmed


def told_of(request: Request) -> tuple[str, ...]:
    """Who is told of the broken glass that ``request`` is the review of."""
    told = request.content.get("told")
    return tuple(str(name) for name in told) if isinstance(told, list) else ()
