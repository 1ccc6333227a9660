"""Which policy a control plane that starts works with.

Holds to:

* the very first start applies its file: there is nobody yet who could propose it
* so does a later one while fewer than two persons have ever signed in; from then on a file that differs from the active
  policy is not applied: whoever means it proposes it (``interlock policy propose``), and the active policy goes on
* what the active policy says of people and contracts is put into effect at each start, as at its activation
* decided under the lock of all decisions, so that the second sign-in and a start that applies do not pass each other
"""

from dataclasses import dataclass

from interlock.ports.state import Reading
from interlock.services.apply_configuration import Applied, NothingNewError, apply_or_nothing
from interlock.services.desk import SYSTEM, Desk


@dataclass(frozen=True, slots=True)
class Started:
    """``differs``: the file says something else than the active policy, which goes on."""

    applied: Applied
    differs: bool


async def start_policy(desk: Desk) -> Started:
    """Put the policy into effect that this start may; ``desk.configuration`` is the active one afterwards."""
    differs = False
    try:
        async with desk.ending(SYSTEM) as work:
            active = await work.policy()
            if active is not None and active.digest != desk.configuration.digest and not await is_first(work):
                differs = True
                desk.adopt(active)
            applied = await apply_or_nothing(work, desk.configuration, desk.clock.now())
    except NothingNewError as nothing:
        applied = nothing.applied
    return Started(applied, differs)


async def is_first(reading: Reading) -> bool:
    """Whether fewer than two persons have ever signed in."""
    return len(await reading.signed_in(limit=2)) < 2
