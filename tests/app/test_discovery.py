"""Discovery: a folder is all it takes, and a malformed one stops the start with a sentence."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import interlock.protocols
import interlock.vaults
from interlock.app.discovery import find_protocols, find_vaults
from interlock.errors import Failure

GOOD_PROTOCOL = """
class _Toy:
    name = "{name}"
    default_port = {port}
    default_upstream_port = 7000
    honours = frozenset()
    def check_settings(self, settings): return ()
    def open_machine(self, outlet): raise NotImplementedError
    def describe(self, text): return ()
PROTOCOL = _Toy()
"""


@pytest.fixture(autouse=True)
def _forget_extra_folders() -> Iterator[None]:
    known = set(sys.modules)
    before = [(package, list(package.__path__)) for package in (interlock.protocols, interlock.vaults)]
    yield
    for package, path in before:
        package.__path__[:] = path
    for name in set(sys.modules) - known:
        if name.startswith(("interlock.protocols.", "interlock.vaults.")) and "toy" in name:
            del sys.modules[name]


def _protocol(folder: Path, name: str, text: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text)
    return folder


def test_a_folder_is_found(tmp_path: Path) -> None:
    _protocol(tmp_path, "toyline", GOOD_PROTOCOL.format(name="toyline", port=17001))
    found = find_protocols([tmp_path])
    assert found["toyline"].default_port == 17001


def test_folders_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _protocol(tmp_path, "toyenv", GOOD_PROTOCOL.format(name="toyenv", port=17002))
    monkeypatch.setenv("INTERLOCK_PROTOCOLS", str(tmp_path))
    assert "toyenv" in find_protocols()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "exports nothing as PROTOCOL"),
        ("class PROTOCOL: pass", "exports a class as PROTOCOL"),
        ("import nothing_of_that_name", "cannot be loaded: ModuleNotFoundError"),
        (GOOD_PROTOCOL.format(name="bad name", port=1), "name must be a word"),
        (GOOD_PROTOCOL.format(name="console", port=17003), "cannot be called console"),
        (GOOD_PROTOCOL.format(name="toybad", port=70000), "default_port must be a port"),
        (GOOD_PROTOCOL.format(name="toybad", port=17003).replace("frozenset()", "[]"), "honours must be a frozenset"),
        (GOOD_PROTOCOL.format(name="toybad", port=17003).replace("describe", "explain"), "has no describe"),
    ],
)
def test_a_malformed_folder_stops_the_start(tmp_path: Path, text: str, sentence: str) -> None:
    _protocol(tmp_path, "toybad", text)
    with pytest.raises(Failure, match=sentence):
        find_protocols([tmp_path])


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    _protocol(tmp_path, "toyone", GOOD_PROTOCOL.format(name="toysame", port=17004))
    _protocol(tmp_path, "toytwo", GOOD_PROTOCOL.format(name="toysame", port=17005))
    with pytest.raises(Failure, match="Two protocols are called toysame"):
        find_protocols([tmp_path])


def test_a_port_is_taken_once(tmp_path: Path) -> None:
    _protocol(tmp_path, "toythree", GOOD_PROTOCOL.format(name="toythree", port=17006))
    _protocol(tmp_path, "toyfour", GOOD_PROTOCOL.format(name="toyfour", port=17006))
    with pytest.raises(Failure, match="both have 17006"):
        find_protocols([tmp_path])


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="INTERLOCK_PROTOCOLS"):
        find_protocols([tmp_path / "nothing"])


def test_vault_files_are_found(tmp_path: Path) -> None:
    (tmp_path / "toyvault.py").write_text(
        "class _Vault:\n    scheme = 'toy'\n    async def fetch(self, reference): return reference\nVAULT = _Vault()\n"
    )
    assert "toy" in find_vaults([tmp_path])


def test_a_vault_that_cannot_fetch_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "toyempty.py").write_text("class _Vault:\n    scheme = 'toyempty'\nVAULT = _Vault()\n")
    with pytest.raises(Failure, match="VAULT has no fetch"):
        find_vaults([tmp_path])
