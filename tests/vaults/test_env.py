import pytest

from interlock.errors import Failure
from interlock.vaults.env import VAULT


async def test_the_sentence_names_the_variable() -> None:
    with pytest.raises(Failure, match="The environment variable ORDERS_NOWHERE, which holds a secret, is not set"):
        await VAULT.fetch("ORDERS_NOWHERE")


async def test_a_name_that_cannot_be_one() -> None:
    with pytest.raises(Failure, match="is not the name of an environment variable"):
        await VAULT.fetch("A=B")


async def test_white_space_belongs_to_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_PASSWORD", " with spaces \n")
    assert await VAULT.fetch("ORDERS_PASSWORD") == " with spaces \n"
