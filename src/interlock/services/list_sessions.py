"""The sessions that a person may see, and the reading of a recording.

Holds to:

* nobody sees a session that is neither theirs nor theirs to answer for (``reading_rights``), nor of a resource of which
  they may read the recordings
* the recorded person reads no recording of their own where the policy says so (``recordings.own``), whatever they hold
* a recording is read under an active grant of a role that allows ``replay`` on its resource, with the key that the
  grant is bound to and the proof of presence that the role asks for, and in no other way: where no role allows it
  nobody reads, whoever they are and whomever they answer for. One's own is read without a grant
* whoever watches or replays a recording is written in the ledger, with the grant, before the first record is shown
"""

from collections.abc import Sequence

from interlock.domain.actions import Action, Need
from interlock.domain.decisions import Decision, Effect
from interlock.domain.grants import Activity, Grant, Login
from interlock.domain.people import Person
from interlock.domain.resources import Resource
from interlock.domain.work_events import RecordingRead
from interlock.errors import NotFound, Refusal
from interlock.policy.decide import Question
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
        last = await _locate(desk, reading, reader, before) if before is not None else None
        if is_administrator(reader):
            return await reading.activities(live=live, before=last, limit=limit)
        contracts = [c for c in await reading.contracts() if c.sponsor == person]
        theirs = {p.name for p in await reading.people() if any(c.covers(p) for c in contracts)}
        found: dict[str, Activity] = {}
        for name in sorted(theirs | {person}):
            activities = await reading.activities(live=live, person=name, before=last, limit=limit)
            found |= {one.id: one for one in activities if await may_read_session(reading, reader, one)}
        for resource in sorted({grant.resource for grant in await replay_grants(desk, reading, reader)}):
            activities = await reading.activities(live=live, resource=resource, before=last, limit=limit)
            found |= {one.id: one for one in activities}
    return sorted(sorted(found.values(), key=lambda one: one.id), key=lambda one: one.opened_at, reverse=True)[:limit]


async def show_session(desk: Desk, *, person: str, session_id: str) -> Activity:
    """Raises NotFound for a session that is not there, or that the person may not see."""
    async with desk.state.reading() as reading:
        return await _locate(desk, reading, await acting_person(reading, person), session_id)


async def read_recording(desk: Desk, *, person: str, session_id: str, login: Login | None = None) -> Activity:
    """The session whose recording ``person`` may now read, watched live or replayed.

    Without a ``login`` no grant counts. Raises NotFound, Refusal (``own-recording``, ``no-replay``, ``other-key``).
    """
    async with desk.state.changing(person) as work:
        reader = await acting_person(work, person)
        activity = await _locate(desk, work, reader, session_id)
        grant = await _rest_on(desk, work, reader, activity, login)
        work.record(RecordingRead(session=session_id, by=person, grant=grant))
    return activity


async def check_may_read_recording(desk: Desk, *, person: str, session_id: str, login: Login | None = None) -> Activity:
    """The same, for who only asks, or asks whether to go on. Raises what ``read_recording`` does."""
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        activity = await _locate(desk, reading, reader, session_id)
        await _rest_on(desk, reading, reader, activity, login)
    return activity


async def replay_grants(desk: Desk, reading: Reading, person: Person) -> list[Grant]:
    """The person's active grants of roles that allow ``replay`` where they are lent."""
    found = []
    for grant in await reading.grants(active_at=desk.clock.now(), person=person.name):
        if grant.role not in desk.configuration.replay_roles(grant.resource):
            continue
        contract = None if grant.contract is None else await reading.contract(grant.contract)
        if grant.contract is None or (contract is not None and contract.running(desk.clock.now())):
            found.append(grant)
    return found


async def readable_resources(desk: Desk, reading: Reading, reader: Person, login: Login | None) -> frozenset[str]:
    """The resources of which the person reads what others did, now and in this login."""
    usable = _usable(desk, await replay_grants(desk, reading, reader), login)
    return frozenset(
        grant.resource
        for grant in usable
        if (resource := desk.configuration.resources.get(grant.resource)) is not None
        and _decide(desk, reader, resource, frozenset({grant.role}), login).effect is Effect.ALLOW
    )


async def _rest_on(desk: Desk, reading: Reading, reader: Person, activity: Activity, login: Login | None) -> str:
    """The grant on which a reading rests; empty for one's own."""
    await desk.check_policy(reading)
    configuration = desk.configuration
    if activity.person == reader.name:
        if configuration.own_recordings:
            return ""
        raise Refusal(
            "own-recording",
            f"{activity.id} is a session of your own, and the policy keeps recordings from those who are recorded.",
            "Ask somebody who may read it.",
        )
    resource = configuration.resources.get(activity.resource)
    if resource is None:
        raise Refusal(
            "no-replay",
            f"{activity.id} was on {activity.resource}, which the policy no longer has, so no role lets it be read.",
            f"Propose a policy that has {activity.resource} again.",
        )
    if not configuration.replay_roles(resource.name):
        raise _no_role(resource)
    granted = [one for one in await replay_grants(desk, reading, reader) if one.resource == resource.name]
    usable = _usable(desk, granted, login)
    if granted and not usable:
        raise Refusal(
            "other-key",
            f"{granted[0].id}, which lets you read recordings of {resource.name}, is bound to another key of yours.",
            "Read it where you asked for the grant, or ask for one here.",
        )
    decision = _decide(desk, reader, resource, frozenset(), login)
    for grant in usable:
        decision = _decide(desk, reader, resource, frozenset({grant.role}), login)
        if decision.effect is Effect.ALLOW:
            return grant.id
    raise Refusal("no-replay", f"No grant lets you read the recording of {activity.id} now.", decision.reason)


def _usable(desk: Desk, granted: Sequence[Grant], login: Login | None) -> list[Grant]:
    """Those of the grants that are bound to the key of this login."""
    if login is None or not login.active(desk.clock.now()):
        return []
    return [one for one in granted if one.key == login.key]


def _decide(desk: Desk, reader: Person, resource: Resource, roles: frozenset[str], login: Login | None) -> Decision:
    """Only roles that allow replay are asked about: a Cedar file may take the reading away, and never give it."""
    present_at = None if login is None else login.present_at
    return desk.decider.decide(Question(reader, resource, roles, (Need(Action.REPLAY),), desk.clock.now(), present_at))


def _no_role(resource: Resource) -> Refusal:
    return Refusal(
        "no-replay",
        f"No role of the policy allows replay on {resource.name}, so nobody reads what others did there.",
        f"Propose a policy with such a role (interlock policy propose FILE), under roles: auditor: "
        f"{{on: {{resources: [{resource.name}]}}, allow: [replay], "
        "lend: {longest: 1h, approvals: [{from: {group: GROUP}, count: 1}], mfa: true}}",
    )


async def _locate(desk: Desk, reading: Reading, reader: Person, session_id: str) -> Activity:
    activity = await reading.activity(session_id)
    if activity is None or not (
        await may_read_session(reading, reader, activity)
        or activity.resource in {grant.resource for grant in await replay_grants(desk, reading, reader)}
    ):
        raise NotFound(f"There is no session {session_id}.", "See `interlock sessions`.")
    return activity
