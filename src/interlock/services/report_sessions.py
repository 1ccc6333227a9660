"""A gateway reports which sessions began and ended, and what live ones have come to.

Holds to:

* idempotent: a start or an end that is known already changes nothing and writes nothing
* only the gateway that opened a session ends it; a foreign end is refused, with everything that came in the same report
* what did happen is written even when it should not have: a report is never refused because a grant is over
* an end of a session that was never reported says nothing about anybody and is left out
* counts only grow: one that says less than is known, or speaks of a session that is over, changes nothing
* a session that rests on a role in dynamic conflict with what another live session of the person rests on is cut
* with a session end the holds that still wait for it
* a session's recording gets its key with the session's start; only the gateway that has the session is told it, and
  only while the session lives
* segments follow on those that are known, in their order (``keep_segments``)
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from interlock.domain.grants import Activity, RequestState
from interlock.domain.people import Person
from interlock.domain.recordings import RecordingKey, Segment
from interlock.domain.work_events import SessionClosed, SessionCounted, SessionOpened
from interlock.errors import Refusal
from interlock.policy.configuration import ConflictKind
from interlock.ports.control import RecordingStanding, SegmentReport, SessionCount, SessionEnd, SessionStart
from interlock.ports.master_key import MasterKey, Wrapped
from interlock.ports.state import UnitOfWork
from interlock.services.cut_session import order_cut
from interlock.services.desk import SYSTEM, Desk
from interlock.services.endings import Endings
from interlock.services.holding import grants_of
from interlock.services.keep_segments import keep_segments
from interlock.services.requests import locate
from interlock.services.separating import used_roles

KEY_BYTES = 32


async def report_sessions(
    desk: Desk,
    master: MasterKey,
    *,
    gateway: str,
    starts: Sequence[SessionStart],
    ends: Sequence[SessionEnd],
    counts: Sequence[SessionCount] = (),
    kept: Sequence[SegmentReport] = (),
) -> Sequence[RecordingStanding]:
    """``gateway`` is the gateway's name. How the recordings of ``starts`` stand now.

    Raises Refusal (``not-yours``, ``unknown-login``, ``other-segments``), and Failure when the master key fails.
    """
    keys = await _fresh_keys(desk, master, starts)
    report = _Report(starts, ends, counts, kept)
    opened = await _write(desk, gateway, report, {session: key.row for session, key in keys.items()})
    begun = {session: keys[session].plain for session in opened - report.told_more_of() if session in keys}
    return await _standings(desk, master, gateway, starts, begun)


@dataclass(frozen=True, slots=True)
class _FreshKey:
    """A recording's key that was made just now: as it is kept, and as it is."""

    row: RecordingKey
    plain: bytes


@dataclass(frozen=True, slots=True)
class _Report:
    starts: Sequence[SessionStart]
    ends: Sequence[SessionEnd]
    counts: Sequence[SessionCount]
    kept: Sequence[SegmentReport]

    def sessions(self) -> Sequence[str]:
        """All that it speaks of, in the order in which they are locked."""
        named = (*(start.id for start in self.starts), *(end.id for end in self.ends))
        return sorted({*named, *(count.id for count in self.counts), *(one.session for one in self.kept)})

    def told_more_of(self) -> frozenset[str]:
        """Sessions of whose recordings it says more than that they begin."""
        return frozenset((*(end.id for end in self.ends), *(one.session for one in self.kept)))


async def _fresh_keys(desk: Desk, master: MasterKey, starts: Sequence[SessionStart]) -> Mapping[str, _FreshKey]:
    """A wrapped key for each session; made before any lock is taken, and for nothing when the session is known."""
    now = desk.clock.now()
    found: dict[str, _FreshKey] = {}
    for start in starts:
        plain = secrets.token_bytes(KEY_BYTES)
        wrapped = await master.wrap(plain, start.id)
        found[start.id] = _FreshKey(RecordingKey(start.id, wrapped.text, wrapped.master, now), plain)
    return found


async def _standings(
    desk: Desk, master: MasterKey, gateway: str, starts: Sequence[SessionStart], begun: Mapping[str, bytes]
) -> Sequence[RecordingStanding]:
    """``begun`` are the keys of sessions that were not known before, and have nothing in segments yet."""
    found = [RecordingStanding(start.id, begun[start.id], 0, "", 0, False) for start in starts if start.id in begun]
    if len(found) == len(starts):
        return found
    older = [start.id for start in starts if start.id not in begun]
    async with desk.state.reading() as reading:
        activities = await reading.activities_named(older)
        keys = await reading.recording_keys_named(older)
        segments = await reading.last_segments(older)
    for session in older:
        activity, key, last = activities.get(session), keys.get(session), segments.get(session)
        if activity is None or activity.gateway != gateway:
            continue
        opened = None
        if key is not None and key.destroyed_at is None and activity.closed_at is None:
            opened = await master.unwrap(Wrapped(key.wrapped, key.master), key.session)
        count, head, records = (last.number, last.digest, last.records) if last else (0, "", 0)
        found.append(RecordingStanding(session, opened, count, head, records, activity.closed_at is not None))
    return found


