"""A detection fired: it is written down, and the sessions that it is about are held or cut.

Holds to:

* at one entry of the ledger a detection raises one alarm, however often the watch reads that entry
* the alarm, its event, and what it does to sessions are one unit of work
* ``hold`` and ``cut`` reach the session that the entry is about; where it is about none, the live sessions of the
  person (on the resource, when it names one); a session that is over or being cut is left as it is
* a session that is held already keeps its first reason; one approved statement ends the hold
"""

from collections.abc import Sequence
from dataclasses import replace

from interlock.domain.detections import Alarm, Response
from interlock.domain.grants import Activity
from interlock.domain.work_events import DetectionFired
from interlock.ledger.watch import Finding
from interlock.ports.state import Reading, UnitOfWork
from interlock.services.cut_session import order_cut
from interlock.services.desk import SYSTEM, Desk
from interlock.services.endings import MANY


async def raise_alarm(desk: Desk, finding: Finding) -> Alarm | None:
    """The alarm, or None when it was raised before."""
    try:
        return await _raise(desk, finding)
    except _KnownError:
        return None


class _KnownError(Exception):
    """It was raised before: there is nothing to commit."""


async def _raise(desk: Desk, finding: Finding) -> Alarm:
    async with desk.ending(SYSTEM) as work:
        await work.lock(Alarm, f"{finding.detection}@{finding.position}")
        if await work.alarm(finding.detection, finding.position) is not None:
            raise _KnownError
        reached = [] if finding.response is Response.NOTIFY else await _reach(work, finding)
        alarm = Alarm(
            detection=finding.detection,
            position=finding.position,
            response=finding.response,
            at=desk.clock.now(),
            sentence=finding.sentence,
            person=finding.person,
            session=finding.session,
            resource=finding.resource,
            grant=finding.grant,
            sessions=tuple(activity.id for activity in reached),
        )
        await work.save(alarm)
        work.record(
            DetectionFired(
                detection=alarm.detection,
                response=alarm.response.value,
                entry=alarm.position,
                sentence=alarm.sentence,
                person=alarm.person,
                session=alarm.session,
                resource=alarm.resource,
                grant=alarm.grant,
                sessions=alarm.sessions,
            )
        )
        for activity in reached:
            await _respond(work, finding, activity)
    return alarm


async def _reach(work: UnitOfWork, finding: Finding) -> Sequence[Activity]:
    found = []
    for session in sorted(await _sessions(work, finding)):
        await work.lock(Activity, session)
        activity = await work.activity(session)
        if activity is not None and activity.closed_at is None and not activity.cut_why:
            found.append(activity)
    return found


async def _sessions(reading: Reading, finding: Finding) -> list[str]:
    if finding.session:
        return [finding.session]
    if not finding.person:
        return []
    live = await reading.activities(live=True, person=finding.person, limit=MANY)
    return [activity.id for activity in live if finding.resource in ("", activity.resource)]


async def _respond(work: UnitOfWork, finding: Finding, activity: Activity) -> None:
    if finding.response is Response.CUT:
        await order_cut(work, activity, by=f"the detection {finding.detection}", reason=finding.sentence)
    elif not activity.held_why:
        # The entry makes it one of its kind: a gateway tells by it that this very hold was met.
        by = f"detection {finding.detection}, entry {finding.position}"
        why = f"{finding.sentence} Another person must approve the next statement ({by})."
        await work.save(replace(activity, held_why=why))
