"""`interlock up`, the real thing: it comes up, mends itself, leaves nothing behind, and says what is wrong in words."""

import functools
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

PATIENCE_S = 60
CONFIGURATION = """
listen: {console: "127.0.0.1:%(console)s", postgres: "127.0.0.1:0"}
resources:
  orders: {kind: postgres, address: "127.0.0.1:1", database: orders, labels: {environment: test}}
people:
  lead@example.com: {groups: [dba, administrators]}
  second@example.com: {groups: [dba]}
roles:
  reader:
    on: {kind: postgres, environment: test}
    allow: [connect, read]
    lend: {longest: 8h, approvals: [{from: {group: dba}, count: 1}]}
"""


@dataclass
class Running:
    """A running installation, driven through its commands."""

    folder: Path
    process: "subprocess.Popen[str]"
    listen: dict[str, str]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def pids(self) -> dict[str, int]:
        """The supervised processes by their role, found as the supervisor's children."""
        found = {}
        for child in _children(self.process.pid):
            words = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace").split("\0")
            if "control" in words:
                found["control"] = child
            elif "--worker" in words:
                found[f"gateway-{words[words.index('--worker') + 1]}"] = child
            elif words[0].endswith("/postgres"):
                found["postgres"] = child
        return found

    def well(self) -> bool:
        trust = ssl.create_default_context(cafile=str(self.data / "keys" / "authority.pem"))
        try:
            answer = httpx2.get(f"https://{self.listen['console']}/v1/health", verify=trust, timeout=5, trust_env=False)
        except httpx2.HTTPError:
            return False
        return answer.status_code == 200


@contextmanager
def _fresh_folder() -> Iterator[Path]:
    """A folder that the database's account can reach, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="interlock-up-") as made:
        path = Path(made)
        path.chmod(0o711)
        (path / "interlock.yaml").write_text(CONFIGURATION % {"console": 0})
        yield path


@pytest.fixture
def folder() -> Iterator[Path]:
    with _fresh_folder() as path:
        yield path


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    """One installation for the tests that only look; a protocol's folder was dropped beside it."""
    with _fresh_folder() as path:
        toy = Path(__file__).parents[1] / "toy"
        shutil.copytree(toy, path / "protocols" / "toy", ignore=shutil.ignore_patterns("__pycache__"))
        configuration = (CONFIGURATION % {"console": 0}).replace("listen: {", 'listen: {toy: "127.0.0.1:0", ')
        (path / "interlock.yaml").write_text(configuration)
        system = _start(path, {"INTERLOCK_PROTOCOLS": str(path / "protocols")})
        try:
            yield system
        finally:
            _end(system)


@pytest.fixture
def running(folder: Path) -> Iterator[Running]:
    system = _start(folder)
    try:
        yield system
    finally:
        _end(system)


def test_it_comes_up_and_stops_without_a_trace(running: Running) -> None:
    assert running.well()
    assert set(running.pids()) == {"control", "gateway-1", "gateway-2", "postgres"}
    ports = json.loads((running.data / "run" / "ports.json").read_text())
    assert ports == running.listen
    host, port = ports["postgres"].split(":")
    socket.create_connection((host, int(port)), timeout=5).close()
    pids = running.pids().values()
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(PATIENCE_S) == 0
    assert not any(_alive(pid) for pid in pids)


def test_what_dies_is_started_again(running: Running) -> None:
    for name in ("gateway-1", "control", "postgres"):
        before = running.pids()[name]
        os.kill(before, signal.SIGKILL)
        _until(functools.partial(_replaced, running, name, before))
        _until(running.well)


def test_nothing_outlives_a_killed_supervisor_and_everything_starts_where_it_was(running: Running) -> None:
    first = _interlock(running.folder, "enrol", "lead@example.com", "--data", str(running.data), "--json")
    pids = running.pids().values()
    running.process.kill()
    running.process.communicate()
    _until(lambda: not any(_alive(pid) for pid in pids))
    again = _start(running.folder)
    try:
        home = {"INTERLOCK_HOME": str(running.folder / "home"), "INTERLOCK_PASSWORD": "correct horse battery"}
        code = json.loads(first.stdout)["code"]
        server = ("--server", f"https://{again.listen['console']}")
        person = ("--person", "lead@example.com", "--code", code)
        signed = _interlock(running.folder, "login", *server, *person, more=home)
        assert signed.returncode == 0, signed.stderr
        assert "Signed in as lead@example.com" in signed.stdout
        assert "The ledger holds" in _interlock(running.folder, "ledger", "verify", more=home).stdout
    finally:
        _end(again)


