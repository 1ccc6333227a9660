"""A live session is cut at a person's word.

Holds to:

* the person of the session cuts it, or an administrator, or whoever may end one of the grants that it rests on
* a session that is closed, or that somebody has ordered to be cut already, is not cut again
* the order travels by the feed; the session is closed when its gateway reports so
"""

from dataclasses import replace

from interlock.domain.grants import Activity
from interlock.domain.people import Person
from interlock.domain.work_events import SessionCut
from interlock.errors import NotFound, Refusal
from interlock.ports.state import Reading, UnitOfWork
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator, may_end_grant
from interlock.services.requests import check_reason


async def cut_session(desk: Desk, *, by: str, session_id: str, reason: str) -> Activity:
    """The session as it then is. Raises Refusal (``not-yours``, ``over``) or NotFound."""
    reason = check_reason(reason)
    async with desk.ending(by) as work:
        await work.lock(Activity, session_id)
        person = await acting_person(work, by)
        activity = await work.activity(session_id)
        if activity is None:
            raise NotFound(f"There is no session {session_id}.", "See `interlock sessions`.")
        if not await _may_cut(desk, work, person, activity):
            raise Refusal(
                "not-yours",
                f"{by} may not cut {activity.id}: it is a session of {activity.person}.",
                "Ask an administrator, the contract's sponsor or an approver of its grants.",
            )
        if activity.closed_at is not None:
            raise Refusal("over", f"{activity.id} is closed already.", "See `interlock sessions --live`.")
        if activity.cut_why:
            raise Refusal("over", f"{activity.id} is being cut already.", "See `interlock sessions --live`.")
        return await order_cut(work, activity, by=by, reason=reason)


async def order_cut(work: UnitOfWork, activity: Activity, *, by: str, reason: str) -> Activity:
    """Cut a live session within a unit of work that has its lock; the session as it then is."""
    cut = replace(activity, cut_why=f"{by} cut this session: {reason}")
    await work.save(cut)
    work.record(SessionCut(session=activity.id, by=by, reason=reason))
    return cut


async def _may_cut(desk: Desk, reading: Reading, person: Person, activity: Activity) -> bool:
    if person.name == activity.person or is_administrator(person):
        return True
    for grant_id in activity.grants:
        grant = await reading.grant(grant_id)
        if grant is not None and await may_end_grant(desk, reading, person, grant):
            return True
    return False
