"""An authenticator in software (WebAuthn level 2): registers one passkey and signs with it, as a browser answers."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


@dataclass
class Authenticator:
    """``origin`` is that of the page; ``name`` its host."""

    origin: str
    name: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    uses: int = 0
    verified: bool = True

    def register(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Section 6.5: attestation ``none``."""
        numbers = self.key.public_key().public_numbers()
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})
        attested = bytes(16) + len(self.id).to_bytes(2) + self.id + public
        content = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": self._data(_ATTESTED) + attested})
        client = self._client("webauthn.create", options["challenge"])
        return self._credential({"clientDataJSON": _text(client), "attestationObject": _text(content)})

    def touch(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Section 6.3.3: an assertion over the challenge."""
        self.uses += 1
        client, known = self._client("webauthn.get", options["challenge"]), self._data(0)
        signature = self.key.sign(known + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        answer = {"clientDataJSON": client, "authenticatorData": known, "signature": signature}
        return self._credential({name: _text(value) for name, value in answer.items()})

    def _data(self, more: int) -> bytes:
        flags = _PRESENT | more | (_VERIFIED if self.verified else 0)
        return hashlib.sha256(self.name.encode()).digest() + bytes([flags]) + self.uses.to_bytes(4)

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _credential(self, response: Mapping[str, str]) -> dict[str, Any]:
        return {"id": _text(self.id), "rawId": _text(self.id), "type": "public-key", "response": dict(response)}


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
