"""Signing in to a server with a password: SCRAM-SHA-256 (RFC 5802, RFC 7677), MD5 and clear text.

Channel binding (``SCRAM-SHA-256-PLUS``) is not offered: TLS belongs to the gateway and the machine does not see it.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import stringprep
import unicodedata
from collections import OrderedDict

from interlock.errors import PeerError

MECHANISM = "SCRAM-SHA-256"

MOST_ITERATIONS = 600_000
"""More rounds than this, named by a server, would keep a worker busy for all its sessions."""


class ScramClient:
    """One SCRAM-SHA-256 exchange. The three steps are called once each, in order.

    ``nonce`` is for tests that follow the RFC's example; it is fresh and unguessable otherwise. PostgreSQL ignores
    the user name in the exchange and takes the one of the startup message, so an empty one is sent, as libpq does.
    """

    def __init__(self, secret: str, user: str = "", nonce: str | None = None) -> None:
        self._secret = prepare(secret)
        self._nonce = nonce if nonce is not None else base64.b64encode(secrets.token_bytes(18)).decode()
        self._first_bare = f"n={user},r={self._nonce}"
        self._server_signature = b""

    def first(self) -> bytes:
        """The client-first-message (RFC 5802 section 7)."""
        return f"n,,{self._first_bare}".encode()

    def final(self, server_first: bytes) -> bytes:
        """The client-final-message, in answer to the server-first-message. Raises PeerError if that is not one."""
        nonce, salt, iterations = self._read_server_first(server_first)
        client_key, server_key = _derived.keys(self._secret, salt, iterations)
        stored_key = hashlib.sha256(client_key).digest()
        without_proof = f"c=biws,r={nonce}"
        signed = b",".join((self._first_bare.encode(), server_first, without_proof.encode()))
        client_signature = hmac.digest(stored_key, signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, client_signature, strict=True))
        self._server_signature = hmac.digest(server_key, signed, "sha256")
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def check(self, server_final: bytes) -> None:
        """Whether the server knows the password too. Raises PeerError if it does not."""
        attributes = _attributes(server_final)
        signature = _unbase64(attributes.get("v", ""))
        if not self._server_signature or not hmac.compare_digest(signature, self._server_signature):
            raise PeerError("The database could not show that it knows the password's verifier; it may be an impostor.")

    def _read_server_first(self, server_first: bytes) -> tuple[str, bytes, int]:
        attributes = _attributes(server_first)
        nonce = attributes.get("r", "")
        salt = _unbase64(attributes.get("s", ""))
        iterations = attributes.get("i", "")
        if "m" in attributes or not salt or not (iterations.isascii() and iterations.isdigit()):
            raise _not_scram()
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise PeerError("The database answered the sign-in with a nonce that is not ours.")
        if not 0 < int(iterations[:10]) <= MOST_ITERATIONS:
            raise PeerError(
                f"The database asks for {iterations} SCRAM rounds; at most {MOST_ITERATIONS} are done here."
                " Set the password again with a smaller scram_iterations."
            )
        return nonce, salt, int(iterations)


class DerivedKeys:
    """ClientKey and ServerKey by password, salt and rounds, kept as RFC 5802 section 3 lets a client keep them.

    Deriving them takes about a millisecond at PostgreSQL's 4,096 rounds and a quarter of a second at the most that are
    done here, in which no other session goes on. At most ``most`` are kept, the one that was asked for longest ago goes
    first. No password is kept: they are found by a digest under a key of this process alone.
    """

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._own_key = secrets.token_bytes(32)
        self._kept: OrderedDict[bytes, tuple[bytes, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keys(self, secret: bytes, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
        place = hmac.digest(self._own_key, b"%d,%d," % (iterations, len(salt)) + salt + secret, "sha256")
        kept = self._kept.pop(place, None)
        if kept is None:
            salted = hashlib.pbkdf2_hmac("sha256", secret, salt, iterations)
            kept = (hmac.digest(salted, b"Client Key", "sha256"), hmac.digest(salted, b"Server Key", "sha256"))
            if len(self._kept) >= self._most:
                self._kept.popitem(last=False)
        self._kept[place] = kept
        return kept


_derived = DerivedKeys()


def md5_answer(user: str, secret: str, salt: bytes) -> bytes:
    """PostgreSQL's MD5 answer: ``md5`` and the hash of the hash of password and user, and the salt."""
    inner = hashlib.md5(secret.encode() + user.encode(), usedforsecurity=False).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode()


def prepare(secret: str) -> bytes:
    """SASLprep (RFC 4013) of a password; what it prohibits is used as it is, as PostgreSQL does."""
    if secret.isascii():
        return secret.encode()
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in secret if not stringprep.in_table_b1(char)
    )
    normal = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not normal or any(_prohibited(char) for char in normal) or not _one_direction(normal):
        return secret.encode()
    return normal.encode()


_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def _prohibited(char: str) -> bool:
    return any(table(char) for table in _PROHIBITED)


def _one_direction(text: str) -> bool:
    """RFC 3454 section 6: right-to-left text stands alone and at both ends."""
    if not any(stringprep.in_table_d1(char) for char in text):
        return True
    if any(stringprep.in_table_d2(char) for char in text):
        return False
    return stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])


def _attributes(message: bytes) -> dict[str, str]:
    try:
        parts = message.decode().split(",")
    except UnicodeDecodeError:
        raise _not_scram() from None
    attributes: dict[str, str] = {}
    for part in parts:
        name, equals, attribute = part.partition("=")
        if not equals or len(name) != 1:
            raise _not_scram()
        attributes[name] = attribute
    if "e" in attributes:
        raise PeerError(f"The database refused the SCRAM sign-in: {attributes['e']}.")
    return attributes


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _not_scram() from None


def _not_scram() -> PeerError:
    return PeerError("The database's sign-in message does not follow SCRAM (RFC 5802).")
