"""Without a compiler Interlock installs and works all the same, and says once that it is slower."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import interlock
from interlock.app.compiled import REMEDY, SLOWER, find_uncompiled

ROOT = Path(interlock.__file__).parents[2]
_CONFIGURATION = """
listen: {console: "127.0.0.1:0", postgres: "127.0.0.1:0"}
people: {lead@example.com: {groups: [administrators]}}
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sources without their compiled files."""
    folder = tmp_path_factory.mktemp("plain")
    shutil.copytree(ROOT / "src" / "interlock", folder / "interlock", ignore=shutil.ignore_patterns("*.so"))
    yield folder
    shutil.rmtree(folder)


def test_every_hot_loop_is_compiled_or_none() -> None:
    missing = find_uncompiled()
    assert missing == [] or "interlock.protocols.postgres.framer" in missing


def test_the_sources_alone_say_once_that_they_are_slower(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "interlock.yaml").write_text(_CONFIGURATION)
    said = subprocess.run(
        [sys.executable, "-P", "-m", "interlock", "doctor", "--config", str(tmp_path / "interlock.yaml")],
        env={**os.environ, "PYTHONPATH": str(plain), "COLUMNS": "400"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert said.stdout.count(SLOWER) == 1, said.stdout + said.stderr
    assert said.stdout.count(REMEDY) == 1


@pytest.mark.parametrize("compiler", ["false", "/nowhere/cc"])
def test_a_compiler_that_fails_does_not_stop_the_installation(tmp_path: Path, compiler: str) -> None:
    built = subprocess.run(
        [
            sys.executable,
            "setup.py",
            "-q",
            "build_ext",
            "--build-lib",
            str(tmp_path / "lib"),
            "--build-temp",
            str(tmp_path),
        ],
        env={**os.environ, "CC": compiler},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert not list(tmp_path.rglob("*.so"))
