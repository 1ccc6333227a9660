"""A fresh authority takes the place of the one that certifies, in two steps with a day at least between them.

*Announced*, the next authority is trusted by gateways at once and by clients from their next sign-in on, and certifies
nothing. *Taking over*, it certifies clients and servers; the last one is trusted for a day more, longer than any
client certificate lasts, and is then forgotten. At no moment is somebody turned away who signed in since the first
step.

``authority.pem`` holds all that are trusted, the one that certifies first. INVARIANT: which one that is says the key in
``authority.key`` alone, so that a crash between two writes leaves one authority or the other, never none.
"""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from interlock.errors import Failure, Refusal
from interlock.identity.authority import Authority, fingerprint_of, pem_of, self_signed
from interlock.identity.keys import (
    load_or_create_key,
    new_key,
    private_pem,
    thumbprint,
    usable_public_key,
    write_private,
)
from interlock.identity.overlap import older, place_until, rotating

NOTICE = timedelta(days=1)
OVERLAP = timedelta(days=1)
_NEXT_KEY, _NEXT = "authority.next.key", "authority.next.pem"


def announce(folder: Path, now: datetime) -> str:
    """Make the next authority and let it be trusted; its fingerprint. Raises Refusal (``announced``)."""
    with rotating(folder):
        return _announce(folder, now)


def announced(folder: Path) -> str | None:
    """The fingerprint of the next authority, when there is one that certifies nothing yet. Raises Failure."""
    if not (folder / _NEXT).exists():
        return None
    certificate = read_certificate(folder / _NEXT)
    certifying = thumbprint(load_or_create_key(folder / "authority.key"))
    certifies = thumbprint(usable_public_key(certificate.public_key())) == certifying
    return None if certifies else fingerprint_of(certificate)


def _finish(folder: Path) -> None:
    """What a take-over leaves that was killed when the next authority certified already."""
    if (folder / _NEXT).exists() and announced(folder) is None:
        (folder / _NEXT).unlink()
        (folder / _NEXT_KEY).unlink(missing_ok=True)


def _announce(folder: Path, now: datetime) -> str:
    Authority.open(folder, now)
    _finish(folder)
    if (folder / _NEXT).exists():
        raise Refusal(
            "announced",
            f"The next authority was announced already ({fingerprint_of(read_certificate(folder / _NEXT))}).",
            "When everybody has signed in since: interlock keys rotate authority --take-over",
        )
    key = new_key()
    certificate = self_signed(key, now)
    write_private(folder / _NEXT_KEY, private_pem(key))
    write_private(folder / _NEXT, pem_of(certificate))
    write_trusted(folder, now)
    return fingerprint_of(certificate)


def take_over(folder: Path, now: datetime) -> tuple[str, datetime]:
    """The announced authority certifies from now on: its fingerprint, and until when the last one is trusted.

    Raises Refusal (``not-announced``, ``too-soon``).
    """
    with rotating(folder):
        return _take_over(folder, now)


def _take_over(folder: Path, now: datetime) -> tuple[str, datetime]:
    if not (folder / _NEXT).exists():
        raise Refusal(
            "not-announced", "No next authority was announced.", "Announce one first: interlock keys rotate authority"
        )
    fresh = read_certificate(folder / _NEXT)
    if announced(folder) is None:
        # It took over already and was killed then.
        _finish(folder)
        write_trusted(folder, now)
        return fingerprint_of(fresh), max((end for _, end in older(folder, "authority", "pem")), default=now + OVERLAP)
    may = fresh.not_valid_before_utc + NOTICE
    if now < may:
        raise Refusal(
            "too-soon",
            f"The next authority takes over from {may:%Y-%m-%d %H:%M} UTC on: until then people learn of it.",
            "Who has not signed in by then trusts it by its fingerprint: interlock login --authority FINGERPRINT",
        )
    last = Authority.open(folder, now)
    place, until = place_until(folder, "authority", "pem", now + OVERLAP)
    write_private(place, pem_of(last.certificate))
    # From this write on it is the fresh one: both are in authority.pem already.
    write_private(folder / "authority.key", (folder / _NEXT_KEY).read_bytes())
    _finish(folder)
    write_trusted(folder, now)
    return fingerprint_of(fresh), until


def write_trusted(folder: Path, now: datetime) -> None:
    """``authority.pem`` as it should be at ``now``: what is over leaves it. Raises Failure."""
    signing = Authority.open(folder, now).certificate
    trusted = [pem_of(signing)]
    if (folder / _NEXT).exists():
        trusted.append(pem_of(read_certificate(folder / _NEXT)))
    for path, until in older(folder, "authority", "pem"):
        if now < until:
            trusted.append(pem_of(read_certificate(path)))
        else:
            path.unlink(missing_ok=True)
    content = b"".join(dict.fromkeys(trusted))
    if (folder / "authority.pem").read_bytes() != content:
        write_private(folder / "authority.pem", content)


def read_certificate(path: Path) -> x509.Certificate:
    """Raises Failure."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Failure(f"{path} does not hold a certificate.", "Restore it from your backup.") from error
