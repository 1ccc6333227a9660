"""What every vault must do. A vault is found by walking the package, and has to say here how it is given a secret."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import interlock.vaults
from interlock.errors import Failure
from interlock.ports.vault import Vault

SECRET = "correct horse battery staple: ü"
Keep = Callable[[Path, pytest.MonkeyPatch, str], str]


def _in_environment(_: Path, patch: pytest.MonkeyPatch, secret: str) -> str:
    patch.setenv("INTERLOCK_TEST_SECRET", secret)
    return "INTERLOCK_TEST_SECRET"


def _in_file(folder: Path, _: pytest.MonkeyPatch, secret: str) -> str:
    path = folder / "secret"
    path.write_text(secret)
    path.chmod(0o600)
    return str(path)


KEEPERS: Mapping[str, Keep] = {"env": _in_environment, "file": _in_file}
"""How a secret gets into each vault; the reference to it is returned."""


def _vaults() -> Mapping[str, Vault]:
    found: dict[str, Vault] = {}
    for module in pkgutil.iter_modules(interlock.vaults.__path__, "interlock.vaults."):
        vault: Vault = importlib.import_module(module.name).VAULT
        assert vault.scheme not in found
        found[vault.scheme] = vault
    return found


VAULTS = _vaults()
each_vault = pytest.mark.parametrize("scheme", sorted(VAULTS))


def test_every_vault_is_tested() -> None:
    assert VAULTS.keys() == KEEPERS.keys()


@each_vault
def test_the_scheme_is_one_plain_word(scheme: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*", scheme)


@each_vault
async def test_a_secret_comes_back_as_it_was_kept(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = KEEPERS[scheme](tmp_path, monkeypatch, SECRET)
    assert await VAULTS[scheme].fetch(reference) == SECRET


@each_vault
async def test_it_is_read_anew_each_time(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for secret in ("first", "second"):
        reference = KEEPERS[scheme](tmp_path, monkeypatch, secret)
        assert await VAULTS[scheme].fetch(reference) == secret


@each_vault
@pytest.mark.parametrize("reference", ["", "NOTHING_IS_KEPT_HERE", "no\0where"])
async def test_what_is_not_there_is_a_sentence(scheme: str, reference: str) -> None:
    with pytest.raises(Failure) as failure:
        await VAULTS[scheme].fetch(reference)
    assert failure.value.sentence.endswith(".")
    assert failure.value.remedy


@each_vault
async def test_an_empty_secret_is_no_secret(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = KEEPERS[scheme](tmp_path, monkeypatch, "")
    with pytest.raises(Failure):
        await VAULTS[scheme].fetch(reference)
