"""The feed's source: nothing left out, nothing out of order, whatever happens meanwhile."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import cast

import psycopg
import pytest

from interlock.domain.people import Person
from interlock.errors import Failure
from interlock.ports.state import Entity
from interlock.store.home import StateAddress
from interlock.store.listening import POLL_S
from interlock.store.state import PostgresState
from tests.store import world
from tests.store.world import added

Changes = AsyncIterator[tuple[int, Sequence[Entity]]]


async def _add(state: PostgresState, *names: str) -> None:
    async with state.changing("system") as unit:
        for name in names:
            await unit.save(Person(name))
            unit.record(added(Person(name)))


async def _next(changes: Changes) -> tuple[int, list[str]]:
    async with asyncio.timeout(10):
        position, entities = await anext(changes)
    return position, sorted(cast(Person, entity).name for entity in entities)


async def test_the_first_answer_comes_at_once(state: PostgresState) -> None:
    async with aclosing(state.changes(0)) as changes:
        assert await _next(changes) == (0, [])
    await _add(state, "a", "b")
    await _add(state, "c")
    async with aclosing(state.changes(0)) as changes:
        assert await _next(changes) == (3, ["a", "b", "c"])
    async with aclosing(state.changes(2)) as changes:
        assert await _next(changes) == (3, ["c"])
    async with aclosing(state.changes(3)) as changes:
        assert await _next(changes) == (3, [])


async def test_a_commit_is_heard_well_before_the_poll(state: PostgresState) -> None:
    async with aclosing(state.changes(0)) as changes:
        assert await _next(changes) == (0, [])
        heard = []
        for number in range(20):
            waiting = asyncio.create_task(_next(changes))
            await asyncio.sleep(0.01)
            await _add(state, str(number))
            heard.append(await waiting)
    assert heard == [(number + 1, [str(number)]) for number in range(20)]


async def test_every_kind_of_entity_comes_as_it_now_is(state: PostgresState) -> None:
    async with state.changing("system") as unit:
        for entity in world.WORLD:
            await unit.save(entity)
        unit.record(added(world.LEAD))
    over = replace(world.GRANT, ended_at=world.NOW, ended_by="x", ended_reason="y")
    async with state.changing("system") as unit:
        await unit.save(over)
        unit.record(added(world.LEAD))
    async with aclosing(state.changes(0)) as changes:
        position, entities = await anext(changes)
    assert position == 2
    expected = [over if entity == world.GRANT else entity for entity in world.WORLD]
    assert len(entities) == len(expected)
    assert all(entity in entities for entity in expected)


async def test_an_event_without_entities_moves_the_position(state: PostgresState) -> None:
    async with aclosing(state.changes(0)) as changes:
        assert await _next(changes) == (0, [])
        async with state.changing("system") as unit:
            unit.record(added(world.LEAD))
        assert await _next(changes) == (1, [])


async def test_a_thing_that_is_all_key_comes_again(state: PostgresState) -> None:
    async with aclosing(state.changes(0)) as changes:
        await _next(changes)
        for position in (1, 2):
            async with state.changing("system") as unit:
                await unit.save(world.ACME)
                unit.record(added(world.LEAD))
            async with asyncio.timeout(10):
                assert await anext(changes) == (position, [world.ACME])


async def test_nothing_is_lost_under_many_writers_and_slow_readers(state: PostgresState) -> None:
    """Five writers, three followers of which one dawdles: each follower ends up with every person, in order."""
    writers, each = 5, 30
    total = writers * each

    async def write(number: int) -> None:
        chance = random.Random(number)
        for step in range(each):
            await _add(state, f"{number}-{step}")
            await asyncio.sleep(chance.random() * 0.004)

    async def follow(pause_s: float) -> set[str]:
        seen: set[str] = set()
        last = 0
        async with aclosing(state.changes(0)) as changes:
            while len(seen) < total:
                position, names = await _next(changes)
                # One event a unit: so many positions, so many names, and none that was here before.
                assert len(names) == position - last
                assert not seen & set(names)
                seen.update(names)
                last = position
                await asyncio.sleep(pause_s)
        return seen

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        followers = [group.create_task(follow(pause_s)) for pause_s in (0, 0.001, 0.05)]
        for number in range(writers):
            group.create_task(write(number))
    for follower in followers:
        assert len(follower.result()) == total


async def test_a_long_past_comes_in_pieces_that_divide_no_unit(
    state: PostgresState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.store.state._KEYS_AT_ONCE", 4)
    await _add(state, "a", "b", "c")
    await _add(state, "d", "e", "f")
    await _add(state, *"ghijklmnop")
    async with aclosing(state.changes(0)) as changes:
        assert await _next(changes) == (6, ["a", "b", "c", "d", "e", "f"])
        assert await _next(changes) == (16, [*"ghijklmnop"])
        await _add(state, "q")
        assert await _next(changes) == (17, ["q"])


async def test_a_lost_notification_costs_time_and_nothing_else(
    state: PostgresState, state_database: StateAddress
) -> None:
    with psycopg.connect(state_database.owner_url) as connection:
        connection.execute("ALTER TABLE interlock.ledger DISABLE TRIGGER announce")
    async with aclosing(state.changes(0)) as changes:
        assert await _next(changes) == (0, [])
        await _add(state, "a")
        async with asyncio.timeout(POLL_S + 5):
            assert await _next(changes) == (1, ["a"])


async def test_a_lost_connection_ends_the_feed_and_the_next_one_works(
    state: PostgresState, state_database: StateAddress
) -> None:
    async with aclosing(state.changes(0)) as changes:
        assert await _next(changes) == (0, [])
        with psycopg.connect(state_database.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with pytest.raises(Failure, match="lost"):
            await _next(changes)
    # The pool's own connection hears of its end in its own time; who asks before that is told so (test_outage).
    async with asyncio.timeout(10):
        while True:
            try:
                await _add(state, "a")
                break
            except Failure:
                await asyncio.sleep(0)
    async with aclosing(state.changes(0)) as changes:
        assert await _next(changes) == (1, ["a"])


async def test_closing_the_state_ends_its_feeds(state: PostgresState) -> None:
    async with aclosing(state.changes(0)) as changes:
        await _next(changes)
        waiting = asyncio.create_task(_next(changes))
        await asyncio.sleep(0.01)
        await state.close()
        with pytest.raises(Failure):
            await waiting
