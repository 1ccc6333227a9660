"""Detections: what to look for in the ledger's stream, and what is done when it is there.

A detection is one rule with a name and a response. The rules are declared under ``detections`` in interlock.yaml.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import ClassVar


class Response(StrEnum):
    """``notify`` writes it in the ledger, and so tells every sink; ``hold`` lets the next statement run only when
    another person approves it; ``cut`` ends the session. Both of these are in the ledger too."""

    NOTIFY = "notify"
    HOLD = "hold"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class FirstUse:
    """A contractor opens a session on a resource for the first time."""

    detect: ClassVar[str] = "first-use"


@dataclass(frozen=True, slots=True)
class OffHours:
    """A session is opened, or used, outside of these hours: from ``start`` until before ``end``, on ``days`` (0 is
    Monday), in the time of ``zone``."""

    detect: ClassVar[str] = "off-hours"
    start: time = time(7)
    end: time = time(19)
    days: frozenset[int] = frozenset(range(5))
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Volume:
    """More rows on one day (UTC) than ``times`` those of the busiest of this person's days in the last ``days``, and
    more than ``least``. Who has no such day has no baseline yet."""

    detect: ClassVar[str] = "volume"
    times: int = 3
    least: int = 10_000
    days: int = 28


@dataclass(frozen=True, slots=True)
class Refusals:
    """So many refusals of one person ``within`` a time: statements, sign-ins and requests that were denied."""

    detect: ClassVar[str] = "refusals"
    count: int = 10
    within: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class SamePair:
    """The last ``count`` requests of one person that were approved have all been approved by the same other one."""

    detect: ClassVar[str] = "same-pair"
    count: int = 5


@dataclass(frozen=True, slots=True)
class BeforeEnd:
    """A session is opened under a contract that ends ``within`` this time."""

    detect: ClassVar[str] = "before-end"
    within: timedelta = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class BrokenGlass:
    """Somebody took a role without an approval, by breaking glass."""

    detect: ClassVar[str] = "break-glass"


@dataclass(frozen=True, slots=True)
class Repeated:
    """Events of one kind whose fields are as ``where`` says, ``count`` of them for one person ``within`` a time."""

    detect: ClassVar[str] = "event"
    on: str
    where: Mapping[str, str] = field(default_factory=dict)
    count: int = 1
    within: timedelta = timedelta(minutes=10)


Rule = FirstUse | OffHours | Volume | Refusals | SamePair | BeforeEnd | BrokenGlass | Repeated


@dataclass(frozen=True, slots=True)
class Detection:
    name: str
    rule: Rule
    response: Response = Response.NOTIFY


@dataclass(frozen=True, slots=True)
class Alarm:
    """A detection fired at the entry ``position`` of the ledger; at one entry a detection fires once.

    ``person``, ``session``, ``resource`` and ``grant`` are what it is about, as far as the entry says; ``sessions``
    are those that it held or cut.
    """

    detection: str
    position: int
    response: Response
    at: datetime
    sentence: str
    person: str = ""
    session: str = ""
    resource: str = ""
    grant: str = ""
    sessions: tuple[str, ...] = ()
