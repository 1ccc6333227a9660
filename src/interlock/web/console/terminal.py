"""Terminal: a shell or an SQL prompt in the browser, over a WebSocket, through the gateway like any other client.

The control plane is no way around anything: it asks for a password for one connection, as the login may, and opens
an ordinary SSH connection to the gateway with it. The gateway decides, records and cuts as for every client; this page
carries bytes. A terminal ends when the browser leaves, when nothing was typed for a while, and with the login.
"""

import asyncio
import json
import logging
import ssl
from collections import Counter
from contextlib import suppress
from typing import Any

import asyncssh
from fastapi import APIRouter, Request, WebSocket
from fastapi.responses import Response
from starlette.websockets import WebSocketDisconnect

from interlock.domain.resources import Resource
from interlock.errors import InterlockError, NotFound, Refusal
from interlock.services.ask_pass import PassView
from interlock.services.issue_password import issue_password
from interlock.services.list_resources import list_resources
from interlock.web.authentication import ServicesOf, active_caller
from interlock.web.console.browser_sessions import Visitor, find_visitor
from interlock.web.console.page import Acting, PageRoute, Visiting, page, with_terminals
from interlock.web.console.passes import ask_where_needed, give
from interlock.web.console.postgres_line import PostgresLine
from interlock.web.console.sql_terminal import SqlTerminal
from interlock.web.models import InPath
from interlock.web.oauth import needed
from interlock.web.services import Services

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_log = logging.getLogger("interlock.web")

MOST_OF_ONE = 4
"""Terminals that one person may have open here at a time."""

KINDS = ("ssh", "postgres")
IDLE_S = 30 * 60.0
_FIRST_WORD_S = 10.0
_LOOK_S = 2.0
_SAY_S = 5.0
_RESIZE_S = 0.02
_MOST_COLUMNS, _MOST_ROWS = 1000, 500
_LONGEST_ID = 40
_OPEN: Counter[str] = Counter()


