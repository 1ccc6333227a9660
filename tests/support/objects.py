"""Servers that speak S3, for as long as a block runs, and a valve on the way to them."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.support.ports import free_port

BUCKET = "ledger-bucket"
KEY, SECRET = "interlock", "not-a-secret-4711"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}


@dataclass
class Valve:
    """Carries connections to a server while it is open; shut, it takes none and breaks off those there are.

    The next ``lose`` answers are lost on the way: the server has done what it was asked, and the connection breaks off.
    """

    port: int
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    shut: bool = False
    lose: int = 0
    carried: list[socket.socket] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def close(self) -> None:
        self.shut = True
        for one in self.carried:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.carried.clear()

    def open(self) -> None:
        self.shut = False

    def run(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.shut:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.port))
            self.carried += [client, server]
            threading.Thread(target=_carry, args=(client, server, lambda: True), daemon=True).start()
            threading.Thread(target=_carry, args=(server, client, self._arrives), daemon=True).start()

    def _arrives(self) -> bool:
        self.lose = max(0, (before := self.lose) - 1)
        return not before


def _carry(source: socket.socket, target: socket.socket, arrives: Callable[[], bool]) -> None:
    with suppress(OSError):
        while (content := source.recv(65536)) and arrives():
            target.sendall(content)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
    source.close()


@dataclass(frozen=True)
class Shelf:
    """A bucket, or a container, on a running server: ``where`` it is, and what opens it for who writes and who reads.

    The names are those of variables of the environment. ``secret`` is what nobody may be told.
    """

    where: str
    valve: Valve
    endpoint: str
    writer: Mapping[str, str]
    reader: Mapping[str, str]
    secret: str


@contextmanager
def s3_shelf() -> Iterator[Shelf]:
    with running_moto() as valve:
        reader = {**ENVIRONMENT, "AWS_ENDPOINT_URL": valve.address}
        yield Shelf(f"s3://{BUCKET}", valve, valve.address, ENVIRONMENT, reader, SECRET)


@contextmanager
def running_moto() -> Iterator[Valve]:
    """moto's server, which honours conditional writes, with a bucket; what it has is in its memory."""
    program = str(Path(sys.executable).parent / "moto_server")
    with running_server([program, "-H", "127.0.0.1", "-p", "{port}"], {**os.environ, **ENVIRONMENT}) as port:
        httpx2.put(f"http://127.0.0.1:{port}/{BUCKET}", trust_env=False).raise_for_status()
        with valve_to(port) as valve:
            yield valve


@contextmanager
def valve_to(port: int) -> Iterator[Valve]:
    valve = Valve(port)
    thread = threading.Thread(target=valve.run, daemon=True)
    thread.start()
    try:
        yield valve
    finally:
        valve.close()
        valve.listener.shutdown(socket.SHUT_RDWR)
        valve.listener.close()
        thread.join(5)


@contextmanager
def running_pys3local(folder: Path) -> Iterator[str]:
    """The address of a server that speaks S3 and takes conditions for nothing: it writes over whatever is there."""
    (folder / BUCKET).mkdir(parents=True)
    program = str(Path(sys.executable).parent / "pys3local")
    words = [
        "--listen",
        "127.0.0.1:{port}",
        "--access-key-id",
        KEY,
        "--secret-access-key",
        SECRET,
        "--allow-bucket-creation",
    ]
    with running_server([program, "serve", "--path", str(folder), *words], {**os.environ, **ENVIRONMENT}) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running_server(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[int]:
    """The port of a server of HTTP, once it answers there. ``{port}`` in ``command`` is the one to take."""
    if shutil.which(command[0]) is None:
        raise RuntimeError(f"{command[0]} is not installed")
    port = free_port()
    words = [word.replace("{port}", str(port)) for word in command]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(environment))
    try:
        until = time.monotonic() + 60
        while True:
            with suppress(httpx2.HTTPError):
                httpx2.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} does not answer")
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)
