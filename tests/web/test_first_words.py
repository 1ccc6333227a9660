"""Connections that say nothing, or nothing whole, hold no place for long, and take none from who speaks."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from interlock.identity.api_client import KEPT_S
from interlock.web.first_words import HEAD_S, IDLE_S, Crowd, bounded_by
from tests.gateway.world import until

CALL = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
BEGUN = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome"


LONG = 8 * 1024 * 1024


async def _answer(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    if scope["type"] == "http" and scope["path"] != "/":
        # At once, as a file is, or in parts, as what is streamed.
        parts = 64 if scope["path"] == "/parts" else 1
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": False})
        if scope["path"] == "/whole":
            await send({"type": "http.response.body", "body": bytes(LONG), "more_body": False})
            return
        for _ in range(parts):
            await send({"type": "http.response.body", "body": bytes(LONG // parts), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        if not message["more_body"]:
            break
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")], "trailers": False}
    )
    await send({"type": "http.response.body", "body": b"ok", "more_body": False})


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


Connect = Callable[[], Awaitable["Client"]]


@asynccontextmanager
async def listening(crowd: Crowd) -> AsyncIterator[Connect]:
    clients: list[Client] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(_answer, http=bounded_by(crowd), ws="none", lifespan="off", log_config=None)
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        where = listener.getsockname()

        async def connect() -> Client:
            clients.append(Client(*await asyncio.open_connection(*where)))
            return clients[-1]

        try:
            yield connect
        finally:
            for client in clients:
                client.writer.transport.abort()
            server.should_exit = True
            await serving


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def says(self, what: bytes) -> bytes:
        """What is answered; empty when the connection was ended instead."""
        self.writer.write(what)
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            return head + await self.reader.readexactly(2)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def ended(self) -> bool:
        try:
            async with asyncio.timeout(30):
                return await self.reader.read(1) == b""
        except ConnectionError:
            return True


async def test_who_says_nothing_or_drips_is_let_go_of() -> None:
    crowd = Crowd(head_s=1.0)
    async with listening(crowd) as connect:
        silent, dripping, again = [await connect() for _ in range(3)]
        assert (await again.says(CALL)).endswith(b"ok")

        async def drip(client: Client) -> None:
            for byte in CALL * 20:
                client.writer.write(bytes((byte,)))
                await asyncio.sleep(0.05)

        drips = [asyncio.create_task(drip(one)) for one in (dripping, again)]
        assert await silent.ended()
        assert await dripping.ended()
        assert await again.ended()
        for one in drips:
            one.cancel()
        await asyncio.gather(*drips, return_exceptions=True)
        await until(lambda: not len(crowd))


async def test_a_connection_that_rests_is_ended_long_after_our_clients_use_it() -> None:
    assert 2 * KEPT_S < IDLE_S < HEAD_S
    async with listening(Crowd(idle_s=1)) as connect:
        client = await connect()
        for _ in range(2):
            assert (await client.says(CALL)).endswith(b"ok")
        assert await client.ended()


async def test_one_too_many_takes_the_place_of_the_oldest() -> None:
    crowd = Crowd(most_of_one=3)
    async with listening(crowd) as connect:
        silent = [await connect() for _ in range(3)]
        slow = silent[0]
        slow.writer.write(BEGUN)
        await until(lambda: len(crowd) == 3)
        speaking = await connect()
        assert (await speaking.says(CALL)).endswith(b"ok")
        # A call whose body is still under way counts as none.
        assert await slow.ended()
        for _ in range(20):
            assert (await speaking.says(CALL)).endswith(b"ok")
        assert len(crowd) == 3


async def test_a_body_that_comes_whole_is_answered_and_counts_no_more_meanwhile() -> None:
    crowd = Crowd(head_s=0.5)
    async with listening(crowd) as connect:
        client = await connect()
        client.writer.write(BEGUN)
        # What a body may take is told elsewhere; the head was here in time.
        await asyncio.sleep(1.0)
        assert (await client.says(b"x" * 96)).endswith(b"ok")


@pytest.mark.parametrize("path", [b"/whole", b"/parts"])
async def test_who_does_not_read_is_let_go_of_and_who_reads_slowly_is_not(path: bytes) -> None:
    crowd = Crowd(unread_s=0.5)
    call = CALL.replace(b"/ ", path + b" ", 1).replace(b"1.1\r\n", b"1.1\r\nConnection: close\r\n")
    async with listening(crowd) as connect:
        stuck, slow = await connect(), await connect()
        stuck.writer.write(call)
        slow.writer.write(call)
        size = 0
        while part := await slow.reader.read(1024 * 1024):
            size += len(part)
            await asyncio.sleep(0.01)
        assert size >= LONG
        await until(lambda: not len(crowd))
        with suppress(ConnectionError):
            size = 0
            while part := await stuck.reader.read(1024 * 1024):
                size += len(part)
        assert size < LONG
