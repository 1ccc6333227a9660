"""Our own SSH authority: it certifies the keys of people who signed in, and of the gateways' SSH listeners.

A user certificate is for the key of a login, names the login (key id) and the person (its one principal), and ends with
the grant that it was asked for. OpenSSH's format is that of its PROTOCOL.certkeys. The authority has a key of its own:
nothing that is signed here means anything in X.509.

A fresh authority certifies people's keys at once. The one before it stays for a day, three times longer than any
certificate of a person: its certificates are taken, and it certifies the listeners' host key, which those trust who
learned of it alone. Who gets a certificate is told of both. So nobody is turned away, and nobody is asked anything.
"""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization.ssh import (
    SSHCertificate,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_public_identity,
)

from interlock.domain.grants import Login
from interlock.errors import Refusal
from interlock.identity.authority import read_request
from interlock.identity.keys import (
    PublicKey,
    UnusableKeyError,
    load_or_create_key,
    new_key,
    private_pem,
    thumbprint,
    usable_public_key,
    write_private,
)
from interlock.identity.overlap import older, place_until, rotating

AUTHORITY_KEY = "ssh_authority.key"
AUTHORITY_LINE = "ssh_authority.pub"
HOST_KEY = "ssh_host.key"
HOST_CERTIFICATE = "ssh_host-cert.pub"
LONGEST_USER = timedelta(hours=8)
_HOST_LIFETIME = timedelta(days=90)
_CLOCK_SKEW = timedelta(minutes=2)
OVERLAP = timedelta(days=1)
_BLOB_LIMIT = 16 * 1024


class BadCertificateError(Exception):
    """An SSH certificate that is none of ours, with a clause that says why."""


@dataclass(frozen=True, slots=True)
class UserCertificate:
    """What a user certificate of ours says. ``key`` is the thumbprint of the certified key."""

    login: str
    person: str
    key: str
    starts_at: datetime
    ends_at: datetime


@dataclass(slots=True)
class SshAuthority:
    """``key`` certifies people's keys; those of ``older`` did, the last one first. The port SshCertificateIssuing."""

    key: EllipticCurvePrivateKey
    older: tuple[EllipticCurvePrivateKey, ...] = ()

    @classmethod
    def open(cls, folder: Path, now: datetime) -> "SshAuthority":
        """The authority kept in ``folder``, made when there is none; what is trusted lies beside it. Raises Failure."""
        authority = cls(load_or_create_key(folder / AUTHORITY_KEY))
        authority.reopen(folder, now)
        return authority

    def reopen(self, folder: Path, now: datetime) -> bool:
        """As it is in ``folder`` at ``now``: what is over is left out. Whether it is another one than before."""
        before = self.lines
        self.key = load_or_create_key(folder / AUTHORITY_KEY)
        kept = reversed(older(folder, "ssh_authority", "key"))
        last_first = [load_or_create_key(path) for path, until in kept if now < until]
        self.older = tuple(key for key in last_first if _line(key.public_key()) != self.line)
        content = "".join(f"{line}\n" for line in self.lines).encode()
        trusted = folder / AUTHORITY_LINE
        if not trusted.exists() or trusted.read_bytes() != content:
            write_private(trusted, content)
        return self.lines != before

    @property
    def line(self) -> str:
        """The authority's public key as OpenSSH writes it: type and base64."""
        return _line(self.key.public_key())

    @property
    def lines(self) -> tuple[str, ...]:
        """All that are trusted, the one that certifies people's keys first."""
        return tuple(_line(key.public_key()) for key in (self.key, *self.older))

    def issue_for_request(self, csr_pem: str, *, login: Login, ends_at: datetime, at: datetime) -> str:
        return self.issue_user(read_request(csr_pem), login=login, ends_at=ends_at, at=at)

    def issue_user(self, key: PublicKey, *, login: Login, ends_at: datetime, at: datetime) -> str:
        """The certificate (one line, as in ``id-cert.pub``) of a login's key, until ``ends_at`` at the latest."""
        if thumbprint(key) != login.key:
            raise Refusal("bad-csr", "The certificate request was signed with another key than the login's.")
        until = min(ends_at, login.ends_at, at + LONGEST_USER)
        if until <= at:
            raise Refusal("login-ended", "The login ends before a certificate for it could begin.")
        builder = self._builder(key, at, until).type(SSHCertificateType.USER)
        builder = builder.key_id(login.id.encode()).valid_principals([login.person.encode()])
        builder = builder.add_extension(b"permit-pty", b"")
        return builder.sign(self.key).public_bytes().decode()

    def ensure_host(self, folder: Path, hosts: Sequence[str], now: datetime) -> None:
        """A fresh certificate of the listeners' host key, for the names under which clients reach them.

        Of the authority that is trusted longest: who came before the others knows no other.
        """
        key = load_or_create_key(folder / HOST_KEY)
        builder = self._builder(key.public_key(), now, now + _HOST_LIFETIME).type(SSHCertificateType.HOST)
        builder = builder.key_id(b"interlock gateway").valid_principals([host.encode() for host in hosts])
        write_private(folder / HOST_CERTIFICATE, builder.sign((self.key, *self.older)[-1]).public_bytes() + b"\n")

    def _builder(self, key: PublicKey, at: datetime, until: datetime) -> SSHCertificateBuilder:
        builder = SSHCertificateBuilder().public_key(key).serial(secrets.randbits(64))
        starts_s = int((at - _CLOCK_SKEW).timestamp())
        return builder.valid_after(starts_s).valid_before(int(until.timestamp()))


