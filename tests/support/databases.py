"""A real PostgreSQL for the tests: one server a run, one database a test.

The server is the embedded one, as the product starts it, with fsync off: a test loses no power. Registered as a
plugin by ``tests/conftest.py``.
"""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from interlock.store.connecting import APPLICATION_ROLE
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.home import OWNER_ROLE, StateAddress, embedded_address
from interlock.store.migrate import migrate
from interlock.store.state import PostgresState
from tests.support.memory import in_memory

_numbers = itertools.count(1)
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"} | {
    # what it writes to be able to recover stays small: nothing here is recovered
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
}


@contextmanager
def server_folder(within: str | None = None) -> Iterator[Path]:
    """A folder that the server's account can reach, which pytest's own are not when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="interlock-", dir=within))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def database_of(server: EmbeddedPostgres, template: str = "template1") -> Iterator[str]:
    """A database of its own, made from ``template`` and dropped at the end with whoever is still connected."""
    name = f"test_{next(_numbers)}"
    names = {
        "name": sql.Identifier(name),
        "template": sql.Identifier(template),
        "owner": sql.Identifier(OWNER_ROLE),
        "application": sql.Identifier(APPLICATION_ROLE),
    }
    with psycopg.connect(server.url_for("postgres", "postgres"), autocommit=True) as connection:
        for statement in (
            "CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY OWNER {owner}",
            # as the embedded server does with the one it makes
            "REVOKE ALL ON DATABASE {name} FROM PUBLIC",
            "GRANT CONNECT ON DATABASE {name} TO {application}",
        ):
            connection.execute(sql.SQL(statement).format(**names))
    try:
        yield name
    finally:
        with psycopg.connect(server.url_for("postgres", "postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def migrate_now(url: str) -> None:
    """``migrate`` from code that is not asynchronous, whether or not a loop runs in this thread."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(migrate(url))).result()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """The run's server. Stopped at the end, and by the kernel when the run is killed."""
    with server_folder(in_memory()) as folder:
        server = EmbeddedPostgres(folder / "postgres", logins=(OWNER_ROLE, APPLICATION_ROLE), settings=FAST)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def migrated_template(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """The name of a database with the state's schema and nothing in it."""
    with database_of(postgres_server) as name:
        migrate_now(postgres_server.url_for(OWNER_ROLE, name))
        yield name


@pytest.fixture
def empty_database(postgres_server: EmbeddedPostgres) -> Iterator[StateAddress]:
    """A database of its own, without a schema."""
    with database_of(postgres_server) as name:
        yield embedded_address(postgres_server, name)


@pytest.fixture
def state_database(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[StateAddress]:
    """A database of its own, with the state's schema."""
    with database_of(postgres_server, migrated_template) as name:
        yield embedded_address(postgres_server, name)


@pytest.fixture
async def state(state_database: StateAddress) -> AsyncIterator[PostgresState]:
    """The state, empty, in a database of its own."""
    opened = PostgresState(state_database.url)
    yield opened
    await opened.close()
