"""A session that is over becomes one object: its records, one a line, compressed (``SESSION.jsonl.zst``).

The object is created only if it is not there yet, so that nothing is ever written over and a seal that was interrupted
can be repeated. What goes to the ledger is the SHA-256 of the object as it lies in the store.
"""

import hashlib
import json
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import obstore
import zstandard
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, from_url

from interlock.errors import Failure
from interlock.wire.frames import read_frame

_IN_MEMORY_BYTES = 16 * 1024 * 1024
_BATCH_BYTES = 1024 * 1024
_LEVEL = 3


class RecordingStore:
    """The object store at a folder's path or a URL. All of it blocks. Raises Failure."""

    def __init__(self, where: str) -> None:
        self._folder = None if "://" in where else Path(where)
        try:
            self._store = from_url(where) if self._folder is None else LocalStore(self._folder, mkdir=True)
        except (BaseError, ValueError, OSError) as error:
            raise Failure(
                f"The store for recordings, {where}, cannot be opened: {error}.", "Mend its address or its permissions."
            ) from error

    def create(self, name: str, content: bytes) -> bool:
        """Make the object, durably. False when it was there already."""
        try:
            obstore.put(self._store, name, content, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        except BaseError as error:
            raise Failure(
                f"The recording {name} cannot be stored: {error}.", "Mend the store for recordings."
            ) from error
        if self._folder is not None:
            _sync(self._folder / name)
            _sync(self._folder)
        return True

    def digest_of(self, name: str) -> str:
        """SHA-256 (hex) of an object."""
        digest = hashlib.sha256()
        try:
            for part in obstore.get(self._store, name).stream():
                digest.update(part)
        except BaseError as error:
            raise Failure(f"The recording {name} cannot be read: {error}.", "Mend the store for recordings.") from error
        return digest.hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def object_name(session: str) -> str:
    return f"{session}.jsonl.zst"


def read_records(paths: Mapping[int, Path], index: Mapping[int, Sequence[int]], skip: int = 0) -> Iterator[bytes]:
    """The payloads of a session's frames in order, without the first ``skip``.

    Raises OSError when a file is gone, Failure when a frame is not what was written.
    """
    for file in sorted(index):
        offsets = index[file]
        if skip >= len(offsets):
            skip -= len(offsets)
            continue
        with paths[file].open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            content = memoryview(mapped)
            try:
                for offset in offsets[skip:]:
                    found = read_frame(content, offset)
                    if found is None:
                        raise Failure(f"The journal {paths[file]} is damaged at byte {offset}.", "Look at its disk.")
                    payload = bytes(found.payload)
                    found.payload.release()
                    yield payload
            finally:
                content.release()
        skip = 0


def seal(
    store: RecordingStore,
    session: str,
    paths: Mapping[int, Path],
    index: Mapping[int, Sequence[int]],
    more: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Make the object of ``session``; ``more`` are records to add at its end. Blocks: call it in a thread.

    A record whose number was there already (written twice when a disk failed in between) is left out. Returns
    the SHA-256 (hex) of the object, also when it was there before.
    """
    digest = hashlib.sha256()
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
    with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as content:

        def put(part: bytes) -> None:
            digest.update(part)
            content.write(part)

        batch = bytearray()
        for line in _lines(read_records(paths, index), more):
            batch += line
            if len(batch) >= _BATCH_BYTES:
                put(compressor.compress(bytes(batch)))
                batch.clear()
        put(compressor.compress(bytes(batch)))
        put(compressor.flush())
        content.seek(0)
        created = store.create(object_name(session), content.read())
    return digest.hexdigest() if created else store.digest_of(object_name(session))


def _lines(payloads: Iterator[bytes], more: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    last = 0
    for payload in payloads:
        number = number_of(payload)
        if number > last:
            last = number
            yield payload + b"\n"
    for record in more:
        yield json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace") + b"\n"


def number_of(payload: bytes) -> int:
    """The ``n`` of a record as the recorder writes it: the second field, so that the text need not be parsed."""
    start = payload.find(b',"n":') + 5
    return int(payload[start : payload.index(b",", start)])
