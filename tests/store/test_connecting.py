"""The ways to say where the state is, and with which rights the control plane then works."""

from collections.abc import Iterator

import psycopg
import pytest

from interlock.errors import Failure
from interlock.store.connecting import connect, driver_url
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.state import PostgresState
from tests.store import world
from tests.store.world import added
from tests.support.databases import migrate_now, server_folder


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("postgresql://u:p@h:1/d?sslmode=require", "postgresql://u:p@h:1/d?sslmode=require"),
        ("postgres://h/d", "postgresql://h/d"),
        ("postgresql+asyncpg://u@/d?host=/run/x", "postgresql://u@/d?host=/run/x"),
        ("postgresql:///d?host=/run/x", "postgresql:///d?host=/run/x"),
    ],
)
def test_urls_that_mean_postgresql(given: str, read: str) -> None:
    assert driver_url(given) == read


@pytest.mark.parametrize("url", ["", "mysql://h/d", "sqlite://", "host=h dbname=d", "embedded"])
def test_urls_that_mean_something_else(url: str) -> None:
    with pytest.raises(Failure, match="Interlock keeps it in PostgreSQL"):
        driver_url(url)


@pytest.fixture
def operators() -> Iterator[EmbeddedPostgres]:
    """A server as an operator might give us: one role, one database of its own, nothing else made ready."""
    with server_folder() as folder:
        server = EmbeddedPostgres(
            folder / "postgres", logins=("operator",), database="state", settings={"fsync": "off"}
        )
        server.start()
        yield server
        server.stop()


async def _roles(url: str) -> tuple[str, str]:
    connection = await connect(url)
    row = await connection.fetchrow("SELECT session_user::text, current_user::text")
    await connection.close()
    assert row is not None
    return row[0], row[1]


async def _works_and_is_guarded(url: str) -> None:
    state = PostgresState(url)
    async with state.changing("system") as unit:
        await unit.save(world.LEAD)
        unit.record(added(world.LEAD))
    async with state.reading() as reading:
        assert await reading.people() == [world.LEAD]
    await state.close()
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE interlock.people SET groups = '{}'")
        with pytest.raises(psycopg.Error, match="without its ledger entry"):
            connection.commit()


async def test_one_plain_role_is_enough(operators: EmbeddedPostgres) -> None:
    url = operators.url_for("operator")
    migrate_now(url)
    assert await _roles(url) == ("operator", "operator")
    await _works_and_is_guarded(url)


async def test_a_role_that_may_make_roles_gives_its_own_rights_away(operators: EmbeddedPostgres) -> None:
    with psycopg.connect(operators.url) as connection:
        connection.execute("ALTER ROLE operator CREATEROLE")
    url = operators.url_for("operator")
    migrate_now(url)
    assert await _roles(url) == ("operator", "interlock_application")
    await _works_and_is_guarded(url)


async def test_the_operator_may_make_the_role_later(operators: EmbeddedPostgres) -> None:
    url = operators.url_for("operator")
    migrate_now(url)
    with psycopg.connect(operators.url) as connection:
        connection.execute("CREATE ROLE interlock_application")
    assert await _roles(url) == ("operator", "operator")
    with psycopg.connect(operators.url) as connection:
        connection.execute("GRANT interlock_application TO operator")
    migrate_now(url)
    assert await _roles(url) == ("operator", "interlock_application")
    await _works_and_is_guarded(url)
