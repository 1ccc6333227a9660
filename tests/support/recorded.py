"""What a running Interlock recorded, read as its operator could: with its folders, its keys and its store."""

import asyncio
import json
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from obstore.store import LocalStore
from sqlalchemy import select

from interlock.app.installation import running_state
from interlock.domain.recordings import Segment
from interlock.identity.master_key import MASTER_FILE, FileMasterKey
from interlock.ports.master_key import Wrapped
from interlock.store import tables
from interlock.store.reading import PostgresReading
from interlock.web.recordings import fetch_segment, lines_of

Records = list[Mapping[str, Any]]


def recordings_of(data: Path) -> dict[str, Records]:
    """The records of every closed session, by the session."""
    return asyncio.run(_recordings_of(data))


def wait_for_recordings(data: Path, before: Collection[str], count: int, within_s: float = 20) -> dict[str, Records]:
    """The recordings that were not there ``before``, once there are ``count``."""
    until = time.monotonic() + within_s
    while True:
        new = {session: records for session, records in recordings_of(data).items() if session not in before}
        if len(new) >= count:
            return new
        if time.monotonic() > until:
            raise AssertionError(f"{len(new)} of {count} recordings were stored")
        time.sleep(0.1)


def journal_files(journals: Path) -> list[Path]:
    """The files of all journals there. A journal that is taken away meanwhile has none."""
    return [Path(folder, name) for folder, _, names in os.walk(journals) for name in names if name.endswith(".journal")]


async def _recordings_of(data: Path) -> dict[str, Records]:
    found: dict[str, Records] = {}
    async with running_state(data) as (folder, state), state.reading() as reading:
        assert isinstance(reading, PostgresReading)
        master, store = FileMasterKey(folder.keys / MASTER_FILE), LocalStore(folder.recordings)
        query = select(tables.activities.c.id).where(tables.activities.c.closed_at.is_not(None))
        for (session,) in await reading._rows(query):
            kept = await reading.recording_key(session)
            assert kept is not None
            key = await master.unwrap(Wrapped(kept.wrapped, kept.master), session)
            segments: list[Segment] = []
            while more := await reading.segments(session, after=len(segments)):
                segments += more
            found[session] = []
            for segment in segments:
                lines = lines_of(key, segment, await fetch_segment(store, segment))
                found[session] += [json.loads(line) for line in lines.splitlines()]
    return found
