"""Every kind of event in the ledger. An event's docstring is its documentation for people.

What is stored carries a stable ``kind`` and only ever gains fields, each new one with a default.
Times are aware UTC; ids are those of the entities.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. ``kind`` is its stable name."""

    kind: ClassVar[str] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyActivated(Event):
    """A version of the policy (interlock.yaml and the Cedar files beside it) took effect."""

    kind: ClassVar[str] = "policy.activated"
    version: int
    digest: str


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
class IdentityLinked(Event):
    """An identity (an e-mail address, an IdP subject, a key) was linked to a person."""

    kind: ClassVar[str] = "identity.linked"
    person: str
    identity_kind: str
    subject: str


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
    """Somebody asked for a grant or for one held statement; ``digest`` binds every approval to the content."""

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
    """A request was approved, denied, withdrawn, expired or (a held statement) used; ``by`` is who did it."""

    kind: ClassVar[str] = "request.ended"
    request: str
    state: str
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantStarted(Event):
    """A role was lent: the window starts here and never again."""

    kind: ClassVar[str] = "grant.started"
    grant: str
    request: str
    person: str
    role: str
    resource: str
    key: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantEnded(Event):
    """A grant ended before its time; live sessions that rest on it are cut."""

    kind: ClassVar[str] = "grant.ended"
    grant: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentIssued(Event):
    """A one-time code was made with which a person can set a password and a TOTP secret."""

    kind: ClassVar[str] = "enrolment.issued"
    person: str
    by: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentUsed(Event):
    """A person set a password and a TOTP secret with a one-time code; earlier ones no longer work."""

    kind: ClassVar[str] = "enrolment.used"
    person: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordEnded(Event):
    """A person's local password and TOTP secret no longer work."""

    kind: ClassVar[str] = "password.ended"
    person: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginStarted(Event):
    """A person signed in with a key; the certificate and the tokens are bound to it."""

    kind: ClassVar[str] = "login.started"
    login: str
    person: str
    key: str
    ends_at: datetime
    present_at: datetime | None
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginStepped(Event):
    """A person gave a fresh proof of presence within a login."""

    kind: ClassVar[str] = "login.stepped-up"
    login: str
    person: str
    present_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginEnded(Event):
    """A login ended before its time; its certificate and tokens no longer work."""

    kind: ClassVar[str] = "login.ended"
    login: str
    person: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRefused(Event):
    """A sign-in failed. ``blocked_until`` is set when further tries have to wait."""

    kind: ClassVar[str] = "sign-in.refused"
    person: str
    address: str
    reason: str
    blocked_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordIssued(Event):
    """A password for so many connections within 60 s was made."""

    kind: ClassVar[str] = "password.issued"
    person: str
    login: str
    resource: str
    connections: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordUsed(Event):
    """One of a password's connections was made, from ``address``; it is good for ``left`` more."""

    kind: ClassVar[str] = "password.used"
    person: str
    login: str
    resource: str
    address: str = ""
    left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened(Event):
    """A session through a gateway began, on these grants."""

    kind: ClassVar[str] = "session.opened"
    session: str
    person: str
    resource: str
    login: str
    grants: tuple[str, ...]
    gateway: str
    address: str
    client: str
    opened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCut(Event):
    """A person asked for a live session to be cut."""

    kind: ClassVar[str] = "session.cut"
    session: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClosed(Event):
    """A session ended. ``recording`` is the SHA-256 (hex) of its sealed recording."""

    kind: ClassVar[str] = "session.closed"
    session: str
    person: str
    resource: str
    closed_at: datetime
    why: str
    statements: int
    recording: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRead(Event):
    """A person watched or replayed a session's recording."""

    kind: ClassVar[str] = "recording.read"
    session: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotated(Event):
    """The operator let a fresh key sign tokens; what the last one signed is taken until ``older_until``."""

    kind: ClassVar[str] = "key.rotated"
    key: str
    older_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayJoined(Event):
    """A gateway host was allowed to follow the feed."""

    kind: ClassVar[str] = "gateway.joined"
    gateway: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRegistered(Event):
    """A client of the authorization server came to be known; ``owner`` is set for an agent."""

    kind: ClassVar[str] = "client.registered"
    client: str
    client_kind: str
    name: str
    redirect_uris: tuple[str, ...]
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientEnded(Event):
    """A client may no longer ask for tokens, and those that it has no longer work."""

    kind: ClassVar[str] = "client.ended"
    client: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationGiven(Event):
    """A person let a client act for them until ``ends_at`` or the end of the login, whichever is sooner."""

    kind: ClassVar[str] = "delegation.given"
    delegation: str
    person: str
    login: str
    client: str
    scopes: tuple[str, ...]
    ends_at: datetime
    actor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationUsed(Event):
    """A client exchanged its code, or refreshed: ``generation`` counts the refresh tokens."""

    kind: ClassVar[str] = "delegation.used"
    delegation: str
    key: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationEnded(Event):
    """What a client was allowed ended; its tokens no longer work."""

    kind: ClassVar[str] = "delegation.ended"
    delegation: str
    person: str
    client: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyAdded(Event):
    """A person registered a passkey."""

    kind: ClassVar[str] = "passkey.added"
    person: str
    passkey: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyUsed(Event):
    """A passkey signed, with the person verified; ``purpose`` is what for: a sign-in, or the request that it named."""

    kind: ClassVar[str] = "passkey.used"
    person: str
    passkey: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyEnded(Event):
    """A passkey no longer works."""

    kind: ClassVar[str] = "passkey.ended"
    person: str
    passkey: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyTaken(Event):
    """A person took a duty of a chain over an artifact; every separation held, over all that was done on it before."""

    kind: ClassVar[str] = "duty.taken"
    duty_id: str
    chain: str
    artifact: str
    duty: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyDone(Event):
    """The person who took a duty did it, on exactly this content."""

    kind: ClassVar[str] = "duty.done"
    duty_id: str
    chain: str
    artifact: str
    duty: str
    person: str
    content_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyVoided(Event):
    """A duty no longer counts, because the content that it was done on has changed."""

    kind: ClassVar[str] = "duty.voided"
    duty_id: str
    chain: str
    artifact: str
    duty: str
    person: str
    reason: str


def _all_kinds() -> dict[str, type[Event]]:
    kinds: dict[str, type[Event]] = {}
    for cls in Event.__subclasses__():
        if globals().get(cls.__name__) is not cls:
            continue  # the class that the decorator replaced by one with slots, not collected yet
        if cls.kind in kinds or not cls.kind:
            raise TypeError(f"the event kind {cls.kind!r} of {cls.__name__} is taken or empty")
        kinds[cls.kind] = cls
    return kinds


EVENTS: Mapping[str, type[Event]] = _all_kinds()
"""Every event class by its stable kind."""
