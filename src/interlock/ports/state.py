"""What the services need from the state: consistent reads, and one unit of work that can change it.

Every change happens inside ``State.changing``; leaving the block commits it together with the events recorded in
it, or, on any exception, nothing at all. Saving without recording an event is refused at the commit, by the unit
of work and by the database itself.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from interlock.domain.accounts import UpstreamAccount
from interlock.domain.delivery import Evidence
from interlock.domain.detections import Alarm
from interlock.domain.duties import Duty
from interlock.domain.event import Event
from interlock.domain.grants import Activity, Approval, Grant, Login, Request
from interlock.domain.notices import ChatLink
from interlock.domain.oauth import Delegation, OauthClient, Passkey
from interlock.domain.people import Contract, Extension, Identity, Invitation, Person, Vendor
from interlock.domain.proposals import Proposal
from interlock.domain.provisioning import Provisioned
from interlock.domain.recordings import RecordingKey, Segment
from interlock.domain.retention import LegalHold
from interlock.domain.signin import (
    Attempts,
    ConnectionPass,
    ConnectionPassword,
    Enrolment,
    GatewayIdentity,
    LocalCredential,
)
from interlock.domain.snapshot import PolicyText
from interlock.errors import Failure

Entity = (
    Person
    | Identity
    | Vendor
    | Contract
    | Request
    | Approval
    | Grant
    | Login
    | Activity
    | LocalCredential
    | Enrolment
    | Attempts
    | ConnectionPassword
    | ConnectionPass
    | GatewayIdentity
    | PolicyText
    | OauthClient
    | Delegation
    | Passkey
    | Provisioned
    | Extension
    | Duty
    | Alarm
    | Evidence
    | Segment
    | RecordingKey
    | UpstreamAccount
    | LegalHold
    | Proposal
    | ChatLink
    | Invitation
)


Mark = tuple[int, bytes] | None
"""A place in the ledger and the link there; None before any. The same two only ever follow on the same history."""


class Contended(Failure):
    """Another change stood in the way (a deadlock, a lock not had in time). Nothing was written: try again."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One event in its place. ``body`` is the canonical JSON (RFC 8785) that was hashed, as it was hashed.

    ``link`` is SHA-256 (hex) over the previous entry's link (32 bytes) and ``body``.
    """

    position: int
    at: datetime
    actor: str
    kind: str
    body: bytes
    link: str


@dataclass(frozen=True, slots=True)
class Following:
    """A gateway worker that may go on with what it was told: for ``left`` more at most, whatever it hears or does not.

    ``applied`` is the ledger position up to which it has applied every change and cut what rested on it, as it says; at
    first the ledger's head when it began to follow, for it is told of nothing older.
    """

    gateway: str
    worker: str
    applied: int
    left: timedelta


class Reading(Protocol):
    """Reads of one consistent state. A missing entity is None, never an exception."""

    async def person(self, name: str) -> Person | None: ...
    async def people(self) -> Sequence[Person]: ...
    async def identity(self, kind: str, subject: str) -> Identity | None: ...
    async def identities(self, person: str) -> Sequence[Identity]: ...
    async def configured_identities(self) -> Sequence[Identity]:
        """Those that the configuration named and that have not ended."""

    async def vendors(self) -> Sequence[Vendor]: ...
    async def contract(self, name: str) -> Contract | None: ...
    async def contracts(self) -> Sequence[Contract]: ...
    async def request(self, request_id: str) -> Request | None: ...
    async def requests(
        self,
        *,
        state: str | None = None,
        person: str | None = None,
        before: Request | None = None,
        limit: int = 200,
    ) -> Sequence[Request]:
        """The newest first; with ``before`` those that come after it in that order."""

    async def open_holds(self, sessions: Sequence[str]) -> Sequence[Request]:
        """Held statements of ``sessions`` that are neither decided nor over."""

    async def requests_about(self, artifact: str) -> Sequence[Request]:
        """Those that were asked for one artifact, the oldest first."""

    async def approvals(self, request_id: str) -> Sequence[Approval]: ...
    async def grant(self, grant_id: str) -> Grant | None: ...
    async def grants(
        self,
        *,
        active_at: datetime | None = None,
        lasting_at: datetime | None = None,
        person: str | None = None,
        limit: int = 5000,
    ) -> Sequence[Grant]: ...
    async def login(self, login_id: str) -> Login | None: ...
    async def logins(
        self, *, active_at: datetime | None = None, person: str | None = None, key: str | None = None
    ) -> Sequence[Login]: ...
    async def logins_named(self, login_ids: Sequence[str]) -> Mapping[str, Login]: ...
    async def signed_in(self, *, limit: int) -> Sequence[str]:
        """Persons who have ever signed in, ``limit`` at most, sorted."""

    async def come_in(self) -> Collection[str]:
        """Persons who have signed in, or could: by a password of their own or a passkey."""

    async def activity(self, session_id: str) -> Activity | None: ...
    async def activities_named(self, session_ids: Sequence[str]) -> Mapping[str, Activity]:
        """Those that there are, by their sessions; and so ``logins_named`` and ``last_segments``."""

    async def activities(
        self,
        *,
        live: bool = False,
        person: str | None = None,
        resource: str | None = None,
        before: Activity | None = None,
        limit: int = 200,
    ) -> Sequence[Activity]: ...
    async def recorded(self, *, after: Activity | None = None, limit: int = 500) -> Sequence[Activity]: ...
    async def local_credential(self, person: str) -> LocalCredential | None: ...
    async def enrolment(self, code_hash: str) -> Enrolment | None: ...
    async def attempts(self, subject: str) -> Attempts | None: ...
    async def connection_password(self, hash_hex: str) -> ConnectionPassword | None: ...
    async def connection_pass(self, pass_id: str) -> ConnectionPass | None: ...
    async def connection_passes(self, *, login: str, resource: str, since: datetime) -> Sequence[ConnectionPass]:
        """Those of a login for a resource that were good at ``since`` or later, the last given first."""

    async def gateway(self, key: str) -> GatewayIdentity | None: ...
    async def policy(self) -> PolicyText | None: ...
    async def policies(self, *, upto: int, limit: int) -> Sequence[PolicyText]: ...
    async def policy_versions(self, *, before: int, limit: int) -> Sequence[tuple[int, str]]: ...
    async def proposal(self, request_id: str) -> Proposal | None: ...
    async def oauth_client(self, client_id: str) -> OauthClient | None: ...
    async def oauth_clients(self, *, owner: str | None = None) -> Sequence[OauthClient]: ...
    async def delegation(self, delegation_id: str) -> Delegation | None: ...
    async def delegations(
        self,
        *,
        person: str | None = None,
        login: str | None = None,
        client: str | None = None,
        code_hash: str | None = None,
    ) -> Sequence[Delegation]: ...
    async def passkey(self, passkey_id: str) -> Passkey | None: ...
    async def passkeys(self, person: str) -> Sequence[Passkey]: ...
    async def extension(self, contract: str) -> Extension | None: ...
    async def invitation(self, invitation_id: str) -> Invitation | None: ...
    async def invitation_of(self, code_hash: str) -> Invitation | None: ...
    async def invitations(self, *, person: str | None = None) -> Sequence[Invitation]:
        """The newest first."""

    async def provisioned_one(self, resource_id: str) -> Provisioned | None: ...
    async def provisioned(self, kind: str, *, deleted: bool = False) -> Sequence[Provisioned]: ...
    async def duties(self, chain: str, artifact: str) -> Sequence[Duty]: ...
    async def alarm(self, detection: str, position: int) -> Alarm | None: ...
    async def alarms(self, *, limit: int = 200) -> Sequence[Alarm]: ...
    async def evidence(self, repository: str, commits: Collection[str], *, sealed: bool = True) -> Sequence[Evidence]:
        """What was done on any of ``commits``, or brought one of them, in the order of its time; the voided too.

        Without ``sealed`` the envelopes are left out, which nobody needs who only counts.
        """

    async def evidence_since(self, mark: tuple[int, bytes]) -> Sequence[Evidence] | None:
        """The evidence that was given or voided after ``mark``, as it now is, without envelopes; None when the ledger
        does not go through ``mark``, or when there is too much."""

    async def last_changes(self, kinds: Sequence[str]) -> Mapping[str, Mark]:
        """For each kind of row (a table's name) where its last change stands in the ledger."""

    async def evidence_one(self, evidence_id: str) -> Evidence | None: ...
    async def evidence_of_start(self, repository: str, start: str) -> Sequence[Evidence]:
        """Those whose source begins so."""

    async def evidence_of_source(self, repository: str, source: str) -> Sequence[Evidence]: ...
    async def evidence_of_build(self, subject: str) -> Sequence[Evidence]: ...
    async def last_evidence(self, repository: str, duty: str, environment: str) -> Evidence | None: ...
    async def segments(self, session: str, *, after: int = 0, limit: int = 1000) -> Sequence[Segment]: ...
    async def last_segment(self, session: str) -> Segment | None: ...
    async def last_segments(self, sessions: Sequence[str]) -> Mapping[str, Segment]: ...
    async def recording_key(self, session: str) -> RecordingKey | None: ...
    async def recording_keys_named(self, sessions: Sequence[str]) -> Mapping[str, RecordingKey]: ...
    async def recording_keys(self, *, wrapped_by_other_than: str, limit: int = 1000) -> Sequence[RecordingKey]: ...
    async def account(self, grant_id: str) -> UpstreamAccount | None: ...
    async def accounts(self, *, live: bool = False, person: str | None = None) -> Sequence[UpstreamAccount]: ...
    async def recording_keys_to_erase(self, *, limit: int = 100) -> Sequence[RecordingKey]: ...
    async def legal_hold(self, hold_id: str) -> LegalHold | None: ...
    async def legal_holds(self) -> Sequence[LegalHold]: ...
    async def chat_link(self, notifier: str, subject: str) -> ChatLink | None: ...
    async def chat_links(self, person: str) -> Sequence[ChatLink]:
        """Those that are not over, the oldest first."""

    async def artifacts(self, chain: str, *, limit: int = 20) -> Sequence[str]: ...
    async def ledger(self, *, after: int = 0, limit: int = 1000) -> Sequence[LedgerEntry]: ...
    async def ledger_search(
        self, text: str = "", *, limit: int = 200, before: int | None = None, kind: str = "", actor: str = ""
    ) -> Sequence[LedgerEntry]: ...
    async def ledger_head(self) -> int: ...
    async def followings(self) -> Sequence[Following]:
        """The gateway workers whose lease may not be over. Who is not among them has not been told anything yet, and
        will be told of this state first, or of a later one."""


class UnitOfWork(Reading, Protocol):
    """Reads see what was saved; ``lock`` makes a read-decide-save on one entity safe against others."""

    async def lock(self, entity_type: type, key: str) -> None:
        """Nobody else can lock (type, key) until this unit of work ends. Taken before the read that decides."""

    async def lock_each(self, entity_type: type, keys: Sequence[str]) -> None:
        """As ``lock``, one after the other in the order of ``keys``, with one question."""

    async def save(self, entity: Entity) -> None:
        """Insert or replace, by the entity's key."""

    async def forget_connections(self, most: int) -> tuple[int, int]:
        """Delete passes and passwords for connections that were over a day ago, ``most`` of each: how many of each."""

    def record(self, event: Event) -> None:
        """The event that this unit of work writes with its changes. At least one is needed for each commit."""


class State(Protocol):
    def reading(self) -> AbstractAsyncContextManager[Reading]: ...

    def changing(self, actor: str) -> AbstractAsyncContextManager[UnitOfWork]:
        """``actor`` is the person's name, ``gateway:NAME`` or ``system``."""

    def changes(self, after: int) -> AsyncGenerator[tuple[int, Sequence[Entity]]]:
        """The feed's source: (ledger position, the entities as they now are that changed), from ``after`` on.

        First yields at once (possibly with nothing), then whenever something was committed; ends with ``Failure``
        when the database is lost.
        """


class WaitingRoom(Protocol):
    """What strangers began and may come back to within minutes: pushed requests, device codes, ceremonies.

    No state: nothing rests on it until a person says yes, and that is in the ledger. Shared by all control planes.
    """

    async def put(self, name: str, content: Mapping[str, Any], *, until: datetime, origin: str) -> None:
        """Keep ``content`` under ``name``, in place of what was there. ``origin`` is the network it came from.

        Raises Refusal (``too-many-waiting``) when that network has too much waiting.
        """

    async def look(self, name: str) -> Mapping[str, Any] | None:
        """What is kept and not over."""

    async def change(self, name: str, content: Mapping[str, Any]) -> None:
        """Put ``content`` in the place of what waits there, until when it would have waited; nothing when none does."""

    async def take(self, name: str) -> Mapping[str, Any] | None:
        """The same, once: of two who take it in the same moment one gets it."""


class Followings(Protocol):
    """Which gateway workers may go on with what they were told; shared by all control planes. Read with the state.

    No state: each worker says it anew as it follows.
    """

    async def lasts(self, gateway: str, worker: str, longest: timedelta) -> None:
        """The worker may go on for ``longest`` from now. INVARIANT: this is so before it is told what to go on with."""

    async def applied(self, gateway: str, worker: str, version: int) -> None:
        """The worker says that it has applied everything up to ``version``. What was not there yet is not believed, nor
        is a worker that does not follow."""

    async def leaves(self, gateway: str, worker: str) -> None:
        """The worker says that it goes on by nothing any more: whatever it was promised is over."""


class WatchMemory(Protocol):
    """Where the watch keeps how far it has read the ledger and what it makes of it; shared by all control planes.

    No state: all of it follows from the ledger, and is made anew from there when it is gone.
    """

    async def load(self) -> Mapping[str, Any] | None: ...

    async def keep(self, content: Mapping[str, Any]) -> None: ...


class ReplayCache(Protocol):
    async def first_use(self, jkt: str, jti: str, until: datetime) -> bool:
        """Whether (jkt, jti) was never seen before; remembers it until ``until``. Shared by all control planes."""

    async def was_used(self, jkt: str, jti: str) -> bool:
        """Whether (jkt, jti) was seen before, and is remembered."""
