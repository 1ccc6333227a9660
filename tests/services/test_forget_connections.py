"""What connections were let in by is forgotten a day after it was over; nothing that is still good, whoever asks."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import errors

from interlock.domain.signin import ConnectionPass, ConnectionPassword
from interlock.domain.work_events import PasswordIssued
from interlock.services import forget_connections as forgetting
from interlock.services.forget_connections import forget_connections
from interlock.store.home import StateAddress
from tests.services.world import DEV, World

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


async def _keep(world: World, *ends: timedelta) -> None:
    """A pass and a password for each, which ends so long from now."""
    now = datetime.now(UTC)
    login = await world.sign_in(DEV)
    async with world.state.changing("system") as work:
        for number, end in enumerate(ends):
            await work.save(
                ConnectionPass(
                    f"p-{number}",
                    DEV,
                    login.id,
                    login.key,
                    "shop",
                    ("g-1",),
                    "ab" * 32,
                    "one-time code",
                    now + end - MINUTE,
                    now + end,
                )
            )
            await work.save(ConnectionPassword(f"{number:064}", DEV, login.id, "shop", now + end - MINUTE, now + end))
        work.record(PasswordIssued(person=DEV, login=login.id, resource="shop", connections=1))


async def _left(world: World, many: int) -> list[int]:
    async with world.state.reading() as reading:
        passes = [n for n in range(many) if await reading.connection_pass(f"p-{n}") is not None]
        assert passes == [n for n in range(many) if await reading.connection_password(f"{n:064}") is not None]
    return passes


async def test_what_was_over_a_day_ago_goes_and_nothing_else(world: World) -> None:
    await _keep(world, -2 * DAY, -DAY - MINUTE, -DAY + MINUTE, -MINUTE, MINUTE, 30 * DAY)
    # The attack: a control plane whose own clock is far ahead, so that all of it seems to be over to it.
    world.clock.advance(1000 * DAY)
    assert await forget_connections(world.desk) == 4
    assert await _left(world, 6) == [2, 3, 4, 5]
    (told,) = await world.events("connections.forgotten")
    assert (told["passes"], told["passwords"]) == (2, 2)


async def test_where_nothing_is_over_nothing_is_written(world: World) -> None:
    await _keep(world, MINUTE)
    head = await world.head()
    assert await forget_connections(world.desk) == 0
    assert await world.head() == head


async def test_many_go_some_at_a_time_and_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 3)
    await _keep(world, *(-2 * DAY for _ in range(10)))
    both = await asyncio.gather(forget_connections(world.desk), forget_connections(world.desk))
    assert sum(both) == 20
    assert await _left(world, 10) == []
    told = await world.events("connections.forgotten")
    assert (sum(e["passes"] for e in told), sum(e["passwords"] for e in told)) == (10, 10)
    assert all(e["passes"] <= 3 and e["passwords"] <= 3 for e in told)


async def test_the_database_forgets_nothing_without_an_entry_and_deletes_nothing_otherwise(
    world: World, state_database: StateAddress
) -> None:
    await _keep(world, -2 * DAY, MINUTE)
    with psycopg.connect(state_database.url) as connection:
        assert connection.execute("SELECT * FROM interlock.forget_connections(100)").fetchone() == (1, 1)
        with pytest.raises(psycopg.Error, match="without its ledger entry"):
            connection.commit()
        for statement in (
            "DELETE FROM interlock.connection_passes",
            "DELETE FROM interlock.connection_passwords WHERE expires_at < now() - interval '2 days'",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)
            connection.rollback()
    assert await _left(world, 2) == [0, 1]
