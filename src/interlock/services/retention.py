"""Recordings are let go: asked for by one person, approved by two others at least, and never under a legal hold.

Holds to:

* nothing is deleted without a request; its content names each recording by the hash of its last segment
* the requester does not approve, and nobody who was recorded asks for it or approves it
* a recording is kept as long as its class says, and as long as any hold that is about it is not lifted: that is looked
  at when it is asked for and again with the last approval
* with the last approval the recording's key is destroyed, in the same unit of work as the event that says who asked and
  who allowed it: from then on nobody can read it. Its segments are taken from the store after that
* a hold is placed by one person and lifted by a request that others approve, under the same rules
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from interlock.domain.codec import to_plain
from interlock.domain.grants import Activity, Request, RequestKind
from interlock.domain.people import Person
from interlock.domain.recordings import RecordingKey
from interlock.domain.retention import LegalHold
from interlock.domain.work_events import LegalHoldLifted, LegalHoldPlaced, RecordingDeleted
from interlock.errors import NotFound, Refusal
from interlock.ports.state import Reading, UnitOfWork
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator
from interlock.services.ids import new_id
from interlock.services.logins import active_login
from interlock.services.open_request import unused_request_id
from interlock.services.requests import check_reason, digest_of, opened

KINDS = frozenset({RequestKind.DELETION, RequestKind.LIFTING})
ALL_RECORDINGS = "recordings"
"""What stands in the place of a request's resource."""

_MOST = 100


@dataclass(frozen=True, slots=True)
class Due:
    """A recording that may be asked to be deleted: its time is over and no hold is about it."""

    session: str
    person: str
    resource: str
    closed_at: datetime
    due_at: datetime


async def open_deletion(desk: Desk, *, login_id: str, sessions: Sequence[str], reason: str) -> Request:
    """Raises Refusal (``no-retention``, ``own-recording``, ``on-hold``, ``too-early``, ``deleted``), NotFound."""
    reason = check_reason(reason)
    if not 0 < len(sessions) <= _MOST:
        raise Refusal("bad-sessions", f"Name 1 to {_MOST} recordings.", "See `interlock recordings due`.")
    async with desk.state.reading() as reading:
        actor = (await active_login(reading, login_id, desk.clock.now())).person
    async with desk.deciding(actor) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        person = await _keeper(desk, work, login.person)
        named = []
        for session in sorted(set(sessions)):
            activity = await _locate_closed(work, session)
            _refuse_recorded(person.name, {activity.person})
            await _refuse_kept(desk, work, activity, now)
            last = await work.last_segment(session)
            named.append(
                {
                    "session": session,
                    "person": activity.person,
                    "resource": activity.resource,
                    "closed_at": to_plain(activity.closed_at),
                    "recording": activity.recording,
                    "segments": last.number if last else 0,
                }
            )
        content: dict[str, object] = {"person": person.name, "recordings": named, "reason": reason}
        return await _open(desk, work, RequestKind.DELETION, content, login.key, reason)


async def open_lifting(desk: Desk, *, login_id: str, hold_id: str, reason: str) -> Request:
    """Ask that a legal hold be lifted. Raises Refusal (``no-retention``, ``lifted``, ``own-recording``), NotFound."""
    reason = check_reason(reason)
    async with desk.state.reading() as reading:
        actor = (await active_login(reading, login_id, desk.clock.now())).person
    async with desk.deciding(actor) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        person = await _keeper(desk, work, login.person)
        hold = await _locate_hold(work, hold_id)
        recorded = await _recorded_by_hold(work, hold)
        _refuse_recorded(person.name, recorded)
        content: dict[str, object] = {
            "person": person.name,
            "hold": to_plain(hold),
            "recorded": sorted(recorded),
            "reason": reason,
        }
        return await _open(desk, work, RequestKind.LIFTING, content, login.key, reason)


