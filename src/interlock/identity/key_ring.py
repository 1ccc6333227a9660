"""The key that signs tokens, and those that signed before it and still verify what they signed.

``token.key`` signs. At a rotation a fresh key takes its place, and the last one stays beside it for a day: longer than
anything that it signed lasts.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from interlock.errors import Failure
from interlock.identity.keys import load_or_create_key, new_key, private_pem, thumbprint, write_private

OVERLAP = timedelta(days=1)
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """``signing`` signs; all of ``older`` verify."""

    signing: EllipticCurvePrivateKey
    older: tuple[EllipticCurvePrivateKey, ...]


def read_ring(folder: Path, now: datetime) -> KeyRing:
    """The keys in ``folder``; the first is made when there is none. Raises Failure."""
    signing = load_or_create_key(folder / "token.key")
    older = [load_or_create_key(path) for path, until in _older(folder) if now < until]
    return KeyRing(signing, tuple(key for key in older if thumbprint(key) != thumbprint(signing)))


def rotate(folder: Path, now: datetime) -> tuple[str, datetime]:
    """A fresh key signs from here on: its thumbprint, and until when what the last one signed is verified.

    What is over is removed. Raises Failure.
    """
    current, fresh = load_or_create_key(folder / "token.key"), new_key()
    # The old one is in its new place before the fresh one is in its: at no moment does nobody verify it.
    write_private(folder / f"token.until-{now + OVERLAP:{_STAMP}}.key", private_pem(current))
    write_private(folder / "token.key", private_pem(fresh))
    for path, until in _older(folder):
        if until <= now:
            path.unlink(missing_ok=True)
    return thumbprint(fresh), now + OVERLAP


def _older(folder: Path) -> list[tuple[Path, datetime]]:
    found = []
    for path in sorted(folder.glob("token.until-*.key")):
        try:
            until = datetime.strptime(path.name, f"token.until-{_STAMP}.key").replace(tzinfo=UTC)
        except ValueError as error:
            raise Failure(f"{path} is no key of ours: its name has no time.", "Move it away.") from error
        found.append((path, until))
    return found
