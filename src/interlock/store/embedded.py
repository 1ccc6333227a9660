"""A PostgreSQL server of our own: made, started, watched over and stopped by the process that needs it.

The folder holds ``data`` (the cluster, which the server's account owns), ``run`` (its socket), ``hba.conf``,
``secrets.json`` (0600: the passwords of its roles), ``server.log`` and ``lock``. Nobody gets in without a password,
and nobody from elsewhere than this machine.

The server never outlives us: the kernel interrupts it when we die (see :mod:`interlock.store.launch`), and the next
start waits until it is gone. A server that dies alone is started again, as often as it takes.
"""

import contextlib
import logging
import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from interlock.errors import Failure, Misuse
from interlock.store.binaries import server_account
from interlock.store.cluster import SUPERUSER, Cluster
from interlock.store.folders import FolderLock, open_folder, socket_folder
from interlock.store.processes import Server, clear_the_way, command

_log = logging.getLogger(__name__)

_HBA = """\
local all all scram-sha-256
host  all all 127.0.0.1/32 scram-sha-256
"""
_SETTINGS: Mapping[str, str] = {
    "max_connections": "100",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    # The log is not where secrets go: neither a failed statement's text nor the row that it met.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
}
_SOCKET_PORT = 5432
_LONGEST_LOG_BYTES = 16 * 1024 * 1024
_PAUSE_S = (0.1, 5.0)


class EmbeddedPostgres:
    """The server in ``folder``, which is made when it is not there.

    ``port``: also listen on 127.0.0.1, at this port (0: any free one); None: on the socket alone. ``password`` is the
    superuser's, random when none is given. ``logins`` are further roles; the first owns ``database``. ``settings``
    override those of postgresql.conf. ``start`` and ``stop`` block, and may be called from any thread.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        password: str | None = None,
        logins: Sequence[str] = (),
        database: str = "postgres",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.port = port
        self.database = database
        self._password = password
        self._logins = tuple(logins)
        self._settings = {**_SETTINGS, **(settings or {})}
        self._account = server_account()
        self._cluster = Cluster(self.folder, self._account)
        self._lock = FolderLock(self.folder / "lock")
        self._sockets = self.folder / "run"
        self._keeper: threading.Thread | None = None
        self._server: Server | None = None
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """The superuser's way in, to ``database``, as asyncpg, psycopg and libpq read it."""
        return self.url_for(SUPERUSER)

    def url_for(self, login: str, database: str | None = None) -> str:
        """The way in of one of ``logins``, over the socket."""
        passwords = self._cluster.passwords()
        if login not in passwords:
            raise Misuse(f"the embedded database has no login {login}")
        name = quote(database or self.database, safe="")
        where = f"host={quote(str(self._sockets), safe='')}&port={self.port or _SOCKET_PORT}"
        return f"postgresql://{quote(login, safe='')}:{quote(passwords[login], safe='')}@/{name}?{where}"

    @property
    def pid(self) -> int | None:
        """The server's process, None while there is none."""
        server = self._server
        return server.pid if server is not None else None

    def start(self) -> None:
        """Return when the server takes connections. Raises Failure with a sentence that says why it cannot."""
        if self._keeper is not None:
            raise Misuse("the embedded database was started twice")
        open_folder(self.folder, self._account, shared=True)
        self._lock.take()
        try:
            clear_the_way(self._cluster.data)
            durable = self._settings.get("fsync") != "off"
            self._cluster.make(self._logins, self.database, self._password, durable=durable)
            if self.port == 0:
                self.port = _free_port()
            self._sockets = socket_folder(self.folder / "run", self.port or _SOCKET_PORT, self._account)
            self._write_access_rules()
            self._keep_running()
        except BaseException:
            self._stop_keeper()
            self._lock.release()
            raise

    def stop(self) -> None:
        """Shut down; what was committed is there at the next start. Does nothing when it is not running."""
        if self._keeper is not None:
            self._stop_keeper()
            self._lock.release()

    def _stop_keeper(self) -> None:
        keeper = self._keeper
        if keeper is None:
            return
        self._stopping.set()
        server = self._server
        if server is not None:
            server.stop()
        keeper.join()
        self._keeper = None
        self._server = None
        if self._sockets != self.folder / "run":
            with contextlib.suppress(OSError):
                self._sockets.rmdir()

    def _keep_running(self) -> None:
        self._stopping.clear()
        self._ready.clear()
        self._failure = None
        # A thread of its own, which lives as long as the server: the kernel ties the server to the *thread* that
        # started it, and the caller's may be a pool's.
        self._keeper = threading.Thread(target=self._keep, name=f"postgres in {self.folder}", daemon=True)
        self._keeper.start()
        self._ready.wait()
        failure = self._first_failure()
        if failure is not None:
            raise failure

    def _first_failure(self) -> BaseException | None:
        """Why the first start did not succeed, as the keeper met it."""
        return self._failure

    def _keep(self) -> None:
        """Start the server; whenever it ends without having been told to, start it again."""
        pause_s = _PAUSE_S[0]
        while not self._stopping.is_set():
            try:
                self._run_once()
                pause_s = _PAUSE_S[0]
            except (Failure, OSError) as error:
                if not self._ready.is_set():
                    self._failure = error
                    self._ready.set()
                    return
                if self._stopping.is_set():
                    return
                _log.error("the embedded database cannot be started again: %s", error)
                pause_s = min(2 * pause_s, _PAUSE_S[1])
            self._stopping.wait(pause_s)
        self._ready.set()

    def _run_once(self) -> None:
        """One life of the server, from its start to its end. Raises Failure when it does not come up."""
        if self._ready.is_set():
            clear_the_way(self._cluster.data)
        log = self.folder / "server.log"
        if log.exists() and log.stat().st_size > _LONGEST_LOG_BYTES:
            log.replace(log.with_suffix(".log.old"))
        programs = self._cluster.binaries()
        folders = [programs.folder, self._cluster.data, self._sockets]
        line = command([programs.postgres, *self._arguments()], self._account, folders, tied=True)
        self._server = Server(line, self._cluster.data, log, self._account)
        self._server.wait_ready()
        self._ready.set()
        if self._stopping.is_set():
            self._server.stop()
        code = self._server.wait()
        if not self._stopping.is_set():
            _log.warning("the embedded database ended by itself (%d); it is started again", code)

    def _arguments(self) -> list[str]:
        settings = {
            **self._settings,
            "hba_file": str(self.folder / "hba.conf"),
            "listen_addresses": "" if self.port is None else "127.0.0.1",
            "port": str(self.port or _SOCKET_PORT),
            "unix_socket_directories": '"' + str(self._sockets).replace('"', '""') + '"',
        }
        return [
            "-D",
            str(self._cluster.data),
            *(part for name in settings for part in ("-c", f"{name}={settings[name]}")),
        ]

    def _write_access_rules(self) -> None:
        rules = self.folder / "hba.conf"
        rules.write_text(_HBA)
        # The server's account reads it and cannot change it.
        rules.chmod(0o644)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
