"""What is published of the ledger at this moment, and which of its keys signs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from interlock.errors import InterlockError
from interlock.ledger.audit import Current, Trust, find_current
from interlock.ledger.notes import read_verifier
from interlock.ledger.verify import Broken
from interlock.web.services import Services


@dataclass(frozen=True, slots=True)
class Replaced:
    """Entry ``position`` let another key follow the one of this number (hex), which signs as well until ``until``, or
    no more."""

    number: str
    position: int
    until: datetime
    signs: bool


async def current_ledger(services: Services) -> Current | Broken:
    """Raises Failure when the store cannot be read."""
    return await find_current(services.published, Trust(read_verifier(services.ledger_key)))


def ledger_key_of(services: Services, current: Current | Broken) -> str:
    """The newest key that is published; as long as that cannot be known, the one that this control plane began with."""
    return str(current.key) if isinstance(current, Current) else services.ledger_key


async def newest_ledger_key(services: Services) -> str:
    try:
        return ledger_key_of(services, await current_ledger(services))
    except InterlockError:
        return services.ledger_key


def replaced_keys(current: Current | Broken, now: datetime) -> Sequence[Replaced]:
    if isinstance(current, Broken):
        return ()
    steps = reversed(current.chain.steps)
    return [Replaced(step.older.number.hex(), step.position, step.until, now < step.until) for step in steps]
