"""Persons and what ties them to the company: identities, vendors, contracts.

Separation is counted in persons, never in identities.
"""

from dataclasses import dataclass, field
from datetime import datetime

ADMINISTRATORS = "administrators"
"""The reserved group of those who may end things and read ledger and recordings. They can never give anything."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One way a person is known: ``kind`` is e-mail, oidc, ssh, forge …; ``subject`` is unique in its kind."""

    kind: str
    subject: str
    person: str


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
    """

    name: str
    vendor: str
    sponsor: str
    start: datetime
    end: datetime
    roles: frozenset[str]
    people: frozenset[str] = field(default_factory=frozenset)
    ended_at: datetime | None = None

    def covers(self, person: Person) -> bool:
        return person.vendor == self.vendor and (not self.people or person.name in self.people)

    def running(self, at: datetime) -> bool:
        """Whether ``at`` lies inside the window and nobody has ended the contract."""
        return self.ended_at is None and self.start <= at < self.end
