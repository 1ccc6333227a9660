"""Who may change up to a hundred rows at once: more than that is held, whatever way it is asked for."""

import pytest

from interlock.protocols.postgres import messages
from tests.attacks.conftest import ROWS, Scene
from tests.attacks.wire import SYNC, Wire, bind, close_statement, execute, parse, query, run

HELD = r"""
delete from orders where id > 0
delete from orders where id <= 60; delete from orders where id between 61 and 120
with x as (delete from orders where id > 0 returning *) select count(*) from x
with a as (delete from orders where id < 60), b as (delete from orders where id > 240) select 1
merge into orders o using items i on o.id = i.id when matched then update set note = 'x'
insert into orders select generate_series(1, 300) on conflict (id) do update set note = 'x'
insert into kept select g, '' from generate_series(1, 150) g
update orders set id = id + 1000 where id in (1, 2)
delete from orders where id = 1
update parts set side = 3 - side where id > 0
delete from instead where id > 0
insert into deleting values (1)
insert into deferring values (1)
insert into truncating values (1)
insert into ruled values (1)
delete from far_orders where id > 0
insert into far_deleting values (1)
select remove(1, 1000)
select exec('delete from orders')
select exec('truncate orders cascade')
select exec('drop table kept')
select exec('alter table kept drop column note')
select lo_from_bytea(0, '') from generate_series(1, 150)
explain analyze delete from orders where id > 0
copy (delete from orders where id > 0 returning id) to stdout
create table copied as select * from orders
create temp table staging as select * from orders
truncate orders cascade
delete from orders
drop table orders cascade
alter table orders disable trigger all
begin; delete from orders where id = 20; commit; delete from orders where id = 21
""".strip().splitlines()


