"""The loop of a worker does what any loop does, whatever its sessions do; and other loops may have a pump."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from interlock.gateway.dialling import connect
from interlock.gateway.listening import Listener, open_listener
from interlock.gateway.loop import PumpLoop, pump_of
from interlock.gateway.pump import Pipe, Pump, Receiver
from interlock.gateway.settings import Listen

LOOPS = [PumpLoop, asyncio.new_event_loop, uvloop.new_event_loop]


class Echo(Receiver):
    """Says everything again."""

    def __init__(self) -> None:
        self.count = 0

    def connection_made(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def data_received(self, data: bytes) -> None:
        self.count += 1
        self._pipe.write(data)

    def eof_received(self) -> None:
        self._pipe.close()


@asynccontextmanager
async def echoing(receive: Callable[[], Receiver] = Echo) -> AsyncIterator[tuple[Pump, int]]:
    """A listener that gives each client a receiver, and its port."""
    loop = asyncio.get_running_loop()
    with pump_of(loop) as pump:
        sock = open_listener("echo", Listen("127.0.0.1", 0))
        listener = Listener(loop, pump, sock, receive)
        try:
            yield pump, sock.getsockname()[1]
        finally:
            listener.close()


@contextlib.contextmanager
def chatter(pump: Pump) -> Iterator[Echo]:
    """Two pipes of one pump that answer each other without end: there is no turn without an event."""
    one, other = socket.socketpair()
    near, far = Echo(), Echo()
    for sock, receiver in ((one, near), (other, far)):
        sock.setblocking(False)
        pump.open(sock, receiver)
    one.send(b"x")
    yield near
    near._pipe.abort()
    far._pipe.abort()


@pytest.mark.parametrize("make", LOOPS)
def test_a_pump_carries_clients_in_any_loop(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def ask() -> None:
        async with echoing() as (_, port):
            for _ in range(3):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"hello")
                assert await reader.readexactly(5) == b"hello"
                writer.write_eof()
                assert await reader.read() == b""
                writer.close()
                await writer.wait_closed()

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(ask())


@pytest.mark.parametrize("make", LOOPS)
def test_what_is_written_outside_of_a_turn_leaves_soon(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    class Silent(Receiver):
        def connection_made(self, pipe: Pipe) -> None:
            opened.set_result(pipe)

    async def ask() -> None:
        async with echoing(Silent) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            pipe = await opened
            pipe.write(b"by the way")
            async with asyncio.timeout(1):
                assert await reader.readexactly(10) == b"by the way"
            pipe.abort()
            async with asyncio.timeout(1):
                assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    with asyncio.Runner(loop_factory=make) as runner:
        opened: asyncio.Future[Pipe] = runner.get_loop().create_future()
        runner.run(ask())


def _handles() -> list[int]:
    return [int(handle.name) for handle in Path("/proc/self/fd").iterdir()]


async def _is_in_time(pump: Pump) -> None:
    with chatter(pump) as echo:
        began = time.monotonic()
        for _ in range(10):
            await asyncio.sleep(0.02)
        assert time.monotonic() - began < 2
        assert echo.count > 100
        # Other things of the loop: another socket, a thread that calls in, and one that computes.
        reader, writer = await asyncio.open_connection(sock=_whispering())
        assert await reader.readexactly(2) == b"ok"
        writer.close()
        await writer.wait_closed()
        assert await asyncio.to_thread(sum, range(100_000)) == 4_999_950_000
        heard = asyncio.Event()
        loop = asyncio.get_running_loop()
        threading.Timer(0.01, loop.call_soon_threadsafe, (heard.set,)).start()
        await heard.wait()


def _whispering() -> socket.socket:
    near, far = socket.socketpair()
    far.send(b"ok")
    far.close()
    return near


@pytest.mark.parametrize("make", LOOPS)
def test_sessions_that_never_rest_keep_nothing_else_waiting(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def all_of_it() -> None:
        with pump_of(asyncio.get_running_loop()) as pump:
            async with asyncio.timeout(20):
                await _is_in_time(pump)

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(all_of_it())


def test_what_a_turn_asks_of_the_loop_is_done_at_once() -> None:
    """Nothing but the pump wakes the loop, which waits without an end."""

    class Asker(Echo):
        def data_received(self, data: bytes) -> None:
            loop = asyncio.get_running_loop()
            loop.call_soon(lambda: loop.call_later(0.01, done.set_result, data))

    async def ask() -> None:
        async with echoing(Asker) as (_, port):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.send(b"please")
                assert await done == b"please"

    with asyncio.Runner(loop_factory=PumpLoop) as runner:
        done: asyncio.Future[bytes] = runner.get_loop().create_future()
        runner.run(ask())


def test_what_was_asked_for_is_done_before_what_comes_next() -> None:
    """What a task makes of the last bytes is told before the end of the connection, if the end came with them."""
    told: list[str] = []

    class Late(Receiver):
        def data_received(self, data: bytes) -> None:
            loop.call_soon(lambda: loop.call_soon(told.append, "made of it"))

        def eof_received(self) -> None:
            told.append("the end")
            loop.stop()

    with contextlib.closing(PumpLoop()) as loop:
        near, far = socket.socketpair()
        near.setblocking(False)
        far.send(b"last words")
        far.close()
        pipe = loop.pump.open(near, Late())
        loop.run_forever()
        assert told == ["made of it", "the end"]
        pipe.abort()


def test_signals_and_programs_are_heard() -> None:
    async def listen() -> None:
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, told.set)
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        async with asyncio.timeout(5):
            await told.wait()
            ran = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(7)", stdout=asyncio.subprocess.PIPE)
            said, _ = await ran.communicate()
            assert said == b"7\n"
        loop.remove_signal_handler(signal.SIGTERM)

    with asyncio.Runner(loop_factory=PumpLoop) as runner:
        runner.run(listen())


def test_without_handles_clients_wait_and_the_loop_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.gateway.listening._REST_S", 0.2)

    async def fill() -> None:
        async with echoing() as (_, port):
            client = socket.socket()
            client.setblocking(False)
            used: list[int] = []
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(_handles()) + 4, hard))
            try:
                with contextlib.suppress(OSError):
                    while True:
                        used.append(os.dup(client.fileno()))
                loop = asyncio.get_running_loop()
                await loop.sock_connect(client, ("127.0.0.1", port))
                burned = time.process_time()
                await asyncio.sleep(0.5)
                assert time.process_time() - burned < 0.25
            finally:
                for handle in used:
                    os.close(handle)
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await loop.sock_sendall(client, b"at last")
            async with asyncio.timeout(5):
                assert await loop.sock_recv(client, 100) == b"at last"
            client.close()

    with asyncio.Runner(loop_factory=PumpLoop) as runner:
        runner.run(fill())


async def test_a_dial_that_takes_too_long_leaves_no_socket_behind() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        before = len(_handles())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await connect("127.0.0.1", port)
        assert len(_handles()) == before
        for one in waiting:
            one.close()


async def test_the_first_addresss_error_is_told() -> None:
    with pytest.raises(ConnectionRefusedError):
        await connect("localhost", 1)
    with pytest.raises(FileNotFoundError):
        await connect("/nowhere/at/all", 0)
