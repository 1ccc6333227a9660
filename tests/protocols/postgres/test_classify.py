"""What statements need, one example a line, and what no text may do: raise, or pass without being understood."""

import pytest

from interlock.domain.actions import EVERYTHING, Action
from interlock.protocols.postgres.classify import Classified, ClassifyContext, classify

ANYONE = ClassifyContext()
READER = ClassifyContext(read_only=True)


def read(text: str, context: ClassifyContext = ANYONE) -> Classified:
    classified = classify(text, context)
    assert classified.unknown == "", classified.unknown
    return classified


def needs(text: str, context: ClassifyContext = ANYONE) -> set[str]:
    return {str(need) for need in read(text, context).needs}


def actions(text: str, context: ClassifyContext = ANYONE) -> set[Action]:
    return {need.action for need in read(text, context).needs}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1", {"read on database"}),
        ("values (1)", {"read on database"}),
        ("table orders", {"read on table orders"}),
        ('select * from public.orders, "Items"', {"read on table public.orders", 'read on table "Items"'}),
        ('select * from "public.orders"', {'read on table "public.orders"'}),
        ("select (select max(x) from a) from b where exists (select from c)", {f"read on table {t}" for t in "abc"}),
        ("with a as (select 1) select * from a", {"read on database"}),
        ("with a as (select * from a) select * from a", {"read on table a"}),
        ("with recursive a as (select 1 union select * from a) select * from a", {"read on database"}),
        ("select * from (with a as (select 1) select * from a) x, a", {"read on table a"}),
        ("with a as (select 1) select * from public.a", {"read on table public.a"}),
        ("select 1 union all (select x from a except select x from b)", {"read on table a", "read on table b"}),
        ("select * from a for update", {"write on table a", "read on table a"}),
        (
            "select * from a x, b for no key update of x",
            {"write on table a", "read on table a", "read on table b"},
        ),
        ("select * into b from a", {"alter on table b", "read on table a"}),
        ("create table b as select * from a", {"alter on table b", "read on table a"}),
        ("create materialized view b as select * from a", {"alter on view b", "read on table a"}),
        ("insert into a values (1)", {"write on table a"}),
        ("insert into a default values returning *", {"write on table a", "read on table a"}),
        ("insert into a select * from b", {"write on table a", "read on table b"}),
        ("insert into a values (1) on conflict do nothing", {"write on table a"}),
        (
            "insert into a values (1) on conflict (i) do update set x = excluded.x",
            {"write on table a", "read on table a"},
        ),
        ("update a set x = 1 where i = 2", {"write on table a", "read on table a"}),
        (
            "update a set x = b.x from b where a.i = b.i",
            {"write on table a", "read on table a", "read on table b"},
        ),
        ("delete from a where i = 2", {"write on table a", "read on table a"}),
        ("with gone as (delete from a where i = 2) select 1", {"write on table a", "read on table a"}),
        (
            "merge into a using b on a.i = b.i when matched then update set x = 1 when not matched then do nothing",
            {"write on table a", "read on table a", "read on table b"},
        ),
        ("truncate a, only s.b", {"destroy on table a", "destroy on table s.b"}),
        ("lock table a in access share mode", {"read on table a"}),
        ("lock table a in share mode", {"write on table a"}),
        ("copy a to stdout", {"read on table a", "export on table a"}),
        (
            "copy (select * from a, b) to stdout",
            {"read on table a", "read on table b", "export on table a", "export on table b"},
        ),
        ("copy a from stdin", {"write on table a"}),
        ("copy a from '/x'", {"write on table a", "execute on server file"}),
        ("copy a to program 'x'", {"read on table a", "export on table a", "execute on server program"}),
        ("drop table a cascade", {"destroy on table a"}),
        ("drop view if exists s.a", {"destroy on view s.a"}),
        ("drop owned by x", {"grant on role x", "destroy on role x"}),
        ("alter table a add column x int", {"alter on table a"}),
        ("alter table a drop column x", {"alter on table a", "destroy on table a"}),
        ("alter table a alter x type bigint", {"alter on table a", "destroy on table a"}),
        ("alter table a owner to x", {"alter on table a", "grant on table a"}),
        ("alter table a disable row level security", {"alter on table a", "grant on table a"}),
        ("alter table a detach partition b", {"alter on table a", "alter on table b"}),
        ("create table a partition of b default", {"alter on table a", "alter on table b"}),
        ("create table a (x int references b)", {"alter on table a", "alter on table b"}),
        ("create table a (like b)", {"alter on table a", "read on table b"}),
        ("create view v as select * from a", {"alter on view v", "read on table a"}),
        (
            "create schema s create table t (i int) grant select on t to public",
            {"alter on schema s", "alter on table t", "grant on table t"},
        ),
        ("grant all on all tables in schema s to x", {"grant on schema s"}),
        ("revoke x from y", {"grant on role x"}),
        ("alter role x superuser", {"grant on role x"}),
        ("create policy p on a using (true)", {"alter on table a", "grant on table a"}),
        ("create function f() returns int language sql as ''", {"alter on function f", "execute on function f"}),
        ("create trigger t after insert on a execute function f()", {"alter on table a", "execute on table a"}),
        ("do 'begin end'", {"execute on everything"}),
        ("call s.p(1)", {"execute on function s.p"}),
        ("begin", {"connect on everything"}),
        ("begin read write", {"write on setting transaction_read_only"}),
        ("begin read only", {"connect on everything"}),
        ("prepare transaction 'x'", {"execute on prepared transaction"}),
        ("show work_mem", {"read on setting work_mem"}),
        ("listen c", {"read on channel c"}),
        ("notify c", {"write on channel c"}),
        ("declare c cursor for select * from a", {"read on table a"}),
        ("declare c cursor for select * from a for update", {"read on table a", "write on table a"}),
        ("fetch all from c", {"read on cursor c"}),
        ("explain delete from a", {"read on table a"}),
        ("explain (analyze off) delete from a", {"read on table a"}),
        ("explain (analyze, verbose) insert into a values (1)", {"write on table a"}),
        ("explain analyze create table b as select * from a", {"alter on table b", "read on table a"}),
        ("prepare p as delete from a", {"connect on everything"}),
        ("", {"connect on everything"}),
        (" /* nothing */ ; -- at all", {"connect on everything"}),
        ("select 1; insert into a values (1)", {"read on database", "write on table a"}),
    ],
)
def test_what_a_statement_needs(text: str, expected: set[str]) -> None:
    assert needs(text) == expected


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "where true",
        "where 1=1",
        "where 1 <> 2",
        "where 't'",
        "where 'yes'::boolean",
        "where not false",
        "where $1",
        "where $1 = 1",
        "where now() > '2020-01-01'",
        "where exists (select 1)",
        "where exists (select from generate_series(1, 2))",
        "where i = 5 or true",
        "where $1::int is null or i = $1",
        "where true and 1 = 1",
        "where not (i = 1 and false)",
        "where (i = 1 or true) is true",
        "where coalesce(null, true)",
        "where coalesce(true, i = 5)",
        "where case when true then true else i = 5 end",
        "where case when i = 5 then true else true end",
        "where not case when i = 5 then false else false end",
        "where 1 in (1, 2)",
    ],
)
def test_a_condition_that_looks_at_no_row_destroys(condition: str) -> None:
    assert Action.DESTROY in actions(f"delete from a {condition}")
    assert Action.DESTROY in actions(f"update a set x = 1 {condition}")
    assert Action.DESTROY in actions(f"with gone as (delete from a {condition}) select 1")


