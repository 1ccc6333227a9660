"""What a mask costs: a large result of which a column is covered, and one row of it, against the same without one."""

import time
from collections.abc import Iterator
from statistics import median

import psycopg
from tests.support.libpq import conninfo_of

from bench.bulk import fill_rows
from bench.figures import percentile, ratios, spread, turns
from bench.lines import Line, Options
from bench.processes import cpu_s
from bench.stage import DIRECT, INTERLOCK, MASKED, Stage
from bench.wire import Wire

_COVERED = f"{INTERLOCK}, masked"
_STATEMENTS = 200


def masked(stage: Stage, options: Options) -> Iterator[Line]:
    fill_rows(stage, options.rows)
    stage.server.run("ALTER TABLE bench_rows ADD PRIMARY KEY (id)", database="bench")
    ways = {
        DIRECT: stage.variables(DIRECT, tls=True),
        INTERLOCK: stage.variables(INTERLOCK, tls=True),
        _COVERED: stage.variables(INTERLOCK, tls=True, resource=MASKED),
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    costs: dict[str, list[float]] = {name: [] for name in ways}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds):
        for name in turns(list(ways), number):
            pids = stage.pids(INTERLOCK)
            with Wire(ways[name]) as wire:
                charged, began = cpu_s(pids), time.perf_counter()
                wire.run("SELECT id, note FROM bench_rows")
                took = time.perf_counter() - began
            speeds[name].append(options.rows / took)
            costs[name].append((cpu_s(pids) - charged) / options.rows * 1e6)
            with psycopg.connect(conninfo_of(ways[name]), autocommit=True) as connection:
                times[name].append(_one_row(connection) * 1e6)
    title = f"a result of {options.rows:,} rows, one of two columns masked, TLS"
    medians = {name: median(mine) for name, mine in speeds.items()}
    yield Line(
        title, "rows a second", spread(ratios(speeds[_COVERED], speeds[INTERLOCK])), "× without a mask", "", medians
    )
    cpu = {name: median(costs[name]) for name in (INTERLOCK, _COVERED)}
    yield Line(title, "CPU a row", spread(costs[_COVERED]), "µs", "", cpu, "µs")
    medians = {name: median(mine) for name, mine in times.items()}
    figure = spread(ratios(times[_COVERED], times[INTERLOCK]))
    yield Line("one row by its key, a column masked, TLS", "p50", figure, "× without a mask", "", medians, "µs")


def _one_row(connection: "psycopg.Connection[tuple[object, ...]]") -> float:
    took = []
    for number in range(_STATEMENTS):
        began = time.perf_counter()
        connection.execute("SELECT id, note FROM bench_rows WHERE id = %s", (1 + number,), prepare=False).fetchall()
        took.append(time.perf_counter() - began)
    return percentile(took, 0.5)
