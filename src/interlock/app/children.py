"""One child process: started tied to us, watched until it ends, stopped with grace.

A child says how its start went through a pipe (``INTERLOCK_READY_FD``): one JSON line, ``{"ready": true}`` or
``{"failed": sentence, "remedy": text}``. The kernel kills it when we die (PR_SET_PDEATHSIG), so that nothing
outlives a ``kill -9`` of the supervisor.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interlock.errors import Failure, InterlockError
from interlock.store import launch

READY_FD = "INTERLOCK_READY_FD"
_LOG_KEPT_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Program:
    """What to run; ``command`` starts with an absolute path."""

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 10.0


class Child:
    """A running program. ``ended`` is set with its return code when it is over."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._ready_end, theirs = os.pipe()
        os.set_blocking(self._ready_end, False)
        try:
            self._process = _spawn(program, theirs)
        except OSError as error:
            os.close(self._ready_end)
            raise Failure(
                f"The process {program.name} cannot be started: {error.strerror or error}.",
                "Check the installation with: interlock doctor",
            ) from error
        finally:
            os.close(theirs)
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._watch = os.pidfd_open(self._process.pid)
        asyncio.get_running_loop().add_reader(self._watch, self._reap)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ready(self, within_s: float) -> None:
        """Return when it answers. Raises Failure, with its own sentence if it left one, when it does not."""
        report = asyncio.create_task(self._read_report())
        try:
            either: set[asyncio.Future[Any]] = {report, self.ended}
            await asyncio.wait(either, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            if self.ended.done() and not report.done():
                await asyncio.wait({report}, timeout=0.2)
            if report.done() and report.result():
                return
            what = f"ended (code {self.ended.result()})" if self.ended.done() else f"did not answer in {within_s:.0f} s"
            raise Failure(
                f"The process {self.program.name} {what} before it was ready.", f"Its log says why: {self.program.log}"
            )
        finally:
            report.cancel()
            await asyncio.wait({report})
            self._close_report()

    async def stop(self) -> None:
        """Ask it to stop; kill it when its grace is over. Returns when it has ended."""
        if not self.ended.done():
            self._signal(self.program.stop_signal)
            await asyncio.wait({self.ended}, timeout=self.program.grace_s)
        if not self.ended.done():
            self._signal(signal.SIGKILL)
            await self.ended
        self._close_report()

    def _close_report(self) -> None:
        # Only ever closed here: a number that is closed while a reader still uses it may come to mean another pipe.
        if self._ready_end >= 0:
            os.close(self._ready_end)
            self._ready_end = -1

    def _signal(self, number: signal.Signals) -> None:
        try:
            signal.pidfd_send_signal(self._watch, number)
        except ProcessLookupError:
            return

    def _reap(self) -> None:
        code = self._process.wait()
        asyncio.get_running_loop().remove_reader(self._watch)
        os.close(self._watch)
        if not self.ended.done():
            self.ended.set_result(code)

    async def _read_report(self) -> bool:
        received = b""
        while b"\n" not in received:
            try:
                part = os.read(self._ready_end, 65536)
            except BlockingIOError:
                part = None
            if part == b"":
                return False
            received += part or b""
            if part is None:
                await asyncio.sleep(0.02)
        told = json.loads(received.partition(b"\n")[0])
        if "failed" in told:
            raise Failure(str(told["failed"]), str(told.get("remedy", "")))
        return bool(told.get("ready"))


def report_ready() -> None:
    """Tell the supervisor, if there is one, that this process answers."""
    _report({"ready": True})


def report_failed(error: InterlockError) -> None:
    """Tell the supervisor, if there is one, why this process cannot start."""
    _report({"failed": error.sentence, "remedy": error.remedy})


def _report(told: Mapping[str, object]) -> None:
    number = os.environ.pop(READY_FD, "")
    if number:
        os.write(int(number), (json.dumps(told) + "\n").encode())
        os.close(int(number))


def _spawn(program: Program, ready_fd: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **program.environment, READY_FD: str(ready_fd)}
    with _open_log(program.log) as log:
        return subprocess.Popen(
            _tied(program.command),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(ready_fd,),
            # A group of its own: Ctrl-C on a terminal is for us, who stop the children in their order.
            process_group=0,
        )


def _tied(command: tuple[str, ...]) -> list[str]:
    # The launcher ties itself to our life and then becomes the program. Called in the main thread, which lives longest.
    launcher = (sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(int(signal.SIGKILL)), "-", "--")
    return [*launcher, *command]


def _open_log(path: Path) -> "_Log":
    if path.exists() and path.stat().st_size > _LOG_KEPT_BYTES:
        path.replace(path.with_suffix(".old.log"))
    return _Log(path)


class _Log:
    def __init__(self, path: Path) -> None:
        self._number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> int:
        return self._number

    def __exit__(self, *_: object) -> None:
        os.close(self._number)
