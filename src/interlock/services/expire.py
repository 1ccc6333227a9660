"""What ends by itself, written down: a sweep that every control plane makes every few seconds.

Holds to:

* an open request past its time becomes ``expired``; nobody could decide it since that moment anyway
* a contract past its end is written as ended, once, and so is what still rests on it
* a contract that was to be confirmed and was not pauses; one that ends within a fortnight is said to, once
* a grant past its window needs no event: everybody who reads it reads the window
* two control planes sweeping at once write each end once, and a sweep that finds nothing writes nothing
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from interlock.domain.grants import Request, RequestState
from interlock.domain.people import Contract
from interlock.domain.rights_events import ContractEnding
from interlock.ports.state import Reading, UnitOfWork
from interlock.services.desk import SYSTEM, Desk
from interlock.services.endings import MANY, Ended, Endings

WARNED_BEFORE = timedelta(days=14)


async def expire(desk: Desk) -> tuple[Ended, ...]:
    """What this sweep ended."""
    async with desk.state.reading() as reading:
        now = desk.clock.now()
        waiting = await _overdue_requests(reading, now), await _overdue_contracts(reading, now)
        if not any(waiting) and not await _unconfirmed(reading, now) and not await _ending_soon(reading, now):
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
        lapsed = Endings(work, by=SYSTEM, reason="its sponsor has not confirmed it in time", at=now)
        for contract in await _unconfirmed(work, now):
            await lapsed.pause(contract)
        warned = await _warn(work, now)
        requests = Endings(work, by=SYSTEM, reason="nobody decided it in time", at=now)
        for request in await _overdue_requests(work, now):
            await requests.request(request, RequestState.EXPIRED)
        ended = tuple(item for item, _ in (*contracts.ended, *lapsed.ended, *requests.ended))
        if not ended and not warned:
            raise _NothingLeftError
        return ended


async def _warn(work: UnitOfWork, now: datetime) -> bool:
    soon = await _ending_soon(work, now)
    for contract in soon:
        await work.save(replace(contract, warned_at=now))
        work.record(ContractEnding(contract=contract.name, sponsor=contract.sponsor, end=contract.end))
    return bool(soon)


async def _ending_soon(reading: Reading, now: datetime) -> Sequence[Contract]:
    return [
        c for c in await reading.contracts() if c.running(now) and c.warned_at is None and c.end <= now + WARNED_BEFORE
    ]


async def _unconfirmed(reading: Reading, now: datetime) -> Sequence[Contract]:
    return [c for c in await reading.contracts() if c.running(now) and c.review_due is not None and now >= c.review_due]


async def _overdue_requests(reading: Reading, now: datetime) -> Sequence[Request]:
    return [r for r in await reading.requests(state=RequestState.OPEN, limit=MANY) if now >= r.expires_at]


async def _overdue_contracts(reading: Reading, now: datetime) -> Sequence[Contract]:
    return [c for c in await reading.contracts() if c.ended_at is None and now >= c.end]
