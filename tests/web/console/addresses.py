"""What browsers ask for and stand at, and the secrets that went by in headers, fields and pages: no address has one."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urldefrag, urlsplit

from playwright import async_api as playwright

SECRET_FIELDS = frozenset(
    {"password", "new_password", "totp", "code", "token", "credential", "ceremony", "presence", "csr", "words"}
)
"""Of forms and of the API's bodies: what proves something, or opens something."""
_SECRET_HEADERS = ("authorization", "dpop", "cookie", "x-form-token")
_SHORT = 12
"""Shorter ones are looked for as a whole part of an address: six digits stand in many a number by chance."""
_NAMED_IN_PATHS = re.compile(r"[ip]-[a-z0-9]{8,13}")
"""The number of a pass or an invitation. It names what waits for its person's touch, and opens nothing by itself."""


def parts_of(address: str) -> list[str]:
    """The parts of a path and the values of a query, as they are read."""
    split = urlsplit(address)
    parts = [unquote(part) for part in split.path.split("/")]
    return [part for part in (*parts, *(value for _, value in parse_qsl(split.query)), split.fragment) if part]


def looks_secret(address: str) -> bool:
    """Whether some part could be a token, a code or a key: 20 letters and digits or more without a stop.

    The shortest that is made here is 16 random bytes, 22 letters of base64.
    """
    return any(re.search(r"[A-Za-z0-9_\-+]{20,}", part) for part in parts_of(address))


def holds(address: str, secret: str) -> bool:
    plain = unquote(address)
    if len(secret) < _SHORT:
        return secret in re.split(r"[^A-Za-z0-9]+", plain)
    return secret in plain or secret in address


@dataclass
class Watched:
    """Browsers that are watched from their first page on. ``secrets`` are what they sent, by the kind of it."""

    asked: set[str] = field(default_factory=set)
    stood: set[str] = field(default_factory=set)
    told: list[tuple[str, str]] = field(default_factory=list)
    secrets: dict[str, set[str]] = field(default_factory=dict)
    _reading: list[asyncio.Task[None]] = field(default_factory=list)

    def watch(self, tab: playwright.Page) -> None:
        tab.on("request", lambda request: self._reading.append(asyncio.create_task(self._read(request))))
        tab.on("framenavigated", lambda frame: self.stood.add(frame.url))
        tab.on("websocket", self._listen)

    def learn(self, kind: str, secret: str) -> None:
        # What a pass or an invitation is called by stands in addresses.
        if secret and not _NAMED_IN_PATHS.fullmatch(secret):
            self.secrets.setdefault(kind, set()).add(secret)

    async def all_read(self) -> None:
        async with asyncio.timeout(40):
            await asyncio.gather(*self._reading)

    def wrong(self) -> list[str]:
        """Addresses that hold a secret; nothing behind a # is sent, so an address bar's is not looked at."""
        sent = self.asked | {urldefrag(address).url for address in self.stood}
        return [
            f"{kind} in {address}"
            for kind, secrets in self.secrets.items()
            for secret in secrets
            for address in sent
            if holds(address, secret)
        ]

    async def _read(self, request: playwright.Request) -> None:
        self.asked.add(request.url)
        headers = await request.all_headers()
        if referrer := headers.get("referer"):
            self.told.append((request.url, referrer))
            self.asked.add(referrer)
        for name in _SECRET_HEADERS:
            value = headers.get(name, "").removeprefix("DPoP ")
            self.learn(name, value.partition("=")[2] if name == "cookie" else value)
        self._learn_fields(request.post_data or "")

    def _listen(self, socket: playwright.WebSocket) -> None:
        self.asked.add(socket.url)
        socket.on("framesent", lambda sent: self._learn_fields(sent) if isinstance(sent, str) else None)

    def _learn_fields(self, body: str) -> None:
        try:
            fields: Mapping[str, object] = json.loads(body) if body.startswith("{") else dict(parse_qsl(body))
        except ValueError:
            return
        for name, value in fields.items():
            if name in SECRET_FIELDS:
                self.learn(name, value if isinstance(value, str) else json.dumps(value))
