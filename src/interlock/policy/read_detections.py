"""The section ``detections``: what to look for in the ledger's stream, and what to do when it is there."""

from collections.abc import Callable, Mapping
from datetime import time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from interlock.domain.detections import (
    BeforeEnd,
    BrokenGlass,
    Detection,
    FirstUse,
    OffHours,
    Refusals,
    Repeated,
    Response,
    Rule,
    SamePair,
    Volume,
)
from interlock.domain.events import EVENTS
from interlock.domain.work_events import DetectionFired
from interlock.policy.draft import Draft, Section, named_entries, shown
from interlock.policy.mistakes import did_you_mean
from interlock.policy.nodes import Table
from interlock.policy.scalars import read_count, read_duration, read_list, read_name, read_text

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def read_detections(draft: Draft) -> dict[str, Detection]:
    detections = {}
    for key, node in named_entries(draft, "detections", "detection"):
        path = ("detections", key.text)
        read_name(draft, key, path, "the detection's name")
        section = Section(draft, node, path, "detections.NAME", f"the detection {key.text}")
        rule, response = _read_rule(section), _read_response(section)
        if rule is not None and response is not None:
            detections[key.text] = Detection(key.text, rule, response)
    return detections


def _read_response(section: Section) -> Response | None:
    text = _text(section, "do", "write do: notify, hold or cut")
    if text is None:
        return None
    try:
        return Response(text)
    except ValueError:
        section.draft.add(section.at("do"), f"{section.where} does {shown(text)}", "write do: notify, hold or cut")
        return None


def _read_rule(section: Section) -> Rule | None:
    names = ", ".join(READERS)
    text = _text(section, "detect", f"write detect: and one of {names}")
    if text is None:
        return None
    if text not in READERS:
        section.draft.add(
            section.at("detect"),
            f"{section.where} looks for {shown(text)}, which is not known",
            did_you_mean(text, READERS, otherwise=f"write one of {names}"),
        )
        return None
    keys, read = READERS[text]
    for key in section.written():
        if key not in ("detect", "do", *keys):
            takes = f"it takes {', '.join(keys)}" if keys else "it takes detect and do alone"
            section.draft.add(section.at(key), f"{section.where} has {key}, which {text} does not take", takes)
    return read(section)


def _read_off_hours(section: Section) -> Rule | None:
    hours, days, zone = _hours(section), _days(section), _zone(section)
    if hours is None or days is None or zone is None:
        return None
    return OffHours(*hours, days, zone)


def _hours(section: Section) -> tuple[time, time] | None:
    node = section.get("hours")
    if node is None:
        return OffHours().start, OffHours().end
    text = read_text(section.draft, node, section.at("hours"), f"hours of {section.where}") or ""
    start, _, end = text.partition("-")
    try:
        found = time.fromisoformat(start.strip()), time.fromisoformat(end.strip())
    except ValueError:
        found = None
    if found is None or found[0] == found[1] or found[0].tzinfo or found[1].tzinfo:
        section.draft.add(
            section.at("hours"), f"hours of {section.where} are {shown(text)}", 'write them as "07:00-19:00"'
        )
        return None
    return found


def _days(section: Section) -> frozenset[int] | None:
    node = section.get("days")
    if node is None:
        return OffHours().days
    found = read_list(
        section.draft, node, section.at("days"), f"days of {section.where}", empty="leave it out for all of mon to fri"
    )
    if found is None:
        return None
    for place, text in found:
        if text not in DAYS:
            section.draft.add(place, f"{shown(text)} is no day", f"write some of {', '.join(DAYS)}")
            return None
    return frozenset(DAYS.index(text) for _, text in found)


def _zone(section: Section) -> str | None:
    node = section.get("zone")
    if node is None:
        return OffHours().zone
    text = read_text(section.draft, node, section.at("zone"), f"zone of {section.where}")
    if text is None:
        return None
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        section.draft.add(
            section.at("zone"),
            f"this machine knows no time zone {shown(text)}",
            "write one such as Europe/Berlin or UTC (the package tzdata has them)",
        )
        return None
    return text


def _read_volume(section: Section) -> Rule | None:
    default = Volume()
    times = _count(section, "times", default.times)
    least = _count(section, "least", default.least)
    if times is None or least is None:
        return None
    return Volume(times, least)


def _read_refusals(section: Section) -> Rule | None:
    default = Refusals()
    count, within = _count(section, "count", default.count), _duration(section, default.within)
    return None if count is None or within is None else Refusals(count, within)


def _read_same_pair(section: Section) -> Rule | None:
    count = _count(section, "count", SamePair().count, least=2)
    return None if count is None else SamePair(count)


def _read_before_end(section: Section) -> Rule | None:
    within = _duration(section, BeforeEnd().within)
    return None if within is None else BeforeEnd(within)


def _read_event(section: Section) -> Rule | None:
    on = _text(section, "on", "write on: and a kind of event, as docs/events.md names it")
    default = Repeated("")
    count, within, where = _count(section, "count", 1), _duration(section, default.within), _where(section)
    if on is None or count is None or within is None or where is None:
        return None
    if on not in EVENTS:
        section.draft.add(section.at("on"), f"there is no event {shown(on)}", did_you_mean(on, EVENTS))
        return None
    if on == DetectionFired.kind:
        section.draft.add(section.at("on"), f"{section.where} looks for itself", "look for another event")
        return None
    return Repeated(on, where, count, within)


def _where(section: Section) -> Mapping[str, str] | None:
    node = section.get("where")
    if node is None:
        return {}
    path = section.at("where")
    if not isinstance(node, Table):
        section.draft.add(path, f"where of {section.where} is not a mapping", "write where: {FIELD: VALUE}")
        return None
    found = {}
    for key, value in node.entries:
        text = read_text(section.draft, value, (*path, key.text), f"{shown(key.text)} of {section.where}")
        if text is None:
            return None
        found[key.text] = text
    return found


def _count(section: Section, key: str, default: int, *, least: int = 1) -> int | None:
    node = section.get(key)
    if node is None:
        return default
    return read_count(section.draft, node, section.at(key), f"{key} of {section.where}", least=least)


def _duration(section: Section, default: timedelta) -> timedelta | None:
    node = section.get("within")
    if node is None:
        return default
    return read_duration(section.draft, node, section.at("within"), f"within of {section.where}")


def _text(section: Section, key: str, right: str) -> str | None:
    node = section.need(key, right)
    return None if node is None else read_text(section.draft, node, section.at(key), f"{key} of {section.where}")


READERS: Mapping[str, tuple[tuple[str, ...], Callable[[Section], Rule | None]]] = {
    FirstUse.detect: ((), lambda _: FirstUse()),
    OffHours.detect: (("hours", "days", "zone"), _read_off_hours),
    Volume.detect: (("times", "least"), _read_volume),
    Refusals.detect: (("count", "within"), _read_refusals),
    SamePair.detect: (("count",), _read_same_pair),
    BeforeEnd.detect: (("within",), _read_before_end),
    BrokenGlass.detect: ((), lambda _: BrokenGlass()),
    Repeated.detect: (("on", "where", "count", "within"), _read_event),
}
"""What can be looked for: the keys that each takes besides ``detect`` and ``do``, and how it is read."""