@pytest.mark.parametrize(
    "condition",
    [
        "i = 1",
        "i = i",
        "false",
        "null",
        "1 = 2",
        "'f'::boolean",
        "not true",
        "i = 1 or false",
        "i = 1 and true",
        "i = $1",
        "exists (select from b)",
        "current of c",
        "case when i = 5 then true else false end",
        "case when false then true else i = 5 end",
        "case i when 5 then true end",
        "coalesce(i = 1, true)",
        "(i = 1) is true",
        "a is not null",
    ],
)
def test_a_condition_that_looks_at_rows_does_not_destroy(condition: str) -> None:
    assert Action.DESTROY not in actions(f"delete from a where {condition}")


@pytest.mark.parametrize(
    ("clauses", "destroys"),
    [
        ("on true when matched then delete", True),
        ("on a.i = b.i when matched then delete", False),
        ("on true when matched and a.i = 5 then delete", False),
        ("on true when not matched then insert values (1)", False),
        ("on a.i = b.i when not matched by source then delete", True),
        ("on a.i = b.i when not matched by source and a.i = 5 then delete", False),
        ("on false when not matched by source then update set x = 1", True),
        ("on true when matched then do nothing", False),
    ],
)
def test_merge_destroys_when_no_row_is_looked_at(clauses: str, destroys: bool) -> None:
    assert (Action.DESTROY in actions(f"merge into a using b {clauses}")) is destroys


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select pg_read_file('/etc/passwd')", "execute on function pg_read_file"),
        ("select pg_catalog.pg_ls_dir('.')", "execute on function pg_catalog.pg_ls_dir"),
        ("select * from public.dblink('', '') as t(i int)", "execute on function public.dblink"),
        ("select * from rows from (pg_ls_dir('.'), generate_series(1, 2))", "execute on function pg_ls_dir"),
        ("select lo_import('/x')", "execute on function lo_import"),
        ("select lo_open(1, 131072)", "write on function lo_open"),
        ("select lo_unlink(1)", "destroy on function lo_unlink"),
        ("select query_to_xml('drop table a', true, true, '')", "execute on function query_to_xml"),
        ("select ts_rewrite('a'::tsquery, 'select 1')", "execute on function ts_rewrite"),
        ("select table_to_xml('a', true, true, '')", "execute on function table_to_xml"),
        ("select nextval('s')", "write on function nextval"),
        ("select pg_terminate_backend(1)", "execute on function pg_terminate_backend"),
        ("select pg_not_yet_known()", "execute on function pg_not_yet_known"),
        ("select pg_catalog.not_yet_known()", "execute on function pg_catalog.not_yet_known"),
        ("select cron.schedule('x', 'y', 'z')", "execute on function cron.schedule"),
        ("select * from pg_authid", "grant on table pg_authid"),
        ("select * from pg_catalog.pg_shadow", "grant on table pg_catalog.pg_shadow"),
        ("select * from pg_hba_file_rules", "execute on table pg_hba_file_rules"),
        ("update pg_settings set setting = 'off' where name = 'x'", "execute on table pg_settings"),
        ("delete from pg_catalog.pg_proc where false", "execute on table pg_catalog.pg_proc"),
        ("insert into information_schema.sql_features values ()", "execute on table information_schema.sql_features"),
    ],
)
def test_what_reaches_beyond_the_tables(text: str, expected: str) -> None:
    if text.endswith("values ()"):
        text = text.removesuffix("values ()") + "default values"
    assert expected in needs(text)


