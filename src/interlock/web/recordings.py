"""Recordings, read from the object store: every segment checked against the ledger's hash, then opened and streamed."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import IO, Any, cast

import obstore
import zstandard
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from interlock.domain.grants import Activity
from interlock.domain.recordings import Segment
from interlock.errors import Failure, Refusal
from interlock.ports.master_key import MasterKey
from interlock.services.desk import Desk
from interlock.services.recording_keys import open_recording_key
from interlock.web.services import Services
from interlock.wire.segments import LONGEST_BYTES, NotASegmentError, open_segment, segment_path

_CHUNK_BYTES = 64 * 1024


async def open_recording(
    desk: Desk, master: MasterKey, store: ObjectStore, activity: Activity
) -> AsyncIterator[bytes] | Iterator[bytes]:
    """The recording's lines, a segment at a time as they are read. Raises Refusal (``still-live``) or Failure.

    INVARIANT: nothing is shown of a segment whose hash is not the one in the ledger, and nothing at all of a recording
    in which one is missing or changed when its reading begins.
    """
    if activity.closed_at is None:
        # Its gateway stores the last segment before it reports the end: until then a replay would lack the tail.
        raise Refusal(
            "still-live",
            f"{activity.id} is still live, or its gateway has not reported its end yet.",
            f"Try again in a few seconds, or type `interlock watch {activity.id}`.",
        )
    segments = await segments_of(desk, activity.id)
    if not segments:
        return await _open_whole(store, activity)
    if segments[-1].digest != activity.recording:
        raise Failure(
            f"The recording of {activity.id} does not end where its session did: its last segment is missing.",
            "`interlock ledger verify --recordings` says since when.",
        )
    key = await open_recording_key(desk, master, activity.id)
    for segment in segments:
        await fetch_segment(store, segment)
    return _segment_by_segment(store, key, segments)


async def segments_of(desk: Desk, session: str) -> Sequence[Segment]:
    found: list[Segment] = []
    async with desk.state.reading() as reading:
        while more := await reading.segments(session, after=len(found)):
            found += more
    return found


async def fetch_segment(store: ObjectStore, segment: Segment) -> bytes:
    """The segment's object, as the ledger knows it. Raises Failure."""
    return await asyncio.to_thread(read_object, store, segment)


def read_object(store: ObjectStore, segment: Segment) -> bytes:
    """As ``fetch_segment``. Blocks."""
    path = segment_path(segment.digest)
    what = f"Segment {segment.number} of the recording of {segment.session}"
    try:
        content = _get(store, path)
    except FileNotFoundError as error:
        raise Failure(f"{what} is not in the object store.", "Restore it from a backup.") from error
    except (OSError, BaseError) as error:
        raise _unreadable() from error
    if content is None or hashlib.sha256(content).hexdigest() != segment.digest:
        raise Failure(
            f"{what} is not the one that the ledger knows: it was changed or damaged.",
            "Restore it from a backup, and find out who could write there.",
        )
    return content


def lines_of(key: bytes, segment: Segment, content: bytes) -> bytes:
    """The records of a segment, one a line. Raises Failure."""
    try:
        header, lines = open_segment(key, content)
    except NotASegmentError as error:
        raise Failure(
            f"Segment {segment.number} of the recording of {segment.session} cannot be opened: {error}.",
            "Look at the gateway that made it.",
        ) from error
    if (header.session, header.number) != (segment.session, segment.number):
        raise Failure(
            f"Segment {segment.number} of the recording of {segment.session} says that it is segment {header.number} "
            f"of {header.session}.",
            "Look at the gateway that reported it.",
        )
    return lines


async def read_segment(services: Services, segment: Segment) -> bytes:
    """A segment's records, one a line. Raises Failure."""
    key = await open_recording_key(services.desk, services.master_key, segment.session)
    return lines_of(key, segment, await fetch_segment(services.recordings, segment))


async def _segment_by_segment(store: ObjectStore, key: bytes, segments: Sequence[Segment]) -> AsyncIterator[bytes]:
    for segment in segments:
        content = await fetch_segment(store, segment)
        yield await asyncio.to_thread(_shown_lines, key, segment, content)


def _shown_lines(key: bytes, segment: Segment, content: bytes) -> bytes:
    lines = lines_of(key, segment, content)
    if b'"type":"input"' not in lines:
        return lines
    return b"".join(_shown_line(line) for line in lines.splitlines(keepends=True))


def _shown_line(line: bytes) -> bytes:
    if b'"type":"input"' not in line:
        return line
    return json.dumps(without_input(json.loads(line)), separators=(",", ":")).encode() + b"\n"


def without_input(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record as readers get it: what a person typed at a terminal may be a password, so only how much it was."""
    if record.get("type") != "input":
        return record
    shown = {name: value for name, value in record.items() if name != "text"}
    return {**shown, "characters": len(str(record.get("text", "")))}


def _get(store: ObjectStore, path: str) -> bytes | None:
    """None for an object that is longer than any segment: it is not read."""
    found = obstore.get(store, path)
    return bytes(found.bytes()) if found.meta["size"] <= LONGEST_BYTES else None


class StoreUnreadable(Failure):
    """The store itself does not answer, which says nothing about what is in it."""


def _unreadable() -> Failure:
    return StoreUnreadable("The object store with the recordings cannot be read.", "`interlock doctor` says more.")


async def _open_whole(store: ObjectStore, activity: Activity) -> Iterator[bytes]:
    """A recording of the time when they were one object, not encrypted."""
    path = f"{activity.id}.jsonl.zst"
    try:
        digest = await asyncio.to_thread(_digest, store, path)
    except FileNotFoundError as error:
        raise Failure(
            f"The recording of {activity.id} is not in the object store.",
            "If its gateway was killed, the recording is stored when that gateway starts again.",
        ) from error
    except (OSError, BaseError) as error:
        raise _unreadable() from error
    if digest != activity.recording:
        raise Failure(
            f"The recording of {activity.id} is not the one that the ledger knows: it was changed or damaged.",
            "Restore it from a backup, and find out who could write there.",
        )
    return _lines(store, path)


def _digest(store: ObjectStore, path: str) -> str:
    digest = hashlib.sha256()
    for chunk in obstore.get(store, path).stream(min_chunk_size=_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _lines(store: ObjectStore, path: str) -> Iterator[bytes]:
    # Of a file the decompressor only asks to be read, which obstore's reader can.
    with (
        closing(obstore.open_reader(store, path)) as file,
        zstandard.ZstdDecompressor().stream_reader(cast("IO[bytes]", file), read_across_frames=True) as plain,
    ):
        while chunk := plain.read(_CHUNK_BYTES):
            yield chunk
