"""Who may only read: nothing that is sent changes a row, a sequence or a setting that lasts."""

import pytest

from tests.attacks.conftest import Scene
from tests.attacks.wire import SYNC, Wire, close_statement, parse, query, run, wire

REFUSED = r"""
begin read write
set transaction read write
begin; set transaction read write; select exec('delete from orders')
start transaction read write; select exec('delete from orders')
set default_transaction_read_only = off
set local default_transaction_read_only = off
set transaction_read_only to default
reset transaction_read_only
set session characteristics as transaction read write
select set_config('transaction_read_only', 'off', false)
select set_config('default_transaction_' || 'read_only', 'off', false)
select set_config(n, 'off', false) from (values ('default_transaction_read_only')) v(n)
select set_config('search_path', 'public, pg_catalogue'::varchar(18), false)
with x as (delete from orders returning *) select * from x
select * from orders for update
select nextval('numbers')
select setval('numbers', 99)
select exec('delete from orders')
select exec('select nextval(''numbers'')')
select exec('set transaction_read_only = off')
select exec('create function pg_temp.lower(text) returns text language sql as $$ delete from orders returning note $$')
select exec('set default_transaction_read_only = off'); commit; select exec('delete from orders')
select * from settable; commit; select exec('delete from orders')
select * from settable; commit; begin; select * from removing; commit
values (exec('delete from orders'))
select 1 where exists (select from removing)
declare c cursor with hold for select * from removing
explain analyze delete from orders
explain (analyze off, analyze) delete from orders
explain (analyze 0, analyze 1) delete from orders
copy orders to program 'touch /tmp/interlock-attack'
copy (delete from orders returning *) to stdout
copy orders from stdin
select lo_import('/etc/passwd')
select lo_creat(-1)
select pg_notify('a', 'b')
notify a
select pg_advisory_lock(1)
lock table orders
truncate orders
create temp table t (i int)
select * into temp t from orders
do $$ begin delete from orders; end $$
prepare transaction 'x'
select dblink_exec('dbname=shop', 'delete from orders')
select query_to_xml('delete from orders', true, true, '')
select table_to_xml('pg_authid'::regclass, true, true, '')
set role postgres
set session authorization postgres
set client_encoding = 'SJIS'
set names 'GBK'
set standard_conforming_strings = off
set search_path = public, pg_catalog
alter role current_user set default_transaction_read_only = off
select 'a\' ; delete from orders; --'
select E'\\'; delete from orders; --'
select $a$ $b$ $a$; delete from orders; --$b$
select U&'!0027' uescape '!'; delete from orders
select U&"!0064" uescape '!' from orders; delete from orders
/* /* nested */ delete from orders; */ delete from orders
select 1 /*; select 1 */; delete from orders
merge into orders using items on true when matched then delete
vacuum orders
comment on table orders is 'x'
grant all on orders to public
execute nobody_prepared_this
load 'plpgsql'
checkpoint
set session_replication_role = replica
select pg_terminate_backend(pg_backend_pid())
select pg_read_file('/etc/passwd')
select * from pg_authid
""".strip().splitlines()


@pytest.mark.parametrize("resource", ["shop", "shop-root"])
def test_one_text(scene: Scene, resource: str) -> None:
    """Each is refused by Interlock or by the server; behind the second resource even to a superuser's account."""
    with scene.unchanged():
        for text in REFUSED:
            with wire(scene.variables("reader", resource)) as session:
                answers = session.query(text)
                assert answers.errors, text
                assert set(answers.errors) <= {"42501", "25006", "25001"}, (text, answers.sentences)


@pytest.mark.parametrize(
    "text",
    [
        "select e'a\\' ; delete from orders; --'",
        "select U&'\\0027; delete from orders; --'",
        "select $a$; delete from orders; $a$",
        'select 1 as "; delete from orders; --"',
        "/* ; delete from orders; /* */ */ select 1",
        "reset all",
        "discard all",
        "reset default_transaction_read_only",
        "set default_transaction_read_only to default",
    ],
)
def test_what_only_looks_like_an_attack_passes_and_changes_nothing(scene: Scene, reading: Wire, text: str) -> None:
    with scene.unchanged():
        assert reading.query(text).errors == []
        assert reading.query("select exec('delete from orders')").errors == ["25006"]


@pytest.mark.parametrize(
    ("parts", "ready"),
    [
        ((query("select * from settable"), query("select * from removing")), 2),
        ((run("select * from settable"), SYNC, run("select * from removing"), SYNC), 2),
        ((run("select * from settable"), run("commit"), run("select * from removing"), SYNC), 1),
        ((run("begin"), run("select * from settable"), run("commit"), run("select * from removing"), SYNC), 1),
        ((run("select * from settable"), SYNC, query("select * from removing")), 2),
    ],
)
def test_a_setting_changed_out_of_sight_ends_the_session_before_the_next_transaction(
    scene: Scene, reading: Wire, parts: tuple[bytes, ...], ready: int
) -> None:
    with scene.unchanged():
        answers = reading.ask(*parts, ready=ready)
        assert answers.over
        assert "default_transaction_read_only" in answers.sentences[-1]


def test_pipelines_of_a_reader_go_on_across_transactions(reading: Wire) -> None:
    batch = (run("begin"), run("select 1"), run("commit"), run("begin isolation level serializable"), run("select 2"))
    answers = reading.ask(*batch, run("commit"), SYNC, query("select 3"), ready=2)
    assert answers.errors == []
    assert answers.rows == [(b"1",), (b"2",), (b"3",)]


def test_a_name_prepared_anew_lifts_nothing(scene: Scene, reading: Wire) -> None:
    reading.ask(parse("select 1", "foo"), SYNC)
    reading.ask(parse("execute foo", "s"), SYNC)
    lift = parse("set default_transaction_read_only = off", "foo")
    with scene.unchanged():
        reading.ask(close_statement("foo"), lift, SYNC)
        assert reading.query("execute foo").errors == ["42501"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"replication": "database"},
        {"replication": "true"},
        {"options": "-c session_replication_role=replica"},
        {"options": "--search-path=public,pg_catalog"},
        {"options": "-c\\ role=postgres"},
        {"options": "-crole=postgres"},
        {"options": "-f n -c x.y=1"},
        {"options": "-c standard_conforming_strings=0"},
        {"Options": "-c role=postgres"},
        {"role": "postgres"},
        {"session_authorization": "postgres"},
        {"client_encoding": "SJIS"},
        {"client_encoding": "gbk"},
        {"standard_conforming_strings": "off"},
        {"search_path": '"pg_catalog"'},
    ],
)
def test_a_start_that_would_widen_the_session_is_refused(scene: Scene, parameters: dict[str, str]) -> None:
    with pytest.raises(ConnectionRefusedError), wire(scene.variables("reader"), **parameters):
        raise AssertionError("the session opened")


@pytest.mark.parametrize(
    "parameters",
    [{"options": "-c default_transaction_read_only=off"}, {"DEFAULT_TRANSACTION_READ_ONLY": "off"}, {"_pq_.x": "1"}],
)
def test_a_start_does_not_lift_what_is_pinned(scene: Scene, parameters: dict[str, str]) -> None:
    with wire(scene.variables("reader"), **parameters) as session:
        assert session.query("show default_transaction_read_only").rows == [(b"on",)]
