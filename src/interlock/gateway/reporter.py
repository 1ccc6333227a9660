"""Tells the control plane which sessions began, ended, what they have come to, and what was stored of their recordings:
in batches, until it lands; and up to where the worker has applied what it was told.

A start always comes before the segments and the end of the same session, and what rests on a start (a held statement,
the first segment) can wait for it. INVARIANT: that something was applied is said with or after every start of before:
who hears that an end was applied knows of each session that it cut.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic

from interlock.errors import Failure, InterlockError
from interlock.ports.control import (
    ControlPlane,
    RecordingStanding,
    SegmentReport,
    SessionCount,
    SessionEnd,
    SessionStart,
)

_LOG = logging.getLogger("interlock.gateway")
_EVERY_S, _AT_LEAST_EVERY_S = 0.2, 1.0
_SHARE = 5
"""How many times as long as a report took is gathered for the next one: many sessions that come and go cost the control
plane least together, and a fifth of its time is enough."""
_LONGEST_PAUSE_S = 3.0
_AT_MOST = 500


class Reporter:
    def __init__(self, control: ControlPlane) -> None:
        self._control = control
        self._starts: dict[str, SessionStart] = {}
        self._ends: dict[str, tuple[SessionEnd, Callable[[], None]]] = {}
        self._counts: dict[str, SessionCount] = {}
        self._kept: dict[str, tuple[SegmentReport, asyncio.Future[bool]]] = {}
        self._landed: dict[str, asyncio.Future[RecordingStanding | None]] = {}
        self._applied = self._told_applied = 0
        self._asked = asyncio.Event()
        self._hurry = asyncio.Event()
        self._took_s = 0.0

    def started(self, start: SessionStart) -> None:
        self._starts[start.id] = start
        self._landed[start.id] = asyncio.get_running_loop().create_future()
        self._asked.set()

    def ended(self, end: SessionEnd, landed: Callable[[], None]) -> None:
        """``landed`` is called when the control plane knows it."""
        self._ends[end.id] = (end, landed)
        self._asked.set()

    def counted(self, count: SessionCount) -> None:
        """What a live session has come to; the last word counts, and the end of the session says it again."""
        self._counts[count.id] = count
        self._asked.set()

    def applied(self, version: int, *, soon: bool) -> None:
        """The worker has applied everything up to ``version``. ``soon``: somebody waits for that."""
        self._applied = version
        if version != self._told_applied:
            self._asked.set()
            if soon:
                self._hurry.set()

    async def kept(self, report: SegmentReport) -> bool:
        """Return when the control plane knows of these segments; False when it refuses them for good.

        One report of a session at a time.
        """
        landed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._kept[report.session] = (report, landed)
        self._asked.set()
        return await landed

    def has_told(self, session: str) -> bool:
        """Whether the session's start has been taken, or refused for good."""
        return session not in self._starts

    async def known(self, session: str) -> None:
        """Return when the control plane knows of the session's start."""
        landed = self._landed.get(session)
        if landed is not None and not landed.done():
            self._hurry.set()
            await asyncio.shield(landed)

    async def standing(self, session: str) -> RecordingStanding | None:
        """How the session's recording stood when the control plane heard of its start; None when it refused that."""
        landed = self._landed.get(session)
        return None if landed is None else await asyncio.shield(landed)

    def __len__(self) -> int:
        """How many starts, segments and ends the control plane does not know yet."""
        return len(self._starts) + len(self._kept) + len(self._ends)

    async def run(self) -> None:
        """Report until cancelled."""
        pause_s = 0.0
        while True:
            await self._asked.wait()
            await self._gather()
            began_s = monotonic()
            try:
                await self._report()
                self._took_s = monotonic() - began_s
                pause_s = 0.0
            except InterlockError as error:
                pause_s = min(_LONGEST_PAUSE_S, max(_EVERY_S, pause_s * 2))
                if isinstance(error, Failure):
                    _LOG.warning("Sessions cannot be reported and will be again: %s", error)
                else:
                    await self._report_one_by_one()
                await asyncio.sleep(pause_s)
            except Exception:  # noqa: BLE001 -- sessions that are never reported could never be cut by their name
                _LOG.exception("Sessions cannot be reported by a fault of ours, and will be again.")
                await asyncio.sleep(_LONGEST_PAUSE_S)
            if not len(self) and not self._counts and self._applied == self._told_applied:
                self._asked.clear()

    async def _gather(self) -> None:
        # Not ``wait_for``: it swallows a cancellation that comes with the event, and the worker would not stop.
        with suppress(TimeoutError):
            async with asyncio.timeout(min(_AT_LEAST_EVERY_S, max(_EVERY_S, _SHARE * self._took_s))):
                await self._hurry.wait()
        self._hurry.clear()

    async def _report(self) -> None:
        starts = list(self._starts.values())[:_AT_MOST]
        waiting = {start.id for start in starts}
        kept = [one for one, _ in self._kept.values() if self._begun(one.session, waiting)][:_AT_MOST]
        told = {one.session for one in kept}
        ends = [
            end
            for end, _ in self._ends.values()
            if self._begun(end.id, waiting) and (end.id in told or end.id not in self._kept)
        ][:_AT_MOST]
        over = {end.id for end in ends}
        counts = [count for count in self._counts.values() if count.id not in over][:_AT_MOST]
        applied = self._applied if len(starts) == len(self._starts) and self._applied != self._told_applied else None
        standings = await self._control.report(starts, ends, counts, kept, applied)
        if applied is not None:
            self._told_applied = applied
        for count in counts:
            if self._counts.get(count.id) is count:
                del self._counts[count.id]
        self._settle(starts, kept, ends, standings)

    def _begun(self, session: str, waiting: set[str]) -> bool:
        """Whether the session's start is known, or told in the same report."""
        return session in waiting or session not in self._starts

    async def _report_one_by_one(self) -> None:
        """A batch was refused: one of it stands in the way of the others, and is refused alone."""
        for start in list(self._starts.values()):
            await self._try([start], [], [])
        for one, _ in list(self._kept.values()):
            await self._try([], [one], [])
        for end, _ in list(self._ends.values()):
            await self._try([], [], [end])
        # what is counted is told again, with the next count or with the end
        self._counts.clear()

    async def _try(self, starts: list[SessionStart], kept: list[SegmentReport], ends: list[SessionEnd]) -> None:
        standings: Sequence[RecordingStanding] = ()
        refused = False
        try:
            standings = await self._control.report(starts, ends, (), kept)
        except Failure:
            return
        except InterlockError as error:
            refused = True
            _LOG.error("The control plane refuses a report for good: %s", error)
        self._settle(starts, kept, ends, standings, refused=refused)

    def _settle(
        self,
        starts: list[SessionStart],
        kept: list[SegmentReport],
        ends: list[SessionEnd],
        standings: Sequence[RecordingStanding],
        *,
        refused: bool = False,
    ) -> None:
        found = {standing.session: standing for standing in standings}
        for start in starts:
            self._starts.pop(start.id, None)
            landed = self._landed.get(start.id)
            if landed is not None and not landed.done():
                landed.set_result(found.get(start.id))
        for one in kept:
            _, heard = self._kept.pop(one.session)
            if not heard.done():
                heard.set_result(not refused)
        for end in ends:
            self._landed.pop(end.id, None)
            self._counts.pop(end.id, None)
            _, tell = self._ends.pop(end.id)
            tell()