@pytest.mark.parametrize(
    "place",
    [
        "select 1 where {}",
        "select 1 order by {}",
        "select 1 group by {}",
        "select 1 having {}",
        "select 1 limit {}",
        "select count(*) filter (where {}) over (partition by {} order by {})",
        "select string_agg(a, b order by {}) from c",
        "select * from a join b on {}",
        "select * from a tablesample system ({})",
        "select * from lateral (select {}) x",
        "select array[{}], row({}), ({}).x, (a)[{}], {}::int, case when {} then 1 end",
        "select coalesce(1, {}), greatest(1, {}), nullif(1, {}), x in (1, {}), x = any(select {})",
        "select xmlelement(name x, {}), json_object('a': {}), json_value(x, '$' passing {} as y)",
        "select * from xmltable('/' passing {} columns a int path 'x' default {})",
        "select * from json_table({}, '$' columns (a int path '$' default {} on empty))",
        "values ({})",
        "insert into a values ({})",
        "insert into a default values returning {}",
        "insert into a values (1) on conflict (({})) where {} do update set x = {} where {}",
        "update a set x = {} where i = 1",
        "update a set (x, y) = (select {}, 1) where i = 1",
        "delete from a using (select {}) b where i = 1",
        "merge into a using (select {}) b on a.i = b.i when matched and {} then update set x = {}",
        "copy (select {}) to stdout",
        "copy a from stdin where {}",
        "create table a (x int default {} check ({}))",
        "create table a (x int generated always as ({}) stored)",
        "alter table a add check ({})",
        "alter table a alter x set default {}",
        "alter table a alter x type int using {}",
        "create index on a (({})) where {}",
        "create statistics s on ({}), b from a",
        "create view v as select {}",
        "create domain d as int check ({})",
        "alter domain d add check ({})",
        "create policy p on a using ({}) with check ({})",
        "create rule r as on insert to a where {} do also select {}",
        "create table a partition of b for values from ({}) to (2)",
        "create table a (x int) partition by range (({}))",
        "create function f(x int default {}) returns int language sql as ''",
        "create trigger t before insert on a for each row when ({}) execute function f()",
        "create publication p for table a where ({})",
        "declare c cursor for select {}",
        "explain select {}",
        "explain analyze select {}",
        "call p({})",
        "prepare p as select 1; execute p({})",
        "with recursive a as (select {}) select 1",
        "create table b as select {}",
        "select (select (select {}))",
        "select window_w.* from a window w as (partition by {})",
    ],
)
def test_a_call_counts_wherever_it_stands(place: str) -> None:
    text = place.replace("{}", "pg_read_file('x')")
    assert "execute on function pg_read_file" in needs(text)
    assert "function mine" in read(place.replace("{}", "mine('x')")).unvetted


