"""Something small, sealed under a key that is used for nothing else: AES-256-GCM with the context as associated data.

A key seals once (NIST SP 800-38D section 8.2.1 is met by a nonce of zeros then), so a key is made for each content.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from interlock.errors import Failure

_KEY_BYTES = 32
_NONCE = bytes(12)


def seal_once(content: bytes, context: str) -> tuple[bytes, bytes]:
    """A fresh key, and ``content`` under it."""
    key = secrets.token_bytes(_KEY_BYTES)
    return key, AESGCM(key).encrypt(_NONCE, content, context.encode())


def unseal(key: bytes, sealed: bytes, context: str) -> bytes:
    """Raises Failure when it was sealed under another key or for another context, or was changed."""
    try:
        return AESGCM(key).decrypt(_NONCE, sealed, context.encode())
    except (InvalidTag, ValueError) as error:
        raise Failure("What was kept was changed, or belongs to something else.", "Ask again.") from error
