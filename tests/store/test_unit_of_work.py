"""All or nothing, one winner, no gap: the unit of work on a real PostgreSQL."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from interlock.domain.event import Event
from interlock.domain.grants import Grant, Request
from interlock.domain.people import Person
from interlock.domain.rights_events import GrantEnded
from interlock.errors import Failure, Misuse
from interlock.ledger.verify import Verified, verify
from interlock.ports.state import Contended, State
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from tests.store import world
from tests.store.world import added


async def _nothing_was_written(state: State) -> None:
    async with state.reading() as reading:
        assert await reading.people() == []
        assert await reading.ledger_head() == 0
    async for position, entities in state.changes(0):
        assert (position, [*entities]) == (0, [])
        break


async def test_an_exception_leaves_nothing(state: PostgresState) -> None:
    async def fail() -> None:
        async with state.changing("system") as unit:
            await unit.save(world.LEAD)
            unit.record(added(world.LEAD))
            raise LookupError("on the way")

    with pytest.raises(LookupError, match="on the way"):
        await fail()
    await _nothing_was_written(state)


async def test_a_cancelled_unit_leaves_nothing_and_no_lock(state: PostgresState) -> None:
    saved = asyncio.Event()

    async def linger() -> None:
        async with state.changing("system") as unit:
            await unit.lock(Person, "x")
            await unit.save(world.LEAD)
            unit.record(added(world.LEAD))
            saved.set()
            await asyncio.sleep(3600)

    task = asyncio.create_task(linger())
    await saved.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(10), state.changing("system") as unit:
        await unit.lock(Person, "x")
    await _nothing_was_written(state)


async def test_each_of_several_is_locked_in_turn(state: PostgresState) -> None:
    async with state.changing("system") as unit:
        await unit.lock_each(Person, ["z", "a", "m"])
        for key in ("z", "a", "m"):
            async with state.changing("system") as other:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await other.lock(Person, key)
        async with asyncio.timeout(10), state.changing("system") as other:
            await other.lock_each(Person, [])
            await other.lock_each(Person, ["b"])
    # Two that lock the same in the same order never wait for each other.
    async with asyncio.timeout(20):
        await asyncio.gather(*(_lock_all(state) for _ in range(8)))


async def _lock_all(state: PostgresState) -> None:
    async with state.changing("system") as unit:
        await unit.lock_each(Person, [f"p{number}" for number in range(50)])


async def test_saving_without_an_event_is_a_misuse(state: PostgresState) -> None:
    async def save() -> None:
        async with state.changing("system") as unit:
            await unit.save(world.LEAD)

    with pytest.raises(Misuse, match="recorded no event; nothing was written"):
        await save()
    await _nothing_was_written(state)


async def test_what_is_no_event_or_no_entity_is_a_misuse(state: PostgresState) -> None:
    class Invented(Event):
        kind = "person.added"

    async with state.changing("system") as unit:
        with pytest.raises(Misuse):
            unit.record(Event())
        with pytest.raises(Misuse):
            unit.record(Invented())
    with pytest.raises(Misuse):
        state.changing("")


async def test_what_refers_to_nothing_is_not_kept(state: PostgresState) -> None:
    async def save() -> None:
        async with state.changing("system") as unit:
            await unit.save(world.APPROVAL)
            unit.record(added(world.LEAD))

    with pytest.raises(Misuse, match="fk_approvals"):
        await save()
    await _nothing_was_written(state)


async def test_events_alone_may_be_recorded_and_nothing_may_be_done(state: PostgresState) -> None:
    async with state.changing("system") as unit:
        unit.record(added(world.LEAD))
        unit.record(added(world.DEV))
    async with state.changing("system") as unit:
        assert await unit.people() == []
    async with state.reading() as reading:
        assert await reading.ledger_head() == 2


async def test_one_time_and_actor_for_one_unit(state: PostgresState) -> None:
    async with state.changing("lead@example.com") as unit:
        unit.record(added(world.LEAD))
        unit.record(added(world.DEV))
    async with state.reading() as reading:
        first, second = await reading.ledger()
    assert first.at == second.at
    assert first.actor == second.actor == "lead@example.com"


async def test_of_two_who_take_the_same_thing_one_wins(state: PostgresState) -> None:
    """A thousand rounds: both read, both would take it, and exactly one does."""
    async with state.changing("system") as unit:
        for entity in world.WORLD:
            await unit.save(entity)
        for number in range(1000):
            await unit.save(replace(world.GRANT, id=f"g-{number}"))
        unit.record(added(world.LEAD))

    async def take(grant_id: str, by: str) -> bool:
        async with state.changing(by) as unit:
            await unit.lock(Grant, grant_id)
            grant = await unit.grant(grant_id)
            assert grant is not None
            if grant.ended_at is not None:
                return False
            await unit.save(replace(grant, ended_at=world.NOW, ended_by=by, ended_reason="taken"))
            unit.record(GrantEnded(grant=grant_id, by=by, reason="taken"))
        return True

    async def race(number: int) -> None:
        took = await asyncio.gather(take(f"g-{number}", "one"), take(f"g-{number}", "two"))
        assert sorted(took) == [False, True]

    for start in range(0, 1000, 4):
        await asyncio.gather(*(race(start + step) for step in range(4)))
    async with state.reading() as reading:
        entries = await reading.ledger(limit=2000)
    assert isinstance(verify(entries), Verified)
    assert len(entries) == 1001


async def test_positions_have_no_gap_with_twenty_at_once(state: PostgresState) -> None:
    async def work(number: int) -> None:
        for step in range(10):
            with suppress(ZeroDivisionError):
                async with state.changing(f"worker-{number}") as unit:
                    await unit.save(Person(f"{number}-{step}"))
                    for _ in range(1 + (number + step) % 3):
                        unit.record(added(Person(f"{number}-{step}")))
                    # every fifth fails at its end
                    assert 1 / ((number + step) % 5)

    await asyncio.gather(*(work(number) for number in range(20)))
    async with state.reading() as reading:
        entries = await reading.ledger(limit=10_000)
        people = await reading.people()
    assert isinstance(verify(entries), Verified)
    assert len(people) == 160
    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))


async def test_a_lock_is_on_one_key_of_one_type(state: PostgresState) -> None:
    async with asyncio.timeout(10):
        async with state.changing("one") as one, state.changing("two") as two:
            await one.lock(Grant, "x")
            await one.lock(Grant, "x")
            await two.lock(Grant, "y")
            await two.lock(Request, "x")


async def test_a_deadlock_is_a_failure_that_may_be_tried_again(state: PostgresState) -> None:
    both = asyncio.Barrier(2)

    async def cross(first: str, second: str) -> None:
        async with state.changing("system") as unit:
            await unit.lock(Grant, first)
            await both.wait()
            await unit.lock(Grant, second)
            unit.record(added(world.LEAD))

    results = await asyncio.gather(cross("a", "b"), cross("b", "a"), return_exceptions=True)
    assert [type(result) for result in results if result is not None] == [Contended]
    async with state.reading() as reading:
        assert await reading.ledger_head() == 1


async def test_more_units_than_connections_wait_their_turn(state_database: StateAddress) -> None:
    state = PostgresState(state_database.url, connections=2)

    async def work(number: int) -> None:
        async with state.changing("system") as unit:
            await unit.save(Person(str(number)))
            unit.record(added(Person(str(number))))

    await asyncio.gather(*(work(number) for number in range(30)))
    async with state.reading() as reading:
        assert len(await reading.people()) == 30
    await state.close()


async def test_a_database_that_is_not_there_is_a_sentence(state_database: StateAddress) -> None:
    for url, words in (
        ("postgresql://x:y@127.0.0.1:1/z", "cannot be reached"),
        (state_database.url.replace("/test_", "/no_test_"), "does not let Interlock in"),
        (
            state_database.url.replace("interlock_application:", "interlock_application:wrong"),
            "does not let Interlock in",
        ),
    ):
        state = PostgresState(url)
        with pytest.raises(Failure, match=words) as failure:
            async with state.reading():
                pass
        assert failure.value.remedy
        await state.close()
    with pytest.raises(Failure, match="Interlock keeps it in PostgreSQL"):
        PostgresState("sqlite:///state.db")


async def test_a_database_without_a_schema_says_what_to_do(empty_database: StateAddress) -> None:
    state = PostgresState(empty_database.url)
    with pytest.raises(Failure, match="no schema"):
        async with state.reading() as reading:
            await reading.people()
    await state.close()
