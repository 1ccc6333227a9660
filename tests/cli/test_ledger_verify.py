"""`interlock ledger verify` of a large copy, as it is typed: its bar, its memory, killed and taken up again."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench.ledger import write_log

from interlock.ledger.merkle import Frontier, leaf_hash
from interlock.ledger.notes import new_signer
from interlock.ledger.succession import handover_path
from interlock.ledger.tiles import CHECKPOINT, bundle_path, read_bundle, write_bundle
from tests.ledger.logs import body
from tests.ledger.test_succession import NEW, OLD, fresh, rotated
from tests.support.stack import INTERLOCK

_SMALL, _LARGE = 10_000, 150_000
_MIB = 1024


@dataclass(frozen=True, slots=True)
class Copy:
    """A published ledger in a folder, and the file with its key."""

    folder: Path
    key: Path

    def command(self, *more: str) -> list[str]:
        return [INTERLOCK, "ledger", "verify", str(self.folder), "--key", str(self.key), *more]


def _copy(folder: Path, size: int) -> Copy:
    signer = new_signer("log.example/copy")
    write_log(folder / "log", signer, size)
    (folder / "log.vkey").write_text(str(signer.verifier))
    return Copy(folder / "log", folder / "log.vkey")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return _copy(tmp_path_factory.mktemp("large"), _LARGE)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **more}


def test_in_a_terminal_there_is_a_bar_and_elsewhere_silence(large: Copy) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        large.command(), stdout=subprocess.PIPE, stderr=theirs, env=_environment({"TERM": "xterm", "COLUMNS": "80"})
    )
    os.close(theirs)
    drawn = b""
    while process.poll() is None or select.select([ours], [], [], 0)[0]:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                drawn += os.read(ours, 65_536)
            except OSError:
                break
    said, _ = process.communicate()
    os.close(ours)
    assert process.returncode == 0
    text = drawn.decode()
    shares = [int(share) for share in re.findall(r"(\d+)%", text)]
    assert "Verifying" in text
    assert shares == sorted(shares)
    assert any(0 < share < 100 for share in shares), "it moves"
    assert b"The ledger holds: 150,000 entries" in said
    quiet = subprocess.run(large.command(), capture_output=True, check=True)
    assert quiet.stderr == b""


def test_killed_half_way_it_goes_on_from_there(large: Copy, tmp_path: Path) -> None:
    resume = tmp_path / "progress.json"
    words = large.command("--resume", str(resume), "--json")
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    end = time.monotonic() + 60
    while not resume.exists() and time.monotonic() < end:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    said, _ = process.communicate()
    assert said == b"", "it was not done yet"
    assert 0 < json.loads(resume.read_text())["size"] < _LARGE
    # what was read before is not read again
    first = large.folder / bundle_path(0)
    content = first.read_bytes()
    first.unlink()
    try:
        found = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    finally:
        first.write_bytes(content)
    assert (found["holds"], found["size"]) == (True, _LARGE)


def test_its_memory_does_not_grow_with_the_ledger(large: Copy, tmp_path: Path) -> None:
    small, big = (_peak_kib(copy) for copy in (_copy(tmp_path, _SMALL), large))
    assert big - small < 24 * _MIB, f"{small} KiB for {_SMALL:,} entries, {big} KiB for {_LARGE:,}"


def _peak_kib(copy: Copy) -> int:
    pid = os.posix_spawn(INTERLOCK, copy.command(), os.environ, file_actions=[(os.POSIX_SPAWN_CLOSE, 1)])
    _, status, used = os.wait4(pid, 0)
    assert status == 0
    return used.ru_maxrss


def test_the_first_entry_that_does_not_hold_is_named(large: Copy) -> None:
    number, at = divmod(120_000 - 1, 256)
    path = large.folder / bundle_path(number)
    content = path.read_bytes()
    entries = read_bundle(content, "", 256)
    entries[at] = entries[at].replace(b'"left":3', b'"left":4')
    path.write_bytes(write_bundle(entries))
    try:
        found = subprocess.run(large.command(), capture_output=True, text=True, check=False)
        told = subprocess.run(large.command("--json"), capture_output=True, text=True, check=False)
    finally:
        path.write_bytes(content)
    assert found.returncode == told.returncode == 1
    assert found.stderr.strip() == "Entry 120000 is not the one that was logged."
    assert json.loads(told.stdout)["entry"] == 120_000
    assert subprocess.run(large.command(), capture_output=True, check=False).returncode == 0, "nothing else is to blame"


async def test_a_stolen_old_key_gets_past_nobody_who_verified_beyond_its_end(tmp_path: Path) -> None:
    """Whoever knows more than the old key, by --resume, --from or --key, is not shown another history."""
    true, theirs, shorter = await rotated(), fresh(), fresh()
    theirs.grow(700, "evil")
    # what was there up to entry 256, and the true handover, which is ahead of it
    shorter.grow(256)
    shorter.grow(20, "evil")
    shorter.log.objects[handover_path(0)] = true.log.objects[handover_path(0)]
    for name, log in (("true", true), ("theirs", theirs), ("shorter", shorter)):
        for path, content in log.log.objects.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(content)
    (tmp_path / "old.vkey").write_text(str(OLD.verifier))
    (tmp_path / "new.vkey").write_text(str(NEW.verifier))
    (tmp_path / "kept").write_bytes(true.log.objects[CHECKPOINT])
    beyond = Frontier()
    for position in range(1, 257):
        beyond.add(leaf_hash(body(position)))
    came = {"log": str(NEW.verifier), "size": 256, "roots": [root.hex() for root in beyond.roots]}
    (tmp_path / "progress").write_text(json.dumps(came))

    def verify(name: str, *more: str) -> tuple[int, str]:
        words = [INTERLOCK, "ledger", "verify", str(tmp_path / name), *more]
        done = subprocess.run(words, capture_output=True, check=False, text=True, cwd=tmp_path)
        return done.returncode, done.stdout + done.stderr

    for known in (("--resume", "progress"), ("--from", "kept"), ()):
        assert verify("true", "--key", "old.vkey", *known)[0] == 0
    for name in ("theirs", "shorter"):
        for more, said in (
            (("--key", "old.vkey", "--resume", "progress"), "somebody signs with a key that was replaced"),
            (("--key", "old.vkey", "--from", "kept"), "no key of log.example/rotating that is known signed it"),
            (("--key", "new.vkey"), "carries no signature"),
        ):
            code, told = verify(name, *more)
            assert (code, said in told) == (1, True), told
