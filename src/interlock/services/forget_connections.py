"""What connections were let in by is forgotten when it is long over: passwords, and proofs of presence.

Holds to:

* only what was over a day ago goes, by the database's own clock; the database itself holds to it, whoever asks
* so many at a time, each time with the entry that says how many; where nothing is over nothing is written
* what they were given for, by whom and when they were used stays in the ledger
* two control planes that do it at once forget each one once
"""

from interlock.domain.work_events import ConnectionsForgotten
from interlock.ports.state import UnitOfWork
from interlock.services.desk import SYSTEM, Desk

AT_ONCE = 1000


async def forget_connections(desk: Desk) -> int:
    """How many passes and passwords were forgotten. Raises Failure."""
    total = 0
    while found := await _forget_some(desk):
        total += found
    return total


async def _forget_some(desk: Desk) -> int:
    try:
        async with desk.state.changing(SYSTEM) as work:
            return await _forget_in(work)
    except _NothingOverError:
        return 0


async def _forget_in(work: UnitOfWork) -> int:
    passes, passwords = await work.forget_connections(AT_ONCE)
    if not passes + passwords:
        raise _NothingOverError
    work.record(ConnectionsForgotten(passes=passes, passwords=passwords))
    return passes + passwords


class _NothingOverError(Exception):
    """There is nothing to commit."""
