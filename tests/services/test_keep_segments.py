"""Segments as a gateway reports them: in their order, from the gateway that has the session, each once."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy import event as sqlalchemy_event

from interlock.domain.work_events import RecordingRead
from interlock.errors import Failure
from interlock.identity.master_key import FileMasterKey
from interlock.ports.control import KeptSegment, RecordingStanding, SegmentReport, SessionEnd, SessionStart
from interlock.services.recording_keys import open_recording_key, rotate_recording_keys
from interlock.services.report_sessions import report_sessions
from tests.services.world import DEV, GATEWAY, World, refused


def segment(letter: str, records: int) -> KeptSegment:
    return KeptSegment(letter * 64, records)


def report_of(session: str, first: int, previous: str, *segments: KeptSegment) -> SegmentReport:
    return SegmentReport(session, first, previous, segments)


async def keep(world: World, report: SegmentReport, gateway: str = GATEWAY) -> None:
    await report_sessions(world.desk, world.master, gateway=gateway, starts=(), ends=(), kept=(report,))


async def test_segments_take_their_places_once(world: World) -> None:
    session, _, _ = await world.session_with()
    first = report_of(session, 1, "", segment("a", 3), segment("b", 5))
    await keep(world, first)
    await keep(world, first)
    # the answer to the first report was lost, and something came since
    await keep(world, report_of(session, 2, "a" * 64, segment("b", 5), segment("c", 9)))
    events = await world.events("recording.kept")
    assert [(event["first"], event["previous"], event["digests"], event["records"]) for event in events] == [
        (1, "", ["a" * 64, "b" * 64], 5),
        (3, "b" * 64, ["c" * 64], 9),
    ]


async def test_a_report_of_many_sessions_asks_the_database_no_more_than_one_of_two(world: World) -> None:
    login = await world.sign_in(DEV)
    grant = await world.lend("reader", login=login)

    def whole(count: int, of: str) -> tuple[list[SessionStart], list[SegmentReport], list[SessionEnd]]:
        ids = [f"s-{of}-{number}" for number in range(count)]
        now = world.clock.now()
        return (
            [SessionStart(one, DEV, "orders", login.id, (grant.id,), "10.0.0.1", "psql", now) for one in ids],
            [report_of(one, 1, "", segment("a", 3), segment("b", 5)) for one in ids],
            [SessionEnd(one, now, "the client left", 3, "b" * 64) for one in ids],
        )

    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    counts = []
    for count, of in ((2, "few"), (60, "many")):
        starts, kept, ends = whole(count, of)
        asked.clear()
        sqlalchemy_event.listen(Engine, "before_cursor_execute", note)
        try:
            await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=starts, ends=ends, kept=kept)
        finally:
            sqlalchemy_event.remove(Engine, "before_cursor_execute", note)
        counts.append(len(asked))
        again = await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=starts, ends=(), kept=kept)
        assert again == [RecordingStanding(start.id, None, 2, "b" * 64, 5, True) for start in starts]
    assert counts[0] == counts[1] < 20
    assert [len(await world.events(kind)) for kind in ("session.opened", "recording.kept", "session.closed")] == [
        62
    ] * 3


async def test_what_does_not_follow_on_is_refused(world: World) -> None:
    session, _, _ = await world.session_with()
    await keep(world, report_of(session, 1, "", segment("a", 3)))
    for report in (
        report_of(session, 3, "a" * 64, segment("b", 5)),
        report_of(session, 1, "", segment("b", 3)),
        report_of(session, 2, "b" * 64, segment("b", 5)),
        report_of(session, 2, "a" * 64, segment("b", 3)),
        report_of(session, 0, "", segment("b", 5)),
        report_of(session, -1, "", segment("b", 5), segment("c", 6), segment("d", 7), segment("e", 8)),
        report_of(session, 2, "a" * 64, KeptSegment("../../keys", 5)),
    ):
        with refused("other-segments"):
            await keep(world, report)
    assert len(await world.events("recording.kept")) == 1


async def test_only_the_gateway_that_has_the_session_says_so(world: World) -> None:
    session, grant, login = await world.session_with()
    with refused("not-yours"):
        await keep(world, report_of(session, 1, "", segment("a", 3)), gateway="gw2")
    await keep(world, report_of("s-unknown", 1, "", segment("a", 3)))
    assert await world.events("recording.kept") == []
    # nor is another gateway told the key
    start = SessionStart(
        session, grant.person, grant.resource, login.id, (grant.id,), "10.0.0.1", "psql", world.clock.now()
    )
    told = await report_sessions(world.desk, world.master, gateway="gw2", starts=(start,), ends=())
    assert told == []


async def test_what_is_told_of_a_new_session_is_what_is_told_of_it_later(world: World) -> None:
    """A new session's key is told without being read back, unless the same report says more of its recording."""
    login = await world.sign_in(DEV)
    first, second, third = (
        SessionStart(name, DEV, "orders", login.id, (), "10.0.0.1", "psql", world.clock.now())
        for name in ("s-1", "s-2", "s-3")
    )
    end = SessionEnd("s-2", world.clock.now(), "left", 1, "")
    kept = report_of("s-3", 1, "", segment("a", 3))

    async def report(*starts: SessionStart, **more: Any) -> dict[str, RecordingStanding]:
        told = await report_sessions(
            world.desk,
            world.master,
            gateway=GATEWAY,
            starts=starts,
            ends=more.get("ends", ()),
            kept=more.get("kept", ()),
        )
        return {standing.session: standing for standing in told}

    told = await report(first, second, third, ends=(end,), kept=(kept,))
    assert told["s-1"].key == await open_recording_key(world.desk, world.master, "s-1")
    assert (told["s-2"].key, told["s-2"].closed) == (None, True)
    assert (told["s-3"].segments, told["s-3"].head, told["s-3"].records) == (1, "a" * 64, 3)
    assert await report(first, second, third) == told
    fourth = replace(first, id="s-4")
    assert (await report(fourth, first))["s-1"] == told["s-1"]


