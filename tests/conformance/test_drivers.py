"""Drivers that pipeline, prepare and copy in their own ways see through the gateway what they see directly."""

import asyncio
import ssl
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import psycopg
import pytest

from tests.conformance.routes import Route, same
from tests.support.libpq import conninfo_of

JAR = "/usr/share/java/postgresql.jar"


def connect(route: Route) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(conninfo_of(route.variables), autocommit=True)


def test_psycopg_pipeline_with_an_error_inside(routes: Sequence[Route]) -> None:
    def act(route: Route) -> list[object]:
        seen: list[object] = []
        with connect(route) as connection:
            try:
                with connection.pipeline() as pipeline:
                    first = connection.execute("select 1")
                    connection.execute("select 1/0")
                    connection.execute("select 2")
                    pipeline.sync()
            except psycopg.Error as error:
                seen.append(error.sqlstate)
            seen.append(first.fetchall())
            seen.append(connection.execute("select 'after'").fetchall())
        return seen

    assert same(routes, act) == ["22012", [(1,)], [("after",)]]


def test_psycopg_server_side_cursor_copy_and_binary(routes: Sequence[Route]) -> None:
    def act(route: Route) -> list[object]:
        with connect(route) as connection, connection.transaction(force_rollback=True):
            seen: list[object] = []
            with connection.cursor(name="conf") as cursor:
                cursor.itersize = 3
                cursor.execute("select id from conf_orders order by id limit 10")
                seen.append([row[0] for row in cursor])
            connection.execute("create temp table conf_copy (a int, b bytea)")
            with connection.cursor() as cursor:
                with cursor.copy("copy conf_copy from stdin (format binary)") as copy:
                    copy.set_types(["int4", "bytea"])
                    for number in range(1000):
                        copy.write_row((number, bytes([number % 256]) * 100))
                cursor.execute("select count(*), sum(length(b)) from conf_copy", prepare=True)
                seen.append(cursor.fetchall())
                with cursor.copy("copy (select a from conf_copy order by a limit 3) to stdout") as copy:
                    seen.append([bytes(part) for part in copy])
                cursor.execute("select %b::int8, %b::text, %b::bytea", (2**40, "text", b"\x00\xff"), binary=True)
                seen.append(cursor.fetchall())
            return seen

    same(routes, act)


def test_psycopg_cancels_a_running_statement(routes: Sequence[Route]) -> None:
    def act(route: Route) -> list[object]:
        with connect(route) as connection:
            canceller = threading.Thread(target=_cancel_when_it_sleeps, args=(routes[0], connection))
            canceller.start()
            try:
                connection.execute("select pg_sleep(30)")
            except psycopg.errors.QueryCanceled as error:
                return [error.sqlstate, connection.execute("select 1").fetchall()]
            finally:
                canceller.join()
        return ["not cancelled"]

    assert same(routes, act) == ["57014", [(1,)]]


def _cancel_when_it_sleeps(direct: Route, connection: psycopg.Connection[tuple[object, ...]]) -> None:
    # A cancel that comes before the statement is lost, as it is directly.
    with connect(direct) as beside:
        for _ in range(2000):
            if beside.execute("select from pg_stat_activity where wait_event = 'PgSleep'").fetchone() is not None:
                break
            time.sleep(0.01)
    connection.cancel()


def test_asyncpg_statements_cursors_and_copies(routes: Sequence[Route]) -> None:
    async def act(route: Route) -> list[object]:
        context: ssl.SSLContext | bool = False
        if route.authority is not None:
            context = ssl.create_default_context(cafile=str(route.authority))
        connection = await asyncpg.connect(
            host=route.host,
            port=route.port,
            database=route.database,
            user=route.user,
            password=route.fresh_password(),
            ssl=context,
        )
        try:
            seen: list[object] = [await connection.fetchval("select $1::int + 1", 41)]
            statement = await connection.prepare("select id from conf_orders where id < $1 order by id")
            seen += [[tuple(row) for row in await statement.fetch(bound)] for bound in (3, 5, 8)]
            async with connection.transaction():
                seen.append(
                    [
                        row["id"]
                        async for row in connection.cursor("select id from conf_orders order by id limit 7", prefetch=2)
                    ]
                )
            try:
                await connection.execute("select 1/0")
            except asyncpg.DivisionByZeroError as error:
                seen.append(error.sqlstate)
            await connection.execute("create temp table conf_a (a int, b text)")
            await connection.executemany("insert into conf_a values ($1, $2)", [(n, str(n)) for n in range(500)])
            await connection.copy_records_to_table("conf_a", records=[(n, None) for n in range(500, 700)])
            seen.append(tuple(await connection.fetchrow("select count(*), count(b), sum(a) from conf_a") or ()))
            try:
                await connection.execute("select pg_sleep(30)", timeout=0.5)
            except TimeoutError:
                seen.append("timed out")
            seen.append(await connection.fetchval("select 'after'"))
            return seen
        finally:
            await connection.close()

    assert same(routes, lambda route: asyncio.run(act(route)))


@pytest.fixture(scope="session")
def jdbc_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jdbc")
    source = Path(__file__).with_name("Jdbc.java")
    subprocess.run(["javac", "-cp", JAR, "-d", str(folder), str(source)], check=True)
    return folder


def test_jdbc_batches_portals_and_copies(routes: Sequence[Route], jdbc_program: Path) -> None:
    def act(route: Route) -> str:
        url = f"jdbc:postgresql://{route.host}:{route.port}/{route.database}"
        if route.authority is not None:
            url += f"?sslmode=verify-full&sslrootcert={route.authority}"
        finished = subprocess.run(
            ["java", "-cp", f"{JAR}:{jdbc_program}", "Jdbc", url, route.user],
            env=route.environment(JDBC_PASSWORD=route.fresh_password()),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    assert "batch 300" in str(same(routes, act))