@router.get("/terminal")
async def choose(request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    views = await list_resources(services.desk, login_id=visitor.login.id)
    hosts = [view for view in views if view.resource.kind in KINDS]
    usable = [view.resource for view in hosts if any(grant.usable for grant in view.grants)]
    others = [view.resource for view in hosts if view.resource not in usable]
    return page(request, visitor, "terminals.html", title="Terminal", place="terminal", usable=usable, others=others)


@router.get("/terminal/{name}")
async def terminal(name: InPath, request: Request, services: ServicesOf, visitor: Visiting) -> Response:
    resource = services.desk.configuration.resources.get(name)
    if resource is None or resource.kind not in KINDS:
        raise NotFound(f"There is no terminal for {name}.", "Choose one on the page Terminal.")
    asked = await ask_where_needed(request, services, visitor, name)
    return _page(request, visitor, resource, asked)


@router.post("/terminal/{name}")
async def open_here(name: InPath, request: Request, services: ServicesOf, act: Acting) -> Response:
    """The proof that the person is there, and the terminal that it is for: no other connection can spend it."""
    visitor, form = act
    resource = services.desk.configuration.resources.get(name)
    if resource is None or resource.kind not in KINDS:
        raise NotFound(f"There is no terminal for {name}.", "Choose one on the page Terminal.")
    presence = needed(form, "presence")
    try:
        await give(request, services, visitor, presence, form)
    except NotFound:
        raise
    except Refusal as refusal:
        return _page(
            request, visitor, resource, await ask_where_needed(request, services, visitor, name), problem=refusal
        )
    return _page(request, visitor, resource, None, presence=presence)


def _page(
    request: Request,
    visitor: Visitor,
    resource: Resource,
    asked: PassView | None,
    *,
    presence: str = "",
    problem: Refusal | None = None,
) -> Response:
    shown = {"resource": resource, "asked": asked, "presence": presence, "problem": problem}
    status = 200 if problem is None else 403
    title = f"Terminal on {resource.name}"
    answer = page(request, visitor, "terminal.html", status=status, title=title, place="terminal", **shown)
    return answer if asked is not None else with_terminals(answer)


@router.websocket("/terminal/{name}/socket")
async def socket(name: str, websocket: WebSocket) -> None:
    """Bytes are the terminal's; a text is ``{"columns", "rows"}``. The first has the page's token and its pass too."""
    services: Services = websocket.app.state.services
    host, origin = websocket.headers.get("host", ""), websocket.headers.get("origin")
    visitor = await find_visitor(services, websocket)
    # A socket is opened from anywhere and with our cookie: the origin must be our own, and the token this session's.
    if visitor is None or origin != f"https://{host}" or not services_answer(services, host):
        await websocket.close(1008)
        return
    await websocket.accept()
    if _OPEN[visitor.name] >= MOST_OF_ONE:
        await _say(websocket, f"You have {MOST_OF_ONE} terminals open here, which is the most.")
        return
    _OPEN[visitor.name] += 1
    try:
        await _serve(services, visitor, name, websocket)
    finally:
        _OPEN[visitor.name] -= 1
        if not _OPEN[visitor.name]:
            del _OPEN[visitor.name]


def services_answer(services: Services, host: str) -> bool:
    return host.partition("]")[0].lstrip("[").partition(":")[0].lower() in services.hosts or host.startswith("[::1]")


async def _serve(services: Services, visitor: Visitor, name: str, websocket: WebSocket) -> None:
    try:
        size, presence = await _first_word(visitor, websocket)
        found = services.desk.configuration.resources.get(name)
        if found is not None and found.kind == "postgres":
            await _serve_sql(services, visitor, name, websocket, presence)
            return
        connection = await _connect(services, visitor, name, presence)
    except (WebSocketDisconnect, TimeoutError):
        return
    except InterlockError as error:
        await _say(websocket, str(error))
        return
    except asyncssh.DisconnectError as error:
        await _say(websocket, error.reason)
        return
    except (asyncssh.Error, OSError, EOFError) as error:
        _log.warning("A terminal for %s could not be opened: %s", name, error)
        await _say(websocket, "The gateway cannot be reached. Tell the operator: interlock doctor")
        return
    async with connection:
        with suppress(asyncssh.Error, OSError, WebSocketDisconnect):
            process = await connection.create_process(
                term_type="xterm-256color", term_size=size, encoding=None, stderr=asyncssh.STDOUT
            )
            await _carry(services, visitor, websocket, process)
    with suppress(RuntimeError, WebSocketDisconnect):
        await websocket.close()


async def _serve_sql(services: Services, visitor: Visitor, name: str, websocket: WebSocket, presence: str) -> None:
    address = services.listeners.get("postgres")
    if address is None:
        raise NotFound(f"There is no terminal for {name} that can be reached.", "Choose one on the page Terminal.")
    issued = await issue_password(services.desk, login_id=visitor.login.id, resource=name, presence=presence)
    where = (_reached(address.host), address.port)
    trust = ssl.create_default_context(cadata=services.front.authority.pem)
    line = await PostgresLine.open(where, trust, user=issued.person, database=name, password=issued.password)
    sql = SqlTerminal(line, name, websocket.send_bytes, lambda: line.cancel(where, trust))
    typed = [asyncio.get_running_loop().time()]
    parts = (
        asyncio.create_task(sql.work()),
        asyncio.create_task(_type_sql(websocket, sql, typed)),
        asyncio.create_task(_look_after(services, visitor, websocket, typed)),
    )
    try:
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        sql.close()
    with suppress(RuntimeError, WebSocketDisconnect):
        await websocket.close()


async def _type_sql(websocket: WebSocket, sql: SqlTerminal, typed: list[float]) -> None:
    while (message := await websocket.receive())["type"] != "websocket.disconnect":
        if (payload := message.get("bytes")) is not None:
            typed[0] = asyncio.get_running_loop().time()
            await sql.type(payload)


def _reached(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 -- compared with, not bound to


async def _first_word(visitor: Visitor, websocket: WebSocket) -> tuple[tuple[int, int], str]:
    """The size of the terminal, and the proof of presence that the page was given for it, if any."""
    async with asyncio.timeout(_FIRST_WORD_S):
        message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect
    said = _read(message.get("text") or "")
    if not visitor.sent_by(str(said.get("token", ""))):
        raise Refusal("forged", "This terminal was not opened by a page of yours.", "Open it again.")
    presence = str(said.get("presence", ""))
    return _size(said), presence[:_LONGEST_ID] if presence.isascii() else ""


async def _connect(services: Services, visitor: Visitor, name: str, presence: str) -> asyncssh.SSHClientConnection:
    resource = services.desk.configuration.resources.get(name)
    address = services.listeners.get("ssh")
    if resource is None or resource.kind != "ssh" or address is None:
        raise NotFound(f"There is no host named {name} that can be reached.", "Choose one on the page Terminal.")
    issued = await issue_password(services.desk, login_id=visitor.login.id, resource=name, presence=presence)
    authorities = [asyncssh.import_public_key(line) for line in services.ssh.lines]
    return await asyncssh.connect(
        _reached(address.host),
        address.port,
        config=None,
        known_hosts=([], authorities, []),
        x509_trusted_certs=None,
        username=name,
        password=issued.password,
        client_keys=None,
        agent_path=None,
        gss_host=None,
        client_version="Interlock_console",
        connect_timeout=20,
        login_timeout=20,
    )


async def _carry(
    services: Services, visitor: Visitor, websocket: WebSocket, process: "asyncssh.SSHClientProcess[bytes]"
) -> None:
    """Until either side leaves, nothing was typed for long, or the login is over."""
    loop = asyncio.get_running_loop()
    typed = [loop.time()]
    parts = (
        asyncio.create_task(_to_browser(websocket, process)),
        asyncio.create_task(_to_host(websocket, process, typed)),
        asyncio.create_task(_look_after(services, visitor, websocket, typed)),
    )
    try:
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        if parts[0] not in done and parts[2] not in done:
            return
        # What the host said last is still to come when it was the host that ended.
        await asyncio.wait(parts[:1], timeout=1)
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        process.close()


async def _to_browser(websocket: WebSocket, process: "asyncssh.SSHClientProcess[bytes]") -> None:
    # A browser that does not read is waited for, and with it the host: what is kept here is bounded.
    while said := await process.stdout.read(16 * 1024):
        await websocket.send_bytes(said)


async def _to_host(websocket: WebSocket, process: "asyncssh.SSHClientProcess[bytes]", typed: list[float]) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if (payload := message.get("bytes")) is not None:
            typed[0] = asyncio.get_running_loop().time()
            process.stdin.write(payload)
            await process.stdin.drain()
        elif (text := message.get("text")) is not None:
            process.change_terminal_size(*_size(_read(text)))
            # Who sends thousands waits for them; a window that is dragged does not notice.
            await asyncio.sleep(_RESIZE_S)


async def _look_after(services: Services, visitor: Visitor, websocket: WebSocket, typed: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while not services.streams.closing:
        await asyncio.sleep(_LOOK_S)
        if loop.time() - typed[0] > IDLE_S:
            await _say(websocket, "Nothing was typed for half an hour, so this terminal ends.")
            return
        if await active_caller(services, visitor.login.id) is None:
            await _say(websocket, "Your login is over. Sign in again.")
            return


async def _say(websocket: WebSocket, sentence: str) -> None:
    # A browser that does not read is not waited for: the terminal ends all the same.
    with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
        async with asyncio.timeout(_SAY_S):
            await websocket.send_bytes(f"\r\n{sentence}\r\n".encode())
            await websocket.close()


def _read(text: str) -> dict[str, Any]:
    if len(text) > 1000:
        return {}
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _size(said: dict[str, Any]) -> tuple[int, int]:
    columns, rows = said.get("columns"), said.get("rows")
    if not isinstance(columns, int) or not isinstance(rows, int):
        return 80, 24
    return min(max(columns, 2), _MOST_COLUMNS), min(max(rows, 2), _MOST_ROWS)