def test_a_function_nobody_knows_is_read_only_where_the_server_guards() -> None:
    assert needs("select mine(1)", READER) == {"read on function mine"}
    assert needs("select mine(1)") == {"write on function mine", "read on database"}
    for context in (ANYONE, READER):
        found = read("select public.lower(x) from a", context)
        assert found.unvetted == ("function public.lower",)
        assert found.changes
        assert found.may_change_settings
        assert not found.transactional
        assert not found.measurable
    assert read("select a <~> b, c operator(s.+) d, e operator(pg_catalog.+) f").unvetted == (
        "operator s.+",
        "operator <~>",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("set application_name = 'x'", {"connect on everything"}),
        ('set "DateStyle" to iso, dmy', {"connect on everything"}),
        ("set time zone 'UTC'", {"connect on everything"}),
        ("set local statement_timeout = 0", {"connect on everything"}),
        ("set enable_seqscan = off", {"connect on everything"}),
        ("set search_path = a, b", {"connect on everything"}),
        ("set search_path = pg_catalog, b", {"connect on everything"}),
        ("set search_path = a, pg_catalog", {"execute on setting search_path"}),
        ("select set_config('search_path', 'a, \"pg_catalog\"', true)", {"execute on setting search_path"}),
        ("select set_config('search_path', $1, true)", {"execute on setting search_path"}),
        ("select set_config('search_path', '', false)", set()),
        ("set role x", {"grant on setting role", "execute on setting role"}),
        ("reset role", {"grant on setting role", "execute on setting role"}),
        (
            "set session authorization default",
            {"grant on setting session_authorization", "execute on setting session_authorization"},
        ),
        ("set client_encoding = 'UTF-8'", {"connect on everything"}),
        ("set names 'latin1'", {"execute on setting client_encoding"}),
        ("set standard_conforming_strings = on", {"connect on everything"}),
        ("set standard_conforming_strings = off", {"execute on setting standard_conforming_strings"}),
        ("set session_replication_role = replica", {"execute on setting session_replication_role"}),
        ("set default_transaction_read_only = on", {"connect on everything"}),
        ("set default_transaction_read_only = 0", {"write on setting default_transaction_read_only"}),
        ("set transaction_read_only to default", {"write on setting transaction_read_only"}),
        ("set transaction read write", {"write on setting transaction_read_only"}),
        (
            "set session characteristics as transaction isolation level serializable, read write",
            {"write on setting transaction_read_only"},
        ),
        ("set synchronous_commit = off", {"write on setting synchronous_commit"}),
        ("set my.tenant = '5'", {'execute on setting "my.tenant"'}),
        ("set local_preload_libraries = 'x'", {"execute on setting local_preload_libraries"}),
        ("reset all", {"connect on everything"}),
        ("discard all", {"connect on everything"}),
        ("select set_config('Role', 'x', false)", {"grant on setting role", "execute on setting role"}),
        ("select set_config(a, 'x', false)", {"execute on function set_config"}),
        ("select set_config(name, '', false) from pg_settings where name = 'work_mem'", set()),
        ("select set_config(name, '', false) from pg_settings where name = 'role'", {"execute on setting role"}),
        (
            "select set_config(name, '', false) from pg_settings where name = 'work_mem' or true",
            {"execute on function set_config"},
        ),
        (
            "select set_config(name, '', false) from pg_settings, a where name = 'work_mem'",
            {"execute on function set_config"},
        ),
        (
            "with pg_settings as (select 'role' as name) select set_config(name, '', false) from pg_settings",
            {"execute on function set_config"},
        ),
        ("select update_me.set_config('work_mem', '', false)", {"write on function update_me.set_config"}),
    ],
)
def test_settings(text: str, expected: set[str]) -> None:
    found = needs(text)
    assert expected <= found
    assert expected or not any(need.action.changes for need in read(text).needs)


