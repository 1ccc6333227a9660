"""The data folder: made private, owned by one, honest about its weaknesses."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.app.data_folder import demo_folder, locked, open_data_folder, weaknesses
from interlock.errors import Failure

HOLD_LOCK = """
import sys, time
from pathlib import Path
from interlock.app.data_folder import locked, open_data_folder
with locked(open_data_folder(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


def test_folders_are_made_private(tmp_path: Path) -> None:
    folder = open_data_folder(tmp_path / "data")
    assert stat.S_IMODE(folder.keys.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.journal.stat().st_mode) == 0o700
    assert not stat.S_IMODE(folder.root.stat().st_mode) & 0o066
    assert weaknesses(folder) == []


def test_loose_permissions_are_tightened_and_reported(tmp_path: Path) -> None:
    folder = open_data_folder(tmp_path / "data")
    folder.keys.chmod(0o755)
    key = folder.keys / "authority.key"
    key.write_text("secret")
    key.chmod(0o644)
    found = weaknesses(folder)
    assert [f"chmod 700 {folder.keys}" in found[0], f"chmod 600 {key}" in found[1]] == [True, True]
    open_data_folder(tmp_path / "data")
    assert stat.S_IMODE(folder.keys.stat().st_mode) == 0o700


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="There is no data folder at"):
        open_data_folder(tmp_path / "nothing", create=False)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Failure, match="cannot be used: Not a directory"):
        open_data_folder(tmp_path / "file" / "data")


def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(tmp_path)], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        folder = open_data_folder(tmp_path)
        owner = folder.owner()
        assert owner is not None
        assert owner.pid == holder.pid
        with pytest.raises(Failure) as met, locked(folder):
            pass
        assert f"process {holder.pid}" in met.value.sentence
        assert "--data DIR" in met.value.remedy
    finally:
        holder.kill()
        holder.communicate()
    with locked(folder):
        assert (owner := folder.owner()) is not None
        assert owner.pid == os.getpid()
    assert folder.owner() is None


def test_ports_are_written_whole(tmp_path: Path) -> None:
    folder = open_data_folder(tmp_path)
    assert folder.read_ports() == {}
    folder.write_ports({"console": "127.0.0.1:1", "postgres": "127.0.0.1:2"})
    assert folder.read_ports() == {"console": "127.0.0.1:1", "postgres": "127.0.0.1:2"}
    folder.ports_file.write_text("{")
    assert folder.read_ports() == {}


def test_a_demo_below_a_closed_folder_lives_where_the_database_can_follow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.chdir(closed)
    expected = Path("/var/lib/interlock/demo") if os.geteuid() == 0 else closed / ".demo"
    assert demo_folder(".demo") == expected
