"""Persons and what ties them to the company: identities, vendors, contracts.

Separation is counted in persons, never in identities.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

ADMINISTRATORS = "administrators"
"""The reserved group of those who may end things and read ledger and recordings. They can never give anything."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One way a person is known: ``kind`` is e-mail, oidc, ssh, forge …; ``subject`` is unique in its kind.

    ``configured`` says that the file named it. One that the file names no more has ended: nobody signs in by it, and
    what was done under it still counts as the person's.
    """

    kind: str
    subject: str
    person: str
    configured: bool = False
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A human being. ``name`` is the stable name in the configuration, by custom an e-mail address.

    ``vendor`` is the company a contractor comes from; None means an employee.
    """

    name: str
    vendor: str | None = None
    groups: frozenset[str] = field(default_factory=frozenset)
    ended_at: datetime | None = None

    @property
    def is_employee(self) -> bool:
        return self.vendor is None

    @property
    def active(self) -> bool:
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class Vendor:
    """The company a contractor comes from."""

    name: str


@dataclass(frozen=True, slots=True)
class Contract:
    """The window in which a vendor's people work here, the employee who answers for it, and its scope.

    ``start`` is the first moment inside, ``end`` the first moment outside, both aware UTC.
    ``people`` names the persons it covers; empty means everyone of the vendor.
    A paused contract does not run: its sponsor has left, or has not confirmed it in time (``review`` after
    ``confirmed_at``, or after the start). ``extended_from`` is the end that it had before it was extended,
    ``warned_at`` when its coming end was said.
    """

    name: str
    vendor: str
    sponsor: str
    start: datetime
    end: datetime
    roles: frozenset[str]
    people: frozenset[str] = field(default_factory=frozenset)
    ended_at: datetime | None = None
    review: timedelta | None = None
    confirmed_at: datetime | None = None
    paused_at: datetime | None = None
    paused_reason: str = ""
    extended_from: datetime | None = None
    warned_at: datetime | None = None

    def covers(self, person: Person) -> bool:
        return person.vendor == self.vendor and (not self.people or person.name in self.people)

    def running(self, at: datetime) -> bool:
        """Whether ``at`` lies inside the window and nobody has ended or paused the contract."""
        return self.ended_at is None and self.paused_at is None and self.start <= at < self.end

    @property
    def review_due(self) -> datetime | None:
        """The first moment at which a confirmation is missing; None when none is ever asked for."""
        return None if self.review is None else (self.confirmed_at or self.start) + self.review


@dataclass(frozen=True, slots=True)
class Extension:
    """A sponsor asks that a contract end later; another employee decides. One a contract, the last one asked."""

    contract: str
    until: datetime
    asked_by: str
    key: str
    reason: str
    asked_at: datetime
    expires_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    agreed: bool = False

    def open(self, at: datetime) -> bool:
        return self.decided_at is None and at < self.expires_at


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link by which a person of a contract comes in: another than the sponsor gives it, the sponsor confirms.

    ``code_hash`` is SHA-256 (hex) of the link's 128 random bits. ``key`` is the thumbprint of the first key that
    used the link, and the only one that can go on with it. ``foreign_at`` is when another key first tried.
    ``made`` says that the person was not known before: the confirmation is how they came to be.
    """

    id: str
    code_hash: str = field(repr=False)
    contract: str
    person: str
    invited_by: str
    invited_at: datetime
    expires_at: datetime
    key: str | None = None
    opened_at: datetime | None = None
    address: str = ""
    foreign_at: datetime | None = None
    confirmed_by: str | None = None
    confirmed_at: datetime | None = None
    made: bool = False
    used_at: datetime | None = None
    ended_at: datetime | None = None

    def open(self, at: datetime) -> bool:
        """Whether it can still be gone on with."""
        return self.used_at is None and self.ended_at is None and at < self.expires_at
