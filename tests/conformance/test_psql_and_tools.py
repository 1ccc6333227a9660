"""psql, pg_dump and pgbench give through the gateway what they give directly."""

import re
from collections.abc import Sequence

import pytest

from tests.conformance.routes import Route, same

SCRIPTS = {
    "select": "select 1 as one, 'two' as two, null as nothing, array[1,2] as list;",
    "describe": r"\d conf_orders" + "\n" + r"\dt conf_*" + "\n" + r"\di" + "\n" + r"\df conf_*" + "\n" + r"\l",
    "describe everything": r"\d+ conf_orders"
    "\n"
    r"\dn"
    "\n"
    r"\du"
    "\n"
    r"\dp conf_orders"
    "\n"
    r"\sf conf_note",
    "several statements": "select 1; select 2 \\; select 3;\nselect 1/0; select 4;",
    "transaction": "begin; select count(*) from conf_orders; select 1/0; select 2; rollback; select 3;",
    "notices": "do $$ begin raise notice 'hello'; raise warning 'careful'; end $$;",
    "listen": "listen conf_channel; notify conf_channel, 'payload'; select 1;",
    "prepared": "prepare p(int) as select $1 + 1; execute p(41); deallocate p; execute p(1);",
    "cursor": "begin; declare c cursor for select id from conf_orders order by id; fetch 3 from c; "
    "move 5 in c; fetch 2 from c; close c; commit;",
    "copy out": "\\copy (select id, note from conf_orders order by id limit 5) to stdout\n",
    "copy in": "create temp table conf_t (a int, b text);\n\\copy conf_t from stdin\n1\tone\n2\t\\N\n\\.\n"
    "select * from conf_t order by a;",
    "bad copy": "create temp table conf_t (a int);\n\\copy conf_t from stdin\nx\n\\.\nselect 'still here';",
    "gexec": "select format('select %s', g) from generate_series(1, 3) g \\gexec",
    "bind": "select $1::int + 1 \\bind 41 \\g",
    "crosstab variables": "\\set ids '1,2'\nselect id from conf_orders where id in (:ids) order by id;",
    "settings": "set work_mem = '5MB'; show work_mem; set timezone = 'UTC'; show timezone; reset all;",
    "syntax error": "selec 1;\nselect 'fine';",
    "unicode": "select 'Grüße, 世界 🐘' as greeting;",
    "empty": ";\n;;\n-- nothing\n",
    "large": "select length(repeat('x', 10000000));",
    "explain": "explain (costs off) select * from conf_orders where id = 1;",
    "expanded": "\\x on\nselect * from conf_orders order by id limit 2;",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_psql_prints_the_same(routes: Sequence[Route], name: str) -> None:
    printed = same(routes, lambda route: route.psql(SCRIPTS[name]))
    assert "server closed the connection" not in str(printed)


def test_pg_dump_writes_the_same(routes: Sequence[Route]) -> None:
    def dump(route: Route) -> str:
        finished = route.run("pg_dump", "--no-owner", "--table=conf_*")
        assert finished.returncode == 0, finished.stderr
        # Newer versions put a random token into \restrict lines.
        return re.sub(r"\\(un)?restrict \S+", r"\\restrict", finished.stdout)

    assert "COPY public.conf_orders" in str(same(routes, dump))


def test_pg_dump_can_be_restored_through_the_gateway(routes: Sequence[Route]) -> None:
    dumped = routes[0].run("pg_dump", "--no-owner", "--table=conf_orders", "--data-only", "--inserts").stdout
    script = (
        "begin;\ndelete from conf_orders where id > 0;\n" + dumped + "\nselect count(*) from conf_orders;\nrollback;\n"
    )
    same(routes, lambda route: re.sub(r"\\(un)?restrict \S+", "", route.psql(script, "-q")))


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench_runs_in_every_mode(routes: Sequence[Route], mode: str) -> None:
    def bench(route: Route) -> tuple[bool, str]:
        finished = route.run("pgbench", "-n", "-M", mode, "-c", "4", "-j", "2", "-t", "50")
        assert finished.returncode == 0, finished.stderr
        failed = re.search(r"number of failed transactions: (\S+)", finished.stdout)
        done = re.search(r"number of transactions actually processed: (\S+)", finished.stdout)
        assert done is not None
        return failed is None or failed.group(1) == "0", done.group(1)

    assert same(routes, bench) == (True, "200/200")


def test_a_pipeline_of_pgbench_with_an_error_in_it(
    routes: Sequence[Route], tmp_path_factory: pytest.TempPathFactory
) -> None:
    script = tmp_path_factory.mktemp("pgbench") / "pipeline.sql"
    script.write_text(
        "\\startpipeline\nselect 1;\nselect 2;\n\\syncpipeline\nselect id from conf_orders limit 1;\n\\endpipeline\n"
    )

    def bench(route: Route) -> bool:
        finished = route.run("pgbench", "-n", "-M", "extended", "-f", str(script), "-c", "2", "-t", "20")
        assert finished.returncode == 0, finished.stderr
        return "40/40" in finished.stdout

    assert same(routes, bench) is True
