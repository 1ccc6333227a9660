"""The state while its database is killed, and after: sentences meanwhile, nothing lost, and it works again."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from interlock.domain.people import Person
from interlock.errors import Failure
from interlock.ledger.verify import Verified, verify
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.home import StateAddress, embedded_address, embedded_state
from interlock.store.state import PostgresState
from tests.store.world import added
from tests.support.databases import migrate_now, server_folder


@pytest.fixture
def durable() -> Iterator[EmbeddedPostgres]:
    """The state's own server, with the settings that the product has."""
    with server_folder() as folder:
        server = embedded_state(folder / "postgres")
        server.start()
        yield server
        server.stop()


@pytest.fixture
def address(durable: EmbeddedPostgres) -> StateAddress:
    found = embedded_address(durable)
    migrate_now(found.owner_url)
    return found


def _kill(server: EmbeddedPostgres) -> None:
    """The server and every process of it, as when the machine's memory runs out: none finishes what it was doing."""
    parent = server.pid
    assert parent is not None
    children = [
        int(process.parent.name)
        for process in Path("/proc").glob("[0-9]*/stat")
        if int(process.read_text().rpartition(")")[2].split()[1]) == parent
    ]
    for pid in (parent, *children):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def _add(state: PostgresState, name: str) -> None:
    async with state.changing("system") as unit:
        await unit.save(Person(name))
        unit.record(added(Person(name)))


async def _add_in_the_end(state: PostgresState, name: str) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await _add(state, name)
                return
            except Failure:
                await asyncio.sleep(0.05)


async def test_a_unit_that_loses_its_database_fails_with_a_sentence(
    durable: EmbeddedPostgres, address: StateAddress
) -> None:
    state = PostgresState(address.url)
    await _add(state, "before")

    async def lose() -> None:
        async with state.changing("system") as unit:
            await unit.save(Person("lost"))
            unit.record(added(Person("lost")))
            _kill(durable)

    with pytest.raises(Failure, match="cannot be reached"):
        await lose()
    await _add_in_the_end(state, "after")
    async with state.reading() as reading:
        assert [person.name for person in await reading.people()] == ["after", "before"]
        assert verify(await reading.ledger()) == Verified(2, (await reading.ledger())[-1].link)
    await state.close()


async def test_killed_at_random_under_load_what_was_said_to_be_kept_is_kept(
    durable: EmbeddedPostgres, address: StateAddress
) -> None:
    state = PostgresState(address.url)
    kept: set[str] = set()
    stop = asyncio.Event()

    async def write(number: int) -> None:
        step = 0
        while not stop.is_set():
            step += 1
            try:
                await _add(state, f"{number}-{step}")
                kept.add(f"{number}-{step}")
            except Failure:
                await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(write(number))
        for pause_s in (0.3, 0.7, 0.5):
            enough = len(kept) + 20
            await asyncio.sleep(pause_s)
            while len(kept) < enough:  # noqa: ASYNC110 -- the writers' doing
                await asyncio.sleep(0.01)
            _kill(durable)
            await _add_in_the_end(state, f"again-{pause_s}")
        stop.set()
    async with state.reading() as reading:
        people = {person.name for person in await reading.people()}
        entries = await reading.ledger(limit=1_000_000)
    assert kept <= people
    assert len(entries) == len(people)
    assert isinstance(verify(entries), Verified)
    assert len(kept) > 50
    await state.close()


async def test_a_feed_ends_and_a_new_one_goes_on(durable: EmbeddedPostgres, address: StateAddress) -> None:
    state = PostgresState(address.url)
    await _add(state, "before")
    position = 0

    async def follow() -> None:
        nonlocal position
        async for upto, _ in state.changes(position):
            position = upto
            if upto == 1:
                _kill(durable)

    with pytest.raises(Failure):
        async with asyncio.timeout(30):
            await follow()
    assert position == 1
    await _add_in_the_end(state, "after")
    async for upto, entities in state.changes(position):
        assert (upto, [*entities]) == (2, [Person("after")])
        break
    await state.close()
