"""Sealed recordings, read from the object store: checked whole against the ledger's hash, then streamed."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import closing
from typing import IO, cast

import obstore
import zstandard
from obstore.store import ObjectStore

from interlock.domain.grants import Activity
from interlock.errors import Failure, Refusal

_CHUNK_BYTES = 64 * 1024


async def open_recording(store: ObjectStore, activity: Activity) -> Iterator[bytes]:
    """The recording's lines, decompressed as they are read. Raises Refusal (``still-live``) or Failure.

    INVARIANT: nothing is shown of a recording whose hash is not the one in the ledger.
    """
    if activity.closed_at is None:
        raise Refusal("still-live", f"{activity.id} is still live.", f"Type `interlock watch {activity.id}`.")
    path = f"{activity.id}.jsonl.zst"
    try:
        digest = await asyncio.to_thread(_digest, store, path)
    except FileNotFoundError as error:
        raise Failure(
            f"The recording of {activity.id} is not in the object store.",
            "If its gateway was killed, the recording is sealed when that gateway starts again.",
        ) from error
    except (OSError, obstore.exceptions.BaseError) as error:
        raise Failure(
            "The object store with the recordings cannot be read.", "`interlock doctor` says more."
        ) from error
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
