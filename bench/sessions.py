"""Many sessions: what an idle one costs in memory, and whether one that does not read slows the others down."""

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median

from bench.bulk import fill_rows
from bench.figures import ratios, spread, turns
from bench.lines import IDLE, Line, Options
from bench.peers import pgbouncer
from bench.pgbench import Run, Slicer
from bench.processes import resident_bytes
from bench.stage import DATABASE, INTERLOCK, PGBOUNCER, Stage
from bench.throughput import SELECT
from bench.wire import Wire, query

_AT_ONCE = 16
_SETTLE_S = 3.0
_CROWD = 199
_SLOW_ROWS = 2_000_000


def idle(stage: Stage, options: Options) -> Iterator[Line]:
    """Resident memory of the process, with all sessions open and without them, for each session.

    Each has TLS, has asked something once, and so has its own server connection. To be measured before anything else:
    memory that a process has had before, and not given back, would not be counted.
    """
    with pgbouncer(stage.server.port, DATABASE, pool=options.sessions + 10) as proxy:
        variables = {**proxy.variables(DATABASE), "PGSSLMODE": "require"}
        sizes = {PGBOUNCER: _memory_kib(variables, (proxy.pid,), options.sessions)}
    variables = stage.variables(INTERLOCK, tls=True)
    sizes[INTERLOCK] = _memory_kib(variables, stage.pids(INTERLOCK), options.sessions)
    name = f"{options.sessions:,} idle sessions, TLS"
    yield Line(name, "memory", spread([sizes[INTERLOCK]]), "KiB", IDLE, sizes, "KiB a session")


def _memory_kib(variables: Mapping[str, str], pids: Sequence[int], sessions: int) -> float:
    """What the processes grow by, for each session that is opened and left alone."""
    before = resident_bytes(pids)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        wires = list(pool.map(lambda _: _asked_once(variables), range(sessions)))
    time.sleep(_SETTLE_S)
    grown = resident_bytes(pids) - before
    for wire in wires:
        wire.close()
    time.sleep(_SETTLE_S)
    return grown / sessions / 1024


def _asked_once(variables: Mapping[str, str]) -> Wire:
    wire = Wire(variables)
    wire.run("SELECT 1")
    return wire


def slow_reader(stage: Stage, options: Options) -> Iterator[Line]:
    """200 sessions of which one asks for much and reads nothing: what the others get, and what the process grows."""
    fill_rows(stage, min(options.rows * 2, _SLOW_ROWS))
    run = Run(SELECT, "prepared", _CROWD)
    for peer in (PGBOUNCER, INTERLOCK):
        variables, pids = stage.variables(peer, tls=True), stage.pids(peer)
        slicer = Slicer(run, partial(stage.variables, peer, tls=True), pids)
        alone: list[float] = []
        beside: list[float] = []
        grown: list[float] = []
        for number in range(options.rounds):
            for way in turns(("alone", "beside"), number):
                if way == "alone":
                    alone.append(slicer.slice(options.seconds).per_second)
                    continue
                with Wire(variables) as slow:
                    before = resident_bytes(pids)
                    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    slow.socket.sendall(query("SELECT id, note FROM bench_rows"))
                    time.sleep(0.5)
                    grown.append((resident_bytes(pids) - before) / (1 << 20))
                    beside.append(slicer.slice(options.seconds).per_second)
        name = f"200 sessions, one reads nothing, {peer}"
        remark = f"the process grew by {median(grown):.1f} MiB while the reader stood still"
        medians = {"without it": median(alone), "with it": median(beside)}
        figure = spread(ratios(beside, alone))
        yield Line(name, "rate of the others", figure, "× without it", "", medians, "per s", remark)