def test_transactions() -> None:
    begin = read("start transaction isolation level repeatable read")
    assert (begin.begins_transaction, begin.ends_transaction, begin.transaction_control) == (True, False, True)
    chain = read("commit and chain")
    assert (chain.begins_transaction, chain.ends_transaction) == (True, True)
    for text in ("savepoint a", "release a", "rollback to a"):
        found = read(text)
        assert (found.begins_transaction, found.ends_transaction, found.transaction_control) == (False, False, True)
    assert read("prepare transaction 'x'").ends_transaction
    whole = read("begin; delete from a; end")
    assert (whole.count, whole.summary) == (3, "BEGIN; DELETE; COMMIT")
    assert not whole.fenceable
    assert not whole.measurable


def test_prepared_statements() -> None:
    prepared = read("prepare p (int) as delete from a").prepares
    assert [name for name, _ in prepared] == ["p"]
    assert prepared[0][1].measurable
    context = ClassifyContext(prepared=dict(prepared))
    execute = read("execute p(1)", context)
    assert execute.executes == "p"
    assert {str(need) for need in execute.needs} == {"write on table a", "destroy on table a"}
    assert (execute.impact, execute.target, execute.fenceable) == ("run", ("table a",), True)
    assert needs("create table b as execute p(1)", context) >= {"alter on table b", "destroy on table a"}
    assert needs("explain analyze execute p(1)", context) == {"write on table a", "destroy on table a"}
    assert classify("execute q", context).needs == EVERYTHING
    assert classify("execute P", context).executes == "p"
    assert classify('execute "P"', context).unknown
    # The server refuses to prepare a name again: the old statement may still be the one that runs.
    assert "destroy on table a" in needs("prepare p as select 1; execute p", context)
    assert "destroy on table b" in needs("deallocate p; prepare p as delete from b; execute p", context)
    assert read("deallocate p").deallocates == ("p",)
    assert read("deallocate all").deallocates_all
    assert read("discard all").deallocates_all


def test_what_was_not_understood_stays_so_under_a_name() -> None:
    strange = classify("gibberish", ANYONE)
    assert classify("execute p", ClassifyContext(prepared={"p": strange})).needs == EVERYTHING


