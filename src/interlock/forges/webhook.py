"""Whatever else deploys: it asks by a signed webhook, and is told by one (Standard Webhooks 1.0.0, ``v1``).

A message is ``{"type", "data"}``, signed with HMAC-SHA256 over ``ID.TIMESTAMP.BODY`` in the headers ``webhook-id``,
``webhook-timestamp`` and ``webhook-signature``; one that is older than five minutes is refused, and a repeated one asks
the same again. Types: ``gate.ask`` and ``gate.deployed`` (``project``, ``environment``, ``commit``, ``by``), ``push``
(``project``, ``ref``, ``before``, ``after``, ``by``) and ``commit`` (``project``, ``commit``). The answer comes with
the response, and, where the forge has a ``url``, as ``gate.answered`` to it: sent again until it is taken, four times
at most, with the same ``webhook-id``.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from interlock.errors import Failure
from interlock.forges._http import NoStatusChecks, not_signed, read_body, unreadable
from interlock.ports.forge import Account, ChangeRequest, Check, Deploying, ForgeSettings, News, OpenForge, Pushed

_OLDEST = timedelta(minutes=5)
_WAIT_S = 10.0
_AGAIN_AFTER_S = (0.2, 0.5, 1.5)


class WebhookForge(NoStatusChecks):
    """Implements :class:`interlock.ports.forge.OpenForge`; nothing but an answer can be asked of it."""

    def __init__(self, settings: ForgeSettings) -> None:
        self._settings = settings
        self._key = key_of(settings.webhook)
        self._client = httpx2.AsyncClient(timeout=_WAIT_S, trust_env=False, follow_redirects=False)

    def check_headers(self, headers: Mapping[str, str]) -> None:
        stamp = headers.get("webhook-timestamp", "")
        if not headers.get("webhook-id") or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 11:
            raise unreadable("it has no webhook-id or no webhook-timestamp")
        if not headers.get("webhook-signature"):
            raise not_signed()

    def read_news(self, headers: Mapping[str, str], body: bytes) -> News:
        self.check_headers(headers)
        number, stamp = headers["webhook-id"], headers["webhook-timestamp"]
        made = signature_of(self._key, number, stamp, body).encode()
        given = headers.get("webhook-signature", "").encode("utf-8", "surrogateescape").split(b" ")
        if not any(hmac.compare_digest(made, one) for one in given[:10]):
            raise not_signed()
        if abs(datetime.now(UTC) - datetime.fromtimestamp(int(stamp), UTC)) > _OLDEST:
            raise unreadable("it is too old, or its clock is wrong")
        said = read_body(body)
        try:
            return self._news(number, str(said["type"]), said["data"])
        except (KeyError, TypeError, AttributeError) as error:
            raise unreadable("a part is missing") from error

    def _news(self, number: str, kind: str, told: Mapping[str, Any]) -> News:
        project = str(told["project"])
        match kind:
            case "gate.ask" | "gate.deployed":
                asked = Deploying(
                    environment=str(told["environment"]),
                    commit=str(told["commit"]),
                    ref="",
                    by=self._account(told),
                    number=number,
                    answer_to=self._settings.url,
                    done=kind == "gate.deployed",
                )
                return News(number, project, deploying=asked)
            case "push":
                pushed = Pushed(str(told["ref"]), str(told["before"]), str(told["after"]), self._account(told))
                return News(number, project, pushed)
            case "commit":
                return News(number, project, commits=(str(told["commit"]),))
        raise unreadable(f"the type {kind[:40]} is none of ours")

    def _account(self, told: Mapping[str, Any]) -> Account | None:
        login = str(told.get("by") or "")
        return Account(login, program=login in self._settings.bots) if login else None

    async def change(self, project: str, number: str) -> ChangeRequest:
        raise Failure(f"{self._settings.name} is told by webhooks, and nothing can be asked of it.", "")

    async def changes_of(self, project: str, commit: str) -> Sequence[str]:
        return ()

    async def checks(self, project: str, commit: str) -> Sequence[Check]:
        return ()

    async def answer(self, project: str, asked: Deploying, *, allowed: bool, sentence: str) -> None:
        told = {"project": project, "commit": asked.commit, "environment": asked.environment, "question": asked.number}
        await self._tell({**told, "open": allowed, "sentence": sentence})

    async def tell(self, project: str, commit: str, *, name: str, allowed: bool, sentence: str) -> None:
        told = {"project": project, "commit": commit, "environment": "", "question": ""}
        await self._tell({**told, "name": name, "open": allowed, "sentence": sentence})

    async def _tell(self, told: Mapping[str, Any]) -> None:
        if not self._settings.url:
            return
        body = json.dumps({"type": "gate.answered", "timestamp": _now().isoformat(), "data": told}).encode()
        number = "gate-" + hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]
        for pause_s in (*_AGAIN_AFTER_S, None):
            why = await self._post(number, body)
            if why is None:
                return
            if pause_s is None:
                raise Failure(f"{self._settings.name} was not told: {why}.", "It may ask again.")
            await asyncio.sleep(pause_s)

    async def _post(self, number: str, body: bytes) -> str | None:
        """Why it was not taken, or None. What a redirect would name is never called."""
        stamp = str(int(_now().timestamp()))
        headers = {
            "content-type": "application/json",
            "webhook-id": number,
            "webhook-timestamp": stamp,
            "webhook-signature": signature_of(self._key, number, stamp, body),
        }
        try:
            answer = await self._client.post(self._settings.url, content=body, headers=headers)
        except (httpx2.HTTPError, OSError) as error:
            return f"it cannot be reached ({type(error).__name__})"
        return None if answer.is_success else f"it answered {answer.status_code}"

    def login_of(self, address: str) -> str | None:
        return None

    def is_own(self, address: str) -> bool:
        return False

    async def close(self) -> None:
        await self._client.aclose()


def _now() -> datetime:
    return datetime.now(UTC)


def key_of(secret: str) -> bytes:
    """``whsec_`` and base64, as the specification has it, or any other text as it is. Raises Failure."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Failure("A webhook's secret is whsec_ and base64.", "Make one: openssl rand -hex 32") from error


def signature_of(key: bytes, number: str, stamp: str, body: bytes) -> str:
    made = hmac.new(key, f"{number}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(made).decode()


class SignedWebhook:
    name = "webhook"

    def open(self, settings: ForgeSettings) -> OpenForge:
        return WebhookForge(settings)


FORGE = SignedWebhook()
