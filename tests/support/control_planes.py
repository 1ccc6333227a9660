"""Several `interlock serve control` over one real PostgreSQL and one store, each with a data folder of its own.

They listen at one address, as behind one balancer, and have the same keys, as an operator copies them.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from interlock.app.data_folder import open_data_folder
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.home import OWNER_ROLE
from interlock.store.locks import SEQUENCER_LOCK
from tests.support.databases import FAST, server_folder
from tests.support.ports import free_port
from tests.support.stack import INTERLOCK, Stack

STATE = "INTERLOCK_STATE"
_START_S = 60.0
_HOLDER = """
    SELECT a.client_port FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %s AND l.objid = %s
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass
class ControlPlanes:
    """``members`` sign in through ``stack``, whose data folder is that of the first. ``url`` is the state's."""

    stack: Stack
    url: str
    console: str
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def folder(self, name: str) -> Path:
        return self.stack.data if name == "first" else self.stack.folder / name

    def start(self, name: str) -> None:
        """Return when it answers. What it says is in ``NAME.log``."""
        folder = self.folder(name)
        if not folder.exists() and name != "first":
            open_data_folder(folder)
            shutil.copytree(self.stack.data / "keys", folder / "keys", dirs_exist_ok=True)
        words = [INTERLOCK, "serve", "control", "--config", str(self.stack.folder / "interlock.yaml")]
        with (self.stack.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*words, "--data", str(folder)], stdout=log, stderr=log, env={**os.environ, **self.stack.environment}
            )
        self.processes[name] = process
        end = time.monotonic() + _START_S
        while self._listener_of(process.pid) is None:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{name} did not start: {(self.stack.folder / f'{name}.log').read_text()}")
            time.sleep(0.05)

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def sequencing(self, within_s: float = 30) -> str:
        """Whose connection holds the sequencer's lock."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            with psycopg.connect(self.url) as connection:
                port = connection.execute(_HOLDER, SEQUENCER_LOCK).fetchone()
            for name, process in self.processes.items():
                if port is not None and int(port[0]) in _ports_of(process.pid):
                    return name
            time.sleep(0.05)
        raise AssertionError("nobody was elected")

    def _listener_of(self, pid: int) -> int | None:
        port = int(self.console.rpartition(":")[2])
        return port if port in _ports_of(pid) else None


def _ports_of(pid: int) -> set[int]:
    """The local TCP ports of a process's sockets (IPv4)."""
    inodes = set()
    for one in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(one.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[9] in inodes}


def _free_address() -> str:
    return f"127.0.0.1:{free_port()}"


@contextmanager
def running_control_planes(config: str, environment: Mapping[str, str]) -> Iterator[ControlPlanes]:
    """Two of them, ``first`` and ``second``. ``config`` names ``{console}`` and ``env:INTERLOCK_STATE``."""
    with server_folder() as folder:
        server = EmbeddedPostgres(
            folder / "postgres", port=0, logins=(OWNER_ROLE,), database="interlock", settings=FAST
        )
        server.start()
        try:
            with _planes(folder, server, config, environment) as planes:
                yield planes
        finally:
            server.stop()


@contextmanager
def _planes(
    folder: Path, server: EmbeddedPostgres, config: str, environment: Mapping[str, str]
) -> Iterator[ControlPlanes]:
    parts = urlsplit(server.url_for(OWNER_ROLE))
    # over TCP, so that it can be seen whose connection it is
    url = f"postgresql://{parts.username}:{parts.password}@127.0.0.1:{server.port}{parts.path}"
    console = _free_address()
    text = config.replace("{console}", console)
    stack = Stack(folder, text, {**environment, STATE: url})
    (folder / "interlock.yaml").write_text(text)
    data = open_data_folder(stack.data)
    data.write_ports({"console": console})
    planes = ControlPlanes(stack, url, console)
    try:
        planes.start("first")
        planes.start("second")
        yield planes
    finally:
        planes.stop()