@pytest.mark.parametrize(
    ("text", "impact", "fenceable"),
    [
        ("insert into a select * from b", "run", True),
        ("update a set x = 1", "run", True),
        ("delete from a", "run", True),
        ("merge into a using b on a.i = b.i when matched then delete", "run", True),
        ("with x as (update a set x = 1 returning *) select * from x", "run", True),
        ("insert into a values (nextval('s'))", "run", True),
        ("update a set x = mine()", "", True),
        ("update a set x = pg_read_file('x')", "", False),
        ("delete from a; delete from b", "", True),
        ("truncate a", "describe", False),
        ("drop table a", "describe", False),
        ("drop view a", "", False),
        ("copy a from stdin", "", True),
        ("select * from a", "", False),
        ("select * from a for update", "", True),
        ("create table a (i int)", "", False),
        ("vacuum a", "", False),
    ],
)
def test_impact_and_fence(text: str, impact: str, fenceable: bool) -> None:
    found = read(text)
    assert (found.impact, found.measurable, found.fenceable) == (impact, bool(impact), fenceable)


@pytest.mark.parametrize(
    ("text", "transactional"),
    [
        ("select 1", True),
        ("delete from a", True),
        ("create table a (i int)", True),
        ("grant select on a to b", True),
        ("notify x", True),
        ("select nextval('s')", False),
        ("select pg_advisory_lock(1)", False),
        ("select mine()", False),
        ("do ''", False),
        ("call p()", False),
        ("vacuum", False),
        ("create index concurrently on a (i)", False),
        ("drop index concurrently a", False),
        ("reindex table concurrently a", False),
        ("create database a", False),
        ("alter system set work_mem = 1", False),
        ("copy a to '/x'", False),
        ("copy a to stdout", True),
    ],
)
def test_what_a_rollback_undoes(text: str, transactional: bool) -> None:
    assert read(text).transactional is transactional


def test_copy_says_which_way() -> None:
    assert (read("copy a from stdin").copies_in, read("copy a from stdin").copies_out) == (True, False)
    assert (read("copy a to stdout").copies_in, read("copy a to stdout").copies_out) == (False, True)
    assert (read("copy a from '/x'").copies_in, read("copy a to '/x'").copies_out) == (False, False)


_CHAINS = [
    "select 1" + "+1" * 300_000,
    "select a" + " isnull" * 300_000,
    "select 1" + " union select 1" * 100_000,
    "select 1 from a" + " cross join b" * 100_000,
    "select " + "(" * 30_000 + "1" + ")" * 30_000,
    "select " + "f(" * 1_000 + ")" * 1_000,
    "select " + "not " * 3_000 + "true",
    "select 1" + "+1" * 8_000,
]


@pytest.mark.parametrize(
    "text",
    [
        "gibberish",
        "select 'open",
        "select 1 \0; drop table a",
        "\0",
        "select '\ud800'",
        "select $$\udfff$$",
        "START_REPLICATION SLOT x LOGICAL 0/0",
        "execute nothing",
        "explain execute nothing",
        "prepare p as execute q",
        "\\! rm -rf /",
        "drop table a; gibberish",
        *_CHAINS,
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_what_is_not_understood_needs_everything(text: str) -> None:
    found = classify(text, ANYONE)
    assert found.unknown
    assert found.needs == EVERYTHING
    assert found.changes
    assert not found.transactional
    assert not found.measurable
    assert not found.fenceable
    assert found.deallocates_all
    assert found.may_change_settings


def test_strings_that_would_be_read_otherwise_are_not_read() -> None:
    context = ClassifyContext(standard_conforming_strings=False)
    assert classify("select 'a\\'; drop table a; --'", context).needs == EVERYTHING


def test_large_texts() -> None:
    rows = ",".join(f"({number}, 'text', now())" for number in range(20_000))
    assert needs(f"insert into a values {rows}") == {"write on table a"}
    text = "x" * 8_000_000
    assert needs(f"insert into a values ('{text}')") == {"write on table a"}
    many = " or ".join(f"i = {number}" for number in range(20_000))
    assert needs(f"delete from a where {many}") == {"write on table a", "read on table a"}


def test_a_text_of_too_many_words_is_not_read() -> None:
    assert classify("select 1" + ",1" * 600_000, ANYONE).needs == EVERYTHING
