"""A terminal in the browser ends: after half an hour without a key, and with its login."""

import asyncio
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import pytest
from starlette.websockets import WebSocket

from interlock.services.end_login import end_login
from interlock.web.console import terminal
from interlock.web.console.browser_sessions import Visitor
from interlock.web.console.terminal import IDLE_S, _look_after
from tests.web.console.premises import DEV, Premises


class Browser:
    """The other end of a socket: what came of it there."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.reads = True
        scope = {"type": "websocket", "path": "/terminal/orders/socket", "headers": [], "subprotocols": []}
        self.socket = WebSocket(scope, self._connected, self._send)

    async def _connected(self) -> dict[str, Any]:
        if self.got:
            await asyncio.Event().wait()
        return {"type": "websocket.connect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if not self.reads:
            await asyncio.Event().wait()
        self.got.append(dict(message))

    @property
    def said(self) -> str:
        return b"".join(one["bytes"] for one in self.got if one["type"] == "websocket.send").decode()


async def _after(premises: Premises, *, silent_s: float, over: bool = False, within_s: float = 30) -> Browser:
    """A socket that is looked after, ``silent_s`` after the last key, until it is closed or ``within_s`` are over."""
    services = premises.house.services
    login = await premises.login_of(DEV)
    async with services.desk.state.reading() as reading:
        person = await reading.person(DEV)
    assert person is not None
    if over:
        await end_login(services.desk, by=DEV, login_id=login.id)
    browser = Browser()
    await browser.socket.accept()
    typed = [asyncio.get_running_loop().time() - silent_s]
    looking = _look_after(services, Visitor(person, login, "n", "t"), browser.socket, typed)
    with suppress(TimeoutError):
        await asyncio.wait_for(looking, within_s)
        assert browser.got[-1]["type"] == "websocket.close"
    return browser


async def test_half_an_hour_without_a_key_ends_it(premises: Premises, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_LOOK_S", 0.05)
    assert IDLE_S == 30 * 60
    ended = await _after(premises, silent_s=IDLE_S + 1)
    assert ended.said == "\r\nNothing was typed for half an hour, so this terminal ends.\r\n"
    alive = await _after(premises, silent_s=IDLE_S - 60, within_s=0.5)
    assert alive.said == ""
    gone = await _after(premises, silent_s=0, over=True)
    assert gone.said == "\r\nYour login is over. Sign in again.\r\n"


async def test_a_browser_that_reads_nothing_or_says_nothing_is_not_waited_for(
    premises: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_LOOK_S", "_SAY_S", "_FIRST_WORD_S"):
        monkeypatch.setattr(terminal, name, 0.05)
    services, login = premises.house.services, await premises.login_of(DEV)
    async with services.desk.state.reading() as reading:
        person = await reading.person(DEV)
    assert person is not None
    visitor = Visitor(person, login, "n", "t")
    browser = Browser()
    await browser.socket.accept()
    async with asyncio.timeout(20):
        await terminal._serve(services, visitor, "orders", browser.socket)
    browser.reads = False
    async with asyncio.timeout(20):
        await _look_after(services, visitor, browser.socket, [asyncio.get_running_loop().time() - IDLE_S - 1])
