"""What the operating system charges a process: CPU and memory, from proc(5)."""

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

_SCHEDULED = 2
_LOOK_S, _RESTING = 0.1, 0.03
"""How often it is looked whether a process rests, and how much of a processor it may use then."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_s(pids: Iterable[int]) -> float:
    """User and system seconds of the processes, all threads, to the nanosecond (clock_getcpuclockid(3))."""
    # How Linux numbers the clock that counts a process's time: see MAKE_PROCESS_CPUCLOCK in its posix-timers.
    return sum(time.clock_gettime((~pid << 3) | _SCHEDULED) for pid in pids)


def settled_cpu_s(pids: Sequence[int], within_s: float = 5.0) -> float:
    """As ``cpu_s``, once they rest: a gateway seals recordings for a while after its clients have left."""
    until = time.monotonic() + within_s
    before = cpu_s(pids)
    while time.monotonic() < until:
        time.sleep(_LOOK_S)
        now = cpu_s(pids)
        if now - before < _RESTING * _LOOK_S:
            return now
        before = now
    return before


def resident_bytes(pids: Iterable[int]) -> int:
    """Resident memory of the processes (proc(5), ``statm``, second field)."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * _PAGE_BYTES


def load_average() -> float:
    """How many programs wanted a processor over the last minute."""
    return os.getloadavg()[0]
