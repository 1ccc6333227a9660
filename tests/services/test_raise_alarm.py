"""Alarms: what they do to sessions, once, and that a held session asks another person for its next statement."""

from dataclasses import replace

from interlock.domain.detections import Response
from interlock.domain.grants import RequestState
from interlock.ledger.watch import Finding
from interlock.ports.control import SessionCount, SessionEnd
from interlock.services.list_alarms import list_alarms
from interlock.services.raise_alarm import raise_alarm
from interlock.services.report_sessions import report_sessions
from interlock.services.take_hold import take_hold
from tests.services.world import ADMIN, DBA, DEV, GATEWAY, World, refused


def finding(response: Response, *, session: str = "", resource: str = "", person: str = DEV) -> Finding:
    return Finding("nights", response, 7, "It is late.", person=person, session=session, resource=resource)


async def test_a_notice_is_written_once_and_does_nothing_to_sessions(world: World) -> None:
    session, _, _ = await world.session_with()
    first = await raise_alarm(world.desk, finding(Response.NOTIFY, session=session))
    assert first is not None
    assert first.sessions == ()
    assert await raise_alarm(world.desk, finding(Response.NOTIFY, session=session)) is None
    (event,) = await world.events("detection.fired")
    assert event["detection"] == "nights"
    assert event["entry"] == 7
    activity = await world.activity(session)
    assert not activity.cut_why
    assert not activity.held_why


async def test_a_cut_is_the_cut_that_people_order_too(world: World) -> None:
    session, _, _ = await world.session_with()
    alarm = await raise_alarm(world.desk, finding(Response.CUT, session=session))
    assert alarm is not None
    assert alarm.sessions == (session,)
    assert (await world.activity(session)).cut_why == "the detection nights cut this session: It is late."
    (event,) = await world.events("session.cut")
    assert event == {"session": session, "by": "the detection nights", "reason": "It is late."}


async def test_without_a_session_it_reaches_those_of_the_person_on_the_resource(world: World) -> None:
    session, grant, login = await world.session_with()
    other = await world.connect(grant, login)
    assert (await raise_alarm(world.desk, finding(Response.CUT, resource="stock"))) is not None
    assert not await world.events("session.cut")
    alarm = await raise_alarm(world.desk, replace(finding(Response.CUT, resource="orders"), position=8))
    assert alarm is not None
    assert set(alarm.sessions) == {session, other}


async def test_what_is_over_or_somebody_elses_is_left_as_it_is(world: World) -> None:
    session, _, _ = await world.session_with()
    end = SessionEnd(session, world.clock.now(), "left", 1, "")
    await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(), ends=(end,))
    for number, each in enumerate((finding(Response.CUT, session=session), finding(Response.HOLD, person=DBA))):
        alarm = await raise_alarm(world.desk, replace(each, position=10 + number))
        assert alarm is not None
        assert alarm.sessions == ()


async def test_a_hold_lasts_until_another_person_approved_one_statement(world: World) -> None:
    session, _, _ = await world.session_with()
    await raise_alarm(world.desk, finding(Response.HOLD, session=session))
    held = (await world.activity(session)).held_why
    assert held == "It is late. Another person must approve the next statement (detection nights, entry 7)."
    await raise_alarm(world.desk, replace(finding(Response.HOLD, session=session), position=8, sentence="Later."))
    assert (await world.activity(session)).held_why == held
    opened = await world.hold(session)
    request = await world.request(opened.request)
    await world.approve(DBA, request)
    assert (await world.activity(session)).held_why == held
    used = await take_hold(world.desk, gateway=GATEWAY, request_id=opened.request, digest=opened.digest)
    assert used.state is RequestState.USED
    assert (await world.activity(session)).held_why == ""


async def test_counts_only_grow_and_only_of_the_gateways_own_live_sessions(world: World) -> None:
    session, _, _ = await world.session_with()

    async def count(rows: int, refusals: int, gateway: str = GATEWAY) -> None:
        counts = (SessionCount(session, rows, refusals),)
        await report_sessions(world.desk, world.master, gateway=gateway, starts=(), ends=(), counts=counts)

    await count(100, 0)
    await count(100, 0)
    await count(50, 1)
    assert [(one["rows"], one["refused"]) for one in await world.events("session.counted")] == [(100, 0), (100, 1)]
    with refused("not-yours"):
        await count(1000, 1, "gw2")
    end = SessionEnd(session, world.clock.now(), "left", 1, "", 120, 1)
    await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(), ends=(end,))
    await count(1000, 9)
    (closed,) = await world.events("session.closed")
    assert (closed["rows"], closed["refused"]) == (120, 1)
    assert len(await world.events("session.counted")) == 2


async def test_only_who_may_read_the_ledger_sees_alarms(world: World) -> None:
    await raise_alarm(world.desk, finding(Response.NOTIFY))
    kept = await list_alarms(world.desk, person=ADMIN)
    assert [alarm.detection for alarm in kept.alarms] == ["nights"]
    with refused("not-yours"):
        await list_alarms(world.desk, person=DEV)
