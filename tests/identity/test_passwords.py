import asyncio
from collections.abc import Iterator

import pytest

from interlock.errors import Failure, Refusal
from interlock.identity.passwords import Argon2Passwords

WORDS = "correct horse battery"


@pytest.fixture
def passwords() -> Iterator[Argon2Passwords]:
    made = Argon2Passwords()
    yield made
    made.close()


async def test_a_password_is_kept_as_argon2id_with_its_settings(passwords: Argon2Passwords) -> None:
    kept = await passwords.hash(WORDS)
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.verify(WORDS, kept)
    assert not await passwords.verify(WORDS + " ", kept)
    assert kept != await passwords.hash(WORDS)


async def test_nobodys_password_is_never_right(passwords: Argon2Passwords) -> None:
    assert not await passwords.verify(WORDS, None)
    assert not await passwords.verify("", None)


async def test_one_password_in_two_spellings(passwords: Argon2Passwords) -> None:
    assert await passwords.verify("cafe\u0301 cafe\u0301 cafe\u0301", await passwords.hash("café café café"))


@pytest.mark.parametrize("password", ["", "short", "x" * 11, "x" * 1025])
async def test_a_password_that_is_none(passwords: Argon2Passwords, password: str) -> None:
    with pytest.raises(Refusal) as met:
        await passwords.hash(password)
    assert met.value.code == "weak-password"


async def test_text_without_a_utf8_form_is_wrong_and_no_crash(passwords: Argon2Passwords) -> None:
    assert not await passwords.verify("\ud800" * 20, await passwords.hash(WORDS))


async def test_a_flood_is_turned_away_instead_of_queueing_for_ever(passwords: Argon2Passwords) -> None:
    answers = await asyncio.gather(*(passwords.verify(WORDS, None) for _ in range(70)), return_exceptions=True)
    assert sum(isinstance(answer, Failure) for answer in answers) == 6
    assert not await passwords.verify(WORDS, None)
