"""pgbench: select-only and TPC-B-like, in three modes, with one and more clients, with and without TLS; and a storm."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from bench.figures import differences, ratios, spread, turns
from bench.lines import CPU, LATENCY, PLAIN, STORM, TLS, WRITES, Line, Options
from bench.peers import pgbouncer
from bench.pgbench import Pace, Run, Slice, Slicer, storm_slice
from bench.stage import DATABASE, DIRECT, INTERLOCK, PEERS, PGBOUNCER, Stage

MODES = ("simple", "extended", "prepared")
SELECT, TPCB = ("-S",), ("-b", "tpcb-like")
Paces = dict[str, Pace]
_FEW, _LONGEST_S = 8, 3
"""A slice with many clients: letting them in costs as much CPU as a second of their queries, and is taken off."""
_LEAST_ADDED_US = 1.0
"""Under this an added latency is the noise of two medians, and no ratio to it means anything."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One workload of pgbench: compared by its rate, its CPU and, with one client, its median time."""

    name: str
    run: Run
    tls: bool

    @property
    def title(self) -> str:
        clients = "1 client" if self.run.clients == 1 else f"{self.run.clients} clients"
        return f"{self.name}, {self.run.mode}, {clients}, {'TLS' if self.tls else 'no TLS'}"


def select_only(stage: Stage, options: Options) -> Iterator[Line]:
    for tls in (False, True):
        for clients in (8, 64):
            paces: Paces = {}
            for mode in MODES:
                cell = Cell("select-only", Run(SELECT, mode, clients), tls)
                slices = _compare(stage, options, cell, _peers(options), paces)
                yield _rate(cell, slices, TLS if tls else PLAIN)
                yield _cpu(cell, slices, CPU)


def one_client(stage: Stage, options: Options) -> Iterator[Line]:
    """Latency needs the direct way as well: what a peer adds is its median time less the direct one."""
    peers = (DIRECT, PGBOUNCER, INTERLOCK) if options.goals else PEERS
    for tls in (False, True):
        paces: Paces = {}
        for mode in MODES:
            cell = Cell("select-only", Run(SELECT, mode, 1), tls)
            slices = _compare(stage, options, cell, peers, paces)
            yield _rate(cell, slices, "")
            yield _cpu(cell, slices, "")
            yield _added(cell, slices)


def tpcb(stage: Stage, options: Options) -> Iterator[Line]:
    for tls in (False, True):
        for clients in (8,) if options.goals else (1, 8, 64):
            paces: Paces = {}
            for mode in MODES:
                cell = Cell("TPC-B-like", Run(TPCB, mode, clients), tls)
                slices = _compare(stage, options, cell, _peers(options), paces)
                yield _rate(cell, slices, WRITES if clients == 8 else "")
                yield _cpu(cell, slices, "")


def storm(stage: Stage, options: Options) -> Iterator[Line]:
    """A connection for each query. PgBouncer keeps its server connections; the second one opens them as others do."""
    run = Run(SELECT, "simple", 8)
    once = f"{PGBOUNCER}, a server connection each"
    with (
        pgbouncer(stage.server.port, DATABASE, certified=True) as kept,
        pgbouncer(stage.server.port, DATABASE, certified=True, once=True) as fresh,
    ):
        ways = {
            DIRECT: (stage.variables(DIRECT, tls=True), ()),
            PGBOUNCER: ({**kept.variables(DATABASE), **kept.certificate()}, (kept.pid,)),
            once: ({**fresh.variables(DATABASE), **fresh.certificate()}, (fresh.pid,)),
            INTERLOCK: (stage.variables(INTERLOCK, tls=True), stage.pids(INTERLOCK)),
        }
        slices: dict[str, list[Slice]] = {name: [] for name in ways}
        for number in range(options.rounds):
            for name in turns(list(ways), number):
                variables, pids = ways[name]
                slices[name].append(storm_slice(run, variables, pids, options.seconds))
    cell = Cell("connection storm", run, tls=True)
    yield _rate(cell, slices, STORM)
    yield _cpu(cell, slices, "")
    alike = ratios([one.per_second for one in slices[INTERLOCK]], [one.per_second for one in slices[once]])
    remark = "PgBouncer too opens a server connection for each client"
    yield Line(cell.title, "rate, like with like", spread(alike), f"× {once}", remark=remark)


def _peers(options: Options) -> tuple[str, ...]:
    return (PGBOUNCER, INTERLOCK) if options.goals else PEERS


def _compare(stage: Stage, options: Options, cell: Cell, peers: Sequence[str], paces: Paces) -> dict[str, list[Slice]]:
    """Slices of each peer, round by round. Beside its clients' connections pgbench opens one of its own.

    ``paces`` are those of as many clients, and are filled when they are not known.
    """
    count = cell.run.clients + 1
    seconds = _LONGEST_S if cell.run.clients > _FEW and options.rounds > 1 else options.seconds
    slicers = {
        peer: Slicer(
            cell.run,
            partial(stage.variables, peer, tls=cell.tls, connections=count),
            stage.pids(peer),
            paces.get(peer),
        )
        for peer in peers
    }
    paces.update({peer: slicer.pace for peer, slicer in slicers.items()})
    slices: dict[str, list[Slice]] = {peer: [] for peer in peers}
    for number in range(options.rounds):
        for peer in turns(list(peers), number):
            slices[peer].append(slicers[peer].slice(seconds))
    return slices


def _rate(cell: Cell, slices: dict[str, list[Slice]], goal: str) -> Line:
    rates = {peer: [one.per_second for one in mine] for peer, mine in slices.items()}
    figure = spread(ratios(rates[INTERLOCK], rates[PGBOUNCER]))
    medians = {peer: median(mine) for peer, mine in rates.items()}
    return Line(cell.title, "rate", figure, "× PgBouncer", goal, medians, "per s")


def _cpu(cell: Cell, slices: dict[str, list[Slice]], goal: str) -> Line:
    costs = {peer: [one.cpu_us for one in mine] for peer, mine in slices.items() if peer != DIRECT}
    figure = spread(ratios(costs[INTERLOCK], [max(cost, 0.01) for cost in costs[PGBOUNCER]]))
    medians = {peer: median(mine) for peer, mine in costs.items()}
    return Line(cell.title, "CPU", figure, "× PgBouncer's", goal, medians, "µs a query")


def _added(cell: Cell, slices: dict[str, list[Slice]]) -> Line:
    times = {peer: [one.p50_us for one in mine] for peer, mine in slices.items()}
    added = {peer: differences(times[peer], times[DIRECT]) for peer in times if peer != DIRECT}
    figure = spread(ratios(added[INTERLOCK], [max(one, _LEAST_ADDED_US) for one in added[PGBOUNCER]]))
    medians = {DIRECT: median(times[DIRECT]), **{peer: median(mine) for peer, mine in added.items()}}
    remark = "direct: the whole time; the others: what they add to it"
    return Line(cell.title, "p50 added", figure, "× PgBouncer's", LATENCY, medians, "µs", remark)
