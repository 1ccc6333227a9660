"""Who has heard of an end, and who may still go on as if there were none.

A gateway worker decides by what it was told, for its lease at most. So an end is certain when each worker that may go
on has said that it applied it, or may go on no more.

Holds to:

* INVARIANT: before a worker is told anything by which it may go on, it stands in ``Reading.followings`` for at least as
  long as it could (:func:`longest_after`). Who is not there when the end has been committed is told of the end first
* a worker says that it applied an end after its own knowledge has it and every session that rested on it was cut, and
  after it has reported the sessions that it opened. Each worker of a gateway speaks for itself
* a session that its gateway could not report is cut with the lease, with what runs in it; one that it did is named by
  itself, until its end has been reported
* nobody's word counts for another gateway, and none for what is not in the ledger yet
* a gateway that says so and does not do so is not found out here: it holds the credentials of its resources, and is
  trusted with them (docs/threat-model.md)
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from interlock.ports.control import TOLERANCE_S
from interlock.ports.state import Following, Reading, State

BEATS_IN_A_LEASE = 4
_LATER = timedelta(seconds=TOLERANCE_S + 2)
"""Besides what may come late: a session that nobody here knows of is found and cut a second after the lease."""
ANSWER_WITHIN_S = 0.7
"""How long an act that ends something waits for the gateways before it answers; a directory's from when it asked."""
_LOOK_S = 0.02
_LONGEST_LOOK_S = 0.1


def longest_after(lease: timedelta) -> timedelta:
    """For how long a worker may go on by what it is told within the next beat's time.

    What is told is taken up to a lease late at the beginning (a snapshot is no older when it comes), by the tolerance
    later after that, and holds for a lease from then on.
    """
    return lease / BEATS_IN_A_LEASE + lease + _LATER + lease


async def have_not_heard(reading: Reading, position: int) -> Sequence[Following]:
    """The workers that may go on as if what the ledger has at ``position`` had not happened."""
    return [one for one in await reading.followings() if one.applied < position]


async def await_hearing(state: State, position: int, within_s: float = ANSWER_WITHIN_S) -> bool:
    """Wait until every gateway has heard of ``position``, for ``within_s`` at most. Whether all have."""
    loop = asyncio.get_running_loop()
    until, pause_s = loop.time() + within_s, _LOOK_S
    while True:
        async with state.reading() as reading:
            if not await have_not_heard(reading, position):
                return True
        if loop.time() + pause_s >= until:
            return False
        await asyncio.sleep(pause_s)
        pause_s = min(_LONGEST_LOOK_S, pause_s * 1.5)
