"""Every rotation that took effect has its entry in the ledger, whenever whoever rotated was killed.

A command holds the folder's lock while it rotates and writes that down, and lets go of it when it is killed: from then
on the next command, or the control plane that runs or starts, writes down what it finds done and not told.

``keys/rotations.told`` remembers what was found in the ledger, so that not all of it is read at each start. Nothing
rests on it: without it the ledger is asked.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from interlock.app.data_folder import DataFolder
from interlock.app.installation import running_state
from interlock.domain.codec import to_plain
from interlock.domain.event import Event
from interlock.identity.keys import write_private
from interlock.identity.overlap import rotation_told
from interlock.identity.rotations import done_rotations
from interlock.ports.master_key import MasterKey
from interlock.ports.state import State
from interlock.services.recording_keys import finish_rotation
from interlock.store.state import PostgresState

_TOLD = "rotations.told"
OPERATOR = "operator"


@asynccontextmanager
async def rotating_state(data: Path | None) -> AsyncIterator[tuple[DataFolder, PostgresState]]:
    """The state of the instance that runs here, and its folder of keys to rotate one in: what the block does is written
    down after it. Raises Failure."""
    async with running_state(data) as (folder, state):
        # Whoever else is at it is another command, and done in a moment.
        with rotation_told(folder.keys):
            # What was not told is told before the files that show it may change.
            await tell_rotations(state, folder.keys)
            yield folder, state
            await tell_rotations(state, folder.keys)


async def tell_where_nobody_does(state: State, keys: Path) -> list[Event]:
    """As ``tell_rotations``, unless a command is rotating at this moment. Raises Failure."""
    with rotation_told(keys, wait=False) as alone:
        return await tell_rotations(state, keys) if alone else []


async def finish_where_nobody_does(state: State, master: MasterKey, keys: Path) -> bool:
    """A rotation of recordings' master key that was killed is finished and told. False: a command is at it just now.
    Raises Failure."""
    with rotation_told(keys, wait=False) as alone:
        if alone:
            await finish_rotation(state, master, by=OPERATOR)
        return alone


async def tell_rotations(state: State, keys: Path) -> list[Event]:
    """Write down each rotation that took effect and is not in the ledger: which were not. Raises Failure."""
    done = {_key_of(event): event for event in await asyncio.to_thread(done_rotations, keys, datetime.now(UTC))}
    told = _read_told(keys)
    missing = [event for key, event in done.items() if key not in told]
    if missing:
        missing = [event for event in missing if not await _in_ledger(state, event)]
        if missing:
            async with state.changing(OPERATOR) as work:
                for event in missing:
                    work.record(event)
        write_private(keys / _TOLD, json.dumps(sorted(done)).encode())
    return missing


def _key_of(event: Event) -> str:
    """What makes a rotation the one that it is: its kind, and the key or the time that it brought."""
    plain = to_plain(event)
    return f"{event.kind} {plain['key'] if 'key' in plain else plain['starts_at']}"


async def _in_ledger(state: State, event: Event) -> bool:
    async with state.reading() as reading:
        found = await reading.ledger_search(_key_of(event).partition(" ")[2], kind=event.kind, limit=1)
    return bool(found)


def _read_told(keys: Path) -> frozenset[str]:
    try:
        return frozenset(map(str, json.loads((keys / _TOLD).read_bytes())))
    except (OSError, ValueError, TypeError):
        return frozenset()
