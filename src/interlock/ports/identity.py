"""What the sign-in use cases need: password hashes, one-time codes, certificates, tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from interlock.domain.grants import Login


class PasswordHashing(Protocol):
    async def hash(self, password: str) -> str:
        """What to keep of ``password``. Raises Refusal (``weak-password``)."""

    async def verify(self, password: str, kept: str | None) -> bool:
        """Whether ``kept`` was made from ``password``. With None: the same work, and always False."""


class OneTimeCodes(Protocol):
    def new_secret(self) -> str: ...

    def uri(self, secret: str, person: str) -> str: ...

    def step_of(self, secret: str, code: str, *, at: datetime, after: int) -> int | None:
        """The time step for which ``code`` is right and which is later than ``after``, or None."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token bound to a key; ``ends_at`` is the first moment at which it no longer works."""

    text: str = field(repr=False)
    ends_at: datetime


class TokenSigning(Protocol):
    def issue_for_login(self, login: Login) -> IssuedToken: ...

    def issue_for_gateway(self, name: str, key: str, at: datetime) -> IssuedToken: ...


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A credential that an authenticator made: its id and public key (COSE), base64url, and its counter."""

    id: str
    public_key: str = field(repr=False)
    uses: int


class PasskeyChecking(Protocol):
    """WebAuthn's two ceremonies. Both checks raise Refusal (``wrong-passkey``). Options are for the browser."""

    def registration_options(self, challenge: bytes, person: str, known: Sequence[str]) -> Mapping[str, Any]: ...

    def assertion_options(self, challenge: bytes, known: Sequence[str]) -> Mapping[str, Any]: ...

    def check_registration(self, credential: Mapping[str, Any], challenge: bytes) -> NewPasskey: ...

    def check_assertion(self, credential: Mapping[str, Any], challenge: bytes, public_key: str, uses: int) -> int:
        """The authenticator's counter as it now is."""


class CertificateIssuing(Protocol):
    @property
    def pem(self) -> str:
        """The authority's own certificate."""

    @property
    def fingerprint(self) -> str:
        """What a person compares, or a code carries, to know the authority at first contact."""

    def key_of_request(self, csr_pem: str) -> str:
        """The thumbprint of the key that signed the certificate request. Raises Refusal (``bad-csr``)."""

    def sign_report(self, report: Mapping[str, Any]) -> str:
        """The report as a JWS, to be verified with the authority's certificate alone."""

    def issue_client(self, csr_pem: str, *, login: Login, at: datetime) -> str:
        """A client certificate (PEM) for the login: CN the person, SAN ``urn:interlock:login:ID``, until its end."""


class SshCertificateIssuing(Protocol):
    @property
    def line(self) -> str:
        """The SSH authority's public key: type and base64."""

    @property
    def lines(self) -> tuple[str, ...]:
        """All of its keys that are trusted: this one, and those before it that still are."""

    def issue_for_request(self, csr_pem: str, *, login: Login, ends_at: datetime, at: datetime) -> str:
        """An SSH user certificate (one line) for the key that signed the request, which must be the login's.

        Raises Refusal (``bad-csr``, ``login-ended``).
        """
