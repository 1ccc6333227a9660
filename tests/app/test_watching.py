"""The watch over a real ledger: what it raises, over restarts, with other detections, and by one of two at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from interlock.app.watching import watch_ledger, watching
from interlock.domain.detections import Alarm, BeforeEnd, Detection, FirstUse, Refusals, Repeated, Response
from interlock.domain.identity_events import SignInRefused
from interlock.domain.signin import Attempts
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from interlock.store.watch_memory import PostgresWatchMemory
from tests.services.world import DEV, World, company

SEEN = {
    "first": Detection("first", FirstUse(), Response.HOLD),
    "many": Detection("many", Refusals(count=3), Response.CUT),
}


@pytest.fixture(autouse=True)
def kept_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked at is past at once, and not some seconds later."""
    monkeypatch.setattr("interlock.app.watching._KEEP_S", 0.0)


@pytest.fixture
async def world(state: PostgresState) -> World:
    world = World(state, configuration=company(detections=SEEN))
    await world.apply()
    return world


@asynccontextmanager
async def watched(world: World, address: StateAddress) -> AsyncIterator[None]:
    """The watch alone, and stopped in the middle of whatever it does, as by a kill."""
    memory = PostgresWatchMemory(address.url)

    async def sure() -> None:
        return

    task = asyncio.create_task(watch_ledger(world.desk, memory, sure))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await memory.close()


async def alarms_of(world: World) -> list[Alarm]:
    async with world.state.reading() as reading:
        return list(reversed(await reading.alarms()))


async def wait_for_alarms(world: World, count: int) -> list[Alarm]:
    async with asyncio.timeout(30):
        while True:
            found = await alarms_of(world)
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


async def refuse(world: World, person: str = DEV) -> None:
    async with world.state.changing("system") as work:
        await work.save(Attempts(person, 1, world.clock.now()))
        work.record(SignInRefused(person=person, address="10.0.0.1", reason="wrong code"))


async def past(world: World, address: StateAddress) -> None:
    """Return when the watch has looked at all that there is now, and remembers it."""
    memory = PostgresWatchMemory(address.url)
    async with world.state.reading() as reading:
        head = await reading.ledger_head()
    async with asyncio.timeout(30):
        while (kept := await memory.load()) is None or kept["position"] < head:  # noqa: ASYNC110 -- another's doing
            await asyncio.sleep(0.02)
    await memory.close()


async def started(world: World, address: StateAddress) -> None:
    """Let the watch begin: what came before it raises nothing."""
    memory = PostgresWatchMemory(address.url)
    async with watched(world, address), asyncio.timeout(10):
        while True:
            if await memory.load() is not None:
                break
            await asyncio.sleep(0.01)
        # a connection that is cancelled while it is being made may be lost to the garbage collector, with a warning
        await asyncio.sleep(0.5)
    await memory.close()


async def test_alarms_are_raised_over_restarts_and_none_twice(world: World, state_database: StateAddress) -> None:
    await started(world, state_database)
    session, _, _ = await world.session_with()
    async with watched(world, state_database):
        (first,) = await wait_for_alarms(world, 1)
    assert (first.detection, first.sessions) == ("first", (session,))
    await refuse(world)
    await refuse(world)
    async with watched(world, state_database):
        await refuse(world)
        found = await wait_for_alarms(world, 2)
    assert (found[1].detection, found[1].sessions) == ("many", (session,))
    async with watched(world, state_database):
        await refuse(world, "somebody")
        await asyncio.sleep(0.3)
    assert len(await alarms_of(world)) == 2
    assert (await world.activity(session)).cut_why


async def test_what_came_before_the_watch_is_learnt_and_raises_nothing(
    world: World, state_database: StateAddress
) -> None:
    session, grant, login = await world.session_with()
    async with watched(world, state_database):
        await past(world, state_database)
        await world.connect(grant, login)
        await refuse(world)
        await refuse(world)
        await refuse(world)
        (alarm,) = await wait_for_alarms(world, 1)
    assert alarm.detection == "many"
    assert session in alarm.sessions


async def test_other_detections_learn_the_past_and_go_on_from_there(world: World, state_database: StateAddress) -> None:
    await started(world, state_database)
    await world.session_with()
    async with watched(world, state_database):
        await wait_for_alarms(world, 1)
        await refuse(world, "kept")
        await past(world, state_database)
    more = {**SEEN, "any": Detection("any", Repeated("sign-in.refused", count=1))}
    await world.apply(company(detections=more))
    async with watched(world, state_database):
        await refuse(world, "later")
        found = await wait_for_alarms(world, 2)
    assert [(alarm.detection, alarm.person) for alarm in found[1:]] == [("any", "later")]


async def test_a_policy_that_looks_for_more_is_heard_while_it_watches(
    world: World, state_database: StateAddress
) -> None:
    desk = world.desk
    memory = PostgresWatchMemory(state_database.url)

    async def sure() -> None:
        return

    task = asyncio.create_task(watch_ledger(desk, memory, sure))
    try:
        await past(world, state_database)
        await refuse(world, "unseen")
        await past(world, state_database)
        await world.apply(company(detections={"any": Detection("any", Repeated("sign-in.refused"))}))
        object.__setattr__(desk, "configuration", world.configuration)
        await refuse(world, "seen")
        await refuse(world, "seen")
        found = await wait_for_alarms(world, 1)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await memory.close()
    assert {alarm.person for alarm in found} == {"seen"}


async def test_use_before_the_end_of_the_contract_that_a_grant_was_given_under(
    world: World, state_database: StateAddress
) -> None:
    soon = {"soon": Detection("soon", BeforeEnd(timedelta(days=36_500)), Response.HOLD)}
    await world.apply(company(detections=soon))
    await started(world, state_database)
    async with watched(world, state_database):
        session, _, _ = await world.session_with()
        (alarm,) = await wait_for_alarms(world, 1)
    assert (alarm.detection, alarm.sessions) == ("soon", (session,))
    assert "under the contract acme-orders, which ends 2027-02-28" in alarm.sentence


async def test_what_happens_while_nothing_is_looked_for_raises_nothing_later(
    world: World, state_database: StateAddress
) -> None:
    await started(world, state_database)
    await world.apply(company())
    async with watched(world, state_database):
        await refuse(world, "unseen")
        await past(world, state_database)
    await world.apply(company(detections={"any": Detection("any", Repeated("sign-in.refused"))}))
    async with watched(world, state_database):
        await refuse(world, "seen")
        found = await wait_for_alarms(world, 1)
    assert [alarm.person for alarm in found] == ["seen"]


async def test_of_two_one_is_elected_and_the_other_takes_over(world: World, state_database: StateAddress) -> None:
    async with watching(world.desk, state_database.url):
        await past(world, state_database)
        async with watching(world.desk, state_database.url):
            await world.session_with()
            assert len(await wait_for_alarms(world, 1)) == 1
            await asyncio.sleep(0.3)
        assert len(await alarms_of(world)) == 1
    async with watching(world.desk, state_database.url):
        for _ in range(3):
            await refuse(world)
        assert len(await wait_for_alarms(world, 2)) == 2
