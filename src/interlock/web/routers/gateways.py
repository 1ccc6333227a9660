"""What gateways call. The bodies are the types of ``ports.control``, by the codec of the domain."""

import asyncio
import logging
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse

from interlock.domain.codec import from_plain
from interlock.domain.signin import GatewayIdentity
from interlock.errors import InterlockError
from interlock.ports.control import (
    HoldOpened,
    HoldOpening,
    PassTaken,
    PasswordHolder,
    RecordingStanding,
    SegmentReport,
    SessionCount,
    SessionEnd,
    SessionStart,
    Wanted,
)
from interlock.services.feed import follow
from interlock.services.hold_statement import hold_statement
from interlock.services.report_sessions import report_sessions
from interlock.services.sample_rows import forget_sample, keep_sample
from interlock.services.take_hold import take_hold
from interlock.services.take_pass import take_pass
from interlock.services.take_password import take_password
from interlock.services.withdraw_hold import withdraw_hold
from interlock.web import answered
from interlock.web.answers import told
from interlock.web.authentication import ProvedKey, ServicesOf, SignedInGateway, active_gateway
from interlock.web.boundary import BadInputError, read_gateway_body
from interlock.web.described import content
from interlock.web.models import InPath, answer
from interlock.web.services import Services
from interlock.web.streams import NDJSON, line_of, ndjson
from interlock.web.watching import FeedMailbox

router = APIRouter(prefix="/v1/gateway")

_log = logging.getLogger("interlock.web")

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9_-]{8,64}")
"""A worker's name for itself."""
_AHEAD = 64
"""How many messages of the feed may wait for a slow gateway before reading the state waits too."""


@router.post("/token", responses=told(answered.GATEWAY_TOKEN))
async def token(services: ServicesOf, proof: ProvedKey) -> JSONResponse:
    gateway = await active_gateway(services, proof.jkt)
    issued = services.tokens.issue_for_gateway(gateway.name, gateway.key, services.desk.clock.now())
    return answer({"gateway": gateway.name, "token": issued.text, "token_ends_at": issued.ends_at})


@router.get("/feed", response_class=StreamingResponse, responses=content(NDJSON, 200))
async def feed(
    services: ServicesOf, gateway: SignedInGateway, worker: Annotated[str, Query(max_length=64)] = ""
) -> StreamingResponse:
    """``worker`` names the process that follows, as it does when it reports. One without a name is followed to its
    lease's end: nothing that it says of itself is taken."""
    if worker and not _NAME.fullmatch(worker):
        raise BadInputError("worker")
    messages = _feed(services, gateway, worker or f"nameless-{secrets.token_hex(8)}")
    # The first message is made before the answer begins, so that what stands in its way is still an error answer.
    first = await anext(messages)
    return ndjson(_lines(first, messages))


@router.post("/passwords/take", responses=told(PasswordHolder))
async def take_connection_password(request: Request, services: ServicesOf, gateway: SignedInGateway) -> JSONResponse:
    body = await _object(request)
    password, resource, address = (_text(body, name) for name in ("password", "resource", "address"))
    taken = await take_password(
        services.desk, gateway=gateway.name, password=password, resource=resource, address=address
    )
    return answer(taken)


@router.post("/passes/take", responses=told(PassTaken))
async def take_presence(request: Request, services: ServicesOf, gateway: SignedInGateway) -> JSONResponse:
    body = await _object(request)
    try:
        wanted = from_plain(Wanted, body)
    except ValueError as error:
        raise BadInputError("the connection") from error
    return answer(await take_pass(services.desk, gateway=gateway.name, wanted=wanted))


@router.post("/sessions", responses=told(Sequence[RecordingStanding]))
async def sessions(request: Request, services: ServicesOf, gateway: SignedInGateway) -> JSONResponse:
    body = await _object(request)
    starts, ends = _read(tuple[SessionStart, ...], body, "starts"), _read(tuple[SessionEnd, ...], body, "ends")
    counts, kept = _read(tuple[SessionCount, ...], body, "counts"), _read(tuple[SegmentReport, ...], body, "kept")
    applied = _applied(body)
    told: Sequence[RecordingStanding] = ()
    if starts or ends or counts or kept:
        told = await report_sessions(
            services.desk,
            services.master_key,
            gateway=gateway.name,
            starts=starts,
            ends=ends,
            counts=counts,
            kept=kept,
        )
    if applied is not None:
        # INVARIANT: after what was reported with it is known.
        await services.followings.applied(gateway.name, *applied)
    return answer(told)


@router.post("/leave", responses=told(answered.NOTHING))
async def leave(request: Request, services: ServicesOf, gateway: SignedInGateway) -> JSONResponse:
    """A worker stops in order: it has cut its sessions, reported them, and follows no more."""
    await services.followings.leaves(gateway.name, _worker(await _object(request), "worker"))
    return answer({})


