"""Much data in one statement: a result of 1,000,000 rows, COPY out and COPY in, against the direct way."""

import time
from collections.abc import Callable, Iterator
from statistics import median

from bench.figures import ratios, spread, turns
from bench.lines import BULK, Line, Options
from bench.processes import cpu_s
from bench.stage import DATABASE, DIRECT, INTERLOCK, PEERS, Stage
from bench.wire import Wire, copy_data

_ROW = "row of a table that is read and written as a whole"
_LINE_BYTES = 8192
_FILL = (
    "DROP TABLE IF EXISTS bench_rows, bench_copied",
    "CREATE UNLOGGED TABLE bench_rows AS SELECT g AS id, '%s ' || g AS note FROM generate_series(1, %d) g",
    "CREATE UNLOGGED TABLE bench_copied (id int, note text)",
    "VACUUM ANALYZE bench_rows",
)

Work = Callable[[Wire], int]


def rows(stage: Stage, options: Options) -> Iterator[Line]:
    fill_rows(stage, options.rows)
    name = f"a result of {options.rows:,} rows"
    yield from _compare(stage, options, name, lambda wire: wire.run("SELECT id, note FROM bench_rows"))


def copy(stage: Stage, options: Options) -> Iterator[Line]:
    """A slice moves ``copy_mib``; seven rounds of 150 MiB are 1 GiB each way through each peer."""
    size = options.copy_mib << 20
    count = size // (len(_ROW) + 16)
    fill_rows(stage, count)
    name = f"COPY out, {options.copy_mib} MiB a slice"
    yield from _compare(stage, options, name, lambda wire: wire.run("COPY bench_rows TO STDOUT"))
    messages = _messages(count)
    total = len(messages)

    def copy_in(wire: Wire) -> int:
        step = 256 * 1024
        wire.copy_in("COPY bench_copied FROM STDIN", (messages[at : at + step] for at in range(0, total, step)))
        return total

    name = f"COPY in, {options.copy_mib} MiB a slice"
    yield from _compare(stage, options, name, copy_in, before=lambda: _empty(stage))


def fill_rows(stage: Stage, count: int) -> None:
    stage.server.run(*(text % (_ROW, count) if "%" in text else text for text in _FILL), database=DATABASE)


def _empty(stage: Stage) -> None:
    stage.server.run("TRUNCATE bench_copied", database=DATABASE)


def _messages(count: int) -> memoryview:
    """Lines for ``bench_copied`` in CopyData messages of the size that psql sends."""
    lines = "".join(f"{number}\t{_ROW} {number}\n" for number in range(1, count + 1)).encode()
    chunks = (copy_data(lines[at : at + _LINE_BYTES]) for at in range(0, len(lines), _LINE_BYTES))
    return memoryview(b"".join(chunks))


def _compare(
    stage: Stage, options: Options, name: str, work: Work, before: Callable[[], None] = lambda: None
) -> Iterator[Line]:
    peers = (DIRECT, INTERLOCK) if options.goals else PEERS
    for tls in (False,) if options.goals else (False, True):
        speeds: dict[str, list[float]] = {peer: [] for peer in peers}
        costs: dict[str, list[float]] = {peer: [] for peer in peers if peer != DIRECT}
        for number in range(options.rounds):
            for peer in turns(peers, number):
                before()
                pids = stage.pids(peer)
                with Wire(stage.variables(peer, tls=tls)) as wire:
                    charged, began = cpu_s(pids), time.perf_counter()
                    size = work(wire)
                    took = time.perf_counter() - began
                speeds[peer].append(size / took / (1 << 20))
                if peer in costs:
                    costs[peer].append((cpu_s(pids) - charged) / (size / (1 << 30)))
        title = f"{name}, {'TLS' if tls else 'no TLS'}"
        figure = spread(ratios(speeds[INTERLOCK], speeds[DIRECT]))
        remark = "" if not tls else "against the server's own TLS; no goal"
        medians = {peer: median(mine) for peer, mine in speeds.items()}
        yield Line(title, "speed", figure, "× direct", "" if tls else BULK, medians, "MiB per s", remark)
        cpu = {peer: median(mine) for peer, mine in costs.items()}
        figure = spread(costs[INTERLOCK])
        yield Line(title, "CPU", figure, "s a GiB", "", cpu, "s a GiB")
