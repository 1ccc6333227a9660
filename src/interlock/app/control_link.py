"""The gateway's way to the control plane: ``ports.control`` over the API, with the gateway's own key.

Each call carries a token of ten minutes, renewed in time, and a proof of the key. A control plane that does not know
this gateway (any more) is a ``Failure`` like one that cannot be reached: it says nothing about the person who waits.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from urllib.parse import quote

from interlock.domain.codec import from_plain, to_plain
from interlock.errors import Failure, Refusal
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

_RENEW_S = 480.0
_TOKEN_CODES = frozenset({"token-over", "bad-token", "not-signed-in"})
_OURS = frozenset({"no-gateway", "wrong-scope", "wrong-host"})


class Holder(Protocol):
    token: str | None


class Api(Protocol):
    """What is used of :class:`interlock.identity.api_client.AsyncApiClient`."""

    @property
    def auth(self) -> Holder: ...

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any: ...

    def streaming(self, path: str, **query: str) -> AbstractAsyncContextManager[AsyncIterator[Mapping[str, Any]]]: ...


class ControlLink:
    """Implements :class:`interlock.ports.control.ControlPlane`."""

    def __init__(self, api: Api, worker: str = "") -> None:
        """``worker`` names the worker's process, as no other one of this gateway was named."""
        self._api = api
        self._worker = worker or secrets.token_hex(8)
        self._renewing = asyncio.Lock()
        self._renewed_at = 0.0

    async def feed(self) -> AsyncIterator[Mapping[str, Any]]:
        await self._ensure_token()
        try:
            async with self._api.streaming("/v1/gateway/feed", worker=self._worker) as messages:
                async for message in messages:
                    yield message
        except Refusal as refusal:
            if refusal.code in _TOKEN_CODES:
                self._renewed_at = 0.0
            raise _as_failure(refusal) from refusal

    async def take_password(self, password: str, resource: str, address: str) -> PasswordHolder:
        body = {"password": password, "resource": resource, "address": address}
        return from_plain(PasswordHolder, await self._post("/v1/gateway/passwords/take", body))

    async def take_pass(self, wanted: Wanted) -> PassTaken:
        return from_plain(PassTaken, await self._post("/v1/gateway/passes/take", to_plain(wanted)))

    async def report(
        self,
        starts: Sequence[SessionStart],
        ends: Sequence[SessionEnd],
        counts: Sequence[SessionCount] = (),
        kept: Sequence[SegmentReport] = (),
        applied: int | None = None,
    ) -> Sequence[RecordingStanding]:
        body: dict[str, Any] = {
            "starts": to_plain(starts),
            "ends": to_plain(ends),
            "counts": to_plain(counts),
            "kept": to_plain(kept),
        }
        if applied is not None:
            body["applied"] = {"worker": self._worker, "version": applied}
        answer = await self._post("/v1/gateway/sessions", body)
        return from_plain(tuple[RecordingStanding, ...], answer)

    async def leave(self) -> None:
        await self._post("/v1/gateway/leave", {"worker": self._worker})

    async def open_hold(self, opening: HoldOpening) -> HoldOpened:
        return from_plain(HoldOpened, await self._post("/v1/gateway/holds", to_plain(opening)))

    async def take_hold(self, request: str, digest: str) -> None:
        await self._post(f"/v1/gateway/holds/{quote(request, safe='')}/take", {"digest": digest})

    async def withdraw_hold(self, request: str, reason: str) -> None:
        await self._post(f"/v1/gateway/holds/{quote(request, safe='')}/withdraw", {"reason": reason})

    async def watched(self, ticket: str, records: Sequence[Mapping[str, Any]], *, ended: bool) -> bool:
        body = {"records": [dict(record) for record in records], "ended": ended}
        answer = await self._post(f"/v1/gateway/watch/{quote(ticket, safe='')}", body)
        return bool(answer["watching"])

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        await self._ensure_token()
        try:
            return await self._api.post(path, body)
        except Refusal as refusal:
            if refusal.code not in _TOKEN_CODES:
                raise _told(refusal) from refusal
        self._renewed_at = 0.0
        await self._ensure_token()
        try:
            return await self._api.post(path, body)
        except Refusal as refusal:
            raise _told(refusal) from refusal

    async def _ensure_token(self) -> None:
        async with self._renewing:
            if self._renewed_at and time.monotonic() - self._renewed_at < _RENEW_S:
                return
            try:
                answer = await self._api.post("/v1/gateway/token")
            except Refusal as refusal:
                raise _as_failure(refusal) from refusal
            self._api.auth.token = str(answer["token"])
            self._renewed_at = time.monotonic()


def _told(refusal: Refusal) -> Refusal | Failure:
    """A no to the person as it is; a no to this gateway as what it is, a fault of the installation."""
    ours = refusal.code in _OURS | _TOKEN_CODES or refusal.code.startswith("proof-")
    return _as_failure(refusal) if ours else refusal


def _as_failure(refusal: Refusal) -> Failure:
    return Failure(f"The control plane turns this gateway away: {refusal.sentence}", refusal.remedy)
