"""What is looked for, and what was found; for those who may read the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass

from interlock.domain.detections import Alarm
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.reading_rights import check_may_read_ledger


@dataclass(frozen=True, slots=True)
class Watched:
    """A detection: ``detect`` is its rule's name in the configuration."""

    name: str
    detect: str
    response: str


@dataclass(frozen=True, slots=True)
class WatchKept:
    """``alarms`` are the newest, the newest first."""

    detections: tuple[Watched, ...]
    alarms: Sequence[Alarm]


async def list_alarms(desk: Desk, *, person: str, limit: int = 200) -> WatchKept:
    """Raises Refusal (``not-yours``)."""
    async with desk.state.reading() as reading:
        check_may_read_ledger(await acting_person(reading, person))
        alarms = await reading.alarms(limit=limit)
    detections = desk.configuration.detections.values()
    return WatchKept(tuple(Watched(one.name, one.rule.detect, one.response.value) for one in detections), alarms)
