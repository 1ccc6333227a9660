"""Slack and Teams as they document themselves, as servers of our own."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

TOKEN = "xoxb-1-bot"
SIGNING = "8f742231b10e8888abcd99yyyzzz85a5"
KEY = base64.b64encode(bytes(range(32))).decode()
OLDER = base64.b64encode(bytes(range(32, 64))).decode()


@dataclass
class SlackServer:
    """``chat.postMessage``, ``chat.update`` and a place for answers. ``failing``: what it answers first."""

    posted: list[dict[str, Any]] = field(default_factory=list)
    updated: list[dict[str, Any]] = field(default_factory=list)
    answered: list[dict[str, Any]] = field(default_factory=list)
    failing: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """Of what it answers first."""
    times: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    @property
    def api(self) -> FastAPI:
        api = FastAPI()
        api.post("/api/chat.postMessage")(self.post)
        api.post("/api/chat.update")(self.update)
        api.post("/actions/T1/1/2")(self.back)
        return api

    async def post(self, request: Request) -> Response:
        message = await self._read(request)
        if self.failing:
            status, said = self.failing.pop(0)
            self.refused.append(time.monotonic())
            return JSONResponse(said, status, headers=dict(self.headers))
        self.times.append(time.monotonic())
        self.posted.append(message)
        return JSONResponse({"ok": True, "channel": f"D{message['channel']}", "ts": f"{len(self.posted)}.000100"})

    async def update(self, request: Request) -> Response:
        message = await self._read(request)
        self.updated.append(message)
        return JSONResponse({"ok": True, "channel": message["channel"], "ts": message["ts"]})

    async def back(self, request: Request) -> Response:
        assert "authorization" not in request.headers
        self.answered.append(json.loads(await request.body()))
        return Response("ok")

    async def _read(self, request: Request) -> dict[str, Any]:
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        assert request.headers["content-type"] == "application/json; charset=utf-8"
        message: dict[str, Any] = json.loads(await request.body())
        check_blocks(message["blocks"])
        return message


def check_blocks(blocks: list[dict[str, Any]]) -> None:
    """The limits that Block Kit documents, and that no text of ours is mrkdwn."""
    assert len(blocks) <= 50
    for block in blocks:
        assert block["type"] in {"section", "input", "actions"}
        for text in (block.get("text"), *block.get("fields", ()), block.get("label")):
            if text is not None:
                assert text["type"] == "plain_text"
                assert 1 <= len(text["text"]) <= 2000
        assert len(block.get("fields", ())) <= 10
        for element in block.get("elements", ()):
            assert len(element["text"]["text"]) <= 75
            assert len(element.get("value", "")) <= 2000
    assert "mrkdwn" not in json.dumps(blocks)


def signed(body: bytes, *, secret: str = SIGNING, at: float | None = None) -> dict[str, str]:
    """The headers with which Slack sends ``body``."""
    stamp = str(int(time.time() if at is None else at))
    mark = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": f"v0={mark}",
    }


def pressed(message: dict[str, Any], action: str, back: str, *, user: str = "U1", words: str | None = None) -> bytes:
    """The ``block_actions`` payload of a press under ``message``."""
    elements = [one for block in message["blocks"] for one in block.get("elements", ())]
    button = next(one for one in elements if one["action_id"] == action)
    payload = {
        "type": "block_actions",
        "user": {"id": user, "username": f"name of {user}", "name": f"name of {user}", "team_id": "T1"},
        "api_app_id": "A1",
        "token": "old and unused",
        "container": {"type": "message", "message_ts": "1.000100", "channel_id": "DU1", "is_ephemeral": False},
        "trigger_id": "1.2.abc",
        "team": {"id": "T1", "domain": "acme"},
        "channel": {"id": "DU1", "name": "directmessage"},
        "message": {"type": "message", "ts": "1.000100", "blocks": message["blocks"]},
        "state": {"values": {"why": {"words": {"type": "plain_text_input", "value": words}}}},
        "response_url": back,
        "actions": [{**button, "block_id": "go", "type": "button", "action_ts": "2.000100"}],
    }
    return urlencode({"payload": json.dumps(payload)}).encode()


def typed(text: str, back: str, *, user: str = "U1") -> bytes:
    """A slash command."""
    return urlencode(
        {
            "token": "old and unused",
            "team_id": "T1",
            "team_domain": "acme",
            "channel_id": "C1",
            "channel_name": "general",
            "user_id": user,
            "user_name": f"name of {user}",
            "command": "/interlock",
            "text": text,
            "response_url": back,
            "trigger_id": "1.2.abc",
            "api_app_id": "A1",
        }
    ).encode()


@dataclass
class Hook:
    """A receiver of webhooks that verifies as Standard Webhooks says. ``statuses``: what it answers first."""

    key: str = KEY
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    elsewhere: int = 0

    @property
    def api(self) -> FastAPI:
        api = FastAPI()
        api.post("/in")(self.take)
        api.post("/elsewhere")(self.take_elsewhere)
        return api

    async def take(self, request: Request) -> Response:
        body = await request.body()
        assert self.verifies(dict(request.headers), body)
        if self.statuses:
            return Response("", self.statuses.pop(0), headers={"Location": "/elsewhere"})
        self.got.append((request.headers["webhook-id"], json.loads(body)))
        return Response("", 204)

    async def take_elsewhere(self) -> Response:
        self.elsewhere += 1
        return Response("", 204)

    def verifies(self, headers: dict[str, str], body: bytes) -> bool:
        message, at = headers["webhook-id"], headers["webhook-timestamp"]
        if abs(time.time() - int(at)) > 300:
            return False
        mark = hmac.digest(base64.b64decode(self.key), f"{message}.{at}.".encode() + body, hashlib.sha256)
        wanted = base64.b64encode(mark).decode()
        given = [one.partition(",") for one in headers["webhook-signature"].split(" ")]
        return any(version == "v1" and hmac.compare_digest(value, wanted) for version, _, value in given)


@dataclass
class Workflow:
    """A workflow of Teams. ``answers``: status and body of the first ones."""

    answers: list[tuple[int, str]] = field(default_factory=list)
    got: list[dict[str, Any]] = field(default_factory=list)

    @property
    def api(self) -> FastAPI:
        api = FastAPI()
        api.post("/workflows/1/triggers/manual/paths/invoke")(self.take)
        return api

    async def take(self, request: Request) -> Response:
        assert request.query_params["sig"] == "s3cret"
        message = json.loads(await request.body())
        if self.answers:
            status, said = self.answers.pop(0)
            return Response(said, status)
        self.got.append(message)
        return Response("", 202)
