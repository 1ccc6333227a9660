"""A signed text has one spelling: base64url without padding, without anything that a lenient reader would skip."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.identity.jose import Signer, UnreadableError, Verifier
from interlock.identity.keys import new_key
from interlock.identity.oidc import verified_payload
from tests.support.ci import CiSystem

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def other_spellings(text: str) -> Iterator[str]:
    """What many decoders take for the same bytes."""
    parts = text.split(".")
    for number, part in enumerate(parts):
        spare = _ALPHABET[_ALPHABET.index(part[-1]) ^ 1]
        for other in (
            f"{part}=",
            f"{part}==",
            f"{part[:-1]}{spare}",
            f"{part}\n",
            f" {part}",
            f"{part[:4]}\n{part[4:]}",
            part.replace("-", "+").replace("_", "/"),
            f"{part}%",
            f"{part}A",
        ):
            if other != part:
                yield ".".join([*parts[:number], other, *parts[number + 1 :]])


@pytest.mark.parametrize("number", range(20))
def test_our_own_tokens_and_proofs(number: int) -> None:
    key = new_key()
    text = Signer(key).sign({"typ": "x"}, {"n": number, "said": "ÿþ??>>" * 3})
    verifier = Verifier(key.public_key())
    verifier.verify(text)
    for other in other_spellings(text):
        with pytest.raises(UnreadableError):
            verifier.verify(other)


def test_the_tokens_of_providers() -> None:
    system = CiSystem("https://ci.example", Path("/nowhere"))
    system.rotate()
    jwks = {"keys": [key.as_dict(private=False) for key in system.keys]}
    text = system.sign({"said": "ÿþ??>>" * 3})
    assert verified_payload(jwks, text) is not None
    for other in other_spellings(text):
        assert verified_payload(jwks, other) is None, other