async def place_hold(
    desk: Desk, *, login_id: str, session: str = "", person: str = "", resource: str = "", reason: str
) -> LegalHold:
    """No recording of the session, of the person, on the resource (all that are given) is deleted from now on.

    Raises NotFound for a name that nobody and nothing has: a hold with a slip in it would keep nothing.
    """
    reason = check_reason(reason)
    if not (session or person or resource):
        raise Refusal("bad-hold", "A hold is about a session, a person or a resource.", "Name one.")
    async with desk.state.reading() as reading:
        actor = (await active_login(reading, login_id, desk.clock.now())).person
    async with desk.deciding(actor) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        await _keeper(desk, work, login.person, to_delete=False)
        await _check_known(desk, work, session, person, resource)
        while await work.legal_hold(hold_id := new_id("h")) is not None:
            continue
        hold = LegalHold(hold_id, session, person, resource, reason, login.person, now)
        await work.save(hold)
        work.record(
            LegalHoldPlaced(
                hold=hold_id, by=login.person, reason=reason, session=session, person=person, resource=resource
            )
        )
    return hold


async def _check_known(desk: Desk, reading: Reading, session: str, person: str, resource: str) -> None:
    """A resource that the policy no longer has may still have recordings."""
    if session and await reading.activity(session) is None:
        raise NotFound(f"There is no session {session}.", "See `interlock sessions`.")
    if person and await reading.person(person) is None:
        raise NotFound(f"There is no person named {person}.", "See `interlock people`.")
    if resource and resource not in desk.configuration.resources:
        last: Activity | None = None
        while page := await reading.recorded(after=last):
            if any(one.resource == resource for one in page):
                return
            last = page[-1]
        raise NotFound(f"There is no resource {resource}, nor a recording on one.", "See `interlock resources`.")


async def list_holds(desk: Desk, *, person: str) -> Sequence[LegalHold]:
    async with desk.state.reading() as reading:
        await _keeper(desk, reading, person, to_delete=False)
        return await reading.legal_holds()


async def list_due(desk: Desk, *, person: str, limit: int = 200) -> Sequence[Due]:
    """Those whose time is over, ``limit`` at most: of the oldest sessions, those that are due longest first."""
    async with desk.state.reading() as reading:
        await _keeper(desk, reading, person)
        now = desk.clock.now()
        holds = await reading.legal_holds()
        found: list[Due] = []
        last: Activity | None = None
        while len(found) < limit and (page := await reading.recorded(after=last)):
            last = page[-1]
            for activity in page:
                due_at = _due_at(desk, activity, activity.closed_at or now)
                if due_at <= now and not any(_is_about(hold, activity) for hold in holds):
                    closed_at = activity.closed_at or now
                    found.append(Due(activity.id, activity.person, activity.resource, closed_at, due_at))
        return sorted(found, key=lambda one: one.due_at)[:limit]


async def carry_out(desk: Desk, work: UnitOfWork, request: Request, now: datetime, login: str) -> None:
    """With the last approval. Raises Refusal (``on-hold``, ``too-early``, ``deleted``, ``lifted``)."""
    allowed_by = tuple(sorted({approval.person for approval in await work.approvals(request.id)}))
    if request.kind is RequestKind.LIFTING:
        named = request.content["hold"]
        hold = await _locate_hold(work, str(named["id"]) if isinstance(named, Mapping) else "")
        await work.save(replace(hold, lifted_at=now, lifted_by=login))
        work.record(LegalHoldLifted(hold=hold.id, request=request.id, by=request.person, allowed_by=allowed_by))
        return
    named_recordings = request.content["recordings"]
    for one in named_recordings if isinstance(named_recordings, list) else ():
        await _delete(desk, work, request, str(one["session"]), allowed_by, now)


async def _delete(
    desk: Desk, work: UnitOfWork, request: Request, session: str, allowed_by: tuple[str, ...], now: datetime
) -> None:
    await work.lock(Activity, session)
    activity = await _locate_closed(work, session)
    await _refuse_kept(desk, work, activity, now)
    key = await work.recording_key(session)
    last = await work.last_segment(session)
    if key is None:
        raise NotFound(f"There is no recording of {session}.", "See `interlock sessions`.")
    await work.save(replace(key, wrapped="", destroyed_at=now))
    work.record(
        RecordingDeleted(
            session=session,
            request=request.id,
            by=request.person,
            allowed_by=allowed_by,
            reason=request.reason,
            recording=activity.recording,
            segments=last.number if last else 0,
        )
    )


