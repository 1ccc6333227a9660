"""The worker's time: a clock that nobody can set.

Two clocks are read. ``steady`` is CLOCK_BOOTTIME: it never jumps and goes on while the machine sleeps, so a lease is
measured by it. ``wall`` is the machine's idea of the date, which an operator, NTP or a waking laptop may move.

The time by which windows are judged is neither: it is the control plane's, heard with every message of the feed and
carried on by ``steady``. A gateway whose date is wrong judges as the control plane does; a date that is moved on this
machine moves no window. What cannot be carried on is told by two signs, and both make the worker's knowledge stale
until a new snapshot has come:

* the wall clock moved against ``steady`` by more than :data:`TOLERANCE_S` (on one machine the control plane lives by
  the same wall clock, and the windows it has fixed mean other moments now);
* the feed's own time moved against ``steady`` by more than that: the control plane's clock was set, or its messages
  come so late that "just heard" would be untrue.

An estimate may lag behind by the delay of the least delayed message; the snapshot's own delay is bounded by the time
between the question and the answer.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from interlock.gateway import records_in_c
from interlock.gateway.records_in_c import boot_s
from interlock.ports.control import TOLERANCE_S


class WorkerClock:
    """Carries the control plane's time. Readings are in seconds; ``now`` is aware UTC."""

    def __init__(self, steady: Callable[[], float] = boot_s, wall: Callable[[], float] = time.time) -> None:
        self.steady = steady
        self._wall = wall
        self._wall_ahead = wall() - steady()
        self._ahead = self._wall_ahead

    def read(self) -> float:
        """``steady``, for callers that are compiled."""
        return records_in_c.boot_s() if self.steady is boot_s else self.steady()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_s(), UTC)

    def now_s(self) -> float:
        """``now`` in seconds since 1970."""
        return self.read() + self._ahead

    def at_s(self, steady_s: float) -> float:
        """What ``now_s`` said when ``steady`` read ``steady_s``."""
        return steady_s + self._ahead

    def steady_at(self, moment: datetime) -> float:
        """What ``steady`` will read at ``moment``."""
        return moment.timestamp() - self._ahead

    def anchor(self, at: datetime) -> None:
        """Take ``at``, heard with a snapshot just now, as the time; earlier estimates no longer count."""
        self._ahead = at.timestamp() - self.steady()
        self._wall_ahead = self._wall() - self.steady()

    def hear(self, at: datetime) -> float:
        """Refine the estimate with ``at``, heard just now. Returns by how many seconds it was off, when too many.

        0.0 means that all is well. Positive: the time jumped ahead; negative: it went back, or the message was late.
        """
        ahead = at.timestamp() - self.steady()
        off = ahead - self._ahead
        if abs(off) > TOLERANCE_S:
            return off
        self._ahead = max(self._ahead, ahead)
        return 0.0

    def wall_jump(self) -> float:
        """By how many seconds this machine's date moved since the last snapshot, when by too many; else 0.0."""
        moved = self._wall() - self.steady() - self._wall_ahead
        return moved if abs(moved) > TOLERANCE_S else 0.0
