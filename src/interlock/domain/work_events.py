"""Events of what is done: passwords for a connection, sessions, recordings, duties."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from interlock.domain.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordIssued(Event):
    """A password for so many connections within 60 s was made."""

    kind: ClassVar[str] = "password.issued"
    person: str
    login: str
    resource: str
    connections: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SshCertificateIssued(Event):
    """An SSH certificate for the key of a login was made, good for one resource's grants until ``ends_at``."""

    kind: ClassVar[str] = "ssh-certificate.issued"
    person: str
    login: str
    resource: str
    ends_at: datetime


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
class PassGiven(Event):
    """A person proved to be there for so many connections to one resource, under these grants and with the key of this
    login. ``how`` says by what (a passkey, which signed ``digest``, or a one-time code)."""

    kind: ClassVar[str] = "pass.given"
    presence: str
    person: str
    login: str
    key: str
    resource: str
    grants: tuple[str, ...]
    digest: str
    how: str
    present_at: datetime
    expires_at: datetime
    connections: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PassUsed(Event):
    """A proof of presence was spent on a connection from ``address``, under these grants; good for ``left`` more."""

    kind: ClassVar[str] = "pass.used"
    presence: str
    person: str
    login: str
    resource: str
    grants: tuple[str, ...]
    address: str
    left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionsForgotten(Event):
    """So many proofs of presence and passwords for connections, over for a day, were deleted from the state."""

    kind: ClassVar[str] = "connections.forgotten"
    passes: int
    passwords: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTried(Event):
    """A person had the control plane connect to a resource with its credential, to see whether it ``works``."""

    kind: ClassVar[str] = "connection.tried"
    by: str
    resource: str
    works: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened(Event):
    """A session through a gateway began, on these grants. ``presence`` is the pass that was spent on it, if one was
    asked for."""

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
    presence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleShown(Event):
    """Rows that a held statement touches were shown to who decides: of which parts, how many, under which grants."""

    kind: ClassVar[str] = "sample.shown"
    request: str
    by: str
    parts: tuple[str, ...]
    rows: int
    grants: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCut(Event):
    """A live session was to be cut, by a person or by a detection."""

    kind: ClassVar[str] = "session.cut"
    session: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCounted(Event):
    """What a live session has come to so far; told when rows or refusals grew by a quarter and detections look."""

    kind: ClassVar[str] = "session.counted"
    session: str
    person: str
    resource: str
    rows: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionFired(Event):
    """A detection fired at the entry ``entry``. ``sessions`` are those that it held or cut, by its ``response``."""

    kind: ClassVar[str] = "detection.fired"
    detection: str
    response: str
    entry: int
    sentence: str
    person: str = ""
    session: str = ""
    resource: str = ""
    grant: str = ""
    sessions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClosed(Event):
    """A session ended. ``recording`` is the SHA-256 (hex) of the last of its recording's ``segments``; without segments
    the recording is one object, and that is its hash. ``rows`` is how many went through it, ``refused`` how many
    statements were."""

    kind: ClassVar[str] = "session.closed"
    session: str
    person: str
    resource: str
    closed_at: datetime
    why: str
    statements: int
    recording: str = ""
    rows: int = 0
    refused: int = 0
    segments: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingKept(Event):
    """Segments of a session's recording were stored: from the one with the number ``first`` on, which follows on
    ``previous``, by their SHA-256 (hex). They hold its records up to the number ``records``."""

    kind: ClassVar[str] = "recording.kept"
    session: str
    first: int
    previous: str
    digests: tuple[str, ...]
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRead(Event):
    """A person watched or replayed a session's recording. ``grant`` is the one that lets them, where a role does."""

    kind: ClassVar[str] = "recording.read"
    session: str
    by: str
    grant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingsSearched(Event):
    """A person searched the statements in recordings for ``content``, and was shown some of these ``sessions``."""

    kind: ClassVar[str] = "recordings.searched"
    by: str
    content: str
    sessions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingsIndexed(Event):
    """The index of the words in recordings was begun anew, under a fresh key."""

    kind: ClassVar[str] = "recordings.indexed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDeleted(Event):
    """A recording was deleted, its key destroyed: ``by`` asked for it in ``request``, and ``allowed_by`` approved.
    ``recording`` is the SHA-256 of the last of its ``segments``."""

    kind: ClassVar[str] = "recording.deleted"
    session: str
    request: str
    by: str
    allowed_by: tuple[str, ...]
    reason: str
    recording: str
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingErased(Event):
    """The segments of a deleted recording are gone from the store."""

    kind: ClassVar[str] = "recording.erased"
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHoldPlaced(Event):
    """No recording of this session, person or resource is deleted until the hold is lifted."""

    kind: ClassVar[str] = "legal_hold.placed"
    hold: str
    by: str
    reason: str
    session: str = ""
    person: str = ""
    resource: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHoldLifted(Event):
    """A legal hold was lifted: ``by`` asked for it in ``request``, ``allowed_by`` approved."""

    kind: ClassVar[str] = "legal_hold.lifted"
    hold: str
    request: str
    by: str
    allowed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingKeysRotated(Event):
    """A fresh master key, with the name ``key``, wrapped the keys of ``count`` recordings anew."""

    kind: ClassVar[str] = "recording_keys.rotated"
    key: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayJoined(Event):
    """A gateway host was allowed to follow the feed."""

    kind: ClassVar[str] = "gateway.joined"
    gateway: str
    key: str


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
    """A duty no longer counts: the content that it was done on has changed, or who took it left before it was done."""

    kind: ClassVar[str] = "duty.voided"
    duty_id: str
    chain: str
    artifact: str
    duty: str
    person: str
    reason: str
