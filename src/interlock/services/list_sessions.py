"""The sessions that a person may see, and the reading of a recording.

Holds to:

* nobody sees a session that is neither theirs nor theirs to answer for (``reading_rights``)
* the recorded person reads no recording of their own where the policy says so (``recordings.own``)
* where the policy names who reads recordings (``recordings.readers``) nobody else does, whoever may see the session
* whoever watches or replays a recording is written in the ledger before the first record is shown
"""

from collections.abc import Sequence

from interlock.domain.grants import Activity
from interlock.domain.people import Person
from interlock.domain.work_events import RecordingRead
from interlock.errors import NotFound, Refusal
from interlock.ports.state import Reading
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator
from interlock.services.reading_rights import may_read_session


async def list_sessions(
    desk: Desk, *, person: str, live: bool = False, before: str | None = None, limit: int = 200
) -> Sequence[Activity]:
    """The newest first; with ``before``, the number of a session, those that follow it. Raises NotFound."""
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        last = await _locate(reading, person, before) if before is not None else None
        if is_administrator(reader):
            return await reading.activities(live=live, before=last, limit=limit)
        contracts = [c for c in await reading.contracts() if c.sponsor == person]
        theirs = {p.name for p in await reading.people() if any(c.covers(p) for c in contracts)}
        found: list[Activity] = []
        for name in sorted(theirs | {person}):
            activities = await reading.activities(live=live, person=name, before=last, limit=limit)
            found += [activity for activity in activities if await may_read_session(reading, reader, activity)]
    return sorted(sorted(found, key=lambda one: one.id), key=lambda one: one.opened_at, reverse=True)[:limit]


async def show_session(desk: Desk, *, person: str, session_id: str) -> Activity:
    """Raises NotFound for a session that is not there, or that the person may not see."""
    async with desk.state.reading() as reading:
        return await _locate(reading, person, session_id)


async def read_recording(desk: Desk, *, person: str, session_id: str) -> Activity:
    """The session whose recording ``person`` may now read, watched live or replayed.

    Raises NotFound, Refusal (``own-recording``, ``no-reader``).
    """
    async with desk.state.changing(person) as work:
        activity = await _locate(work, person, session_id)
        _refuse_reader(desk, await acting_person(work, person), activity)
        work.record(RecordingRead(session=session_id, by=person))
    return activity


async def check_may_read_recording(desk: Desk, *, person: str, session_id: str) -> Activity:
    """The same, for who only asks. Raises NotFound, Refusal (``own-recording``, ``no-reader``)."""
    async with desk.state.reading() as reading:
        activity = await _locate(reading, person, session_id)
        _refuse_reader(desk, await acting_person(reading, person), activity)
    return activity


def _refuse_reader(desk: Desk, reader: Person, activity: Activity) -> None:
    if activity.person == reader.name:
        if desk.configuration.own_recordings:
            return
        raise Refusal(
            "own-recording",
            f"{activity.id} is a session of your own, and the policy keeps recordings from those who are recorded.",
            "Ask somebody who answers for you.",
        )
    readers = desk.configuration.recording_readers
    if readers and not readers & reader.groups:
        raise Refusal(
            "no-reader",
            f"The policy names who reads recordings, and {reader.name} is not among them.",
            f"Ask somebody of {', '.join(sorted(readers))}.",
        )


async def _locate(reading: Reading, person: str, session_id: str) -> Activity:
    reader = await acting_person(reading, person)
    activity = await reading.activity(session_id)
    if activity is None or not await may_read_session(reading, reader, activity):
        raise NotFound(f"There is no session {session_id}.", "See `interlock sessions`.")
    return activity
