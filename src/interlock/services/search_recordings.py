"""The words of statements: put into the index, and searched in the recordings that a person may read.

Holds to:

* the index knows a word only by its HMAC under a key that the master key wrapped: who reads the database reads no
  statement and no value there (how often a word comes, and where the same one comes again, it does show)
* what is found is read from the recordings themselves, so a hit is what was recorded, and nothing is shown of a
  recording that the person may not read, or that was deleted
* each search is in the ledger, with the sessions that it showed, before its answer is sent
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from interlock.domain.grants import Activity, Login
from interlock.domain.recordings import RecordingKey, Segment
from interlock.domain.work_events import RecordingsIndexed, RecordingsSearched
from interlock.errors import Failure, NotFound, Refusal
from interlock.ports.master_key import MasterKey, Wrapped
from interlock.ports.segment_words import IndexedPart, Readable, SegmentWords
from interlock.services.desk import SYSTEM, Desk
from interlock.services.ending_rights import acting_person
from interlock.services.list_sessions import check_may_read_recording, readable_resources

INDEX_KEY = "search"
"""Under which name the index's key stands among those of recordings; no session is called so."""

MOST_HITS, MOST_SEGMENTS = 100, 500
"""How many statements an answer has, and how many segments that may hold them are opened for it."""

_MOST_WORDS_OF_PART = 5_000
_HASH_BYTES = 10
_WORD = re.compile(r"\w+")
_KEY_BYTES = 32

ReadSegment = Callable[[Segment], Awaitable[bytes]]
"""Gives a segment's records, one a line. Raises Failure."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for: all words of ``text`` in one statement or its values."""

    text: str
    person: str | None = None
    resource: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    session: str
    person: str
    resource: str
    at: str
    number: int
    text: str
    parameters: tuple[str | None, ...]
    effect: str


@dataclass(frozen=True, slots=True)
class Found:
    """``unread`` are sessions with a segment that could not be read, so that something may be missing. ``more``: older
    segments were not looked at any more, since there was enough."""

    hits: tuple[Hit, ...]
    unread: tuple[str, ...]
    more: bool = False


def words_of(*texts: str) -> frozenset[str]:
    return frozenset(word for text in texts for word in _WORD.findall(text.casefold()))


def hash_word(key: bytes, word: str) -> str:
    return hmac.new(key, word.encode(errors="surrogatepass"), hashlib.sha256).digest()[:_HASH_BYTES].hex()


async def index_key(desk: Desk, master: MasterKey) -> bytes:
    """The key of the index; made when there is none."""
    async with desk.state.reading() as reading:
        found = await reading.recording_key(INDEX_KEY)
    if found is None:
        fresh = secrets.token_bytes(_KEY_BYTES)
        wrapped = await master.wrap(fresh, INDEX_KEY)
        async with desk.state.changing(SYSTEM) as work:
            await work.lock(RecordingKey, INDEX_KEY)
            found = await work.recording_key(INDEX_KEY)
            if found is None:
                found = RecordingKey(INDEX_KEY, wrapped.text, wrapped.master, desk.clock.now())
                await work.save(found)
            work.record(RecordingsIndexed())
    return await master.unwrap(Wrapped(found.wrapped, found.master), INDEX_KEY)


def index_segment(key: bytes, activity: Activity, segment: Segment, lines: bytes) -> Iterator[IndexedPart]:
    """The parts of one segment: as many statements each as have few enough words together."""
    words: set[str] = set()
    part = 0

    def made(hashed: Iterable[str], *, any_words: bool = False) -> IndexedPart:
        return IndexedPart(
            activity.id,
            segment.number,
            part,
            activity.person,
            activity.resource,
            segment.kept_at,
            frozenset(hashed),
            any_words,
        )

    for record in statements_in(lines):
        own = {hash_word(key, word) for word in _words_of_record(record)}
        if len(own) > _MOST_WORDS_OF_PART:
            yield made((), any_words=True)
            part += 1
            continue
        if len(words | own) > _MOST_WORDS_OF_PART:
            yield made(words)
            part, words = part + 1, set()
        words |= own
    if words:
        yield made(words)


def statements_in(lines: bytes) -> Iterator[Mapping[str, Any]]:
    for line in lines.splitlines():
        if b'"type":"statement"' in line:
            record = json.loads(line)
            if record["type"] == "statement":
                yield record


def _words_of_record(record: Mapping[str, Any]) -> frozenset[str]:
    return words_of(str(record["text"]), *(value for value in record["parameters"] if isinstance(value, str)))


async def search_recordings(
    desk: Desk,
    master: MasterKey,
    index: SegmentWords,
    read: ReadSegment,
    *,
    person: str,
    wanted: Wanted,
    login: Login | None = None,
) -> Found:
    """The newest first. Raises Refusal (``no-words``)."""
    words = words_of(wanted.text)
    if not words:
        raise Refusal("no-words", "There is no word in what is searched for.", "Give a word of a statement or a value.")
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        await desk.check_policy(reading)
        resources = await readable_resources(desk, reading, reader, login)
    key = await index_key(desk, master)
    candidates = await index.find(
        [hash_word(key, word) for word in words],
        readable=Readable(person, desk.configuration.own_recordings, resources),
        person=wanted.person,
        resource=wanted.resource,
        since=wanted.since,
        until=wanted.until,
        limit=MOST_SEGMENTS + 1,
    )
    more = len(candidates) > MOST_SEGMENTS
    hits: list[Hit] = []
    unread: set[str] = set()
    readable: dict[str, Activity | None] = {}
    for place, candidate in enumerate(candidates[:MOST_SEGMENTS], 1):
        if candidate.session not in readable:
            readable[candidate.session] = await _readable(desk, person, candidate.session, login)
        activity = readable[candidate.session]
        if activity is None:
            continue
        try:
            hits += await _hits_of(desk, read, activity, candidate.number, words)
        except Failure:
            unread.add(candidate.session)
        if len(hits) >= MOST_HITS:
            more = place < len(candidates) or len(hits) > MOST_HITS
            break
    found = Found(tuple(hits[:MOST_HITS]), tuple(sorted(unread)), more)
    async with desk.state.changing(person) as work:
        shown = tuple(sorted({hit.session for hit in found.hits}))
        work.record(RecordingsSearched(by=person, content=wanted.text, sessions=shown))
    return found


async def _readable(desk: Desk, person: str, session: str, login: Login | None) -> Activity | None:
    try:
        return await check_may_read_recording(desk, person=person, session_id=session, login=login)
    except (NotFound, Refusal):
        return None


async def _hits_of(
    desk: Desk, read: ReadSegment, activity: Activity, number: int, words: frozenset[str]
) -> Iterable[Hit]:
    async with desk.state.reading() as reading:
        segments = await reading.segments(activity.id, after=number - 1, limit=1)
    lines = await read(segments[0]) if segments else b""
    found = [
        Hit(
            activity.id,
            activity.person,
            activity.resource,
            str(record["at"]),
            int(record["number"]),
            str(record["text"]),
            tuple(record["parameters"]),
            str(record["effect"]),
        )
        for record in statements_in(lines)
        if words <= _words_of_record(record)
    ]
    return reversed(found)