@router.post("/holds", responses=told(HoldOpened))
async def hold(request: Request, services: ServicesOf, gateway: SignedInGateway) -> JSONResponse:
    body = await _object(request)
    try:
        opening = from_plain(HoldOpening, body)
    except ValueError as error:
        raise BadInputError("the hold") from error
    opened = await hold_statement(services.desk, gateway=gateway.name, opening=opening)
    await keep_sample(services.master_key, services.oauth.waiting, gateway=gateway.name, opening=opening, opened=opened)
    return answer(opened)


@router.post("/holds/{request_id}/take", responses=told(answered.NOTHING))
async def take(request_id: InPath, request: Request, services: ServicesOf, gateway: SignedInGateway) -> JSONResponse:
    digest = _text(await _object(request), "digest")
    await take_hold(services.desk, gateway=gateway.name, request_id=request_id, digest=digest)
    await forget_sample(services.oauth.waiting, request_id)
    return answer({})


@router.post("/holds/{request_id}/withdraw", responses=told(answered.NOTHING))
async def withdraw(
    request_id: InPath, request: Request, services: ServicesOf, gateway: SignedInGateway
) -> JSONResponse:
    reason = _text(await _object(request), "reason")
    await withdraw_hold(services.desk, gateway=gateway.name, request_id=request_id, reason=reason)
    await forget_sample(services.oauth.waiting, request_id)
    return answer({})


@router.post("/watch/{ticket}", responses=told(answered.WATCHING))
async def watch(ticket: InPath, request: Request, services: ServicesOf, gateway: SignedInGateway) -> JSONResponse:
    body = await _object(request)
    records = body.get("records", [])
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise BadInputError("records")
    ended = body.get("ended") is True
    return answer({"watching": await services.watches.deliver(ticket, gateway.name, records, ended=ended)})


async def _feed(services: Services, gateway: GatewayIdentity, worker: str) -> AsyncIterator[Mapping[str, Any]]:
    """The state's messages and the watch tickets, in one stream; ends when the gateway may no longer follow.

    The state is read at the pace at which the gateway takes its messages: a slow one costs a bounded queue, and what
    changed meanwhile comes to it as one message.
    """
    with services.watches.following(gateway.name) as mailbox:
        messages: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(_AHEAD)
        pumps = [
            asyncio.create_task(_pump_state(services, gateway.name, worker, messages)),
            asyncio.create_task(_pump_tickets(mailbox, messages)),
        ]
        try:
            while not services.streams.closing:
                message = await services.streams.next_of(messages, 1.0)
                if message is not None:
                    if message["type"] == "beat":
                        await active_gateway(services, gateway.key)
                    yield message
                elif pumps[0].done():
                    pumps[0].result()
                    return
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)


async def _pump_state(
    services: Services, gateway: str, worker: str, messages: "asyncio.Queue[Mapping[str, Any]]"
) -> None:
    async def lasts(longest: timedelta) -> None:
        await services.followings.lasts(gateway, worker, longest)

    async for message in follow(services.desk, services.credentials, services.outflow, lasts=lasts):
        await messages.put(message)


async def _pump_tickets(mailbox: FeedMailbox, messages: "asyncio.Queue[Mapping[str, Any]]") -> None:
    while True:
        await messages.put(await mailbox.tickets.get())


async def _lines(first: Mapping[str, Any], rest: AsyncIterator[Mapping[str, Any]]) -> AsyncIterator[bytes]:
    yield line_of(first)
    try:
        async for message in rest:
            yield line_of(message)
    except InterlockError as error:
        # The answer has begun, so nothing can be said any more: it ends, and the gateway asks again and hears why.
        _log.warning("A feed ended: %s", error)


async def _object(request: Request) -> Mapping[str, Any]:
    body = await read_gateway_body(request)
    if not isinstance(body, dict):
        raise BadInputError("the body")
    return body


def _applied(body: Mapping[str, Any]) -> tuple[str, int] | None:
    """Which worker has applied everything up to which version, if it says so."""
    said = body.get("applied")
    if said is None:
        return None
    if not isinstance(said, dict):
        raise BadInputError("applied.worker")
    worker, version = _worker(said, "applied.worker"), said.get("version")
    if type(version) is not int or not 0 <= version < 2**63:
        raise BadInputError("applied.version")
    return worker, version


def _worker(body: Mapping[str, Any], field: str) -> str:
    worker = body.get("worker")
    if not isinstance(worker, str) or not _NAME.fullmatch(worker):
        raise BadInputError(field)
    return worker


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or "\0" in value:
        raise BadInputError(name)
    return value


def _read(kind: type[T], body: Mapping[str, Any], name: str) -> T:
    try:
        return from_plain(kind, body.get(name, []))
    except ValueError as error:
        raise BadInputError(name) from error
