"""What a gateway worker needs from the control plane: the feed, and the few calls that are not a decision.

Deciding a statement never calls. The feed's messages are JSON objects, one a line, each with a ``type``:

``snapshot``  ``{"type", "lease_s", "snapshot": Snapshot, "stopped"}``: first, and whenever the follower must start
              again
``change``    ``{"type", "after", "version", "at", "put": {map: {key: row}}, "drop": {map: [key]},
              "policy"?: PolicyText}``
              where ``map`` is a mapping of Snapshot (people, contracts, grants, logins, credentials, held, cuts,
              alarms)
``beat``      ``{"type", "version", "at"}``: at least three times in a lease
``stop``      ``{"type", "why"}``: decide nothing until ``go``. ``why`` is a clause for people, empty for ``go``;
              that of a snapshot is ``stopped``
``go``        ``{"type"}``
``watch``     ``{"type", "session", "ticket"}``: stream this session's records to ``watched`` until it says stop

``after`` is the version of the snapshot or change that was told last before this one, and a beat's ``version`` is that
of the one told last. INVARIANT: a follower that knows another version has missed something; it trusts neither that
message nor what it knew, and begins again with a snapshot. Versions may leave numbers out: what concerns no gateway is
not told. Fresh credentials alone come without a version of their own, so ``after`` and ``version`` may be the same.

A worker says up to which version it has applied what it was told (``report``), at once when something ended: from that
rests what is said of an offboarding (``services.hearing``).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from interlock.domain.actions import Need
from interlock.ports.protocol import Impact
from interlock.ports.sample import NO_SAMPLE, Sample

TOLERANCE_S = 3.0
"""By how much a worker's time and the feed's may come to differ: what comes later than that is not taken any more."""


@dataclass(frozen=True, slots=True)
class SessionStart:
    """``presence`` is the pass that was spent on it, empty where none was asked for."""

    id: str
    person: str
    resource: str
    login: str
    grants: tuple[str, ...]
    address: str
    client: str
    opened_at: datetime
    presence: str = ""


@dataclass(frozen=True, slots=True)
class SessionCount:
    """What a live session has come to so far: rows that went through it, statements that were refused."""

    id: str
    rows: int
    refused: int


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """``recording`` is the SHA-256 (hex) of the last of the recording's ``segments``."""

    id: str
    closed_at: datetime
    why: str
    statements: int
    recording: str
    rows: int = 0
    refused: int = 0
    segments: int = 0


@dataclass(frozen=True, slots=True)
class KeptSegment:
    """A stored segment: its SHA-256 (hex), and the number of the last record in it."""

    digest: str
    records: int


@dataclass(frozen=True, slots=True)
class SegmentReport:
    """Segments of a session's recording that were stored: from number ``first`` on, the first of which follows on the
    one with the SHA-256 ``previous`` (empty: on none)."""

    session: str
    first: int
    previous: str
    segments: tuple[KeptSegment, ...]


@dataclass(frozen=True, slots=True)
class RecordingStanding:
    """How far the control plane knows a session's recording: so many ``segments``, the last one's SHA-256 (``head``),
    the number of the last record in them; and the key that the next ones are sealed with, None once it is closed."""

    session: str
    key: bytes | None
    segments: int
    head: str
    records: int
    closed: bool


@dataclass(frozen=True, slots=True)
class HoldOpening:
    """A held statement, exactly as approvers will decide on it. ``parameters`` are shown as text, NULL as None.

    ``sample`` is no part of what they decide on, which has its SHA-256 with the secret ``salt``: who sees rows sees
    those that were taken for this very statement, and nobody guesses rows by the hash.
    """

    session: str
    number: int
    person: str
    resource: str
    roles: tuple[str, ...]
    text: str
    parameters: tuple[str | None, ...]
    needs: tuple[Need, ...]
    impact: Impact
    why: str
    sample: Sample = NO_SAMPLE
    salt: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class HoldOpened:
    """``who`` says in words who may approve: 'one of lead@example.com, dba2@example.com'."""

    request: str
    digest: str
    who: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PasswordHolder:
    """Whom a short-lived password stood for."""

    person: str
    login: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A connection that asks for a proof of presence: whose, to what, under which grants, from where. ``password`` is
    the one that it came with, empty where it came with a certificate."""

    login: str
    resource: str
    grants: tuple[str, ...]
    address: str
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PassTaken:
    """A proof of presence that was spent on a connection: given at ``present_at``, for ``grants`` and no other."""

    id: str
    present_at: datetime
    grants: tuple[str, ...]


class ControlPlane(Protocol):
    """Each call raises ``Refusal`` for a no and ``Failure`` when the control plane cannot be reached in time."""

    def feed(self) -> AsyncIterator[Mapping[str, Any]]: ...

    async def take_password(self, password: str, resource: str, address: str) -> PasswordHolder:
        """Use up one of the connections that ``password`` is good for. ``address`` is the client's."""

    async def take_pass(self, wanted: Wanted) -> PassTaken:
        """Spend a proof of presence on one connection. It is gone then, whatever becomes of the connection."""

    async def report(
        self,
        starts: Sequence[SessionStart],
        ends: Sequence[SessionEnd],
        counts: Sequence[SessionCount] = (),
        kept: Sequence[SegmentReport] = (),
        applied: int | None = None,
    ) -> Sequence[RecordingStanding]:
        """How the recordings of ``starts`` stand now.

        ``applied``: this worker has applied everything that it was told up to that version, and cut what rested on what
        ended; every session that it opened before is told in this report, or was.

        Idempotent: a start, an end, a count or a segment that is known already changes nothing.
        """

    async def leave(self) -> None:
        """This worker goes on by nothing that it was told, from now on and for good. INVARIANT: said after its sessions
        were cut, the end of each was reported, and its feed was closed."""

    async def open_hold(self, opening: HoldOpening) -> HoldOpened: ...

    async def take_hold(self, request: str, digest: str) -> None:
        """Use the approval of a held statement: succeeds once, and only for the approved content."""

    async def withdraw_hold(self, request: str, reason: str) -> None: ...

    async def watched(self, ticket: str, records: Sequence[Mapping[str, Any]], *, ended: bool) -> bool:
        """Hand over records for a watcher. False: nobody watches any more."""
