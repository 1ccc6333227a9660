"""One slice of pgbench through one peer: statements a second, CPU a statement, and how long each took."""

import os
import re
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.figures import percentile
from bench.processes import cpu_s, settled_cpu_s
from bench.stage import PROGRAMS

_RATE = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)
_COUNT = re.compile(r"actually processed: (\d+)")
_FIRST, _FIRST_EACH = 1000, 25
"""Transactions, at least, of all clients and of each in the run that finds out how fast it goes."""
_OPENINGS = 3
"""How often letting the clients in is measured, for the median."""
_MICROSECONDS = 2
"""The column of pgbench's log in which a transaction's time stands, in µs."""


@dataclass(frozen=True, slots=True)
class Run:
    """What pgbench is to do. ``script`` are its own words for it."""

    script: tuple[str, ...]
    mode: str
    clients: int

    def words(self) -> list[str]:
        # One thread, for every peer: with many clients pgbench itself bounds what can be had, alike for all.
        return ["-n", "-M", self.mode, "-c", str(self.clients), "-j", "1", *self.script]


@dataclass(frozen=True, slots=True)
class Slice:
    """``cpu_us`` is what the peer's processes were charged for one transaction; ``p50_us`` is 0 when not looked at."""

    per_second: float
    cpu_us: float
    p50_us: float = 0.0


@dataclass(slots=True)
class Pace:
    """CPU seconds that letting the clients in costs the peer, and the rate of the last slice."""

    opening_s: float
    rate: float


class Slicer:
    """Slices of one run through one peer. ``variables`` makes the way there anew, for passwords that last a minute.

    A slice is a number of transactions and not a time: pgbench counts the time in which its clients connect. The number
    follows from the rate of the slice before. What it costs is everything until the peer rests again, sealing included.
    What letting the clients in costs is measured once, and taken off; a ``pace`` that is known from as many clients in
    another mode will do as well.
    """

    def __init__(
        self, run: Run, variables: Callable[[], Mapping[str, str]], pids: Sequence[int], pace: Pace | None = None
    ) -> None:
        self._run = run
        self._variables = variables
        self._pids = pids
        self.pace = pace or self._find_pace()

    def slice(self, seconds: int) -> Slice:
        """As many transactions as ``seconds`` are likely to take. With one client each one's time is looked at."""
        timed = self._run.clients == 1
        each = max(1, round(self.pace.rate * seconds / self._run.clients))
        with tempfile.TemporaryDirectory(prefix="interlock-bench-") as folder:
            log = ["-l", "--log-prefix", str(Path(folder) / "log")] if timed else []
            before = settled_cpu_s(self._pids)
            said = self._pgbench("-t", str(each), *log)
            cpu = max(0.0, settled_cpu_s(self._pids) - before - self.pace.opening_s)
            times = read_times(file.read_text() for file in Path(folder).iterdir())
        rate, count = read_report(said)
        self.pace.rate = rate
        return Slice(rate, cpu / count * 1e6, percentile(times, 0.5) if times else 0.0)

    def _find_pace(self) -> Pace:
        # The first time costs what is made once.
        self._pgbench("-t", "1")
        opening_s = statistics.median(self._open() for _ in range(_OPENINGS))
        each = max(_FIRST_EACH, _FIRST // self._run.clients)
        rate, _ = read_report(self._pgbench("-t", str(each)))
        return Pace(opening_s, rate)

    def _open(self) -> float:
        """CPU seconds that letting the clients in costs, with a transaction each."""
        before = settled_cpu_s(self._pids)
        self._pgbench("-t", "1")
        return settled_cpu_s(self._pids) - before

    def _pgbench(self, *words: str) -> str:
        return _pgbench([*self._run.words(), *words], self._variables())


def storm_slice(run: Run, variables: Mapping[str, str], pids: Sequence[int], seconds: int) -> Slice:
    """A slice in which connecting is what is measured."""
    before = cpu_s(pids)
    rate, count = read_report(_pgbench([*run.words(), "-C", "-T", str(seconds)], variables))
    return Slice(rate, (cpu_s(pids) - before) / max(1, count) * 1e6)


def read_report(said: str) -> tuple[float, int]:
    """Transactions a second, and how many there were. Raises ValueError when it is no report."""
    rate, count = _RATE.search(said), _COUNT.search(said)
    if rate is None or count is None:
        raise ValueError(f"pgbench did not report: {said}")
    return float(rate[1]), int(count[1])


def read_times(logs: Iterable[str]) -> list[float]:
    """The times of all transactions, in µs, from pgbench's logs."""
    return [float(line.split()[_MICROSECONDS]) for log in logs for line in log.splitlines()]


def _pgbench(words: Sequence[str], variables: Mapping[str, str]) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    done = subprocess.run(
        [PROGRAMS / "pgbench", *words], env={**kept, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"pgbench {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout
