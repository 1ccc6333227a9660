"""Recordings let go: by a request, two others, after their time and under no hold. Everything else is refused."""

from dataclasses import replace
from datetime import timedelta

import pytest

from interlock.domain.grants import Request, RequestState
from interlock.domain.resources import Selector
from interlock.domain.retention import Retention, RetentionClass
from interlock.domain.roles import ApprovalRule
from interlock.errors import Failure, NotFound
from interlock.ports.control import KeptSegment, SegmentReport, SessionEnd
from interlock.services.deny_request import deny_request
from interlock.services.offboard_person import offboard_person
from interlock.services.recording_keys import open_recording_key
from interlock.services.report_sessions import report_sessions
from interlock.services.retention import list_due, list_holds, open_deletion, open_lifting, place_hold
from interlock.store.state import PostgresState
from tests.services.world import ADMIN, BOTH, DBA, DBA2, DEV, GATEWAY, LEAD, MATE, OPS, World, company, refused

DAY = timedelta(days=1)
TWO_DBAS = (ApprovalRule(count=2, group="dba"),)
CLASSES = (
    RetentionClass("all", 10 * DAY),
    RetentionClass("stock", 90 * DAY, Selector(names=frozenset({"stock"}))),
)


@pytest.fixture
async def world(state: PostgresState) -> World:
    world = World(state, configuration=company(retention=Retention(TWO_DBAS, CLASSES)))
    await world.apply()
    return world


async def recorded(world: World, *, days_ago: int = 0) -> str:
    """A closed session of DEV with one segment; then days go by."""
    session, _, _ = await world.session_with()
    report = SegmentReport(session, 1, "", (KeptSegment("a" * 64, 3),))
    end = SessionEnd(session, world.clock.now(), "left", 1, "a" * 64, segments=1)
    await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(), ends=(end,), kept=(report,))
    world.clock.advance(days_ago * DAY)
    return session


async def ask(world: World, *sessions: str, by: str = BOTH) -> Request:
    login = await world.sign_in(by)
    return await open_deletion(world.desk, login_id=login.id, sessions=sessions, reason="the time is over")


async def readable(world: World, session: str) -> bool:
    try:
        await open_recording_key(world.desk, world.master, session)
    except Failure:
        return False
    return True


async def test_two_others_let_a_recording_go_and_a_tombstone_stays(world: World) -> None:
    session = await recorded(world, days_ago=11)
    (due,) = await list_due(world.desk, person=ADMIN)
    assert due.session == session
    request = await ask(world, session)
    first = await world.approve(DBA, request)
    assert first.request.state is RequestState.OPEN
    assert await readable(world, session)
    second = await world.approve(DBA2, request)
    assert second.request.state is RequestState.APPROVED
    assert not await readable(world, session)
    (stone,) = await world.events("recording.deleted")
    assert stone == {
        "session": session,
        "request": request.id,
        "by": BOTH,
        "allowed_by": [DBA, DBA2],
        "reason": "the time is over",
        "recording": "a" * 64,
        "segments": 1,
    }
    assert await list_due(world.desk, person=ADMIN) == []
    with refused("deleted"):
        await ask(world, session)


async def test_who_asked_does_not_approve_nor_does_one_person_twice(world: World) -> None:
    session = await recorded(world, days_ago=11)
    request = await ask(world, session, by=DBA)
    with refused("self-approval"):
        await world.approve(DBA, request)
    await world.approve(DBA2, request)
    with refused("already-approved"):
        await world.approve(DBA2, request)
    for outsider in (OPS, LEAD, ADMIN):
        with refused("not-in-group"):
            await world.approve(outsider, request)
    assert await readable(world, session)
    assert await world.events("recording.deleted") == []


async def test_who_was_recorded_neither_asks_nor_approves(world: World) -> None:
    session = await recorded(world, days_ago=11)
    request = await ask(world, session)
    with refused("own-recording"):
        await world.approve(DEV, request)
    with refused("not-yours"):
        await ask(world, session, by=DEV)


async def test_a_recording_is_kept_as_long_as_its_class_says(world: World) -> None:
    session = await recorded(world, days_ago=9)
    with refused("too-early"):
        await ask(world, session)
    assert await list_due(world.desk, person=ADMIN) == []
    retention, resources = world.configuration.retention, world.configuration.resources
    assert retention.keep("orders", resources) == 10 * DAY
    assert retention.keep("stock", resources) == 90 * DAY
    assert retention.keep("no longer there", resources) == 90 * DAY