def rotate(folder: Path, now: datetime) -> tuple[str, datetime]:
    """A fresh key certifies people's keys from here on: its public line, and until when the last one is trusted.

    What is over is removed. Raises Failure.
    """
    with rotating(folder):
        current, fresh = load_or_create_key(folder / AUTHORITY_KEY), new_key()
        # The old one is in its new place before the fresh one is in its: at no moment does nobody trust it.
        place, until = place_until(folder, "ssh_authority", "key", now + OVERLAP)
        write_private(place, private_pem(current))
        write_private(folder / AUTHORITY_KEY, private_pem(fresh))
        for path, end in older(folder, "ssh_authority", "key"):
            if end <= now:
                path.unlink(missing_ok=True)
    return _line(fresh.public_key()), until


def read_user_certificate(blob: bytes, authorities: str) -> UserCertificate:
    """A user certificate (wire form) that one of ``authorities`` (lines as in the public file) signed.

    Whether its time has come or is over is the caller's to judge. Raises BadCertificateError.
    """
    certificate = _read(blob)
    try:
        signer = certificate.signature_key().public_bytes(*_OPENSSH).decode()
        certificate.verify_cert_signature()
        key = thumbprint(usable_public_key(certificate.public_key()))
        named = [principal.decode() for principal in certificate.valid_principals]
        login = certificate.key_id.decode()
    except (InvalidSignature, UnsupportedAlgorithm, UnusableKeyError, NotImplementedError, ValueError) as error:
        raise BadCertificateError("it cannot be verified") from error
    if signer.split()[:2] not in [line.split()[:2] for line in authorities.splitlines() if line.strip()]:
        raise BadCertificateError("another authority issued it")
    if certificate.type is not SSHCertificateType.USER or certificate.critical_options or len(named) != 1:
        raise BadCertificateError("it is no user certificate of ours")
    starts_at, ends_at = (_moment(when_s) for when_s in (certificate.valid_after, certificate.valid_before))
    return UserCertificate(login, named[0], key, starts_at, ends_at)


_OPENSSH = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)


def _read(blob: bytes) -> SSHCertificate:
    size = int.from_bytes(blob[:4])
    if len(blob) > _BLOB_LIMIT or not 0 < size <= len(blob) - 4:
        raise BadCertificateError("it cannot be read")
    written = base64.b64encode(blob)
    try:
        found = load_ssh_public_identity(blob[4 : 4 + size] + b" " + written)
    except (ValueError, UnsupportedAlgorithm, NotImplementedError) as error:
        raise BadCertificateError("it cannot be read") from error
    if not isinstance(found, SSHCertificate):
        raise BadCertificateError("it is a key and no certificate")
    if found.public_bytes().split()[1] != written:
        # A type with a space in it is another certificate's line to that reader.
        raise BadCertificateError("it cannot be read")
    return found


def _moment(when_s: int) -> datetime:
    try:
        return datetime.fromtimestamp(when_s, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BadCertificateError("it has no end") from error


def _line(key: PublicKey) -> str:
    return key.public_bytes(*_OPENSSH).decode()