async def _write(
    desk: Desk,
    gateway: str,
    report: _Report,
    keys: Mapping[str, RecordingKey],
) -> frozenset[str]:
    """Which sessions began with this report and were not known."""
    actor = f"gateway:{gateway}"
    waiting = await _holds_of(desk, frozenset(end.id for end in report.ends))
    try:
        # a hold is decided under the lock of all decisions, so a report that ends one takes it as well
        async with desk.ending(actor) if waiting else desk.state.changing(actor) as work:
            await work.lock_each(Activity, report.sessions())
            known = await _read_known(work, report)
            opened = [await _open(work, known, gateway, start, keys.get(start.id)) for start in report.starts]
            if desk.configuration.conflicts_of(ConflictKind.DYNAMIC):
                await _cut_conflicting(desk, work, [s for s, new in zip(report.starts, opened, strict=True) if new])
                known = await _read_known(work, report)
            counted = [await _count(work, known, gateway, count) for count in report.counts]
            stored = [await _keep(work, known, gateway, one, desk.clock.now()) for one in report.kept]
            closed = [await _close(work, known, gateway, end) for end in report.ends]
            endings = Endings(work, by=actor, reason="the session ended", at=desk.clock.now())
            for request_id in waiting:
                await endings.request(await locate(work, request_id), RequestState.WITHDRAWN)
            _refuse_nothing((*opened, *counted, *stored, *closed, *endings.ended))
    except _NothingNewError:
        return frozenset()
    return frozenset(start.id for start, new in zip(report.starts, opened, strict=True) if new)


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
        return [request.id for request in await reading.open_holds(sorted(sessions))]


class _Known:
    """What is known of the sessions that a report speaks of, read at once, under their locks. ``keep`` goes on with
    what was saved."""

    def __init__(
        self, activities: Mapping[str, Activity], logins: frozenset[str], last_segments: Mapping[str, Segment]
    ) -> None:
        self.activities = dict(activities)
        self.logins = logins
        self.last_segments = last_segments

    async def keep(self, work: UnitOfWork, activity: Activity) -> None:
        await work.save(activity)
        self.activities[activity.id] = activity


async def _read_known(work: UnitOfWork, report: _Report) -> _Known:
    activities = await work.activities_named(report.sessions())
    fresh = {start.login for start in report.starts if start.id not in activities}
    logins = frozenset(await work.logins_named(sorted(fresh))) if fresh else frozenset()
    kept = [one.session for one in report.kept]
    return _Known(activities, logins, await work.last_segments(kept) if kept else {})


async def _open(work: UnitOfWork, known: _Known, gateway: str, start: SessionStart, key: RecordingKey | None) -> bool:
    if start.id in known.activities:
        return False
    if start.login not in known.logins:
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
    await known.keep(work, activity)
    if key is not None:
        await work.save(key)
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
            presence=start.presence,
        )
    )
    return True


async def _cut_conflicting(desk: Desk, work: UnitOfWork, starts: Sequence[SessionStart]) -> None:
    """The later of two sessions whose roles one person does not use at one time. It ran, so it stands in the ledger."""
    for start in starts:
        conflicts = desk.configuration.conflicts_for(ConflictKind.DYNAMIC, start.person, desk.clock.now())
        await work.lock(Person, start.person)
        activity = await work.activity(start.id)
        if activity is None or activity.cut_why:
            continue
        used = await used_roles(work, start.person)
        own = {grant.role for grant in await grants_of(work, activity)}
        for roles in conflicts:
            others = sorted(name for name in roles & used.keys() if name not in own or len(own & roles) > 1)
            if own & roles and others:
                why = f"{', '.join(sorted(own & roles))} is not used beside {', '.join(others)}"
                await order_cut(work, activity, by=SYSTEM, reason=why)
                break


async def _count(work: UnitOfWork, known: _Known, gateway: str, count: SessionCount) -> bool:
    activity = known.activities.get(count.id)
    if activity is None or activity.closed_at is not None:
        return False
    if activity.gateway != gateway:
        raise _foreign(activity, gateway)
    rows, refused = max(activity.rows, count.rows), max(activity.refused, count.refused)
    if (rows, refused) == (activity.rows, activity.refused):
        return False
    await known.keep(work, replace(activity, rows=rows, refused=refused))
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


async def _keep(work: UnitOfWork, known: _Known, gateway: str, one: SegmentReport, now: datetime) -> bool:
    """A session that nobody knows of is left out."""
    activity = known.activities.get(one.session)
    if activity is None:
        return False
    if activity.gateway != gateway:
        raise _foreign(activity, gateway)
    return await keep_segments(work, activity, known.last_segments.get(one.session), one, now)


async def _close(work: UnitOfWork, known: _Known, gateway: str, end: SessionEnd) -> bool:
    activity = known.activities.get(end.id)
    if activity is None or activity.closed_at is not None:
        return False
    if activity.gateway != gateway:
        raise _foreign(activity, gateway)
    rows, refused = max(activity.rows, end.rows), max(activity.refused, end.refused)
    await known.keep(
        work,
        replace(
            activity,
            closed_at=end.closed_at,
            closed_why=end.why,
            statements=end.statements,
            recording=end.recording,
            rows=rows,
            refused=refused,
            held_why="",
        ),
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
            segments=end.segments,
        )
    )
    return True
