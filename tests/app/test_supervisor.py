"""The supervisor: stages, first failures told, accidents mended, nothing left behind."""

import asyncio
import functools
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.app.children import Program
from interlock.app.supervisor import Supervisor
from interlock.errors import Failure

READY = "from interlock.app.children import report_ready\nreport_ready()\n"
STAY = "import time\ntime.sleep(60)\n"


def _program(folder: Path, name: str, text: str, *, grace_s: float = 5) -> Program:
    return Program(name, (sys.executable, "-c", text), folder / f"{name}.log", grace_s=grace_s)


def _alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "State:\tZ" not in status


async def _until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if met():
                return
            await asyncio.sleep(0.02)


def _replaced(supervisor: Supervisor, old: int) -> bool:
    return supervisor.pids.get("worker", old) != old


async def test_starts_in_stages_and_stops_in_the_opposite_order(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    text = textwrap.dedent(f"""
        import signal, sys
        def note(what):
            with open({str(trace)!r}, "a") as file: file.write(what + "\\n")
        def stop(*_): note("stop " + NAME); sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        note("start " + NAME)
    """)
    first = _program(tmp_path, "first", 'NAME = "first"\n' + text + READY + STAY)
    second = _program(tmp_path, "second", 'NAME = "second"\n' + text + READY + STAY)
    supervisor = Supervisor([[first], [second]])
    await supervisor.start()
    pids = supervisor.pids
    await supervisor.stop()
    assert trace.read_text().split("\n")[:4] == ["start first", "start second", "stop second", "stop first"]
    assert not any(_alive(pid) for pid in pids.values())


async def test_a_first_failure_is_told_and_stops_everything(tmp_path: Path) -> None:
    fails = (
        "from interlock.app.children import report_failed\nfrom interlock.errors import Failure\n"
        "report_failed(Failure('The disk is full.', 'Make room.'))\nraise SystemExit(1)\n"
    )
    supervisor = Supervisor([[_program(tmp_path, "good", READY + STAY)], [_program(tmp_path, "bad", fails)]])
    with pytest.raises(Failure) as met:
        await supervisor.start()
    assert (met.value.sentence, met.value.remedy) == ("The disk is full.", "Make room.")
    assert supervisor.pids == {}


async def test_a_silent_end_points_to_the_log(tmp_path: Path) -> None:
    supervisor = Supervisor([[_program(tmp_path, "mute", "raise SystemExit(3)")]])
    with pytest.raises(Failure, match=r"mute ended \(code 3\) before it was ready\. Its log says why: .*mute\.log"):
        await supervisor.start()


async def test_a_program_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    supervisor = Supervisor([[Program("ghost", ("/nowhere/ghost",), tmp_path / "ghost.log")]])
    with pytest.raises(Failure, match=r"ghost ended \(code 1\) before it was ready"):
        await supervisor.start()


async def test_a_log_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    supervisor = Supervisor([[Program("mute", (sys.executable, "-c", "pass"), tmp_path / "no" / "mute.log")]])
    with pytest.raises(Failure, match="The process mute cannot be started: No such file or directory"):
        await supervisor.start()


async def test_an_accident_is_mended(tmp_path: Path) -> None:
    supervisor = Supervisor([[_program(tmp_path, "worker", READY + STAY)]])
    await supervisor.start()
    try:
        for _ in range(2):
            before = supervisor.pids["worker"]
            os.kill(before, signal.SIGKILL)
            await _until(functools.partial(_replaced, supervisor, before))
    finally:
        await supervisor.stop()


async def test_who_does_not_stop_is_killed(tmp_path: Path) -> None:
    deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    supervisor = Supervisor([[_program(tmp_path, "deaf", deaf + READY + STAY, grace_s=0.2)]])
    await supervisor.start()
    pid = supervisor.pids["deaf"]
    await supervisor.stop()
    assert not _alive(pid)


def test_no_child_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import asyncio, sys
        from pathlib import Path
        from interlock.app.children import Program
        from interlock.app.supervisor import Supervisor
        async def main():
            worker = Program("w", (sys.executable, "-c", {READY + STAY!r}), Path({str(tmp_path / "w.log")!r}))
            supervisor = Supervisor([[worker]])
            await supervisor.start()
            print(supervisor.pids["w"], flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    asyncio.run(_until(lambda: not _alive(child)))
