"""Our own X.509 authority: it certifies the keys of people who signed in, and of the console and the gateways.

Client certificates are short (8 h at most, never past the login) and are never revoked by a list: the gateways look up
the login that a certificate names. Extensions follow RFC 5280, so that strict verifiers (Python 3.13's default) accept.
"""

import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from interlock.domain.grants import Login
from interlock.errors import Failure, Refusal
from interlock.identity.keys import (
    PublicKey,
    UnusableKeyError,
    create_once,
    load_or_create_key,
    thumbprint,
    usable_public_key,
    write_private,
)
from interlock.identity.reports import ReportSigner

LOGIN_URN = "urn:interlock:login:"
LONGEST_CLIENT = timedelta(hours=8)
_CLOCK_SKEW = timedelta(minutes=2)
_AUTHORITY_YEARS = timedelta(days=3650)
_SERVER_LIFETIME = timedelta(days=90)
_SERVER_RENEWAL = timedelta(days=30)
_CSR_LIMIT = 8 * 1024
_COMMON_NAME_LIMIT = 64
"""X.520's ub-common-name."""


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Where a server's key and certificate (PEM) lie."""

    key: Path
    certificate: Path


@dataclass(slots=True)
class Authority:
    """The authority's key and its own certificate. The port CertificateIssuing.

    ``others`` are trusted beside it: the one before it, or the one that comes next (``authority_rotation``).
    """

    key: EllipticCurvePrivateKey
    certificate: x509.Certificate
    others: tuple[x509.Certificate, ...] = ()

    @classmethod
    def open(cls, folder: Path, now: datetime) -> "Authority":
        """The authority kept in ``folder`` as ``authority.key`` and ``authority.pem``; made when there is none."""
        key = load_or_create_key(folder / "authority.key")
        path = folder / "authority.pem"
        create_once(path, lambda: pem_of(self_signed(key, now)))
        try:
            trusted = x509.load_pem_x509_certificates(path.read_bytes())
        except (ValueError, OSError) as error:
            raise Failure(f"{path} does not hold a certificate.", "Restore it from your backup.") from error
        own = thumbprint(key)
        certificate = next((c for c in trusted if thumbprint(usable_public_key(c.public_key())) == own), None)
        if certificate is None:
            raise Failure(f"{path} does not belong to authority.key beside it.", "Restore both from your backup.")
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            raise Failure(
                f"The authority's certificate {path} is not valid at {now:%Y-%m-%d %H:%M} UTC.",
                "Check the clock. If it is right, move authority.pem away: a fresh one is made, and every client has "
                "to enrol again.",
            )
        return cls(key, certificate, tuple(other for other in trusted if other != certificate))

    def reopen(self, folder: Path, now: datetime) -> None:
        """Become what ``folder`` says now. Raises Failure, and stays as it was."""
        fresh = Authority.open(folder, now)
        self.key, self.certificate, self.others = fresh.key, fresh.certificate, fresh.others

    @property
    def pem(self) -> str:
        """All that are to be trusted, this one first."""
        return b"".join(map(pem_of, (self.certificate, *self.others))).decode()

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.certificate)

    def key_of_request(self, csr_pem: str) -> str:
        return thumbprint(read_request(csr_pem))

    def issue_client(self, csr_pem: str, *, login: Login, at: datetime) -> str:
        """The certificate (PEM) of a login, with its chain. What the request says besides its key is not looked at."""
        key = read_request(csr_pem)
        if thumbprint(key) != login.key:
            raise Refusal("bad-csr", "The certificate request was signed with another key than the login's.")
        ends_at = min(login.ends_at, at + LONGEST_CLIENT).replace(microsecond=0) - timedelta(seconds=1)
        if ends_at <= at:
            raise Refusal("login-ended", "The login ends before a certificate for it could begin.")
        alternative = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(LOGIN_URN + login.id)])
        subject = _name(login.person)
        builder = self._leaf(key, subject, at, ends_at, ExtendedKeyUsageOID.CLIENT_AUTH)
        # RFC 5280 section 4.2.1.6: critical when the subject is empty.
        return self._with_chain(builder.add_extension(alternative, critical=not list(subject))).decode()

    def sign_report(self, report: Mapping[str, Any]) -> str:
        """A JWS in compact form (``reports``)."""
        return ReportSigner(self.key).sign(report)

    def issue_server(self, key: PublicKey, hosts: Sequence[str], at: datetime) -> bytes:
        """A server certificate (PEM) for ``hosts`` (names and addresses), for 90 days, with its chain."""
        alternative = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        until = min(at + _SERVER_LIFETIME, self.certificate.not_valid_after_utc)
        builder = self._leaf(key, _name(hosts[0]), at, until, ExtendedKeyUsageOID.SERVER_AUTH)
        return self._with_chain(builder.add_extension(alternative, critical=False))

    def ensure_server(self, folder: Path, hosts: Sequence[str], now: datetime, name: str = "server") -> ServerFiles:
        """``NAME.key`` and ``NAME.pem`` in ``folder``: made when missing, renewed a month before the end or for other
        hosts. Raises Failure."""
        files = ServerFiles(folder / f"{name}.key", folder / f"{name}.pem")
        key = load_or_create_key(files.key)
        wanted = server_hosts(hosts)
        if not self._still_good(files.certificate, key, wanted, now):
            write_private(files.certificate, self.issue_server(key.public_key(), wanted, now))
        return files

    def _still_good(self, path: Path, key: EllipticCurvePrivateKey, hosts: Sequence[str], now: datetime) -> bool:
        try:
            certificate, *chain = x509.load_pem_x509_certificates(path.read_bytes())
            certificate.verify_directly_issued_by(self.certificate)
            named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            same_key = thumbprint(usable_public_key(certificate.public_key())) == thumbprint(key)
        except Exception:  # noqa: BLE001 -- whatever is wrong with the old certificate, a fresh one mends it
            return False
        in_time = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - _SERVER_RENEWAL
        whole = chain == [self.certificate]
        return whole and same_key and in_time and list(named) == [_general_name(host) for host in hosts]

    def _leaf(
        self, key: PublicKey, subject: x509.Name, at: datetime, until: datetime, usage: x509.ObjectIdentifier
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_whole_second(at - _CLOCK_SKEW))
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )

    def _with_chain(self, builder: x509.CertificateBuilder) -> bytes:
        """The certificate, and the authority's after it. OpenSSL sends both either way to who is trusted by the same
        authority, and where the file has the one alone it finds the other by checking a signature in each handshake."""
        return pem_of(builder.sign(self.key, hashes.SHA256())) + pem_of(self.certificate)


