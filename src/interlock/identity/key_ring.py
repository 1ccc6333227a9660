"""The key that signs tokens, and those that signed before it and still verify what they signed.

``token.key`` signs. At a rotation a fresh key takes its place, and the last one stays beside it for a day: longer than
anything that it signed lasts.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from interlock.identity.keys import load_or_create_key, new_key, private_pem, thumbprint, write_private
from interlock.identity.overlap import older, place_until, rotating

OVERLAP = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """``signing`` signs; all of ``older`` verify."""

    signing: EllipticCurvePrivateKey
    older: tuple[EllipticCurvePrivateKey, ...]


def read_ring(folder: Path, now: datetime) -> KeyRing:
    """The keys in ``folder``; the first is made when there is none. Raises Failure."""
    signing = load_or_create_key(folder / "token.key")
    before = [load_or_create_key(path) for path, until in older(folder, "token", "key") if now < until]
    return KeyRing(signing, tuple(key for key in before if thumbprint(key) != thumbprint(signing)))


def rotate(folder: Path, now: datetime) -> tuple[str, datetime]:
    """A fresh key signs from here on: its thumbprint, and until when what the last one signed is verified.

    What is over is removed. Raises Failure.
    """
    with rotating(folder):
        current, fresh = load_or_create_key(folder / "token.key"), new_key()
        # The old one is in its new place before the fresh one is in its: at no moment does nobody verify it.
        place, until = place_until(folder, "token", "key", now + OVERLAP)
        write_private(place, private_pem(current))
        write_private(folder / "token.key", private_pem(fresh))
        for path, end in older(folder, "token", "key"):
            if end <= now:
                path.unlink(missing_ok=True)
    return thumbprint(fresh), until
