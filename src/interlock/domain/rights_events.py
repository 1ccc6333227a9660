"""Events of people, vendors, contracts, requests, approvals and grants."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from interlock.domain.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMade(Event):
    """An account was made on a resource for one person and one grant; the resource lets nobody in with it after
    ``ends_at``."""

    kind: ClassVar[str] = "account.made"
    account: str
    grant: str
    person: str
    resource: str
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEnded(Event):
    """The resource no longer has the account of a grant that is over."""

    kind: ClassVar[str] = "account.ended"
    account: str
    grant: str
    person: str
    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAdded(Event):
    """A person came to be known."""

    kind: ClassVar[str] = "person.added"
    person: str
    vendor: str | None
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonChanged(Event):
    """A person's vendor or groups changed."""

    kind: ClassVar[str] = "person.changed"
    person: str
    vendor: str | None
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonEnded(Event):
    """A person left: everything that rests on the person ended in the same moment."""

    kind: ClassVar[str] = "person.ended"
    person: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonReturned(Event):
    """The directory let a person come again whom it had made inactive. Nothing of what they had came with them."""

    kind: ClassVar[str] = "person.returned"
    person: str
    vendor: str | None
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceProvisioned(Event):
    """The company's directory added, changed or deleted a user or a group (``what``)."""

    kind: ClassVar[str] = "resource.provisioned"
    resource: str
    resource_kind: str
    name: str
    what: str
    person: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorAdded(Event):
    """A vendor came to be known."""

    kind: ClassVar[str] = "vendor.added"
    vendor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractAdded(Event):
    """A contract was written: vendor, sponsor, window and scope."""

    kind: ClassVar[str] = "contract.added"
    contract: str
    vendor: str
    sponsor: str
    start: datetime
    end: datetime
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractChanged(Event):
    """A contract's sponsor, window or scope changed."""

    kind: ClassVar[str] = "contract.changed"
    contract: str
    vendor: str
    sponsor: str
    start: datetime
    end: datetime
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractEnded(Event):
    """A contract ended before or at its time; grants and logins that rest on it ended with it."""

    kind: ClassVar[str] = "contract.ended"
    contract: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractPaused(Event):
    """A contract stopped until somebody answers for it again; what rests on it ended."""

    kind: ClassVar[str] = "contract.paused"
    contract: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractTaken(Event):
    """An employee took over a contract whose sponsor had left."""

    kind: ClassVar[str] = "contract.taken"
    contract: str
    sponsor: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractConfirmed(Event):
    """The sponsor confirmed that the contract is still needed; ``due`` is when the next confirmation is."""

    kind: ClassVar[str] = "contract.confirmed"
    contract: str
    sponsor: str
    due: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractEnding(Event):
    """A contract ends soon: its sponsor and its people are to know."""

    kind: ClassVar[str] = "contract.ending"
    contract: str
    sponsor: str
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionAsked(Event):
    """The sponsor asked that a contract end later."""

    kind: ClassVar[str] = "extension.asked"
    contract: str
    by: str
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionDecided(Event):
    """Another employee agreed to an extension, or did not."""

    kind: ClassVar[str] = "extension.decided"
    contract: str
    by: str
    until: datetime
    agreed: bool
    present_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOpened(Event):
    """Somebody asked for a grant, for one held statement, for a change of the policy or for a review; ``digest`` binds
    every approval to the content."""

    kind: ClassVar[str] = "request.opened"
    request: str
    request_kind: str
    person: str
    resource: str
    role: str
    digest: str
    reason: str
    content: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalGiven(Event):
    """A person said yes to exactly this content."""

    kind: ClassVar[str] = "approval.given"
    request: str
    person: str
    digest: str
    present_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalVoided(Event):
    """An approval that was not used yet no longer counts, because the person who gave it left."""

    kind: ClassVar[str] = "approval.voided"
    request: str
    person: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEnded(Event):
    """A request was approved, denied, withdrawn, expired or (a held statement, a policy) used; ``by`` is who did it."""

    kind: ClassVar[str] = "request.ended"
    request: str
    state: str
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantStarted(Event):
    """A role was lent, under a contract when one covers it: the window starts here and never again."""

    kind: ClassVar[str] = "grant.started"
    grant: str
    request: str
    person: str
    role: str
    resource: str
    key: str
    starts_at: datetime
    ends_at: datetime
    contract: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantEnded(Event):
    """A grant ended before its time; live sessions that rest on it are cut."""

    kind: ClassVar[str] = "grant.ended"
    grant: str
    by: str
    reason: str
