"""The server's process: launched, waited for, stopped; and what an earlier one left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from interlock.errors import Failure
from interlock.store import launch

_LAUNCHER = Path(launch.__file__)
_POLL_S = 0.02
_STOP_S = 30.0
_START_S = 300.0
_LEFT_ALONE_S = 15.0
_REMAINS_S = 60.0
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C", "LC_ALL": "C", "TZ": "UTC"}


def command(
    program: Sequence[str | Path], account: str | None, folders: Sequence[Path], *, tied: bool = False
) -> list[str]:
    """The command line that runs ``program`` as ``account``; ``tied`` to our life: it is then told to end with us."""
    parent = str(os.getpid()) if tied else "0"
    return [
        *(sys.executable, "-I", "-S", str(_LAUNCHER)),
        *(parent, str(int(signal.SIGINT)), account or "-"),
        *map(str, folders),
        "--",
        *map(str, program),
    ]


def run(program: Sequence[str | Path], account: str | None, folders: Sequence[Path], *, said: str = "") -> None:
    """Run a program to its end, with ``said`` on its stdin. Raises Failure with the last thing it said."""
    line = command(program, account, folders)
    done = subprocess.run(
        line, input=said, capture_output=True, text=True, env=_ENVIRONMENT, cwd="/", check=False, errors="replace"
    )
    if done.returncode == launch.UNREACHABLE:
        raise unreachable(account, done.stderr)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines() or [f"it ended with {done.returncode}"]
        raise Failure(f"{Path(program[0]).name} failed: {words[-1]}.", "Check the disk and the folder's owner.")


def unreachable(account: str | None, folder: str) -> Failure:
    return Failure(
        f"The account {account or 'that runs this'}, which runs the database, may not enter {folder.strip()}.",
        f"Type `chmod o+x {folder.strip()}`, or use a data folder elsewhere.",
    )


class Server:
    """One run of ``postgres``. Made in the thread that will wait for it: the kernel ties a child to a thread."""

    def __init__(self, line: Sequence[str], data: Path, log: Path, account: str | None) -> None:
        self._data = data
        self._log = log
        self._account = account
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            self._said_from = os.fstat(descriptor).st_size
            # A session of its own: Ctrl-C on a terminal is for us, who stop the server after everything that uses it.
            self._process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self) -> None:
        """Return when it takes connections. Raises Failure, with its last words, when it ended instead."""
        until = time.monotonic() + _START_S
        while not self._is_ready():
            code = self._process.poll()
            if code == launch.UNREACHABLE:
                raise unreachable(self._account, self._last_words())
            if code is not None:
                raise Failure(f"The embedded database did not start: {self._last_words()}", f"Its log is {self._log}.")
            if time.monotonic() > until:
                self.stop()
                raise Failure(f"The embedded database was not ready in {_START_S:.0f} s.", f"Its log is {self._log}.")
            time.sleep(_POLL_S)

    def wait(self) -> int:
        return self._process.wait()

    def stop(self) -> None:
        """A fast shutdown; a server that does not heed it is stopped at once, which loses nothing committed."""
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self._process.poll() is not None:
                return
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_S)

    def _is_ready(self) -> bool:
        # The eighth line of postmaster.pid is the server's own word on its state, as pg_ctl reads it.
        try:
            lines = (self._data / "postmaster.pid").read_text(errors="replace").splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(self.pid) and lines[7].strip() == "ready"

    def _last_words(self) -> str:
        with self._log.open("rb") as log:
            log.seek(self._said_from)
            words = log.read(65536).decode(errors="replace").strip().splitlines()
        fatal = [line for line in words if "FATAL" in line or "PANIC" in line]
        return (fatal or words or ["it said nothing"])[-1].partition("] ")[2] or (words or ["it said nothing"])[-1]


def clear_the_way(data: Path) -> None:
    """Wait for what an earlier server left: one that is still shutting down, or processes that lost theirs.

    Called with the folder's lock held, so whatever runs there belongs to nobody any more. Left alone for a while, it
    is interrupted, then stopped. Raises Failure when something is still there in the end.
    """
    started = time.monotonic()
    told: signal.Signals | None = None
    while remains := _working_in(data):
        waited = time.monotonic() - started
        if waited > _REMAINS_S:
            raise Failure(
                f"An earlier database server (process {remains[0]}) does not end.", f"Type `kill {remains[0]}`."
            )
        wanted = signal.SIGQUIT if waited > 2 * _LEFT_ALONE_S else signal.SIGINT if waited > _LEFT_ALONE_S else None
        if wanted is not None and wanted is not told:
            told = wanted
            for pid in remains:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, wanted)
        time.sleep(_POLL_S)
    _forget_stale_pid(data)


def _working_in(data: Path) -> list[int]:
    """The processes whose working folder is ``data``: the server's, all of them, and nobody else's."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        place = data.stat()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                here = (process / "cwd").stat()
                if (here.st_dev, here.st_ino) == (place.st_dev, place.st_ino) and _is_postgres(process):
                    found.append(int(process.name))
    return found


def _is_postgres(process: Path) -> bool:
    return (process / "exe").readlink().name.removesuffix(" (deleted)") == "postgres"


def _forget_stale_pid(data: Path) -> None:
    """Remove a pid file that the server would stumble over: empty, or with a number that is another program's now.

    One of a dead server it clears away itself, and better, for the file also names the dead one's shared memory.
    """
    file = data / "postmaster.pid"
    try:
        pid = file.read_text(errors="replace").split("\n")[0].strip()
    except OSError:
        return
    if not pid.isdigit() or Path(f"/proc/{pid}").exists():
        file.unlink(missing_ok=True)
