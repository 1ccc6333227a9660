"""What statements cost through Interlock, PgBouncer and HAProxy, and directly, on one machine.

    python -m bench.statements                       everything
    python -m bench.statements --goals               only what speaks to a goal
    python -m bench.statements --brief               every workload, three rounds: a quarter of an hour
    python -m bench.statements --only select,storm   some workloads
    python -m bench.statements --quick               small and short, to see that it works

Peers take turns in short slices; what counts is the ratio within a round, of which median and spread are told. CPU is
what the operating system charged the peer's processes. A table and plots go to bench/results/, under the time of the
run and under ``last``.
"""

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from bench.bulk import copy, rows
from bench.lines import Line, Options, goal_rows
from bench.masked import masked
from bench.processes import load_average
from bench.report import RESULTS, goal_table, write_report
from bench.sessions import idle, slow_reader
from bench.stage import Stage, staged
from bench.throughput import one_client, select_only, storm, tpcb
from bench.unseen import unseen
from bench.workers import workers
from bench.writes import writes

Workload = Callable[[Stage, Options], Iterator[Line]]

WORKLOADS: Mapping[str, Workload] = {
    "idle": idle,
    "latency": one_client,
    "select": select_only,
    "tpcb": tpcb,
    "storm": storm,
    "rows": rows,
    "copy": copy,
    "slow-reader": slow_reader,
    "writes": writes,
    "masked": masked,
    "workers": workers,
    "unseen": unseen,
}
"""In the order in which they are run. The memory of idle sessions comes first: it needs processes that are fresh. What
takes no part of the stage comes last: nothing is left to be cleaned up beside it."""

_NO_GOAL = frozenset({"slow-reader", "writes", "masked"})
_ORDINARY_SESSIONS = 700
_QUICK = Options(rounds=1, seconds=1, goals=True, rows=100_000, copy_mib=16, sessions=200, statements=2000, held=2)
_BRIEF = Options(rounds=3, goals=True, copy_mib=350, held=5)
"""Three rounds of 350 MiB are 1 GiB each way."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"some of: {', '.join(WORKLOADS)}", default="")
    parser.add_argument("--goals", action="store_true", help="only what speaks to a goal, and no peer besides")
    parser.add_argument("--brief", action="store_true", help="every workload in three rounds, no peer besides")
    parser.add_argument("--quick", action="store_true", help="every workload, small and short")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="of a slice; 3 at most", choices=(1, 2, 3))
    parser.add_argument("--sessions", type=int, help="how many idle ones")
    chosen = parser.parse_args()
    asked = {name for name in chosen.only.split(",") if name} or set(WORKLOADS)
    unknown = sorted(asked - set(WORKLOADS))
    if unknown:
        parser.error(f"there is no workload {unknown[0]}; there are {', '.join(WORKLOADS)}")
    names = [name for name in WORKLOADS if name in asked and not (chosen.goals and name in _NO_GOAL)]
    run(names, _options(chosen))


def _options(chosen: argparse.Namespace) -> Options:
    base = _QUICK if chosen.quick else _BRIEF if chosen.brief else Options()
    return Options(
        rounds=chosen.rounds or base.rounds,
        seconds=chosen.seconds or base.seconds,
        goals=chosen.goals or base.goals,
        rows=base.rows,
        copy_mib=base.copy_mib,
        sessions=chosen.sessions or base.sessions,
        statements=base.statements,
        held=base.held,
    )


def run(names: list[str], options: Options) -> None:
    # What was started is stopped when this is told to stop, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load = load_average()
    folder = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    lines: list[Line] = []
    sessions = _ORDINARY_SESSIONS + (options.sessions if "idle" in names else 0)
    began = time.monotonic()
    with staged(10, sessions) as stage:
        for name in names:
            for line in WORKLOADS[name](stage, options):
                lines.append(line)
                _tell(f"{time.monotonic() - began:6.0f} s  {line.workload}: {line.measure} {line.figure} {line.of}")
                write_report(folder, options, lines, load)
    last = RESULTS / "last"
    shutil.rmtree(last, ignore_errors=True)
    shutil.copytree(folder, last)
    print("\n".join(goal_table(goal_rows(lines))))
    print(f"\nEverything: {folder / 'table.md'}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