def make_request(key: EllipticCurvePrivateKey) -> str:
    """The client's side: a certificate request (PEM) that proves possession of ``key`` and says nothing else."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def fingerprint_of(certificate: x509.Certificate) -> str:
    """The first 128 bits of the certificate's SHA-256, hex: an enrolment code carries it, for the first contact.

    Whoever would stand in for us needs a second preimage, for which 128 bits are enough.
    """
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()[:32]


def login_of(certificate: x509.Certificate) -> str | None:
    """The id of the login that a client certificate of ours names, or None. The issuer was checked by TLS."""
    try:
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    uris = [uri for uri in named.get_values_for_type(x509.UniformResourceIdentifier) if uri.startswith(LOGIN_URN)]
    return uris[0].removeprefix(LOGIN_URN) if len(uris) == 1 else None


def server_hosts(configured: Sequence[str]) -> tuple[str, ...]:
    """The names that a server certificate carries: this machine's loopback, then what was configured, each once."""
    return tuple(dict.fromkeys(("localhost", "127.0.0.1", "::1", *configured)))


def read_request(csr_pem: str) -> PublicKey:
    """The key that signed a certificate request (PEM), which proves possession of it. Raises Refusal (``bad-csr``)."""
    if len(csr_pem) > _CSR_LIMIT:
        raise Refusal("bad-csr", "The certificate request is too long.")
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        key = usable_public_key(request.public_key())
        proved = request.is_signature_valid
    except UnusableKeyError as error:
        raise Refusal("bad-csr", f"The certificate request's key is not taken: {error}.") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refusal("bad-csr", "The certificate request cannot be read.", "Send PKCS #10 in PEM form.") from error
    if not proved:
        raise Refusal("bad-csr", "The certificate request was not signed with the key that it names.")
    return key


def self_signed(key: EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    """A fresh authority's own certificate, for ten years."""
    public = key.public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Interlock authority {thumbprint(key)[:8]}")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_whole_second(now - _CLOCK_SKEW))
        .not_valid_after(_whole_second(now + _AUTHORITY_YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    # A cut name could be somebody else's: one that does not fit is left out, the login names the person.
    if not 0 < len(common_name) <= _COMMON_NAME_LIMIT:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host.lower())


def _whole_second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def pem_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
