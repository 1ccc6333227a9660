"""The rules of detections: each looks at one observed entry after another, and says when it fires.

A rule remembers in plain JSON. What it is to look at, with which numbers, is :mod:`interlock.domain.detections`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from interlock.domain.codec import to_plain
from interlock.domain.detections import (
    BeforeEnd,
    BrokenGlass,
    FirstUse,
    OffHours,
    Refusals,
    Repeated,
    Rule,
    SamePair,
    Volume,
)
from interlock.domain.durations import format_duration
from interlock.domain.work_events import SessionClosed, SessionCounted, SessionOpened
from interlock.ledger.watch_facts import Observed

Memory = dict[str, Any]


class Looking(Protocol):
    def look(self, seen: Observed, memory: Memory) -> str | None:
        """A sentence when it fires. ``memory`` is this rule's own, to be changed in place."""


def looking_for(rule: Rule) -> Looking:
    match rule:
        case FirstUse():
            return _FirstUse()
        case OffHours():
            return _OffHours(rule)
        case Volume():
            return _Volume(rule)
        case Refusals():
            return _Refusals(rule)
        case SamePair():
            return _SamePair(rule)
        case BeforeEnd():
            return _BeforeEnd(rule)
        case BrokenGlass():
            return _BrokenGlass()
        case Repeated():
            return _Repeated(rule)


class _FirstUse:
    def look(self, seen: Observed, memory: Memory) -> str | None:
        if not isinstance(seen.event, SessionOpened):
            return None
        used: list[str] = memory.setdefault(seen.person, [])
        if seen.resource in used:
            return None
        used.append(seen.resource)
        if not seen.vendor:
            return None
        return f"{seen.person} of {seen.vendor} uses {seen.resource} for the first time."


class _OffHours:
    def __init__(self, rule: OffHours) -> None:
        self._rule = rule
        self._zone = ZoneInfo(rule.zone)

    def look(self, seen: Observed, memory: Memory) -> str | None:
        if isinstance(seen.event, SessionClosed):
            memory.pop(seen.session, None)
            return None
        if not isinstance(seen.event, SessionOpened | SessionCounted) or seen.session in memory:
            return None
        # a session's own time of opening, not that of its report
        at = seen.event.opened_at if isinstance(seen.event, SessionOpened) else seen.at
        local = at.astimezone(self._zone)
        if local.weekday() in self._rule.days and self._within(local):
            return None
        memory[seen.session] = True
        return f"{seen.person} uses {seen.resource} at {local:%H:%M} on a {local:%A} ({self._rule.zone})."

    def _within(self, local: datetime) -> bool:
        start, end, now = self._rule.start, self._rule.end, local.time()
        return start <= now < end if start < end else now >= start or now < end


class _Volume:
    def __init__(self, rule: Volume) -> None:
        self._rule = rule

    def look(self, seen: Observed, memory: Memory) -> str | None:
        if not seen.rows:
            return None
        day = seen.at.astimezone(UTC).date()
        since = (day - timedelta(days=self._rule.days)).isoformat()
        person: Memory = memory.setdefault(seen.person, {"days": {}, "fired": ""})
        person["days"] = {name: rows for name, rows in person["days"].items() if name >= since}
        days: dict[str, int] = person["days"]
        days[day.isoformat()] = today = days.get(day.isoformat(), 0) + seen.rows
        earlier = [rows for name, rows in days.items() if name != day.isoformat()]
        if not earlier or person["fired"] == day.isoformat():
            return None
        if today <= max(self._rule.least, self._rule.times * max(earlier)):
            return None
        person["fired"] = day.isoformat()
        return (
            f"{seen.person} has had {today:,} rows today; the busiest of the last {self._rule.days} days had "
            f"{max(earlier):,}."
        )


class _Window:
    """So many within a time, for each person."""

    def __init__(self, count: int, within: timedelta) -> None:
        self._count = count
        self._within = within

    def add(self, seen: Observed, number: int, memory: Memory) -> int | None:
        """The sum, when it has come to the count; it begins anew then."""
        now = seen.at.timestamp()
        since = now - self._within.total_seconds()
        kept = [[at, n] for at, n in memory.get(seen.person, []) if at > since]
        kept.append([now, number])
        total = int(sum(n for _, n in kept))
        if total >= self._count:
            memory.pop(seen.person, None)
            return total
        memory[seen.person] = kept
        return None


class _Refusals:
    def __init__(self, rule: Refusals) -> None:
        self._rule = rule
        self._window = _Window(rule.count, rule.within)

    def look(self, seen: Observed, memory: Memory) -> str | None:
        total = self._window.add(seen, seen.refused, memory) if seen.refused else None
        if total is None:
            return None
        return f"{seen.person} was refused {total} times within {format_duration(self._rule.within)}."


class _SamePair:
    def __init__(self, rule: SamePair) -> None:
        self._count = rule.count

    def look(self, seen: Observed, memory: Memory) -> str | None:
        if not seen.approvers:
            return None
        before = memory.get(seen.person, {"of": [], "length": 0})
        common = sorted(seen.approvers.intersection(before["of"]))
        length = before["length"] + 1 if common else 1
        memory[seen.person] = {"of": common or sorted(seen.approvers), "length": length}
        if length < self._count or length % self._count:
            return None
        return f"The last {length} requests of {seen.person} were all approved by {' and '.join(common)}."


class _BeforeEnd:
    def __init__(self, rule: BeforeEnd) -> None:
        self._within = rule.within

    def look(self, seen: Observed, memory: Memory) -> str | None:
        for name, end in seen.ends.items():
            if end - seen.at <= self._within:
                return (
                    f"{seen.person} uses {seen.resource} under the contract {name}, which ends "
                    f"{end:%Y-%m-%d %H:%M} UTC."
                )
        return None


class _BrokenGlass:
    def look(self, seen: Observed, memory: Memory) -> str | None:
        if seen.event.kind != "glass.broken":
            return None
        reason = getattr(seen.event, "reason", "")
        return f"{seen.person} broke the glass on {seen.resource}: {reason}"


class _Repeated:
    def __init__(self, rule: Repeated) -> None:
        self._rule = rule
        self._window = _Window(rule.count, rule.within)

    def look(self, seen: Observed, memory: Memory) -> str | None:
        if seen.event.kind != self._rule.on or not self._fits(seen):
            return None
        total = self._window.add(seen, 1, memory)
        if total is None:
            return None
        times = "" if total == 1 else f" {total} times within {format_duration(self._rule.within)}"
        by = seen.person or seen.recorded.actor
        return f"{self._rule.on}{times}: {by}."

    def _fits(self, seen: Observed) -> bool:
        plain = to_plain(seen.event)
        for name, wanted in self._rule.where.items():
            value = plain.get(name)
            if str(value) != wanted and not (isinstance(value, list) and wanted in value):
                return False
        return True
