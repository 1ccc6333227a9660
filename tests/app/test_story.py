"""The whole of it: the demo's story, played by the real program with the real psql."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PATIENCE_S = 300


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the database's account can reach, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="interlock-story-") as made:
        path = Path(made)
        path.chmod(0o711)
        yield path


@pytest.mark.parametrize(("story", "steps"), [("--tour", 12), ("--delivery", 8)])
def test_the_story_goes_as_told(folder: Path, story: str, steps: int) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("INTERLOCK_", "PG"))}
    told = subprocess.Popen(
        [sys.executable, "-m", "interlock", "demo", story, "--data", str(folder / "data"), "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment, "HOME": str(folder)},
        start_new_session=True,
    )
    try:
        said, _ = told.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(told.pid, signal.SIGKILL)
        said, _ = told.communicate()
    assert told.returncode == 0, said
    assert re.search(rf"All {steps} steps went as told", said), said
    assert "✗" not in said
    assert _left_behind(folder) == []


def _left_behind(folder: Path) -> list[str]:
    """The processes that still work with the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found.append(words)
    return found
