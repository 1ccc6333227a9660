"""SCRAM against the RFC's own example, and against servers that cheat."""

import hashlib
import itertools

import pytest

from interlock.errors import PeerError
from interlock.protocols.postgres.scram import DerivedKeys, ScramClient, md5_answer, prepare

_NONCE = "rOprNGfwEbeRWgbNEkqO"
_SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
_SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def client() -> ScramClient:
    return ScramClient("pencil", user="user", nonce=_NONCE)


def test_the_example_of_rfc_7677() -> None:
    exchange = client()
    assert exchange.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert exchange.final(_SERVER_FIRST) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    exchange.check(_SERVER_FINAL)


@pytest.mark.parametrize(
    "server_first",
    [
        b"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=!!!,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999999999999",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==",
        b"m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"e=other-error",
        b"\xff\xfe",
        b"",
    ],
)
def test_a_server_that_does_not_keep_to_it(server_first: bytes) -> None:
    exchange = client()
    exchange.first()
    with pytest.raises(PeerError):
        exchange.final(server_first)


@pytest.mark.parametrize("server_final", [b"v=AAAA", b"v=", b"", b"e=invalid-proof", b"x"])
def test_a_server_that_does_not_know_the_password(server_final: bytes) -> None:
    exchange = client()
    exchange.first()
    exchange.final(_SERVER_FIRST)
    with pytest.raises(PeerError):
        exchange.check(server_final)


def test_keys_are_derived_once_and_never_for_another_password_salt_or_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    derived: list[tuple[bytes, bytes, int]] = []

    def derive(name: str, secret: bytes, salt: bytes, iterations: int) -> bytes:
        derived.append((secret, salt, iterations))
        return true_derive(name, secret, salt, iterations)

    true_derive = hashlib.pbkdf2_hmac
    monkeypatch.setattr("interlock.protocols.postgres.scram.hashlib.pbkdf2_hmac", derive)
    # what is one thing's end and the next thing's start must not be taken for each other
    asked = [*itertools.product((b"a", b"ab", b"1,a"), (b"s", b"sa", b"1"), (1, 11, 2)), (b"b", b"", 1), (b"", b"b", 1)]
    kept = DerivedKeys()
    first = [kept.keys(*one) for one in asked]
    assert [kept.keys(*one) for one in asked] == first
    assert derived == asked
    assert len(set(first)) == len(asked)
    assert first == [DerivedKeys().keys(*one) for one in asked]


def test_a_server_with_ever_new_salts_fills_no_memory() -> None:
    kept = DerivedKeys(most=3)
    for number in range(10):
        kept.keys(b"secret", b"%d" % number, 1)
        kept.keys(b"secret", b"often", 1)
    assert len(kept) == 3
    assert b"secret" not in repr(vars(kept)).encode(), "no password is kept"


def test_passwords_are_prepared_as_the_standard_says() -> None:
    assert prepare("I\u00adX") == b"IX"
    assert prepare("\u00aa") == b"a"
    assert prepare("a\u00a0b") == b"a b"
    assert prepare("\u0007\u00e4") == "\u0007\u00e4".encode()
    assert prepare("\u0627\u0031") == "\u0627\u0031".encode()


def test_md5() -> None:
    assert md5_answer("user", "secret", b"\x01\x02\x03\x04") == b"md5fccef98e4f1cf6cbe96b743fad4e8bd0"
