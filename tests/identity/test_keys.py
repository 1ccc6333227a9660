import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa

from interlock.errors import Failure
from interlock.identity.keys import (
    UnusableKeyError,
    load_key,
    load_or_create_key,
    load_or_create_nonce_secret,
    new_key,
    private_pem,
    public_jwk,
    read_public_jwk,
    thumbprint,
    usable_public_key,
    write_private,
)


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "token.key"
    made = load_or_create_key(path)
    assert thumbprint(load_or_create_key(path)) == thumbprint(made)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["token.key"]


def test_makers_in_the_same_moment_end_with_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: load_or_create_key(tmp_path / "one.key"), range(16)))
    assert len({thumbprint(key) for key in keys}) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token.key"
    load_or_create_key(path)
    path.chmod(0o640)
    with pytest.raises(Failure, match="chmod 600"):
        load_key(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", private_pem(generate_private_key(SECP384R1()))],
    ids=["empty", "nonsense", "another curve"],
)
def test_what_is_no_key_of_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token.key"
    write_private(path, content)
    with pytest.raises(Failure, match=str(path)):
        load_or_create_key(path)


def test_a_missing_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot be read"):
        load_key(tmp_path / "no.key")


def test_a_folder_that_cannot_be_written_gives_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file, not a folder")
    with pytest.raises(Failure, match="cannot be"):
        load_or_create_key(tmp_path / "keys" / "token.key")


def test_the_nonce_secret_is_kept(tmp_path: Path) -> None:
    assert load_or_create_nonce_secret(tmp_path / "n") == load_or_create_nonce_secret(tmp_path / "n")
    write_private(tmp_path / "short", b"x")
    with pytest.raises(Failure, match="32 bytes"):
        load_or_create_nonce_secret(tmp_path / "short")


def test_thumbprint_of_a_known_key() -> None:
    """RFC 8037 appendix A.3."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert thumbprint(read_public_jwk(jwk)) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("key", [new_key(), Ed25519PrivateKey.generate()], ids=["P-256", "Ed25519"])
def test_a_jwk_goes_out_and_comes_back(key: "Ed25519PrivateKey") -> None:
    assert thumbprint(read_public_jwk({**public_jwk(key), "kid": "any"})) == thumbprint(key)


def test_jwks_that_are_not_taken() -> None:
    good = public_jwk(new_key())
    padded = good["x"] + "="
    bad: list[object] = [
        None,
        [],
        {},
        {**good, "d": good["x"]},
        {**good, "k": "c2VjcmV0"},
        {**good, "crv": "P-384"},
        {**good, "kty": "RSA"},
        {**good, "kty": "oct"},
        {**good, "x": padded},
        {**good, "x": good["x"][:-1]},
        {**good, "x": "AA" + good["x"]},
        {**good, "x": good["x"].replace(good["x"][0], "é")},
        {**good, "x": 5},
        {**good, "y": good["x"]},
        {"kty": "EC", "crv": "P-256", "x": good["x"]},
        {"kty": "OKP", "crv": "X25519", "x": good["x"]},
        {"kty": ["EC"], "crv": {"a": 1}},
    ]
    for jwk in bad:
        with pytest.raises(UnusableKeyError):
            read_public_jwk(jwk)


def test_a_private_jwk_is_refused_with_the_reason() -> None:
    good = public_jwk(Ed25519PrivateKey.generate())
    with pytest.raises(UnusableKeyError, match="private key"):
        read_public_jwk({**good, "d": good["x"]})


def test_other_kinds_of_keys_are_not_taken() -> None:
    for key in (generate_rsa(65537, 2048).public_key(), generate_private_key(SECP384R1()).public_key()):
        with pytest.raises(UnusableKeyError):
            usable_public_key(key)
