"""What is durable in the journal becomes segments in the store for recordings (:mod:`interlock.wire.segments`).

A segment is created under the hash of its content and never written over. A pass that was interrupted leaves objects
that the ledger does not know, which are nothing to anybody; the next pass seals the same records anew.
"""

import json
import mmap
import os
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from interlock.errors import Failure
from interlock.gateway import in_c
from interlock.ports.control import KeptSegment
from interlock.wire.frames import read_payload
from interlock.wire.objects import Place, first_line, open_objects, put_new
from interlock.wire.segments import LARGEST_BYTES, Header, Segment, seal_segment, segment_path

_AT_A_TIME = 128
"""Records that are taken out of a journal before the other threads have their turn: a tenth of a millisecond's work."""


class RecordingStore:
    """The object store at a folder's path or a URL. All of it blocks. Raises Failure."""

    def __init__(self, where: str | Place) -> None:
        place = where if isinstance(where, Place) else Place(where)
        self._folder = place.folder
        # Folders whose own names are on the disk, by their inodes: one that was taken away and made again is another.
        self._named: dict[Path, int] = {}
        self._store = open_objects(place, "The store for recordings", create=True)

    def create(self, segment: Segment) -> None:
        """Make the segment's object, durably. One of its name that is there already is what was sent before its answer
        was lost; it is read, as a store may have kept a part of that."""
        path = segment_path(segment.digest)
        try:
            if not self._is_new(path, segment.content):
                return
        except (BaseError, OSError) as error:
            raise Failure(
                f"The segment {path} of a recording cannot be stored: {first_line(error)}.",
                "Mend the store for recordings.",
            ) from error
        if self._folder is not None:
            self._make_durable(self._folder, self._folder / path)

    def _is_new(self, path: str, content: bytes) -> bool:
        """Whether it was made now, and not there already. Raises Failure for another, and what obstore raises."""
        try:
            put_new(self._store, path, content)
        except AlreadyExistsError:
            if bytes(obstore.get(self._store, path).bytes()) == content:
                return False
        else:
            return True
        # what is sealed anew has another name
        raise Failure(
            f"The segment {path} of a recording lies in the store with another content.", "Look at the store."
        )

    def _make_durable(self, root: Path, made: Path) -> None:
        """Sync a new object and its name; the name of its folder only where that may be new as well."""
        _sync(made)
        _sync(made.parent)
        number = made.parent.stat().st_ino
        if self._named.get(made.parent) != number:
            _sync(root)
            self._named[made.parent] = number


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_records(paths: Mapping[int, Path], index: Mapping[int, Sequence[int]], skip: int = 0) -> Iterator[bytes]:
    """The payloads of a session's frames in order, without the first ``skip``.

    Raises OSError when a file is gone, Failure when a frame is not what was written.
    """
    for file in sorted(index):
        offsets = index[file]
        if skip >= len(offsets):
            skip -= len(offsets)
            continue
        with paths[file].open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for at in range(skip, len(offsets)):
                if at % _AT_A_TIME == 0:
                    # The sessions' own thread goes first: compiled code does not give way by itself.
                    time.sleep(0)
                payload = read_payload(content, offsets[at])
                if payload is None:
                    raise Failure(f"The journal {paths[file]} is damaged at byte {offsets[at]}.", "Look at its disk.")
                yield payload
        skip = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """How far a recording lies in segments: how many, the last one's hash, the number of the last record in them."""

    segments: int = 0
    head: str = ""
    records: int = 0

    def after(self, segment: Segment) -> "Kept":
        return Kept(segment.header.number, segment.digest, segment.header.last)


def keep_records(
    store: RecordingStore, session: str, key: bytes, kept: Kept, payloads: Iterable[bytes]
) -> tuple[Kept, tuple[KeptSegment, ...]]:
    """Store ``payloads`` in segments that follow on ``kept``. Blocks: call it in a thread. Raises OSError, Failure.

    A record whose number was there already (written twice when a disk failed in between) is left out.
    """
    stored: list[KeptSegment] = []
    for first, last, records in _batches(payloads, kept.records):
        header = Header(session, kept.segments + 1, kept.head, first, last)
        segment = seal_segment(key, header, records)
        store.create(segment)
        kept = kept.after(segment)
        stored.append(KeptSegment(segment.digest, last))
    return kept, tuple(stored)


def gather(content: mmap.mmap | bytes, offsets: "array[int]", at: int, last: int, most: int) -> in_c.Gathered:
    """See :func:`interlock.gateway.in_c.gather_lines`."""
    return in_c.gather_lines(content, offsets, at, last, most)


def keep_frames(
    store: RecordingStore,
    session: str,
    key: bytes,
    kept: Kept,
    paths: Mapping[int, Path],
    index: Mapping[int, "array[int]"],
) -> tuple[Kept, tuple[KeptSegment, ...]]:
    """As ``keep_records``, with the records that lie in the journal's files at the offsets of ``index``."""
    stored: list[KeptSegment] = []
    for file in sorted(index):
        with paths[file].open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            at, offsets = 0, index[file]
            while at < len(offsets):
                at, first, last, lines, damaged = gather(content, offsets, at, kept.records, LARGEST_BYTES)
                if damaged >= 0:
                    raise Failure(f"The journal {paths[file]} is damaged at byte {damaged}.", "Look at its disk.")
                if lines:
                    segment = seal_segment(key, Header(session, kept.segments + 1, kept.head, first, last), [lines])
                    store.create(segment)
                    kept = kept.after(segment)
                    stored.append(KeptSegment(segment.digest, last))
    return kept, tuple(stored)


def _batches(payloads: Iterable[bytes], last: int) -> Iterator[tuple[int, int, list[bytes]]]:
    """The numbers of the first and the last record of each batch, and the records."""
    batch: list[bytes] = []
    first, size = 0, 0
    for payload in payloads:
        number = number_of(payload)
        if number <= last:
            continue
        if batch and size + len(payload) > LARGEST_BYTES:
            yield first, last, batch
            batch, size = [], 0
        if not batch:
            first = number
        batch.append(payload)
        size += len(payload) + 1
        last = number
    if batch:
        yield first, last, batch


def write_record(record: Mapping[str, Any]) -> bytes:
    """A record that no recorder wrote, as the recorder writes them."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def number_of(payload: bytes) -> int:
    """The ``n`` of a record as the recorder writes it: the second field, so that the text need not be parsed."""
    start = at = payload.find(b',"n":') + 5
    number = 0
    while at < len(payload) and 48 <= payload[at] <= 57:
        number = number * 10 + payload[at] - 48
        at += 1
    if at == start:
        raise ValueError("a record without its number")
    return number
