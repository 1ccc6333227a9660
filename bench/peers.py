"""What Interlock is compared with: PgBouncer in session mode and HAProxy as a TCP proxy, in front of the same server.

Both are started as their packages bring them, with one process and one thread, as one gateway worker is.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port

from bench.certificates import copy_for, write_certificates

USER = "postgres"
_START_S = 10.0

_PGBOUNCER = """\
[databases]
{database} = host=127.0.0.1 port={server} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = session
max_client_conn = 8000
default_pool_size = {pool}
logfile = {folder}/log
client_tls_key_file = {folder}/server.key
client_tls_cert_file = {folder}/server.crt
{more}
"""
_ANYBODY = "auth_type = any\nclient_tls_sslmode = allow"
_CERTIFIED = """\
auth_type = cert
auth_file = {folder}/users
client_tls_sslmode = verify-full
client_tls_ca_file = {folder}/authority.crt
{lifetime}"""
_ONCE = "server_lifetime = 0\n"

_HAPROXY = """\
global
    maxconn 8000
    nbthread 1
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
frontend clients
    bind 127.0.0.1:{port}
    default_backend servers
backend servers
    server one 127.0.0.1:{server}
"""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running peer: its process, its port, and the folder with the certificates that its clients need."""

    pid: int
    port: int
    folder: Path

    def variables(self, database: str) -> dict[str, str]:
        """How libpq reaches it, as environment variables; ``PGSSLMODE`` is the caller's to say."""
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGDATABASE": database, "PGUSER": USER}

    def certificate(self) -> dict[str, str]:
        """The client's certificate, and what it trusts."""
        return {
            "PGSSLMODE": "verify-ca",
            "PGSSLCERT": str(self.folder / "mine" / "client.crt"),
            "PGSSLKEY": str(self.folder / "mine" / "client.key"),
            "PGSSLROOTCERT": str(self.folder / "mine" / "authority.crt"),
        }


@contextmanager
def pgbouncer(
    server: int, database: str, *, certified: bool = False, once: bool = False, pool: int = 300
) -> Iterator[Proxy]:
    """``certified``: only clients with a certificate come in. ``once``: a server connection serves one client."""
    with _folder() as folder:
        port = free_port()
        lifetime = _ONCE if once else ""
        more = _CERTIFIED.format(folder=folder, lifetime=lifetime) if certified else _ANYBODY
        settings = _PGBOUNCER.format(
            database=database, server=server, user=USER, port=port, folder=folder, pool=pool, more=more
        )
        (folder / "pgbouncer.ini").write_text(settings)
        (folder / "users").write_text(f'"{USER}" ""\n')
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        with _running([program, "-q", str(folder / "pgbouncer.ini")], folder, port) as pid:
            yield Proxy(pid, port, folder)


@contextmanager
def haproxy(server: int) -> Iterator[Proxy]:
    with _folder() as folder:
        port = free_port()
        (folder / "haproxy.cfg").write_text(_HAPROXY.format(port=port, server=server))
        program = shutil.which("haproxy") or "/usr/sbin/haproxy"
        with _running([program, "-db", "-f", str(folder / "haproxy.cfg")], folder, port) as pid:
            yield Proxy(pid, port, folder)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder with certificates; those in ``mine`` stay ours, the rest is the peer's account's."""
    folder = Path(tempfile.mkdtemp(prefix="interlock-bench-"))
    folder.chmod(0o711)
    try:
        write_certificates(folder, USER)
        mine = folder / "mine"
        mine.mkdir()
        for name in ("client.crt", "client.key", "authority.crt"):
            shutil.copy(folder / name, mine / name)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(command: Sequence[str], folder: Path, port: int) -> Iterator[int]:
    identity: Mapping[str, int] = {}
    if os.geteuid() == 0:
        # PgBouncer does not run as root.
        account = pwd.getpwnam("postgres")
        copy_for(folder, (account.pw_uid, account.pw_gid))
        identity = {"user": account.pw_uid, "group": account.pw_gid}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, user=identity.get("user"), group=identity.get("group")
    )
    try:
        _await_port(port, command[0])
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _await_port(port: int, program: str) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{program} did not start within {_START_S:.0f} s")
