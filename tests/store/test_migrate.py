"""The schema, as it comes to be: from nothing, twice at once, and never other than the code thinks it is."""

import asyncio

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from interlock.errors import Failure
from interlock.store.connecting import connect
from interlock.store.home import StateAddress
from interlock.store.locks import Lock
from interlock.store.migrate import migrate
from interlock.store.state import PostgresState
from interlock.store.tables import SCHEMA, metadata
from tests.store import world
from tests.store.world import added


async def test_an_upgraded_database_is_what_the_tables_say(empty_database: StateAddress) -> None:
    await migrate(empty_database.owner_url)

    def differences(connection: Connection) -> list[object]:
        options = {
            "version_table_schema": SCHEMA,
            "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
            "compare_type": True,
            "compare_server_default": True,
        }
        found: list[object] = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        return found

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: connect(empty_database.owner_url, as_application=False),
        poolclass=NullPool,
    )
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_a_second_time_changes_nothing(state_database: StateAddress) -> None:
    state = PostgresState(state_database.url)
    async with state.changing("system") as unit:
        await unit.save(world.LEAD)
        unit.record(added(world.LEAD))
    await migrate(state_database.owner_url)
    async with state.reading() as reading:
        assert await reading.people() == [world.LEAD]
    await state.close()


async def test_several_that_start_at_once_take_turns(empty_database: StateAddress) -> None:
    await asyncio.gather(*(migrate(empty_database.owner_url) for _ in range(5)))
    state = PostgresState(empty_database.url)
    async with state.reading() as reading:
        assert await reading.ledger_head() == 0
    await state.close()


async def test_it_waits_for_nobody_who_was_elected(state_database: StateAddress) -> None:
    """Else a second control plane could not start for as long as the first one lives."""
    holder = await connect(state_database.url)
    try:
        for lock in set(Lock) - {Lock.MIGRATION, Lock.LEDGER}:
            await holder.execute("SELECT pg_advisory_lock($1, $2)", *lock.value)
        async with asyncio.timeout(10):
            await migrate(state_database.owner_url)
    finally:
        await holder.close()


async def test_a_later_versions_state_is_left_alone(state_database: StateAddress) -> None:
    with psycopg.connect(state_database.owner_url) as connection:
        connection.execute("UPDATE interlock.alembic_version SET version_num = '9999'")
    with pytest.raises(Failure, match="later version of Interlock"):
        await migrate(state_database.owner_url)


async def test_a_role_that_may_make_no_schema_is_a_sentence(empty_database: StateAddress) -> None:
    with pytest.raises(Failure, match="permission denied"):
        await migrate(empty_database.url)


async def test_a_failed_migration_leaves_nothing(
    empty_database: StateAddress,
) -> None:
    with psycopg.connect(empty_database.owner_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA interlock")
        connection.execute("CREATE TABLE interlock.grants (already int)")
    with pytest.raises(Failure, match="already exists"):
        await migrate(empty_database.owner_url)
    with psycopg.connect(empty_database.owner_url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'interlock'").fetchall()
    assert rows == [("grants",)]