def test_one_text(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        for text in HELD:
            writing.send(query(text))
            answers = writing.read_held()
            if answers.held:
                answers = writing.withdraw()
                assert answers.errors[-1] == "57014", text
            assert answers.errors, text
            assert set(answers.errors) <= {"57014", "42501"}, (text, answers.sentences)
            assert answers.status == "I", text


def test_counts_are_the_whole_truth(writing: Wire) -> None:
    """Cascades are named beside the table, and what is not counted is not called small."""
    for text, said in {
        "delete from orders where id = 1": "and 150 in table public.items",
        "insert into deferring values (1)": "300 in table public.orders",
        "insert into truncating values (1)": "changes more than rows",
        "insert into far_deleting values (1)": "rows of another server",
        "insert into truncating select 1 where 1 = 1; delete from kept": "not known",
    }.items():
        writing.send(query(text))
        assert said in writing.read_held().held, text
        writing.withdraw()


REFUSED = """
set track_counts = off
set stats_fetch_consistency = snapshot
set session_replication_role = replica
select pg_stat_reset()
do $$ begin delete from orders; end $$
call nothing()
create function pg_temp.lower(text) returns text language sql as 'select 1'
select cursor_to_xml('p', 100, true, true, '')
update pg_class set relname = relname
copy orders from program 'echo 1'
alter table orders owner to postgres
""".strip().splitlines()


def test_what_would_undermine_the_counting_is_refused(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        for text in REFUSED:
            assert writing.query(text).errors == ["42501"], text


def test_a_longer_name_is_not_another_name(scene: Scene, writing: Wire) -> None:
    """A server keeps 63 bytes of a name: closing and making the longer one would put another text under the shorter."""
    name = "a" * 63
    with scene.unchanged():
        writing.ask(parse("select 1", name), SYNC)
        for part in (close_statement(name + "x"), parse("delete from orders where id > 0", name + "y")):
            assert writing.ask(part, SYNC).errors == ["42501"]
        assert writing.ask(bind(name), execute(), SYNC).rows == [(b"1",)]
        assert writing.ask(parse("select 2"), bind("", name + "x"), execute(name + "y"), SYNC).errors == ["42501"]


def test_names_that_an_encoding_could_fold_are_not_taken(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        assert writing.ask(parse("delete from orders where id > 0", "é"), SYNC).errors == ["42501"]
        assert writing.query("prepare É as select 1").errors == ["42501"]
        assert writing.query('execute "é"').errors == ["42501"]


def test_a_name_means_what_was_prepared_last(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        texts = "prepare a as select 1; deallocate a; prepare a as delete from orders where id > 0"
        assert writing.query(texts).tags == ["PREPARE", "DEALLOCATE", "PREPARE"]
        writing.send(query("execute a"))
        assert "300 of 300 rows" in writing.read_held().held
        writing.withdraw()
        swapped = "deallocate a; prepare a as select 1; prepare b as select 2; deallocate b; prepare b as select 3"
        assert writing.query(swapped).errors == []
        assert writing.query("execute a; execute b").rows == [(b"1",), (b"3",)]


def test_execute_is_decided_by_what_its_name_means_when_it_runs(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        writing.ask(parse("select 1", "foo"), SYNC)
        writing.ask(parse("execute foo", "s"), SYNC)
        anew = (close_statement("foo"), parse("delete from orders where id > 0", "foo"))
        assert writing.ask(bind("s"), *anew, execute(), SYNC).errors == ["42501"]
        writing.send(bind("s"), execute(), SYNC)
        assert "300 of 300 rows" in writing.read_held().held


def test_names_prepared_anew_by_a_function_mean_nothing(scene: Scene, writing: Wire) -> None:
    anew = "select exec('deallocate foo'), exec('prepare foo as delete from orders where id > 0')"
    with scene.unchanged():
        writing.ask(parse("select 1", "foo"), parse("select 2", "bar"), SYNC)
        writing.query(anew)
        assert writing.query("execute foo").errors == ["42501"]
        assert writing.ask(bind("bar"), execute(), SYNC).rows == [(b"2",)]


def test_not_even_when_the_function_fails(scene: Scene, writing: Wire) -> None:
    anew = "select exec('deallocate foo'), exec('prepare foo as delete from orders where id > 0'), exec('select 1/0')"
    with scene.unchanged():
        writing.ask(parse("select 1", "foo"), parse("select 2", "bar"), SYNC)
        assert writing.ask(query("begin"), query(anew), query("rollback"), ready=3).errors == ["22012"]
        assert writing.ask(bind("foo"), execute(), SYNC).errors == ["42501"]
        assert writing.ask(bind("bar"), execute(), SYNC).rows == [(b"2",)]
        assert writing.query("begin isolation level serializable").errors == []


@pytest.mark.parametrize("fetch", ["fetch all from p", "move all in p", 'fetch 1 from "p"'])
def test_a_bound_portal_is_not_run_by_fetch(scene: Scene, writing: Wire, fetch: str) -> None:
    remove = parse("delete from orders where id > 0 returning id", "d")
    with scene.unchanged():
        assert writing.ask(remove, bind("d", "p"), run(fetch), SYNC).errors == ["42501"]
        writing.query("begin")
        assert writing.ask(bind("d", "p"), query(fetch)).errors == ["42501"]
        writing.query("rollback")
        # Bound before there is such a portal, and executed after.
        writing.query("begin; declare p cursor for select 1")
        fetching = (parse(fetch, "f"), bind("f", "q"), messages.close(b"P", "p"), bind("d", "p"), execute("q"))
        assert writing.ask(*fetching, SYNC).errors == ["42501"]
        writing.query("rollback")


def test_a_cursor_over_code_of_the_database_is_held(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        writing.query("begin")
        writing.send(query("declare c cursor for select remove(g, g) from generate_series(1, 300) g"))
        assert writing.read_held().held


def test_a_portal_run_in_parts_is_counted_in_each(scene: Scene, writing: Wire) -> None:
    removing = parse("select remove(g, g) from generate_series(11, 300) g")
    with scene.unchanged():
        writing.send(removing, bind(), execute("", 10), execute("", 0), SYNC)
        assert "SELECT changed 280" in writing.read_held().held


def test_the_fence_holds_in_the_middle_of_a_pipeline(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        inserts = [run(f"insert into kept values ({n})") for n in (1, 2)]
        writing.send(inserts[0], run("delete from orders where id > 0"), inserts[1], SYNC)
        assert writing.read_held().held
        answers = writing.withdraw()
        assert (answers.errors, answers.status) == (["57014"], "I")


def test_savepoints_of_the_same_name(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        for text in ("begin", "savepoint __interlock_fence", "delete from orders where id between 11 and 60"):
            assert writing.query(text).errors == []
        assert writing.query("rollback to savepoint __interlock_fence").errors == []
        assert writing.query("select count(*) from orders").rows == [(str(ROWS).encode(),)]
        assert writing.query("release savepoint __interlock_fence").errors == []
        assert writing.query("release savepoint __interlock_fence").errors == ["3B001"]
        writing.query("rollback")


def test_a_timeout_in_the_middle_of_counting_changes_nothing(scene: Scene, writing: Wire) -> None:
    with scene.unchanged():
        writing.query("set statement_timeout = '1ms'")
        answers = writing.query("insert into kept select g, pg_sleep(0.05)::text from generate_series(1, 2) g")
        assert (answers.errors, answers.status) == (["57014"], "I")


def test_copy_past_the_fence(scene: Scene, writing: Wire) -> None:
    rows = [messages.frame(b"d", b"%d\tx\n" % number) for number in range(150)]
    with scene.unchanged():
        writing.send(run("copy kept from stdin"), *rows, messages.COPY_DONE, SYNC)
        assert "COPY changed 150 rows" in writing.read_held().held
        assert writing.withdraw().errors == ["57014"]


def test_copy_of_the_extended_protocol_is_answered(scene: Scene, writing: Wire) -> None:
    row = messages.frame(b"d", b"1\tx\n")
    try:
        answers = writing.ask(run("copy kept from stdin"), row, messages.COPY_DONE, SYNC)
        assert (answers.tags, answers.status) == (["COPY 1"], "I")
    finally:
        scene.mend()


def test_many_small_statements_are_allowed(scene: Scene, writing: Wire) -> None:
    """The fence is a bound on one write. Who may write may write again; the recording shows it."""
    try:
        for first in range(11, 251, 60):
            assert writing.query(f"delete from orders where id between {first} and {first + 59}").tags == ["DELETE 60"]
    finally:
        scene.mend()


def test_code_behind_a_view_is_not_seen_by_the_fence(scene: Scene, writing: Wire) -> None:
    """A limit, and told as one in docs/postgres-classification.md: the read of a view is a read."""
    try:
        assert writing.query("select * from removing").errors == []
        assert scene.count() == 0
    finally:
        scene.mend()
