"""Statements in DSSE envelopes: signed by persons and by the control plane, checked with public keys alone.

DSSE (github.com/secure-systems-lab/dsse, protocol v1.0.2): what is signed is the pre-authentication encoding of type
and payload. Keys are P-256 (ECDSA with SHA-256, DER) and Ed25519; ``keyid`` is the RFC 7638 thumbprint. The payload is
RFC 8785 JSON when it is ours, so that one statement has one form.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from interlock.errors import Refusal
from interlock.identity.keys import (
    PrivateKey,
    PublicKey,
    UnusableKeyError,
    read_public_jwk,
    thumbprint,
    usable_public_key,
)
from interlock.ledger.canonical import NotCanonical, canonical, read_canonical

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_LONGEST = 1024 * 1024
_MOST_SIGNATURES = 8


def encoded(payload: bytes, kind: str = PAYLOAD_TYPE) -> bytes:
    """The pre-authentication encoding: what a signature is over."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def sign(key: PrivateKey, content: bytes) -> bytes:
    return key.sign(content) if isinstance(key, Ed25519PrivateKey) else key.sign(content, ECDSA(SHA256()))


def signed_by(key: PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, content)
        else:
            key.verify(signature, content, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Envelope:
    """``signatures`` are (keyid, signature); a keyid is a hint and proves nothing."""

    kind: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    def statement(self) -> Mapping[str, Any]:
        """Raises Refusal when the payload is no in-toto statement."""
        try:
            found = json.loads(self.payload)
        except (ValueError, RecursionError) as error:
            raise bad("its payload is not JSON") from error
        known = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
        if self.kind != PAYLOAD_TYPE or not isinstance(found, dict) or found.get("_type") not in known:
            raise bad("it holds no in-toto statement")
        return found

    def holds(self, key: PublicKey) -> bool:
        """Whether one of the signatures is this key's."""
        content = encoded(self.payload, self.kind)
        return any(signed_by(key, signature, content) for _, signature in self.signatures)

    def text(self) -> str:
        said = {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.kind,
            "signatures": [
                {"keyid": keyid, "sig": base64.b64encode(signature).decode()} for keyid, signature in self.signatures
            ],
        }
        return json.dumps(said, separators=(",", ":"), sort_keys=True)


def seal(statement: Mapping[str, Any], key: PrivateKey) -> Envelope:
    payload = canonical(statement)
    return Envelope(PAYLOAD_TYPE, payload, ((thumbprint(key), sign(key, encoded(payload))),))


def read_envelope(text: str) -> Envelope:
    """Raises Refusal (``bad-envelope``)."""
    if len(text) > _LONGEST:
        raise bad("it is too long")
    try:
        found = json.loads(text)
        kind, payload = found["payloadType"], _decode(found["payload"])
        signatures = tuple((str(one.get("keyid", "")), _decode(one["sig"])) for one in found["signatures"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise bad("it is no DSSE envelope") from error
    if not isinstance(kind, str) or not 0 < len(signatures) <= _MOST_SIGNATURES:
        raise bad("it is no DSSE envelope")
    return Envelope(kind, payload, signatures)


def _decode(text: str) -> bytes:
    """Base64 in either alphabet, as DSSE asks of who reads."""
    return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)


class SigningAttestor:
    """Implements :class:`interlock.ports.attestation.Attestor` with the control plane's attesting key."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key

    @property
    def public_pem(self) -> str:
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(encoding, form).decode()

    def attest(self, statement: Mapping[str, Any]) -> str:
        return seal(statement, self._key).text()

    def countersign(self, envelope: str, *, key: str) -> tuple[Mapping[str, Any], str]:
        found = read_envelope(envelope)
        statement = found.statement()
        try:
            read_canonical(found.payload)
            jwk = statement["predicate"]["key"]
            public = read_public_jwk(jwk)
        except (NotCanonical, KeyError, TypeError, UnusableKeyError) as error:
            raise bad("it does not say whose key signed it, or is not in its one form") from error
        if thumbprint(public) != key or len(found.signatures) != 1 or not found.holds(public):
            raise bad("it is not signed with the key of this login")
        ours = (thumbprint(self._key), sign(self._key, encoded(found.payload)))
        return statement, Envelope(found.kind, found.payload, (*found.signatures, ours)).text()

    def open_build(self, envelope: str, builders: Mapping[str, str]) -> tuple[Mapping[str, Any], str]:
        found = read_envelope(envelope)
        for name, text in builders.items():
            if found.holds(read_spki(text)):
                return found.statement(), name
        raise Refusal(
            "unknown-builder",
            "This provenance is signed by none of the repository's builders.",
            f"Its builders are: {', '.join(sorted(builders)) or 'none'}. See docs/evidence.md.",
        )


def read_spki(text: str) -> PublicKey:
    """A public key from base64 of its DER form, or from PEM. Raises Refusal."""
    try:
        if text.lstrip().startswith("-----BEGIN"):
            return usable_public_key(serialization.load_pem_public_key(text.encode()))
        return usable_public_key(serialization.load_der_public_key(base64.b64decode(text, validate=True)))
    except (ValueError, UnsupportedAlgorithm, UnusableKeyError) as error:
        raise Refusal("bad-key", "That is no public key of a kind that is taken.", "Use P-256 or Ed25519.") from error


def bad(why: str) -> Refusal:
    return Refusal("bad-envelope", f"This envelope is not taken: {why}.", "See docs/evidence.md.")
