"""The secret behind the server's nonces, and the one that comes after it.

A fresh secret lies in ``nonce.from-TIME.key`` and makes the nonces of the minutes from then on; those of the minutes
before are made, and taken, with the one before it. So every control plane that has the files agrees on every nonce,
whenever it read them within the notice, and no nonce ends before its time.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from interlock.errors import Failure
from interlock.identity.keys import load_or_create_nonce_secret, new_nonce_secret, write_private
from interlock.identity.overlap import all_dated, dated, rotating

NOTICE = timedelta(minutes=10)
"""From making a secret to its first nonce: time to copy it to the other control planes."""

_MINUTE = timedelta(minutes=1)
_STEM = "nonce.from"


@dataclass(frozen=True, slots=True)
class NonceSecrets:
    """``first`` is for the time before all of ``later``, which begin at their times, the earliest first."""

    first: bytes
    later: tuple[tuple[datetime, bytes], ...] = ()

    def of(self, at: datetime) -> bytes:
        """The secret of the minute that begins ``at``."""
        return next((secret for since, secret in reversed(self.later) if since <= at), self.first)


def read_nonce_secrets(folder: Path) -> NonceSecrets:
    """Those in ``folder``; the first is made when there is none. Raises Failure."""
    first = load_or_create_nonce_secret(folder / "nonce.key")
    return NonceSecrets(first, tuple((at, _read(path)) for path, at in _later(folder)))


def rotate_nonce_secret(folder: Path, now: datetime) -> datetime:
    """Make a fresh secret: from when on it makes the nonces. What is over is forgotten. Raises Failure."""
    with rotating(folder):
        starts_at = (now + NOTICE + _MINUTE).replace(second=0, microsecond=0)
        while (path := dated(folder, _STEM, "key", starts_at)).exists():
            starts_at += _MINUTE
        write_private(path, new_nonce_secret())
        # The one in force since before the oldest nonce that is taken becomes the first. A crash between two of these
        # writes leaves it in both places, which is the same.
        over = [found for found, at in _later(folder) if at <= now - 3 * _MINUTE]
        if over:
            write_private(folder / "nonce.key", _read(over[-1]))
        for found in over:
            found.unlink(missing_ok=True)
        return starts_at


def _later(folder: Path) -> list[tuple[Path, datetime]]:
    """Those that have a time from which on they are used, the earliest first."""
    return all_dated(folder, _STEM, "key")


def _read(path: Path) -> bytes:
    # A secret is never made here: one that vanished between the look and the reading is told of, and read anew.
    if not path.exists():
        raise Failure(f"{path} is gone.", "It is looked for again within seconds.")
    return load_or_create_nonce_secret(path)
