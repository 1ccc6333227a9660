"""Every way round the unit of work that somebody with the control plane's own database password could try."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import LiteralString

import psycopg
import pytest
from psycopg import conninfo, errors, sql

from interlock.ledger.entries import Recorded, body_of
from interlock.ledger.links import GENESIS, link
from interlock.store.binaries import find_binaries
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from interlock.store.tables import STATE_TABLES, metadata
from tests.store import world
from tests.store.world import added

TABLES = sorted(table.name for table in STATE_TABLES)
Connection = psycopg.Connection[tuple[object, ...]]

NO_ENTRY = "IL001"
FOREIGN_KEY = "23503"
APPEND_ONLY = "IL002"
OUT_OF_PLACE = "IL003"


@pytest.fixture
async def filled(state: PostgresState, state_database: StateAddress) -> StateAddress:
    async with state.changing("system") as unit:
        for entity in world.WORLD:
            await unit.save(entity)
        unit.record(added(world.LEAD))
    return state_database


@contextmanager
def _refused(sqlstate: str) -> Iterator[None]:
    with pytest.raises(psycopg.Error) as error:
        yield
    assert error.value.sqlstate == sqlstate, error.value


def _touch(table: str) -> sql.Composed:
    """An UPDATE that changes every row of ``table`` into itself."""
    column = next(column.name for column in metadata.tables[f"interlock.{table}"].columns)
    return sql.SQL("UPDATE {} SET {} = {}").format(
        sql.Identifier("interlock", table), sql.Identifier(column), sql.Identifier(column)
    )


@pytest.mark.parametrize("url", ["url", "owner_url"])
def test_an_update_without_an_entry_is_refused_at_the_commit(filled: StateAddress, url: str) -> None:
    with psycopg.connect(getattr(filled, url)) as connection:
        for table in TABLES:
            assert connection.execute(_touch(table)).rowcount >= 1, table
            with _refused(NO_ENTRY):
                connection.commit()


def test_the_owner_neither_deletes_nor_truncates(filled: StateAddress) -> None:
    with psycopg.connect(filled.owner_url) as connection:
        for table in TABLES:
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("interlock", table)))
            with pytest.raises(psycopg.Error) as error:
                connection.commit()
            assert error.value.sqlstate in {NO_ENTRY, FOREIGN_KEY}, table
            with _refused(APPEND_ONLY):
                connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.Identifier("interlock", table)))
            connection.rollback()


@pytest.mark.parametrize(
    "template",
    [
        "DELETE FROM {}",
        "TRUNCATE {}",
        "DROP TABLE {}",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
        "CREATE RULE quiet AS ON UPDATE TO {} DO INSTEAD NOTHING",
    ],
)
def test_the_control_planes_role_may_not_even_try(filled: StateAddress, template: LiteralString) -> None:
    with psycopg.connect(filled.url, autocommit=True) as connection:
        for table in TABLES:
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(sql.SQL(template).format(sql.Identifier("interlock", table)))


def test_psql_with_the_control_planes_password_is_refused(filled: StateAddress) -> None:
    psql = find_binaries().folder / "psql"
    for statement in (
        "INSERT INTO interlock.people (name, groups) VALUES ('mallory', '{administrators}')",
        "UPDATE interlock.people SET groups = '{administrators}'",
        "DELETE FROM interlock.people",
        "UPDATE interlock.ledger SET actor = 'nobody'",
        "DELETE FROM interlock.ledger",
        "TRUNCATE interlock.ledger CASCADE",
        "BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE interlock.grants SET ends_at = 'infinity'; COMMIT",
        "DO $$ BEGIN UPDATE interlock.grants SET ends_at = 'infinity'; END $$",
        "WITH gone AS (UPDATE interlock.requests SET state = 'approved' RETURNING 1) SELECT * FROM gone",
        "MERGE INTO interlock.vendors USING (VALUES ('x')) v (n) ON name = n WHEN NOT MATCHED THEN INSERT VALUES (n)",
    ):
        done = subprocess.run(
            [psql, "-X", "-v", "ON_ERROR_STOP=1", "-c", statement, filled.url],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0, statement
        assert "without its ledger entry" in done.stderr or "permission denied" in done.stderr, done.stderr


def test_checking_early_or_in_pieces_does_not_help(filled: StateAddress) -> None:
    with psycopg.connect(filled.url) as connection:
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with _refused(NO_ENTRY):
            connection.execute(_touch("grants"))
        connection.rollback()
        connection.execute("SAVEPOINT one")
        connection.execute(_touch("grants"))
        connection.execute("RELEASE one")
        with _refused(NO_ENTRY):
            connection.commit()


def test_the_entry_of_another_transaction_does_not_count(filled: StateAddress) -> None:
    with psycopg.connect(filled.url) as connection:
        _append(connection)
        connection.commit()
        connection.execute(_touch("grants"))
        with _refused(NO_ENTRY):
            connection.commit()


def test_an_entry_that_was_rolled_back_does_not_count(filled: StateAddress) -> None:
    with psycopg.connect(filled.url) as connection:
        connection.execute("SAVEPOINT one")
        _append(connection)
        connection.execute("ROLLBACK TO one")
        connection.execute(_touch("grants"))
        with _refused(NO_ENTRY):
            connection.commit()


def test_the_transactions_number_is_the_databases_word(filled: StateAddress) -> None:
    with psycopg.connect(filled.url) as connection:
        _append(connection, transaction="9223372036854775807")
        row = connection.execute(
            "SELECT transaction = pg_current_xact_id()::text::bigint FROM interlock.ledger WHERE position = 2"
        ).fetchone()
        assert row == (True,)


@pytest.mark.parametrize("url", ["url", "owner_url"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE interlock.ledger SET body = body",
        "UPDATE interlock.ledger SET body = body WHERE false",
        "DELETE FROM interlock.ledger",
        "TRUNCATE interlock.ledger CASCADE",
        "UPDATE interlock.changes SET entity = entity",
        "DELETE FROM interlock.changes",
        "TRUNCATE interlock.changes",
    ],
)
def test_the_ledger_only_grows(filled: StateAddress, url: str, statement: str) -> None:
    with psycopg.connect(getattr(filled, url)) as connection:
        with _refused("42501" if url == "url" else APPEND_ONLY):
            connection.execute(statement)
        connection.rollback()
        row = connection.execute("SELECT count(*) FROM interlock.ledger").fetchone()
        assert row == (1,)


@pytest.mark.parametrize("position", [0, 1, 3, -1, None])
def test_an_entry_takes_the_next_place_or_none(filled: StateAddress, position: int | None) -> None:
    with psycopg.connect(filled.owner_url) as connection, _refused(OUT_OF_PLACE):
        _append(connection, position=position)


def test_an_entry_is_linked_to_the_last_or_refused(filled: StateAddress) -> None:
    for wrong in (bytes(32), b"", None):
        with psycopg.connect(filled.owner_url) as connection, _refused(OUT_OF_PLACE):
            _append(connection, linked=wrong)


def test_skipping_triggers_does_not_skip_these(filled: StateAddress, postgres_server: EmbeddedPostgres) -> None:
    with psycopg.connect(filled.url) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute("SET session_replication_role = replica")
    database = conninfo.conninfo_to_dict(filled.url)["dbname"]
    superuser = postgres_server.url_for("postgres", str(database))
    with psycopg.connect(superuser) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(_touch("grants"))
        with _refused(NO_ENTRY):
            connection.commit()
        connection.execute("SET session_replication_role = replica")
        with _refused(APPEND_ONLY):
            connection.execute("DELETE FROM interlock.ledger")


def test_the_control_planes_role_owns_nothing_and_can_make_nothing(filled: StateAddress) -> None:
    with psycopg.connect(filled.url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication,"
            " (SELECT count(*) FROM pg_auth_members WHERE member = pg_roles.oid),"
            " (SELECT count(*) FROM pg_class WHERE relowner = pg_roles.oid)"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert row == (False, False, False, False, False, 0, 0)
        for statement in (
            "CREATE TABLE interlock.more (x int)",
            "CREATE TEMPORARY TABLE more (x int)",
            "CREATE SCHEMA more",
            "ALTER FUNCTION interlock.has_entry() RENAME TO had_entry",
            "CREATE OR REPLACE FUNCTION interlock.has_entry() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "SET ROLE interlock_owner",
            "SET ROLE postgres",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)


def _append(
    connection: Connection, *, position: int | None = 2, linked: bytes | None = b"right", transaction: str = "0"
) -> None:
    """Write an entry by hand, as the unit of work would, apart from what is said otherwise."""
    last = connection.execute("SELECT link FROM interlock.ledger ORDER BY position DESC LIMIT 1").fetchone()
    at = datetime.now(UTC)
    event = added(world.LEAD)
    body = body_of(Recorded(2, at, "system", event))
    before = last[0] if last else GENESIS
    assert isinstance(before, bytes)
    connection.execute(
        "INSERT INTO interlock.ledger (position, at, actor, kind, body, link, transaction)"
        " VALUES (%s, %s, 'system', %s, %s, %s, %s::bigint)",
        [position, at, event.kind, body, link(before, body) if linked == b"right" else linked, transaction],
    )
