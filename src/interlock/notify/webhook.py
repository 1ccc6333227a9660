"""Webhooks: notices as JSON, signed as Standard Webhooks 1.0.0 has it (standardwebhooks.com, ``v1``: HMAC-SHA256).

``webhook-id`` is the same however often a notice comes. The signature is over ``id.timestamp.body``. While a key is
replaced there are two signatures, one by each.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Sequence

from interlock.domain.notices import Later, Letter, Never, Outcome, Told
from interlock.errors import Failure
from interlock.notify._each import send_each
from interlock.ports.notify import NotifierSettings
from interlock.wire.outward import Outward, check_address

_SHORTEST, _LONGEST = 24, 64
"""How many bytes a key has."""


class Webhook:
    """Implements :class:`interlock.ports.notify.OpenNotifier`. ``keys``: the one in use, and the one before it."""

    def __init__(self, host: str, keys: Sequence[bytes], settings: NotifierSettings) -> None:
        self._host = host
        self._keys = keys
        self._settings = settings
        self._outward = Outward("The webhook", inside=settings.inside)

    async def send(self, letters: Sequence[Letter]) -> Sequence[Outcome]:
        return await send_each(letters, self._send)

    async def close(self) -> None:
        await self._outward.close()

    async def _send(self, letter: Letter) -> Outcome:
        body = body_of(letter, self._settings.console)
        message, at = f"interlock-{letter.notice.position}", str(int(time.time()))
        headers = {
            "content-type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": at,
            "webhook-signature": " ".join(signature_of(key, message, at, body) for key in self._keys),
        }
        answer = await self._outward.post(self._settings.to, body, headers)
        if answer.status in (400, 410):
            return Never(f"The webhook at {self._host} answers {answer.status}: it does not take it.")
        if not answer.is_success:
            return Later(f"The webhook at {self._host} answers {answer.status}.", answer.wait_s)
        return Told()


def body_of(letter: Letter, console: str) -> bytes:
    """``{"type", "timestamp", "data"}``, as the specification's section on payloads has it."""
    notice = letter.notice
    told = {
        "type": f"interlock.{notice.kind.value}",
        "timestamp": notice.at.isoformat().replace("+00:00", "Z"),
        "data": {
            "entry": notice.position,
            "sentence": notice.sentence,
            **dict(notice.fields),
            "url": f"{console}{notice.path}",
            "tell": list(letter.tell),
        },
    }
    return json.dumps(told, ensure_ascii=True, separators=(",", ":")).encode()


def signature_of(key: bytes, message: str, at: str, body: bytes) -> str:
    signed = hmac.new(key, f"{message}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


class WebhookNotifier:
    name = "webhook"
    reaches = ""

    def open(self, settings: NotifierSettings) -> Webhook:
        host = check_address(settings.to, "The webhook", inside=settings.inside)
        secrets = [settings.secret, *([settings.older_secret] if settings.older_secret else [])]
        return Webhook(host, [_key(host, secret) for secret in secrets], settings)


def _key(host: str, secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise Failure(
            f"The secret of the webhook at {host} is not the base64 of {_SHORTEST} to {_LONGEST} bytes.",
            'Make one: echo "whsec_$(openssl rand -base64 32)"',
        )
    return key


NOTIFIER = WebhookNotifier()
