"""Which rotations took effect, as the files in a folder of keys say themselves.

A rotation changes files first and is written down after that; whoever is killed in between has rotated and told nobody.
So what is written down is read from the files: by the command itself, by the next one, and by a control plane that
runs or starts. INVARIANT: before a file that shows a rotation is removed or replaced by the next one, that rotation was
written down (``app.rotations`` does it before each).
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from interlock.domain.event import Event
from interlock.domain.identity_events import (
    AuthorityAnnounced,
    AuthorityReplaced,
    KeyRotated,
    NonceSecretRotated,
    SshAuthorityRotated,
)
from interlock.identity.authority import Authority, fingerprint_of
from interlock.identity.authority_rotation import announced, read_certificate
from interlock.identity.keys import load_or_create_key, thumbprint
from interlock.identity.nonce_secrets import read_nonce_secrets
from interlock.identity.overlap import older
from interlock.identity.ssh_authority import AUTHORITY_KEY, SshAuthority


def done_rotations(folder: Path, now: datetime) -> list[Event]:
    """The event of each rotation that is to be seen in ``folder``, in no order. Raises Failure."""
    token, ssh = thumbprint(load_or_create_key(folder / "token.key")), _line(folder / AUTHORITY_KEY)
    signing = fingerprint_of(Authority.open(folder, now).certificate)
    following = announced(folder)
    tokens = _last_until(folder, "token", "key", lambda path: thumbprint(load_or_create_key(path)) != token)
    for_ssh = _last_until(folder, "ssh_authority", "key", lambda path: _line(path) != ssh)
    replaced = _last_until(folder, "authority", "pem", lambda path: fingerprint_of(read_certificate(path)) != signing)
    return [
        *(KeyRotated(key=token, older_until=until) for until in tokens),
        *(SshAuthorityRotated(key=ssh, older_until=until) for until in for_ssh),
        *([AuthorityAnnounced(key=following)] if following is not None else []),
        *(AuthorityReplaced(key=signing, older_until=until) for until in replaced),
        *(NonceSecretRotated(starts_at=at) for at, _ in read_nonce_secrets(folder).later),
    ]


def _last_until(folder: Path, kind: str, suffix: str, was_replaced: Callable[[Path], bool]) -> list[datetime]:
    """The end of the key that was in use before, if there was one. One that a rotation laid aside and did not replace
    is still in use."""
    return [until for path, until in older(folder, kind, suffix) if was_replaced(path)][-1:]


def _line(path: Path) -> str:
    return SshAuthority(load_or_create_key(path)).line
