"""What ends by itself, written down: a sweep that every control plane makes every few seconds.

Holds to:

* an open request past its time becomes ``expired``; nobody could decide it since that moment anyway
* a contract past its end is written as ended, once, and so is what still rests on it
* a grant past its window needs no event: everybody who reads it reads the window
* two control planes sweeping at once write each end once, and a sweep that finds nothing writes nothing
"""

from collections.abc import Sequence
from datetime import datetime

from interlock.domain.grants import Request, RequestState
from interlock.domain.people import Contract
from interlock.ports.state import Reading
from interlock.services.desk import SYSTEM, Desk
from interlock.services.endings import MANY, Ended, Endings


async def expire(desk: Desk) -> tuple[Ended, ...]:
    """What this sweep ended."""
    async with desk.state.reading() as reading:
        now = desk.clock.now()
        if not await _overdue_requests(reading, now) and not await _overdue_contracts(reading, now):
            return ()
    try:
        return await _sweep(desk)
    except _NothingLeftError:
        return ()


class _NothingLeftError(Exception):
    """Another sweep was here first: there is nothing to commit."""


async def _sweep(desk: Desk) -> tuple[Ended, ...]:
    async with desk.ending(SYSTEM) as work:
        now = desk.clock.now()
        contracts = Endings(work, by=SYSTEM, reason="its time was over", at=now)
        for contract in await _overdue_contracts(work, now):
            await contracts.contract(contract)
        requests = Endings(work, by=SYSTEM, reason="nobody decided it in time", at=now)
        for request in await _overdue_requests(work, now):
            await requests.request(request, RequestState.EXPIRED)
        ended = tuple(item for item, _ in (*contracts.ended, *requests.ended))
        if not ended:
            raise _NothingLeftError
        return ended


async def _overdue_requests(reading: Reading, now: datetime) -> Sequence[Request]:
    return [r for r in await reading.requests(state=RequestState.OPEN, limit=MANY) if now >= r.expires_at]


async def _overdue_contracts(reading: Reading, now: datetime) -> Sequence[Contract]:
    return [c for c in await reading.contracts() if c.ended_at is None and now >= c.end]
