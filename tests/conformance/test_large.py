"""Large messages pass, and the worker's memory does not grow with them; TLS from the first byte."""

from collections.abc import Sequence
from pathlib import Path

import psycopg

from tests.conformance.routes import Route, same
from tests.support.libpq import conninfo_of
from tests.support.stack import Stack

MIB = 1024 * 1024


def resident_bytes(pids: Sequence[int]) -> int:
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 for pid in pids)


def test_a_statement_of_64_mib(routes: Sequence[Route]) -> None:
    def act(route: Route) -> object:
        with psycopg.connect(conninfo_of(route.variables), autocommit=True) as connection:
            text = "select length('" + "x" * (64 * MIB) + "')"
            return connection.execute(text.encode()).fetchone(), connection.execute("select 'after'").fetchone()

    assert same(routes, act) == ((64 * MIB,), ("after",))


def test_a_row_of_256_mib_is_streamed_not_stored(routes: Sequence[Route], conformance_stack: Stack) -> None:
    workers = conformance_stack.pids("gateway")
    with psycopg.connect(conninfo_of(routes[1].variables), autocommit=True) as connection:
        connection.execute("select repeat('x', 1000)")
        before = resident_bytes(workers)
        row = connection.execute("select repeat('x', %s)", (256 * MIB,)).fetchone()
        grown = resident_bytes(workers) - before
    assert row is not None
    assert len(row[0]) == 256 * MIB
    assert grown < 32 * MIB


def test_tls_from_the_first_byte(routes: Sequence[Route]) -> None:
    through = routes[1]
    said = through.run("psql", "-XAt", "-c", "select 1", "sslnegotiation=direct")
    assert (said.stdout, said.returncode) == ("1\n", 0), said.stderr
