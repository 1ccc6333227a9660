"""PgBouncer in session mode, started for a benchmark in front of the same server, in plain and with TLS."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.protocols.postgres.servers import free_port

_SETTINGS = """\
[databases]
{database} = host=127.0.0.1 port={server} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
pool_mode = session
max_client_conn = 1000
default_pool_size = 200
client_tls_sslmode = allow
client_tls_key_file = {folder}/key.pem
client_tls_cert_file = {folder}/certificate.pem
logfile = {folder}/log
"""


@contextmanager
def pgbouncer(server: int, database: str, user: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Its process number, and how libpq reaches it (``PGSSLMODE`` is the caller's to say)."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    account = pwd.getpwnam("postgres")
    folder = Path(tempfile.mkdtemp(prefix="interlock-bench-"))
    port = free_port()
    _write_certificate(folder)
    settings = folder / "pgbouncer.ini"
    settings.write_text(_SETTINGS.format(database=database, server=server, user=user, port=port, folder=folder))
    for path in (folder, *folder.iterdir()):
        os.chown(path, account.pw_uid, account.pw_gid)
    process = subprocess.Popen([program, "-q", str(settings)], user=account.pw_uid, group=account.pw_gid)
    try:
        _await_port(port)
        yield (
            process.pid,
            {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGDATABASE": database, "PGUSER": user},
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        shutil.rmtree(folder)


def _write_certificate(folder: Path) -> None:
    words = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-days",
        "2",
    ]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(["openssl", *words, *files], check=True, capture_output=True)


def _await_port(port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("pgbouncer did not start within 10 s")
