"""Writes that are counted and writes that wait for people: what a fence costs, and what a hold does."""

import queue
import threading
import time
from collections.abc import Iterator
from statistics import median

import psycopg
from tests.support.libpq import conninfo_of

from bench.figures import percentile, ratios, spread, turns
from bench.lines import Line, Options
from bench.stage import DATABASE, DIRECT, FENCED, INTERLOCK, PGBOUNCER, Stage

_FILL = (
    "DROP TABLE IF EXISTS bench_fenced",
    "CREATE TABLE bench_fenced AS SELECT g AS id, 'as it was' AS note FROM generate_series(1, 10000) g",
    "ALTER TABLE bench_fenced ADD PRIMARY KEY (id)",
)
_STATEMENTS = 50
_HELD = "DELETE FROM bench_fenced"


def writes(stage: Stage, options: Options) -> Iterator[Line]:
    stage.server.run(*_FILL, database=DATABASE)
    yield from _fenced(stage, options)
    yield from _held(stage, options)


def _fenced(stage: Stage, options: Options) -> Iterator[Line]:
    """An UPDATE of ten rows, each its own transaction: counted under a fence, and not."""
    ways = {
        DIRECT: stage.variables(DIRECT, tls=True),
        PGBOUNCER: stage.variables(PGBOUNCER, tls=True),
        INTERLOCK: stage.variables(INTERLOCK, tls=True),
        "Interlock, fenced": stage.variables(INTERLOCK, tls=True, resource=FENCED),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds):
        for name in turns(list(ways), number):
            with psycopg.connect(conninfo_of(ways[name]), autocommit=True) as connection:
                times[name].append(_update(connection) * 1e6)
    medians = {name: median(mine) for name, mine in times.items()}
    figure = spread(ratios(times["Interlock, fenced"], times[INTERLOCK]))
    yield Line("a write of 10 rows, TLS", "p50 under a fence", figure, "× without one", "", medians, "µs")


def _update(connection: "psycopg.Connection[tuple[object, ...]]") -> float:
    took = []
    for number in range(_STATEMENTS):
        first = 1 + number * 10
        began = time.perf_counter()
        connection.execute("UPDATE bench_fenced SET note = 'as it is' WHERE id BETWEEN %s AND %s", (first, first + 9))
        took.append(time.perf_counter() - began)
    return percentile(took, 0.5)


def _held(stage: Stage, options: Options) -> Iterator[Line]:
    """A statement that another person must approve: until it is measured and told, and from the yes to its end."""
    said: queue.Queue[str] = queue.Queue()
    told: list[float] = []
    done: list[float] = []
    variables = stage.variables(INTERLOCK, tls=True, resource=FENCED)
    with stage.api(stage.lead) as api, psycopg.connect(conninfo_of(variables), autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: said.put(notice.message_primary or ""))
        for _ in range(options.held):
            stage.server.run(*_FILL, database=DATABASE)
            runner = threading.Thread(target=connection.execute, args=(_HELD,))
            began = time.perf_counter()
            runner.start()
            request = said.get(timeout=30).split()[2]
            told.append((time.perf_counter() - began) * 1e3)
            digest = api.get(f"/v1/requests/{request}")["digest"]
            began = time.perf_counter()
            api.post(f"/v1/requests/{request}/approve", {"digest": digest})
            runner.join(30)
            done.append((time.perf_counter() - began) * 1e3)
    name = f"a held DELETE of 10,000 rows, {options.held} times"
    yield Line(name, "until it is measured and told", spread(told), "ms")
    yield Line(name, "from the approval to its end", spread(done), "ms")
