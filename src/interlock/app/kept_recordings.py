"""Recordings as a verifier sees them: segments in a folder or an object store, each under its SHA-256.

No key is needed: the ledger has the hashes of segments as they are stored, encrypted. What is forged is named:

* a segment that is missing, cut off, changed, or in whose place another one lies: by the object
* one that was repeated, moved or left out: by the ledger's entries, which must follow on one another, and by what a
  segment says of itself in the clear
* a recording that ends before its session did: by the session's end
* a recording that is missing is no fault when the ledger says that it was deleted, who asked and who allowed it, and
  when the request and the approvals of two others stand in the ledger before that
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import obstore
from obstore.exceptions import BaseError

from interlock.domain.grants import RequestKind
from interlock.domain.rights_events import ApprovalGiven, RequestOpened
from interlock.domain.work_events import RecordingDeleted, RecordingKept, SessionClosed, SessionOpened
from interlock.errors import Failure
from interlock.ledger.entries import Unreadable, read_body
from interlock.ledger.verify import Broken
from interlock.wire.objects import Place, open_objects
from interlock.wire.segments import Header, NotASegmentError, read_header, segment_path

_EVENTS = (RecordingKept, SessionClosed, SessionOpened, RecordingDeleted, RequestOpened, ApprovalGiven)
_KINDS = tuple(f'"kind":"{event.kind}"'.encode() for event in _EVENTS)
_TWO = 2
_BEGINNING_BYTES = 8 * 1024


@dataclass(slots=True)
class _Trail:
    """What the ledger said so far of a live session's recording."""

    count: int = 0
    head: str = ""


@dataclass(frozen=True, slots=True)
class _Object:
    """An object as it was found: its hash, its size, its beginning."""

    digest: str
    size: int
    beginning: bytes


@dataclass(slots=True)
class _Asked:
    """A request to delete recordings: who asked, for which (by their last hashes), who approved."""

    by: str
    digest: str
    recordings: dict[str, str]
    recorded: frozenset[str]
    approved: set[str] = field(default_factory=set)