async def test_a_hold_keeps_it_also_when_it_comes_between_the_approvals(world: World) -> None:
    session = await recorded(world, days_ago=11)
    request = await ask(world, session)
    await world.approve(DBA, request)
    login = await world.sign_in(ADMIN)
    hold = await place_hold(world.desk, login_id=login.id, person=DEV, reason="a lawsuit")
    with refused("on-hold"):
        await world.approve(DBA2, request)
    with refused("on-hold"):
        await ask(world, session)
    assert await readable(world, session)
    assert await list_due(world.desk, person=ADMIN) == []
    # one person alone, who placed it too, does not lift it
    lifting = await open_lifting(world.desk, login_id=login.id, hold_id=hold.id, reason="it is over")
    with refused("self-approval"):
        await world.approve(ADMIN, lifting)
    await world.approve(DBA, lifting)
    assert (await list_holds(world.desk, person=ADMIN))[0].lifted_at is None
    await world.approve(DBA2, lifting)
    assert (await list_holds(world.desk, person=ADMIN))[0].lifted_at is not None
    await world.approve(DBA2, request)
    assert not await readable(world, session)
    with refused("lifted"):
        await open_lifting(world.desk, login_id=login.id, hold_id=hold.id, reason="again")


async def test_who_does_not_keep_recordings_learns_and_does_nothing(world: World) -> None:
    session = await recorded(world, days_ago=11)
    for person in (LEAD, DEV, OPS):
        login = await world.sign_in(person)
        with refused("not-yours"):
            await place_hold(world.desk, login_id=login.id, session=session, reason="x")
        with refused("not-yours"):
            await list_due(world.desk, person=person)
        with refused("not-yours"):
            await list_holds(world.desk, person=person)
    # a colleague of the recorded contractor, though of the group, does not count for their vendor's requester
    request = await ask(world, session, by=MATE)
    await world.approve(DBA, request)
    assert await readable(world, session)


async def test_a_live_or_unknown_session_is_no_recording(world: World) -> None:
    session, _, _ = await world.session_with()
    with refused("still-live"):
        await ask(world, session)
    with pytest.raises(NotFound):
        await ask(world, "s-unknown")
    login = await world.sign_in(BOTH)
    with refused("bad-sessions"):
        await open_deletion(world.desk, login_id=login.id, sessions=[], reason="x")
    with refused("bad-hold"):
        await place_hold(world.desk, login_id=login.id, reason="x")


async def test_a_hold_on_what_is_not_there_is_refused_since_it_would_keep_nothing(world: World) -> None:
    session = await recorded(world, days_ago=11)
    login = await world.sign_in(ADMIN)
    for slip in ({"session": "s-unknown"}, {"person": "d"}, {"resource": "order"}):
        with pytest.raises(NotFound):
            await place_hold(world.desk, login_id=login.id, reason="a lawsuit", **slip)
    assert not await world.events("legal_hold.placed")
    # a resource that the policy has no more still has its recordings, and somebody who left theirs
    without = {name: one for name, one in world.configuration.resources.items() if name != "orders"}
    object.__setattr__(world.desk, "configuration", replace(world.configuration, resources=without))
    await place_hold(world.desk, login_id=login.id, resource="orders", session=session, reason="a lawsuit")
    await offboard_person(world.desk, by=ADMIN, name=DEV, reason="gone")
    await place_hold(world.desk, login_id=login.id, person=DEV, reason="a lawsuit")


async def test_a_denied_request_deletes_nothing(world: World) -> None:
    session = await recorded(world, days_ago=11)
    request = await ask(world, session)
    await world.approve(DBA, request)
    await deny_request(world.desk, by=DBA2, request_id=request.id, reason="no")
    with refused("not-open"):
        await world.approve(DBA2, request)
    assert await readable(world, session)


async def test_without_the_section_nobody_deletes(state: PostgresState) -> None:
    world = World(state)
    await world.apply()
    session = await recorded(world, days_ago=1000)
    for person in (ADMIN, DBA):
        with refused("no-retention"):
            await ask(world, session, by=person)


async def test_a_policy_that_no_longer_lets_go_counts_for_what_was_asked_before(world: World) -> None:
    session = await recorded(world, days_ago=11)
    request = await ask(world, session)
    await world.approve(DBA, request)
    world.configuration = company(retention=Retention((ApprovalRule(count=3, group="dba"),), CLASSES))
    await world.apply()
    await world.approve(DBA2, request)
    assert await readable(world, session)


async def test_the_oldest_are_named_however_many_sessions_came_after(world: World) -> None:
    oldest, next_one, newest = [await recorded(world, days_ago=11) for _ in range(3)]
    assert [due.session for due in await list_due(world.desk, person=ADMIN, limit=2)] == [oldest, next_one]
    async with world.state.reading() as reading:
        first = await reading.recorded(limit=1)
        assert [activity.id for activity in first] == [oldest]
        rest = await reading.recorded(after=first[0])
        assert [activity.id for activity in rest] == [next_one, newest]
