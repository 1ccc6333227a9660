"""Keys: made once, kept in files that only their owner reads, named by their RFC 7638 thumbprints.

Two kinds are known: P-256 (what Interlock makes) and Ed25519 (what a client may bring). Everything else is refused.
"""

import base64
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from interlock.errors import Failure

PublicKey = EllipticCurvePublicKey | Ed25519PublicKey
PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey

_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""The members that carry private or symmetric key material (RFC 7518 section 6)."""

_COORDINATE_BYTES = 32


class UnusableKeyError(ValueError):
    """A key that is not one of ours to take: another kind, another curve, private, or not a key at all."""


def new_key() -> EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1())


def public_jwk(key: PublicKey | PrivateKey) -> dict[str, str]:
    """The key's public part as a JWK with exactly the members that RFC 7638 hashes."""
    public = key.public_key() if isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey) else key
    if isinstance(public, Ed25519PublicKey):
        return {"crv": "Ed25519", "kty": "OKP", "x": _encode(public.public_bytes_raw())}
    if not isinstance(public.curve, SECP256R1):
        raise UnusableKeyError(f"a key on the curve {public.curve.name} is not P-256")
    numbers = public.public_numbers()
    x, y = (_encode(number.to_bytes(_COORDINATE_BYTES, "big")) for number in (numbers.x, numbers.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def thumbprint(key: PublicKey | PrivateKey) -> str:
    """The key's name: base64url of SHA-256 over its canonical JWK (RFC 7638 section 3)."""
    canonical = json.dumps(public_jwk(key), sort_keys=True, separators=(",", ":"))
    return _encode(hashlib.sha256(canonical.encode()).digest())


def usable_public_key(key: object) -> PublicKey:
    """``key``, if it is a public key of a kind that Interlock takes. Raises UnusableKeyError."""
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    if isinstance(key, Ed25519PublicKey):
        return key
    raise UnusableKeyError("only P-256 and Ed25519 keys are taken")


def read_public_jwk(jwk: object) -> PublicKey:
    """The key that a JWK from outside stands for. Raises UnusableKeyError.

    A JWK that carries private or symmetric material is refused (RFC 9449 section 4.3, step 7), and so is any spelling
    of a coordinate but the one (RFC 7518 section 6.2.1.2), so that one key has one thumbprint.
    """
    if not isinstance(jwk, Mapping):
        raise UnusableKeyError("the key is not a JWK")
    if _PRIVATE_MEMBERS & jwk.keys():
        raise UnusableKeyError("the JWK holds a private key, which must never leave its owner")
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKeyError("the JWK says that it is not for signatures (RFC 7517 sections 4.2 and 4.3)")
    match jwk.get("kty"), jwk.get("crv"):
        case "EC", "P-256":
            x, y = (int.from_bytes(_coordinate(jwk, name), "big") for name in ("x", "y"))
            try:
                return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
            except ValueError as error:
                raise UnusableKeyError("the JWK names a point that is not on its curve") from error
        case "OKP", "Ed25519":
            return Ed25519PublicKey.from_public_bytes(_coordinate(jwk, "x"))
    raise UnusableKeyError("only P-256 and Ed25519 keys are taken")


def _coordinate(jwk: Mapping[str, object], name: str) -> bytes:
    text = jwk.get(name)
    if isinstance(text, str) and text.isascii():
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        if len(raw) == _COORDINATE_BYTES and _encode(raw) == text:
            return raw
    raise UnusableKeyError(f"the JWK's {name} is not base64url of {_COORDINATE_BYTES} bytes")


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def private_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_or_create_key(path: Path) -> EllipticCurvePrivateKey:
    """The P-256 key kept at ``path``; made there when there is none. Raises Failure.

    Two processes that make it in the same moment end with the same key: the file appears whole, once.
    """
    key = parse_private_key(load_or_create_secret(path, lambda: private_pem(new_key())), path)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise Failure(f"{path} holds a key that is not P-256.", "Move it away; a fresh one is made at the next start.")
    return key


def load_key(path: Path) -> PrivateKey:
    """The key kept at ``path``. Raises Failure when it is missing, readable by others, or not a key."""
    return parse_private_key(read_private(path), path)


def parse_private_key(pem: bytes, origin: object) -> PrivateKey:
    """The P-256 or Ed25519 key in ``pem``. ``origin`` names it in the sentence of the Failure."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Failure(f"{origin} does not hold a private key in PEM form.", "Restore it from your backup.") from error
    if isinstance(key, Ed25519PrivateKey) or (
        isinstance(key, EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
    ):
        return key
    raise Failure(f"{origin} holds a key of another kind than P-256 or Ed25519.", "Move it away and make a new one.")


def new_nonce_secret() -> bytes:
    return secrets.token_bytes(32)


def load_or_create_nonce_secret(path: Path) -> bytes:
    """The 32 random bytes kept at ``path``, made there when there are none. Raises Failure."""
    secret = load_or_create_secret(path, new_nonce_secret)
    if len(secret) != 32:
        raise Failure(f"{path} does not hold 32 bytes.", "Remove it; a fresh one is made at the next start.")
    return secret


def write_private(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path``, whole or not at all, readable by its owner alone."""
    fresh = _write_beside(path, content)
    fresh.replace(path)
    _sync_folder(path.parent)


def load_or_create_secret(path: Path, make: Callable[[], bytes]) -> bytes:
    """What is kept at ``path``, readable by its owner alone; made there when there is none. Raises Failure."""
    create_once(path, make)
    return read_private(path)


def create_once(path: Path, make: Callable[[], bytes]) -> None:
    """Put what ``make`` gives at ``path``, whole, unless something is there already. Raises Failure."""
    if os.path.lexists(path):
        return
    fresh = _write_beside(path, make())
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    _sync_folder(path.parent)


def _write_beside(path: Path, content: bytes) -> Path:
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.touch(mode=0o600, exist_ok=False)
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        raise Failure(
            f"{path} cannot be written ({error.strerror}).", "Check the folder's owner and free space."
        ) from error
    return fresh


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path) -> bytes:
    """What is kept at ``path``. Raises Failure, also when others than its owner may read it."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(64 * 1024)
    except OSError as error:
        raise Failure(
            f"The key file {path} cannot be read ({error.strerror}).", "Check that it exists and is yours."
        ) from error
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise Failure(f"The key file {path} can be read or changed by others.", f"Type `chmod 600 {path}`.")
    return content
