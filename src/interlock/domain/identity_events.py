"""Events of how people prove who they are: enrolment, logins, passkeys, clients and agents, keys."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from interlock.domain.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityLinked(Event):
    """An identity (an e-mail address, an IdP subject, a key) was linked to a person."""

    kind: ClassVar[str] = "identity.linked"
    person: str
    identity_kind: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatLinked(Event):
    """An account in a chat was linked to a person, who said a one-time code there and proved presence here."""

    kind: ClassVar[str] = "chat.linked"
    person: str
    notifier: str
    subject: str
    shown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatUnlinked(Event):
    """An account in a chat is no longer a person's; what is pressed there counts as nobody's."""

    kind: ClassVar[str] = "chat.unlinked"
    person: str
    notifier: str
    subject: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityEnded(Event):
    """The configuration names an identity no more: nobody signs in by it; what was done under it stays the person's."""

    kind: ClassVar[str] = "identity.ended"
    person: str
    identity_kind: str
    subject: str


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
class RecoveryHelped(Event):
    """Somebody gave one of the two halves with which a person can set a password and a TOTP secret anew."""

    kind: ClassVar[str] = "recovery.helped"
    person: str
    by: str
    reason: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRecovered(Event):
    """A person who had lost what they sign in with is let in again, by the halves of two others (``helpers``)."""

    kind: ClassVar[str] = "person.recovered"
    person: str
    helpers: tuple[str, ...]
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonInvited(Event):
    """An employee gave a link by which a person of a contract may come in, once its sponsor has confirmed them."""

    kind: ClassVar[str] = "invitation.given"
    invitation: str
    contract: str
    person: str
    by: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationOpened(Event):
    """The link of an invitation was used for the first time; no other key than this one goes on with it."""

    kind: ClassVar[str] = "invitation.opened"
    invitation: str
    person: str
    key: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationTried(Event):
    """Another key than the first one tried the link of an invitation, and was refused: the link went astray."""

    kind: ClassVar[str] = "invitation.tried"
    invitation: str
    person: str
    key: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationConfirmed(Event):
    """The contract's sponsor confirmed that the key of an invitation is the person's."""

    kind: ClassVar[str] = "invitation.confirmed"
    invitation: str
    contract: str
    person: str
    by: str
    key: str
    present_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationUsed(Event):
    """A person who was invited and confirmed set a password and a TOTP secret."""

    kind: ClassVar[str] = "invitation.used"
    invitation: str
    person: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationEnded(Event):
    """The link of an invitation opens nothing any more."""

    kind: ClassVar[str] = "invitation.ended"
    invitation: str
    person: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordEnded(Event):
    """A person's local password and TOTP secret no longer work."""

    kind: ClassVar[str] = "password.ended"
    person: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginStarted(Event):
    """A person signed in with a key; the certificate and the tokens are bound to it.

    With ``workload`` it is that of a job, which was lent something for a deployment, and counts as ``person``."""

    kind: ClassVar[str] = "login.started"
    login: str
    person: str
    key: str
    ends_at: datetime
    present_at: datetime | None
    address: str
    workload: str = ""


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
class KeyRotated(Event):
    """The operator let a fresh key sign tokens; what the last one signed is taken until ``older_until``."""

    kind: ClassVar[str] = "key.rotated"
    key: str
    older_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerKeyRotated(Event):
    """The operator let a fresh key sign the ledger's checkpoints: every one that covers this entry is signed with it,
    and until ``older_until`` with the key before it as well.

    ``key`` and ``older`` are verifier keys (C2SP signed-note). ``signatures`` are by both of them, over what
    docs/ledger.md says, so that neither was named by somebody who has not got it."""

    kind: ClassVar[str] = "ledger_key.rotated"
    key: str
    older: str
    older_until: datetime
    signatures: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceSecretRotated(Event):
    """The operator made a fresh secret for the server's nonces: it makes them from ``starts_at`` on."""

    kind: ClassVar[str] = "nonce_secret.rotated"
    starts_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SshAuthorityRotated(Event):
    """The operator let a fresh key (``key`` is its public line) certify people's keys for SSH; the one before it is
    trusted until ``older_until``."""

    kind: ClassVar[str] = "ssh_authority.rotated"
    key: str
    older_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityAnnounced(Event):
    """The operator made the next authority (``key`` is its fingerprint): it is trusted, and certifies nothing yet."""

    kind: ClassVar[str] = "authority.announced"
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityReplaced(Event):
    """The announced authority certifies from now on; the one before it is trusted until ``older_until``."""

    kind: ClassVar[str] = "authority.replaced"
    key: str
    older_until: datetime


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
class WorkloadAdmitted(Event):
    """A job of a CI system was let in as a workload, which counts as its owner; ``subject`` is its provider's."""

    kind: ClassVar[str] = "workload.admitted"
    workload: str
    owner: str
    subject: str
    key: str
    ends_at: datetime
    address: str


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
