"""What sign-in keeps: secrets as hashes, enrolments, failed attempts, passwords and passes for one connection."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LocalCredential:
    """A person's local password (Argon2id, PHC string) and TOTP secret (base32), with the last step used."""

    person: str
    password_hash: str = field(repr=False)
    totp_secret: str | None = field(default=None, repr=False)
    totp_last_step: int = 0
    set_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A code, good once until ``expires_at``, with which a person sets a password and a TOTP secret.

    ``code_hash`` is SHA-256 (hex) of the code, which has 128 random bits.
    """

    code_hash: str
    person: str
    issued_by: str
    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attempts:
    """Failed sign-ins of one subject (``person:NAME`` and address together, or ``address:IP``)."""

    subject: str
    failures: int
    last_at: datetime
    blocked_until: datetime | None = None


MOST_CONNECTIONS = 100
"""How many connections one password may be for."""


@dataclass(frozen=True, slots=True)
class ConnectionPassword:
    """A password for some connections to one resource within 60 s; ``hash`` is SHA-256 (hex) of 128 random bits.

    ``used`` of its ``connections`` have been made, all from ``address``, the last at ``used_at``.
    """

    hash: str
    person: str
    login: str
    resource: str
    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    connections: int = 1
    used: int = 0
    address: str | None = None


UNBOUND = "-"
"""In the place of a password's hash: the pass goes with a password that is still to be made, and nothing else."""


@dataclass(frozen=True, slots=True)
class ConnectionPass:
    """A proof of presence for some connections of one login to one resource, given at ``present_at``.

    ``digest`` is the SHA-256 (hex) of what was proved: person, key, resource, grants, number and time. ``how`` is
    ``passkey ID`` or ``one-time code``. ``grants`` are those that a connection may rest on, and no other. ``password``
    is the hash of the connection password that it goes with, ``UNBOUND`` until that is made, empty when it goes with
    the login's certificate. ``used`` of its ``connections`` were made, all from ``address``, the
    last at ``used_at``.
    """

    id: str
    person: str
    login: str
    key: str
    resource: str
    grants: tuple[str, ...]
    digest: str
    how: str
    present_at: datetime
    expires_at: datetime
    connections: int = 1
    used: int = 0
    used_at: datetime | None = None
    address: str | None = None
    password: str = ""


@dataclass(frozen=True, slots=True)
class GatewayIdentity:
    """A gateway host that may follow the feed; ``key`` is its RFC 7638 thumbprint."""

    name: str
    key: str
    joined_at: datetime
    ended_at: datetime | None = None