def test_doctor_is_content_but_for_the_upstream(shared: Running) -> None:
    told = _interlock(shared.folder, "doctor", "--data", str(shared.data), "--json", more=_dropped(shared))
    verdicts = {one["check"]: one["verdict"] for one in json.loads(told.stdout)}
    assert verdicts.pop("upstream orders") == "bad"
    assert told.returncode == 1
    assert set(verdicts.values()) <= {"good"}, told.stdout
    assert {"permissions", "disk", "certificates", "running", "console", "clock", "postgres", "database"} <= set(
        verdicts
    )


def test_a_protocol_that_was_dropped_into_a_folder_is_listened_for(shared: Running) -> None:
    assert set(shared.listen) == {"console", "postgres", "toy"}
    host, port = shared.listen["toy"].split(":")
    socket.create_connection((host, int(port)), timeout=5).close()


def test_policy_diff_compares_with_what_is_active(shared: Running) -> None:
    changed = shared.folder / "changed.yaml"
    changed.write_text((shared.folder / "interlock.yaml").read_text().replace("longest: 8h", "longest: 4h"))
    told = _interlock(shared.folder, "policy", "diff", str(changed), "--data", str(shared.data), more=_dropped(shared))
    assert told.returncode == 1, told.stderr
    assert "is lent for 4h at most (was 8h)" in told.stdout


def test_a_data_folder_has_one_owner(shared: Running) -> None:
    told = _interlock(shared.folder, "up", "--data", str(shared.data), more=_dropped(shared))
    assert told.returncode == 1
    assert told.stderr.startswith(f"The data folder {shared.data} is in use by another running Interlock")
    assert f"process {shared.process.pid}" in told.stderr
    assert shared.well()


def test_a_port_in_use_is_named(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (folder / "interlock.yaml").write_text(CONFIGURATION % {"console": port})
        told = _interlock(folder, "up", "--data", str(folder / "data"))
    assert told.returncode == 1
    assert told.stderr.startswith(f"Port {port} on 127.0.0.1, wanted for console, is in use by another program.")
    assert "listen: {console:" in told.stderr
    assert not (folder / "data" / "postgres").exists()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("resorces: {}", "interlock.yaml:13: the configuration has an unknown key resorces"),
        ("vendors: {acme: {}}\ncontracts: {c: {vendor: acmee, sponsor: lead@example.com}}", "acmee"),
        ("state: postgresql://nobody@127.0.0.1:1/interlock", "127.0.0.1"),
        ("state: env:INTERLOCK_TEST_NOT_SET", "INTERLOCK_TEST_NOT_SET is not set"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_started(folder: Path, line: str, complaint: str) -> None:
    configuration = CONFIGURATION % {"console": 0}
    (folder / "interlock.yaml").write_text(f"{configuration.rstrip()}\n{line}\n")
    told = _interlock(folder, "up", "--data", str(folder / "data"))
    assert told.returncode == 1
    assert complaint in told.stderr, told.stderr
    assert "Traceback" not in told.stderr
    assert not _speaking_of(folder)


def _dropped(system: Running) -> dict[str, str]:
    return {"INTERLOCK_PROTOCOLS": str(system.folder / "protocols")}


def _replaced(system: Running, name: str, before: int) -> bool:
    return system.pids().get(name, before) != before


def _start(folder: Path, more: dict[str, str] | None = None) -> Running:
    command = (
        "up",
        "--config",
        str(folder / "interlock.yaml"),
        "--data",
        str(folder / "data"),
        "--workers",
        "2",
        "--json",
    )
    process = subprocess.Popen(
        _words(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(folder, more or {}),
        start_new_session=True,
    )
    stdout = process.stdout
    if stdout is None:
        raise RuntimeError("no output to read")
    said = ""
    while not said.endswith("}\n") or said.count("{") != said.count("}"):
        line = stdout.readline()
        if not line:
            _, complaint = process.communicate()
            pytest.fail(f"it did not come up: {said}{complaint}")
        said += line
    return Running(folder, process, json.loads(said)["listen"])


def _end(system: Running) -> None:
    if system.process.poll() is None:
        system.process.send_signal(signal.SIGTERM)
        try:
            system.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            system.process.kill()
    system.process.communicate()


def _interlock(folder: Path, *arguments: str, more: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        _words(arguments),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        cwd=folder,
        env=_environment(folder, more or {}),
        stdin=subprocess.DEVNULL,
    )


def _words(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "interlock", *arguments]


def _environment(folder: Path, more: dict[str, str]) -> dict[str, str]:
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("INTERLOCK_", "PG"))}
    return {**outer, "HOME": str(folder), **more}


def _children(pid: int) -> list[int]:
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


def _alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _speaking_of(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found.append(words)
    return found


def _until(met: Callable[[], Any]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not met():
        if time.monotonic() > until:
            pytest.fail("it did not happen in time")
        time.sleep(0.05)