async def _open(
    desk: Desk, work: UnitOfWork, kind: RequestKind, content: dict[str, object], key: str, reason: str
) -> Request:
    now, rules = desk.clock.now(), desk.configuration.retention.approvals
    content = {**content, "rules": to_plain(rules)}
    request = Request(
        id=await unused_request_id(work),
        kind=kind,
        person=str(content["person"]),
        resource=ALL_RECORDINGS,
        role="",
        content=content,
        digest=digest_of(content),
        rules=rules,
        reason=reason,
        key=key,
        opened_at=now,
        expires_at=now + desk.configuration.timing.request,
    )
    await work.save(request)
    work.record(opened(request))
    return request


async def _keeper(desk: Desk, reading: Reading, name: str, *, to_delete: bool = True) -> Person:
    """Who may keep and let go: administrators, and those whose groups approve it."""
    person = await acting_person(reading, name)
    rules = desk.configuration.retention.approvals
    if not rules and to_delete:
        raise Refusal(
            "no-retention",
            "Nobody can delete recordings here: the policy has no section retention.",
            "Whoever keeps the policy can add one.",
        )
    each = [one for rule in rules for one in (rule, *rule.any_of)]
    named = any(rule.group in person.groups or person.name in rule.people for rule in each)
    if not (named or is_administrator(person)):
        raise Refusal("not-yours", f"{name} does not keep recordings.", "Ask an administrator.")
    return person


async def _locate_closed(reading: Reading, session: str) -> Activity:
    activity = await reading.activity(session)
    key = await reading.recording_key(session)
    if activity is None or key is None:
        raise NotFound(f"There is no recording of {session}.", "See `interlock sessions`.")
    if activity.closed_at is None:
        raise Refusal("still-live", f"{session} is still live.", "Wait for its end.")
    if key.destroyed_at is not None:
        raise _gone(key)
    return activity


def _gone(key: RecordingKey) -> Refusal:
    return Refusal("deleted", f"The recording of {key.session} has been deleted already.", "Nothing is left to do.")


async def _locate_hold(reading: Reading, hold_id: str) -> LegalHold:
    hold = await reading.legal_hold(hold_id)
    if hold is None:
        raise NotFound(f"There is no legal hold {hold_id}.", "See `interlock recordings holds`.")
    if hold.lifted_at is not None:
        raise Refusal("lifted", f"{hold_id} has been lifted already.", "Nothing is left to do.")
    return hold


async def _recorded_by_hold(reading: Reading, hold: LegalHold) -> frozenset[str]:
    activity = await reading.activity(hold.session) if hold.session else None
    names = {hold.person} | ({activity.person} if activity is not None else set())
    return frozenset(names - {""})


def _refuse_recorded(name: str, recorded: frozenset[str] | set[str]) -> None:
    if name in recorded:
        raise Refusal(
            "own-recording",
            f"{name} was recorded there, and has no say in what becomes of it.",
            "Ask somebody who was not.",
        )


async def _refuse_kept(desk: Desk, reading: Reading, activity: Activity, now: datetime) -> None:
    for hold in await reading.legal_holds():
        if _is_about(hold, activity):
            raise Refusal(
                "on-hold",
                f"{activity.id} is under the legal hold {hold.id} ({hold.reason}), and nobody deletes it.",
                f"Others can lift it: interlock recordings lift {hold.id} --reason TEXT",
            )
    due_at = _due_at(desk, activity, activity.closed_at or now)
    if now < due_at:
        raise Refusal(
            "too-early",
            f"The recording of {activity.id} is kept until {due_at:%Y-%m-%d %H:%M} UTC.",
            "Ask again after that.",
        )


def _is_about(hold: LegalHold, activity: Activity) -> bool:
    return hold.is_about(activity.id, activity.person, activity.resource)


def _due_at(desk: Desk, activity: Activity, closed_at: datetime) -> datetime:
    configuration = desk.configuration
    return closed_at + configuration.retention.keep(activity.resource, configuration.resources)
