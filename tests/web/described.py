"""An API that is watched: each JSON answer that says yes is held against the form that its description gives it."""

import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jsonschema_rs
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LONGEST = 2_000_000
Known = list[tuple[str, "re.Pattern[str]", dict[str, jsonschema_rs.Draft202012Validator]]]
_known: Known = []


def known(api: FastAPI) -> Known:
    """Each call with the forms of its answers, by status. All APIs of a run have one description."""
    if not _known:
        described = api.openapi()
        # Those without a parameter in their path come first, as they do when a call is routed.
        for path, calls in sorted(described["paths"].items(), key=lambda one: "{" in one[0]):
            pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + r"\Z")
            for method, call in calls.items():
                forms = {
                    status: said["content"]["application/json"]["schema"]
                    for status, said in call["responses"].items()
                    if "application/json" in said.get("content", {}) and status.startswith("2")
                }
                compiled = {
                    status: jsonschema_rs.Draft202012Validator({**form, "components": described["components"]})
                    for status, form in forms.items()
                }
                _known.append((method.upper(), pattern, compiled))
    return _known


@cache
def find(method: str, path: str) -> dict[str, jsonschema_rs.Draft202012Validator]:
    return next((forms for verb, pattern, forms in _known if verb == method and pattern.match(path)), {})


@dataclass
class Watched:
    """ASGI middleware. ``faults`` are the answers that did not fit; ``seen`` the calls whose answers did."""

    app: ASGIApp
    faults: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, body = 0, bytearray()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                kinds = [text for name, text in message["headers"] if name == b"content-type"]
                status = message["status"] if kinds == [b"application/json"] else 0
            elif status and len(body) < _LONGEST:
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    self._judge(scope["method"], scope["path"], str(status), bytes(body))
            await send(message)

        await self.app(scope, receive, watch)

    def _judge(self, method: str, path: str, status: str, body: bytes) -> None:
        form = find(method, path).get(status)
        if form is None:
            return
        said: Any = json.loads(body)
        wrong = [f"{'/'.join(map(str, one.instance_path))}: {one.message}" for one in form.iter_errors(said)]
        if wrong:
            self.faults.setdefault(f"{method} {path}", "; ".join(wrong[:3])[:600])
        else:
            self.seen.add(f"{method} {path}")
