import os
from pathlib import Path

import pytest

from interlock.errors import Failure
from interlock.vaults.file import LONGEST_SECRET_BYTES, VAULT, FileVault


def _kept(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "password"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"x", "x"), (b"x\n", "x"), (b"x\r\n", "x"), (b"x\n\n", "x\n"), (b" x \n", " x "), (b"x\r", "x\r")],
)
async def test_one_newline_at_the_end_is_not_the_secrets(tmp_path: Path, content: bytes, secret: str) -> None:
    assert await VAULT.fetch(str(_kept(tmp_path, content))) == secret


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o644, 0o666])
async def test_a_file_that_everyone_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = _kept(tmp_path, b"hunter2\n", mode)
    with pytest.raises(Failure, match="everyone on this machine") as failure:
        await VAULT.fetch(str(path))
    assert failure.value.remedy.startswith(f"Type `chmod 600 {path}`")
    assert "hunter2" not in str(failure.value)


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o640])
async def test_owner_and_group_may_read(tmp_path: Path, mode: int) -> None:
    assert await VAULT.fetch(str(_kept(tmp_path, b"x\n", mode))) == "x"


async def test_a_relative_path_starts_from_the_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _kept(tmp_path, b"x\n")
    assert await FileVault(tmp_path).fetch("password") == "x"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert await VAULT.fetch("password") == "x"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    monkeypatch.chdir(tmp_path)
    assert await VAULT.fetch("password") == "x"


async def test_what_is_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(Failure, match="is not a file"):
            await VAULT.fetch(str(path))


async def test_a_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot be read: Not a directory"):
        await VAULT.fetch(str(_kept(tmp_path, b"x") / "below"))


async def test_what_is_not_a_secret(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="does not hold text"):
        await VAULT.fetch(str(_kept(tmp_path, b"\xff\xfe")))
    with pytest.raises(Failure, match="is empty"):
        await VAULT.fetch(str(_kept(tmp_path, b"\n")))
    with pytest.raises(Failure, match="too large"):
        await VAULT.fetch(str(_kept(tmp_path, b"x" * (LONGEST_SECRET_BYTES + 1))))
