"""Sessions: what gateways report, who may see and cut them."""

import asyncio
from dataclasses import replace

from interlock.domain.grants import Activity
from interlock.ports.control import SessionEnd, SessionStart
from interlock.services.cut_session import cut_session
from interlock.services.end_grant import end_grant
from interlock.services.list_sessions import list_sessions, read_recording, show_session
from interlock.services.report_sessions import report_sessions
from tests.services.world import ADMIN, DBA, DEV, GATEWAY, LEAD, MATE, OPS, World, refused


def end_of(world: World, session: str) -> SessionEnd:
    return SessionEnd(session, world.clock.now(), "the client left", 3, "c0ffee")


async def test_a_report_is_heard_once_however_often_it_comes(world: World) -> None:
    login = await world.sign_in(DEV)
    grant = await world.lend("reader", login=login)
    start = SessionStart("s-1", DEV, "orders", login.id, (grant.id,), "10.0.0.1", "psql", world.clock.now())
    end = end_of(world, "s-1")

    async def report(starts: tuple[SessionStart, ...], ends: tuple[SessionEnd, ...]) -> None:
        await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=starts, ends=ends)

    await asyncio.gather(*(report((start,), ()) for _ in range(5)))
    await asyncio.gather(*(report((start,), (end,)) for _ in range(5)))
    await report((), ())
    assert len(await world.events("session.opened")) == 1
    (closed,) = await world.events("session.closed")
    assert (closed["statements"], closed["recording"], closed["person"]) == (3, "c0ffee", DEV)
    assert await world.activity("s-1") == Activity(
        "s-1",
        DEV,
        "orders",
        login.id,
        (grant.id,),
        GATEWAY,
        "10.0.0.1",
        "psql",
        world.clock.now(),
        closed_at=world.clock.now(),
        closed_why="the client left",
        statements=3,
        recording="c0ffee",
    )


async def test_a_start_and_its_end_in_one_report(world: World) -> None:
    login = await world.sign_in(DEV)
    start = SessionStart("s-1", DEV, "orders", login.id, (), "10.0.0.1", "psql", world.clock.now())
    await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(start,), ends=(end_of(world, "s-1"),))
    assert (await world.activity("s-1")).closed_at is not None


async def test_a_gateway_ends_only_its_own_sessions(world: World) -> None:
    session, _, _ = await world.session_with()
    with refused("not-yours"):
        await report_sessions(world.desk, world.master, gateway="gw2", starts=(), ends=(end_of(world, session),))
    await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(), ends=(end_of(world, "s-unknown"),))
    assert await world.events("session.closed") == []


async def test_a_session_of_no_login_is_not_believed(world: World) -> None:
    start = SessionStart("s-1", DEV, "orders", "l-none", (), "10.0.0.1", "psql", world.clock.now())
    with refused("unknown-login"):
        await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(start,), ends=())


async def test_a_session_is_cut_by_who_may_end_what_it_rests_on(world: World) -> None:
    for person in (DEV, LEAD, DBA, ADMIN):
        session, _, _ = await world.session_with("reader", DBA)
        cut = await cut_session(world.desk, by=person, session_id=session, reason="wrong table")
        assert cut.cut_why == f"{person} cut this session: wrong table"
        with refused("over"):
            await cut_session(world.desk, by=person, session_id=session, reason="again")
    session, _, _ = await world.session_with("reader", DBA)
    for person in (OPS, MATE):
        with refused("not-yours"):
            await cut_session(world.desk, by=person, session_id=session, reason="why not")
    await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(), ends=(end_of(world, session),))
    with refused("over"):
        await cut_session(world.desk, by=ADMIN, session_id=session, reason="late")
    with refused("not-found"):
        await cut_session(world.desk, by=ADMIN, session_id="s-none", reason="late")


async def test_sessions_are_seen_by_who_answers_for_them(world: World) -> None:
    session, grant, _ = await world.session_with()
    await end_grant(world.desk, by=LEAD, grant_id=grant.id, reason="enough")
    for person in (DEV, LEAD, ADMIN):
        assert [activity.id for activity in await list_sessions(world.desk, person=person)] == [session]
        assert (await show_session(world.desk, person=person, session_id=session)).id == session
    for person in (DBA, OPS, MATE):
        assert await list_sessions(world.desk, person=person) == []
        with refused("not-found"):
            await show_session(world.desk, person=person, session_id=session)
        with refused("not-found"):
            await read_recording(world.desk, person=person, session_id=session)
    assert await world.events("recording.read") == []


async def test_reading_a_recording_is_written_down_first(world: World) -> None:
    session, _, _ = await world.session_with()
    await read_recording(world.desk, person=DEV, session_id=session)
    assert await world.events("recording.read") == [{"session": session, "by": DEV, "grant": ""}]


async def test_the_recorded_reads_no_recording_of_their_own_where_the_policy_says_so(world: World) -> None:
    session, _, _ = await world.session_with()
    await read_recording(world.desk, person=DEV, session_id=session)
    strict = replace(world.desk, configuration=replace(world.desk.configuration, own_recordings=False))
    with refused("own-recording"):
        await read_recording(strict, person=DEV, session_id=session)
    assert [event["by"] for event in await world.events("recording.read")] == [DEV]
