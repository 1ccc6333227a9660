"""The link that ties each entry of the ledger to everything before it."""

import hashlib

GENESIS = bytes(32)
"""What the first entry is linked to."""


def link(previous: bytes, body: bytes) -> bytes:
    """SHA-256 over the previous entry's link (32 bytes) and this entry's body."""
    if len(previous) != len(GENESIS):
        raise ValueError("a link has 32 bytes")
    return hashlib.sha256(previous + body).digest()
