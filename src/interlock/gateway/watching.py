"""Streams a live session's records to somebody who watches: from its first record, each once it is on disk.

It reads the journal's files and never the session: who watches costs the session nothing, however slowly they read.
"""

import asyncio
import json
from array import array
from itertools import islice
from pathlib import Path

from interlock.gateway.journal import Journal
from interlock.gateway.recorder import Recording
from interlock.gateway.sealing import read_records
from interlock.ports.control import ControlPlane

_LOOK_S = 0.1
_AT_MOST = 200


async def stream_records(control: ControlPlane, journal: Journal, recording: Recording, ticket: str) -> None:
    """Return when nobody watches any more, or the session is over and everything was sent. Raises Failure, Refusal."""
    sent = 0
    while True:
        complete = recording.complete
        if recording.durable == sent and not complete:
            await asyncio.sleep(_LOOK_S)
            continue
        index = {file: array("Q", offsets) for file, offsets in recording.index.items()}
        paths = {file: journal.path(file) for file in index}
        try:
            records = await asyncio.to_thread(_read, paths, index, sent)
        except FileNotFoundError:
            # Sealed, reported and gone while the watcher lagged behind: the rest is in the recording.
            records, complete = [], True
        sent += len(records)
        ended = complete and len(records) < _AT_MOST
        if not await control.watched(ticket, records, ended=ended) or ended:
            return


def _read(paths: dict[int, Path], index: dict[int, "array[int]"], skip: int) -> list[dict[str, object]]:
    return [json.loads(payload) for payload in islice(read_records(paths, index, skip), _AT_MOST)]