async def test_a_key_is_told_while_the_session_lives_and_no_longer(world: World) -> None:
    session, grant, login = await world.session_with()
    start = SessionStart(
        session, grant.person, grant.resource, login.id, (grant.id,), "10.0.0.1", "psql", world.clock.now()
    )
    (told,) = await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(start,), ends=())
    key = await open_recording_key(world.desk, world.master, session)
    assert told.key == key
    await keep(world, report_of(session, 1, "", segment("a", 3)))
    (told,) = await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(start,), ends=())
    assert (told.segments, told.head, told.records) == (1, "a" * 64, 3)
    end = SessionEnd(session, world.clock.now(), "left", 1, "a" * 64, segments=1)
    await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(), ends=(end,))
    (told,) = await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(start,), ends=())
    assert (told.key, told.closed) == (None, True)
    with refused("other-segments"):
        await keep(world, report_of(session, 2, "a" * 64, segment("b", 5)))


async def test_a_rotation_wraps_every_key_anew_and_changes_none(world: World) -> None:
    sessions = [(await world.session_with())[0] for _ in range(3)]
    keys = [await open_recording_key(world.desk, world.master, session) for session in sessions]
    assert len(set(keys)) == 3
    before = world.master.file.read_text()
    names = []
    for _ in range(3):
        name, count = await rotate_recording_keys(world.state, world.master, by="operator")
        assert count == 3
        names.append(name)
    assert [await open_recording_key(world.desk, world.master, session) for session in sessions] == keys
    after = world.master.file.read_text()
    assert before.strip() not in after
    assert [line.split()[0] for line in after.splitlines()] == names[-2:]
    assert [event["count"] for event in await world.events("recording_keys.rotated")] == [3, 3, 3]
    # the master key of before, from a stolen copy of its file, opens nothing any more
    world.master.file.write_text(before)
    with pytest.raises(Failure, match="which a recording needs"):
        await open_recording_key(world.desk, world.master, sessions[0])


async def test_rotations_at_once_both_end_and_lose_no_key(world: World) -> None:
    sessions = [(await world.session_with())[0] for _ in range(3)]
    keys = [await open_recording_key(world.desk, world.master, session) for session in sessions]
    async with asyncio.timeout(60), asyncio.TaskGroup() as both:
        racers = [
            both.create_task(rotate_recording_keys(world.state, world.master, by="operator"), name=f"rotation {n}")
            for n in range(2)
        ]
    names = {racer.result()[0] for racer in racers}
    assert len(names) == 2
    assert [await open_recording_key(world.desk, world.master, session) for session in sessions] == keys
    async with world.state.reading() as reading:
        kept = [await reading.recording_key(session) for session in sessions]
    current = await world.master.current()
    assert current in names
    assert {key.master for key in kept if key is not None} == {current}


async def test_a_rotation_that_another_overtook_leaves_the_rest_to_it(world: World) -> None:
    session = (await world.session_with())[0]
    key = await open_recording_key(world.desk, world.master, session)
    rotate = world.master.rotate

    class Overtaken(FileMasterKey):
        async def rotate(self) -> str:
            mine = await super().rotate()
            await rotate()
            return mine

    _, count = await rotate_recording_keys(world.state, Overtaken(world.master.file), by="operator")
    assert count == 0
    # The version that wraps it was not forgotten, though it is neither of the last two.
    assert await open_recording_key(world.desk, world.master, session) == key


async def test_a_key_opens_for_its_own_session_alone(world: World) -> None:
    one, two = [(await world.session_with())[0] for _ in range(2)]
    async with world.state.reading() as reading:
        first, second = await reading.recording_key(one), await reading.recording_key(two)
    assert first is not None
    assert second is not None

    async with world.state.changing("operator") as work:
        await work.save(replace(second, wrapped=first.wrapped))
        work.record(RecordingRead(session=two, by="operator"))
    with pytest.raises(Failure, match="was not wrapped by the master key"):
        await open_recording_key(world.desk, world.master, two)
