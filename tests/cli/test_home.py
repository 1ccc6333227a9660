"""The client's home: private files, one key for ever."""

import stat
from pathlib import Path

import pytest

from interlock.cli.home import Home, open_home
from interlock.errors import Failure
from interlock.identity.keys import thumbprint


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", default=False)


def test_the_key_is_made_once_and_kept(home: Home) -> None:
    first = thumbprint(home.private_key())
    assert thumbprint(home.private_key()) == first
    assert stat.S_IMODE(home.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700


def test_a_key_that_others_can_read_is_not_used(home: Home) -> None:
    home.private_key()
    home.key.chmod(0o644)
    with pytest.raises(Failure, match="can be read or changed by others"):
        home.private_key()


def test_files_are_replaced_whole_and_private(home: Home) -> None:
    home.write("certificate.pem", "one")
    home.write("certificate.pem", "two")
    assert home.certificate.read_text() == "two"
    assert stat.S_IMODE(home.certificate.stat().st_mode) == 0o600
    assert [path.name for path in home.root.iterdir()] == ["certificate.pem"]


def test_signing_out_keeps_the_key_and_the_memory(home: Home) -> None:
    home.private_key()
    home.remember(server="https://gw:8443", person="dev@acme.example")
    home.keep_login({"login": "l-00000000"})
    home.forget_login()
    assert home.login() == {}
    assert home.key.exists()
    assert home.settings() == {"server": "https://gw:8443", "person": "dev@acme.example"}


def test_a_damaged_file_is_a_sentence(home: Home) -> None:
    home.write("login.json", "{")
    with pytest.raises(Failure, match=r"login\.json is damaged"):
        home.login()


def test_a_home_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Failure, match="cannot be used"):
        Home(tmp_path / "file" / "home", default=False).private_key()


def test_where_the_home_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path / "chosen"))
    assert open_home() == Home(tmp_path / "chosen", default=False)
    monkeypatch.delenv("INTERLOCK_HOME")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert open_home() == Home(tmp_path / "config" / "interlock", default=True)
