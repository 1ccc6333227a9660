"""The keys of recordings: opened for who may read, wrapped anew when the master key rotates.

Holds to:

* a key is in the state only as the master key wrapped it, for its own session and no other
* a rotation changes no recording and no hash: it wraps the keys anew, each in the unit of work that says so
* one that was killed is finished by the next one, or by the next start of a control plane: no version of the master key
  wraps without its entry for longer
"""

from dataclasses import replace

from interlock.domain.work_events import RecordingKeysRotated
from interlock.errors import Failure
from interlock.ledger.entries import read_body
from interlock.ports.master_key import MasterKey, Wrapped
from interlock.ports.state import State
from interlock.services.desk import Desk

_AT_ONCE = 500


async def open_recording_key(desk: Desk, master: MasterKey, session: str) -> bytes:
    """Raises Failure when the recording has none, or it was destroyed."""
    async with desk.state.reading() as reading:
        found = await reading.recording_key(session)
    if found is not None and found.destroyed_at is not None:
        raise Failure(
            f"The recording of {session} was deleted at {found.destroyed_at:%Y-%m-%d %H:%M} UTC: nobody can read it.",
            f"Who asked and who allowed it: interlock ledger search {session}",
        )
    if found is None:
        raise Failure(f"There is no key for the recording of {session}: nobody can read it.", "Restore the state.")
    return await master.unwrap(Wrapped(found.wrapped, found.master), session)


async def rotate_recording_keys(state: State, master: MasterKey, *, by: str) -> tuple[str, int]:
    """A fresh version of the master key wraps every key anew: its name, and how many keys. Raises Failure."""
    fresh = await master.rotate()
    return fresh, await _wrap_anew(state, master, fresh, by)


async def finish_rotation(state: State, master: MasterKey, *, by: str) -> int:
    """What a rotation that was killed left undone: its entry, or keys that it did not wrap anew. How many it wraps.

    Raises Failure.
    """
    fresh = await master.rotated()
    if fresh is None:
        return 0
    async with state.reading() as reading:
        left = await reading.recording_keys(wrapped_by_other_than=fresh, limit=1)
        entries = await reading.ledger_search(fresh, kind=RecordingKeysRotated.kind, limit=_AT_ONCE)
    events = (read_body(entry.body).event for entry in entries)
    told = any(isinstance(event, RecordingKeysRotated) and event.key == fresh for event in events)
    return await _wrap_anew(state, master, fresh, by) if left or not told else 0


async def _wrap_anew(state: State, master: MasterKey, fresh: str, by: str) -> int:
    count = 0
    while True:
        if await master.current() != fresh:
            # Another rotation has begun since and wraps every key by its own; what it needs is its to forget.
            return count
        async with state.reading() as reading:
            waiting = await reading.recording_keys(wrapped_by_other_than=fresh, limit=_AT_ONCE)
        if not waiting and count:
            break
        async with state.changing(by) as work:
            done = 0
            for old in waiting:
                await work.lock(type(old), old.session)
                now = await work.recording_key(old.session)
                if now is None or now.destroyed_at is not None or now.master == fresh:
                    continue
                wrapped = await master.wrap(
                    await master.unwrap(Wrapped(now.wrapped, now.master), now.session), now.session
                )
                await work.save(replace(now, wrapped=wrapped.text, master=wrapped.master))
                done += 1
            work.record(RecordingKeysRotated(key=fresh, count=done))
        count += done
        if not done:
            break
    await master.forget(frozenset({fresh}))
    return count
