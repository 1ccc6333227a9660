"""SSH signatures of commits (OpenSSH PROTOCOL.sshsig), checked without ssh-keygen.

The signature carries the public key; whose key it is, the caller asks by the key's fingerprint.
"""

import base64
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_MAGIC, _NAMESPACE = b"SSHSIG", b"git"
_LEAST_RSA_BITS = 2048
_CURVES: dict[bytes, tuple[EllipticCurve, hashes.HashAlgorithm]] = {
    b"nistp256": (SECP256R1(), hashes.SHA256()),
    b"nistp384": (SECP384R1(), hashes.SHA384()),
    b"nistp521": (SECP521R1(), hashes.SHA512()),
}


class BadSignature(ValueError):
    """It is no signature of this content; the message says why."""


@dataclass(slots=True)
class _Reader:
    """Fields of the SSH wire form (RFC 4251 section 5)."""

    rest: bytes

    def take(self, count: int) -> bytes:
        if count > len(self.rest):
            raise BadSignature("it is cut short")
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def number(self) -> int:
        return int.from_bytes(self.take(4))

    def text(self) -> bytes:
        return self.take(self.number())


def verify(armored: str, content: bytes) -> str:
    """The fingerprint (``SHA256:…``, as ssh-keygen has it) of the key that signed ``content``. Raises BadSignature."""
    lines = armored.strip().splitlines()
    if len(lines) < 3 or lines[0].strip() != BEGIN or lines[-1].strip() != _END:
        raise BadSignature("it is not armored as one")
    try:
        blob = base64.b64decode("".join(line.strip() for line in lines[1:-1]), validate=True)
    except ValueError as error:
        raise BadSignature("it is not base64") from error
    reader = _Reader(blob)
    if reader.take(6) != _MAGIC or reader.number() != 1:
        raise BadSignature("it is of a version that is not known")
    key, namespace, reserved, digest, signature = (reader.text() for _ in range(5))
    if reader.rest or namespace != _NAMESPACE or digest not in (b"sha256", b"sha512"):
        raise BadSignature("it was made for something else than git")
    hashed = hashlib.new(digest.decode(), content).digest()
    signed = _MAGIC + b"".join(len(part).to_bytes(4) + part for part in (namespace, reserved, digest, hashed))
    _check(key, signature, signed)
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _check(key: bytes, signature: bytes, signed: bytes) -> None:
    fields, given = _Reader(key), _Reader(signature)
    kind, algorithm, raw = fields.text(), given.text(), given.text()
    try:
        if kind == b"ssh-ed25519" and algorithm == kind:
            Ed25519PublicKey.from_public_bytes(fields.text()).verify(raw, signed)
        elif kind.startswith(b"ecdsa-sha2-") and algorithm == kind:
            curve, digest = _CURVES[fields.text()]
            numbers = _Reader(raw)
            r, s = (int.from_bytes(numbers.text()) for _ in range(2))
            point = EllipticCurvePublicKey.from_encoded_point(curve, fields.text())
            point.verify(encode_dss_signature(r, s), signed, ECDSA(digest))
        elif kind == b"ssh-rsa" and algorithm in (b"rsa-sha2-256", b"rsa-sha2-512"):
            exponent, modulus = (int.from_bytes(fields.text()) for _ in range(2))
            if modulus.bit_length() < _LEAST_RSA_BITS:
                raise BadSignature("its RSA key is too short")
            digest = hashes.SHA256() if algorithm.endswith(b"256") else hashes.SHA512()
            RSAPublicNumbers(exponent, modulus).public_key().verify(raw, signed, padding.PKCS1v15(), digest)
        else:
            raise BadSignature("its kind of key is not known here")
    except (InvalidSignature, KeyError, ValueError) as error:
        if isinstance(error, BadSignature):
            raise
        raise BadSignature("it does not hold") from error
