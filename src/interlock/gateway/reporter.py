"""Tells the control plane which sessions began, ended, and what they have come to: in batches, until it lands.

A start always comes before the end of the same session, and what rests on a start (a held statement) can wait for it.
"""

import asyncio
import logging
from collections.abc import Callable

from interlock.errors import Failure, InterlockError
from interlock.ports.control import ControlPlane, SessionCount, SessionEnd, SessionStart

_LOG = logging.getLogger("interlock.gateway")
_EVERY_S = 0.2
_LONGEST_PAUSE_S = 3.0
_AT_MOST = 500


class Reporter:
    def __init__(self, control: ControlPlane) -> None:
        self._control = control
        self._starts: dict[str, SessionStart] = {}
        self._ends: dict[str, tuple[SessionEnd, Callable[[], None]]] = {}
        self._counts: dict[str, SessionCount] = {}
        self._landed: dict[str, asyncio.Future[None]] = {}
        self._asked = asyncio.Event()
        self._hurry = asyncio.Event()

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

    async def known(self, session: str) -> None:
        """Return when the control plane knows of the session's start."""
        landed = self._landed.get(session)
        if landed is not None and not landed.done():
            self._hurry.set()
            await asyncio.shield(landed)

    def __len__(self) -> int:
        """How many starts and ends the control plane does not know yet."""
        return len(self._starts) + len(self._ends)

    async def run(self) -> None:
        """Report until cancelled."""
        pause_s = 0.0
        while True:
            await self._asked.wait()
            await self._gather()
            try:
                await self._report()
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
            if not len(self) and not self._counts:
                self._asked.clear()

    async def _gather(self) -> None:
        try:
            await asyncio.wait_for(self._hurry.wait(), _EVERY_S)
        except TimeoutError:
            return
        finally:
            self._hurry.clear()

    async def _report(self) -> None:
        starts = list(self._starts.values())[:_AT_MOST]
        waiting = {start.id for start in starts}
        ends = [end for end, _ in self._ends.values() if end.id in waiting or end.id not in self._starts][:_AT_MOST]
        over = {end.id for end in ends}
        counts = [count for count in self._counts.values() if count.id not in over][:_AT_MOST]
        await self._control.report(starts, ends, counts)
        for count in counts:
            if self._counts.get(count.id) is count:
                del self._counts[count.id]
        self._settle(starts, ends)

    async def _report_one_by_one(self) -> None:
        """A batch was refused: one of it stands in the way of the others, and is refused alone."""
        for start in list(self._starts.values()):
            await self._try([start], [])
        for end, _ in list(self._ends.values()):
            await self._try([], [end])
        # what is counted is told again, with the next count or with the end
        self._counts.clear()

    async def _try(self, starts: list[SessionStart], ends: list[SessionEnd]) -> None:
        try:
            await self._control.report(starts, ends)
        except Failure:
            return
        except InterlockError as error:
            _LOG.error("The control plane refuses a report for good: %s", error)
        self._settle(starts, ends)

    def _settle(self, starts: list[SessionStart], ends: list[SessionEnd]) -> None:
        for start in starts:
            self._starts.pop(start.id, None)
            landed = self._landed.get(start.id)
            if landed is not None and not landed.done():
                landed.set_result(None)
        for end in ends:
            self._landed.pop(end.id, None)
            self._counts.pop(end.id, None)
            _, tell = self._ends.pop(end.id)
            tell()
