"""Signed JSON (JWS compact form): two algorithms, one spelling, nothing that an attacker may choose.

The algorithm follows from the key and never from the message; ``crit`` and ``b64`` are refused.
"""

import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from interlock.identity.keys import PrivateKey, PublicKey, public_jwk

ALGORITHMS = ("ES256", "Ed25519")
"""``EdDSA`` is no longer a name for the latter (RFC 9864)."""

_LIMIT = 8 * 1024
"""The longest text that is looked at, in characters."""


class UnreadableError(ValueError):
    """A text that is not a signed JSON object of ours to read. The message says why, and quotes nothing of it."""


class Signer:
    """Signs with one private key. Made once for a key: reading a key costs more than signing."""

    def __init__(self, key: PrivateKey) -> None:
        self.key = key
        self.jwk = public_jwk(key)
        self.algorithm = algorithm_of(key)
        self._key = _jose_key(key)

    def sign(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode()
        return jws.serialize_compact({**header, "alg": self.algorithm}, payload, self._key, algorithms=ALGORITHMS)


class Verifier:
    """Checks signatures of one public key."""

    def __init__(self, key: PublicKey) -> None:
        self.key = key
        self.algorithm = algorithm_of(key)
        self._key = _jose_key(key)

    def verify(self, text: str) -> None:
        """Raises UnreadableError when ``text`` was not signed with this key by its one algorithm."""
        try:
            jws.deserialize_compact(text, self._key, algorithms=(self.algorithm,))
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise UnreadableError("the signature does not hold") from error


def _jose_key(key: PrivateKey | PublicKey) -> OKPKey | ECKey:
    if isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        return OKPKey.import_key(key)
    return ECKey.import_key(key)


def algorithm_of(key: PrivateKey | PublicKey) -> str:
    return "Ed25519" if isinstance(key, Ed25519PrivateKey | Ed25519PublicKey) else "ES256"


def unverified(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of ``text``, before anything is known of who wrote it. Raises UnreadableError."""
    if len(text) > _LIMIT:
        raise UnreadableError("it is too long")
    try:
        message = jws.extract_compact(text.encode("ascii"))
        claims = json.loads(message.payload)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise UnreadableError("it is not a signed JSON object") from error
    header = message.headers()
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise UnreadableError("it is not a signed JSON object")
    if "crit" in header or "b64" in header:
        raise UnreadableError("its header asks for an extension that is not known")
    if header.get("alg") not in ALGORITHMS:
        raise UnreadableError(f"its algorithm is not one of {', '.join(ALGORITHMS)}")
    return header, claims
