"""What a run gives: lines, each a figure with its spread, and the goals that they speak to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.figures import Goal, Spread

PLAIN, TLS, LATENCY, CPU, BULK, WRITES, STORM, IDLE, WORKERS, UNSEEN = (
    "plain",
    "tls",
    "latency",
    "cpu",
    "bulk",
    "writes",
    "storm",
    "idle",
    "workers",
    "unseen",
)

GOALS = (
    Goal(
        PLAIN,
        "select-only throughput, simple / extended / prepared, 8 and 64 clients, no TLS",
        1.0,
        at_least=True,
        unit="× PgBouncer",
    ),
    Goal(TLS, "the same with TLS on the client side", 1.2, at_least=True, unit="× PgBouncer"),
    Goal(LATENCY, "p50 added latency at 1 client", 1.0, at_least=False, unit="× PgBouncer's"),
    Goal(CPU, "CPU per query", 1.2, at_least=False, unit="× PgBouncer's"),
    Goal(BULK, "1,000,000-row result, COPY both ways", 0.95, at_least=True, unit="× direct"),
    Goal(WRITES, "TPC-B-like at 8 clients, durable in the recording first", 0.85, at_least=True, unit="× PgBouncer"),
    Goal(STORM, "new connections a second, TLS with client certificate", 0.8, at_least=True, unit="× PgBouncer"),
    Goal(IDLE, "memory for each idle session", 64.0, at_least=False, unit="KiB"),
    Goal(WORKERS, "two workers on two cores, CPU-bound load", 1.7, at_least=True, unit="× one worker"),
    Goal(UNSEEN, "first decision for an unseen statement, p99", 400.0, at_least=False, unit="µs"),
)


@dataclass(frozen=True, slots=True)
class Options:
    """``rounds`` and ``seconds`` of slices; ``goals``: only what speaks to a goal; the rest are sizes."""

    rounds: int = 7
    seconds: int = 1
    goals: bool = False
    rows: int = 1_000_000
    copy_mib: int = 150
    sessions: int = 5000
    statements: int = 5000
    held: int = 10


@dataclass(frozen=True, slots=True)
class Line:
    """One measure of one workload. ``goal`` is the key of the goal it speaks to, or empty.

    ``peers`` are the medians of each peer in ``unit``; ``figure`` is the comparison, in ``of``.
    """

    workload: str
    measure: str
    figure: Spread
    of: str
    goal: str = ""
    peers: Mapping[str, float] = field(default_factory=dict)
    unit: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class GoalRow:
    """A goal with the line that is furthest from it, of ``lines`` that speak to it; none when it was not measured."""

    goal: Goal
    line: Line | None
    lines: int

    @property
    def verdict(self) -> str:
        if self.line is None:
            return "not measured"
        return "reached" if self.goal.reached(self.line.figure.median) else "missed"


def goal_rows(lines: Sequence[Line]) -> list[GoalRow]:
    """Each goal, judged by the worst of its lines: it is reached when all of them reach it."""
    rows = []
    for goal in GOALS:
        mine = [line for line in lines if line.goal == goal.key]
        worst = mine[goal.worst([line.figure.median for line in mine])] if mine else None
        rows.append(GoalRow(goal, worst, len(mine)))
    return rows
