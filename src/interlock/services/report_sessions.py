"""A gateway reports which sessions began and ended, and what live ones have come to.

Holds to:

* idempotent: a start or an end that is known already changes nothing and writes nothing
* only the gateway that opened a session ends it; a foreign end is refused, with everything that came in the same report
* what did happen is written even when it should not have: a report is never refused because a grant is over
* an end of a session that was never reported says nothing about anybody and is left out
* counts only grow: one that says less than is known, or speaks of a session that is over, changes nothing
* with a session end the holds that still wait for it
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from interlock.domain.grants import Activity, RequestState
from interlock.domain.work_events import SessionClosed, SessionCounted, SessionOpened
from interlock.errors import Refusal
from interlock.ports.control import SessionCount, SessionEnd, SessionStart
from interlock.ports.state import UnitOfWork
from interlock.services.desk import Desk
from interlock.services.endings import MANY, Endings
from interlock.services.requests import locate


async def report_sessions(
    desk: Desk,
    *,
    gateway: str,
    starts: Sequence[SessionStart],
    ends: Sequence[SessionEnd],
    counts: Sequence[SessionCount] = (),
) -> None:
    """``gateway`` is the gateway's name. Raises Refusal (``not-yours``, ``unknown-login``)."""
    actor = f"gateway:{gateway}"
    waiting = await _holds_of(desk, frozenset(end.id for end in ends))
    try:
        # a hold is decided under the lock of all decisions, so a report that ends one takes it as well
        async with desk.ending(actor) if waiting else desk.state.changing(actor) as work:
            known = {start.id for start in starts} | {end.id for end in ends} | {count.id for count in counts}
            for session in sorted(known):
                await work.lock(Activity, session)
            opened = [await _open(work, gateway, start) for start in starts]
            counted = [await _count(work, gateway, count) for count in counts]
            closed = [await _close(work, gateway, end) for end in ends]
            endings = Endings(work, by=actor, reason="the session ended", at=desk.clock.now())
            for request_id in waiting:
                await endings.request(await locate(work, request_id), RequestState.WITHDRAWN)
            _refuse_nothing((*opened, *counted, *closed, *endings.ended))
    except _NothingNewError:
        return


class _NothingNewError(Exception):
    """All of the report was known: there is nothing to commit."""


def _refuse_nothing(news: Iterable[object]) -> None:
    if not any(news):
        raise _NothingNewError


async def _holds_of(desk: Desk, sessions: frozenset[str]) -> Sequence[str]:
    """The open holds of sessions that are reported as ended."""
    if not sessions:
        return ()
    async with desk.state.reading() as reading:
        return [r.id for r in await reading.requests(state=RequestState.OPEN, limit=MANY) if r.session in sessions]


async def _open(work: UnitOfWork, gateway: str, start: SessionStart) -> bool:
    if await work.activity(start.id) is not None:
        return False
    if await work.login(start.login) is None:
        raise Refusal(
            "unknown-login",
            f"{start.id} is said to rest on {start.login}, which is no login here.",
            "Look at the gateways with `interlock doctor`.",
        )
    activity = Activity(
        id=start.id,
        person=start.person,
        resource=start.resource,
        login=start.login,
        grants=start.grants,
        gateway=gateway,
        address=start.address,
        client=start.client,
        opened_at=start.opened_at,
    )
    await work.save(activity)
    work.record(
        SessionOpened(
            session=start.id,
            person=start.person,
            resource=start.resource,
            login=start.login,
            grants=start.grants,
            gateway=gateway,
            address=start.address,
            client=start.client,
            opened_at=start.opened_at,
        )
    )
    return True


async def _count(work: UnitOfWork, gateway: str, count: SessionCount) -> bool:
    activity = await work.activity(count.id)
    if activity is None or activity.closed_at is not None:
        return False
    if activity.gateway != gateway:
        raise _foreign(activity, gateway)
    rows, refused = max(activity.rows, count.rows), max(activity.refused, count.refused)
    if (rows, refused) == (activity.rows, activity.refused):
        return False
    await work.save(replace(activity, rows=rows, refused=refused))
    work.record(
        SessionCounted(
            session=activity.id, person=activity.person, resource=activity.resource, rows=rows, refused=refused
        )
    )
    return True


def _foreign(activity: Activity, gateway: str) -> Refusal:
    return Refusal(
        "not-yours",
        f"{activity.id} belongs to the gateway {activity.gateway}, not to {gateway}.",
        "Look at the gateways with `interlock doctor`.",
    )


async def _close(work: UnitOfWork, gateway: str, end: SessionEnd) -> bool:
    activity = await work.activity(end.id)
    if activity is None or activity.closed_at is not None:
        return False
    if activity.gateway != gateway:
        raise _foreign(activity, gateway)
    rows, refused = max(activity.rows, end.rows), max(activity.refused, end.refused)
    await work.save(
        replace(
            activity,
            closed_at=end.closed_at,
            closed_why=end.why,
            statements=end.statements,
            recording=end.recording,
            rows=rows,
            refused=refused,
            held_why="",
        )
    )
    work.record(
        SessionClosed(
            session=end.id,
            person=activity.person,
            resource=activity.resource,
            closed_at=end.closed_at,
            why=end.why,
            statements=end.statements,
            recording=end.recording,
            rows=rows,
            refused=refused,
        )
    )
    return True