class KeptRecordings:
    """``check`` is a :data:`interlock.ledger.audit.BodyCheck`, for the entries in their order; ``finish`` says what
    only all of them together show. ``whole`` is false when the entries do not begin with the ledger's first.

    What it remembers grows with the sessions that are live at one time, and with the recordings that are missing.
    """

    def __init__(self, where: str, *, whole: bool = True) -> None:
        place = Place(where)
        if place.folder is not None and not place.folder.is_dir():
            raise Failure(f"There is no folder {where}.", "Give the folder or the URL of the recordings.")
        self._store = open_objects(place, "The recordings' store")
        self._whole = whole
        self._trails: dict[str, _Trail] = {}
        self._missing: dict[str, Broken] = {}
        self._asked: dict[str, _Asked] = {}
        self.count = 0
        self.segments = 0
        self.deleted: list[str] = []
        """A sentence for each recording that was deleted as it should be."""

    async def check(self, position: int, body: bytes) -> str:
        """A sentence when what an entry says of a recording does not hold."""
        if not any(kind in body for kind in _KINDS):
            return ""
        try:
            recorded = read_body(body)
        except Unreadable as error:
            return f"Entry {position} cannot be read: {error}."
        match event := recorded.event:
            case SessionOpened():
                self._trails[event.session] = _Trail()
            case RecordingKept():
                return await self._check_kept(position, event)
            case SessionClosed():
                return await self._check_closed(position, event)
            case RequestOpened() if event.request_kind == RequestKind.DELETION.value:
                self._asked[event.request] = _asked(event)
            case ApprovalGiven() if (asked := self._asked.get(event.request)) and event.digest == asked.digest:
                asked.approved.add(event.person)
            case RecordingDeleted():
                return self._check_deleted(position, recorded.at, event)
        return ""

    def _check_deleted(self, position: int, at: datetime, event: RecordingDeleted) -> str:
        what = f"Entry {position} says that the recording of {event.session} was deleted"
        asked = self._asked.get(event.request)
        if asked is None:
            return f"{what}, and no request to delete it stands before that." if self._whole else ""
        allowed = frozenset(event.allowed_by)
        if asked.by != event.by or asked.recordings.get(event.session) != event.recording:
            return f"{what}, and the request {event.request} is another's, or for another recording."
        if not allowed <= asked.approved or len(allowed) < _TWO:
            return f"{what}, and the approvals of two persons do not stand before that."
        if allowed & ({asked.by} | asked.recorded):
            return f"{what}, allowed by who asked for it or was recorded."
        self._missing.pop(event.session, None)
        self.deleted.append(
            f"The recording of {event.session} was deleted on {at:%Y-%m-%d %H:%M} UTC (entry {position}): asked for by "
            f"{event.by} ({event.reason}), allowed by {' and '.join(sorted(allowed))}."
        )
        return ""

    def finish(self) -> Broken | None:
        """The first of the recordings that are missing."""
        return min(self._missing.values(), key=lambda broken: broken.position, default=None)

    async def _check_kept(self, position: int, event: RecordingKept) -> str:
        session = event.session
        trail = self._trails.get(session)
        if trail is None:
            if self._whole:
                return f"Entry {position} speaks of segments of {session}, which was not open."
            trail = self._trails[session] = _Trail(event.first - 1, event.previous)
        if (event.first, event.previous) != (trail.count + 1, trail.head):
            return (
                f"Entry {position} says that segment {event.first} of {session} was stored; the one before it was "
                f"segment {trail.count}, and another: segments were left out, repeated or moved."
            )
        for digest in event.digests:
            number = trail.count + 1
            reason = await self._check_segment(position, session, trail, digest)
            if reason:
                return reason
            trail.count, trail.head = number, digest
        return ""

    async def _check_segment(self, position: int, session: str, trail: _Trail, digest: str) -> str:
        self.segments += 1
        number = trail.count + 1
        what = f"Segment {number} of {session}, which entry {position} speaks of,"
        found = await self._find(segment_path(digest))
        if found is None:
            reason = f"{what} is missing, and nothing in the ledger says that it was deleted."
            self._missing.setdefault(session, Broken(position, reason))
            return ""
        header = _header_of(found)
        if found.digest != digest:
            return f"{what} {_difference(found, header, session, number)}."
        if header is None:
            return f"{what} is no segment of a recording."
        if (header.session, header.number, header.previous) != (session, number, trail.head):
            return f"{what} is segment {header.number} of {header.session}: it was repeated or moved."
        return ""

    async def _check_closed(self, position: int, event: SessionClosed) -> str:
        trail = self._trails.pop(event.session, None)
        if trail is None or not (trail.count or event.segments):
            return await self._check_whole(position, event)
        self.count += 1
        if trail.count < event.segments:
            return (
                f"The recording of {event.session} ends with segment {trail.count}; entry {position} says that there "
                f"are {event.segments}: its tail was cut off."
            )
        if (trail.count, trail.head) != (event.segments, event.recording):
            return f"The recording of {event.session} does not end with the segment that entry {position} speaks of."
        return ""

    async def _check_whole(self, position: int, event: SessionClosed) -> str:
        """A recording of the time when they were one object."""
        if not event.recording or event.segments:
            return ""
        self.count += 1
        found = await self._find(f"{event.session}.jsonl.zst")
        if found is None:
            return f"The recording of {event.session}, which entry {position} speaks of, is missing."
        if found.digest != event.recording:
            return f"The recording of {event.session} is not the one that entry {position} speaks of: it was changed."
        return ""

    async def _find(self, path: str) -> _Object | None:
        try:
            return await asyncio.to_thread(self._read, path)
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise Failure(f"{path} of the recordings cannot be read: {error}.", "Mend the store.") from error

    def _read(self, path: str) -> _Object:
        digest, size, beginning = hashlib.sha256(), 0, b""
        for part in obstore.get(self._store, path).stream():
            digest.update(part)
            size += len(part)
            if len(beginning) < _BEGINNING_BYTES:
                beginning += bytes(part[: _BEGINNING_BYTES - len(beginning)])
        return _Object(digest.hexdigest(), size, beginning)


def _asked(event: RequestOpened) -> _Asked:
    named = event.content.get("recordings")
    listed = [one for one in named if isinstance(one, Mapping)] if isinstance(named, list | tuple) else []
    return _Asked(
        event.person,
        event.digest,
        {str(one.get("session")): str(one.get("recording")) for one in listed},
        frozenset(str(one.get("person")) for one in listed),
    )


def _header_of(found: _Object) -> Header | None:
    try:
        return read_header(found.beginning)[0]
    except NotASegmentError:
        return None


def _difference(found: _Object, header: Header | None, session: str, number: int) -> str:
    """What is in the place of a segment whose hash is another."""
    if header is None:
        return "was changed" if found.size > _BEGINNING_BYTES else "was cut off or changed"
    if (header.session, header.number) != (session, number):
        return f"is not there: segment {header.number} of {header.session} is in its place"
    start = read_header(found.beginning)[1]
    if found.size - start < header.size:
        return f"is cut off: {found.size - start} of its {header.size} bytes are there"
    return "was changed"
