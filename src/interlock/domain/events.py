"""Every kind of event in the ledger, by its name. An event's docstring is its documentation for people."""

from collections.abc import Mapping
from types import ModuleType

from interlock.domain import delivery_events, guard_events, identity_events, rights_events, work_events
from interlock.domain.event import Event

_FILES: tuple[ModuleType, ...] = (rights_events, guard_events, identity_events, work_events, delivery_events)


def _all_kinds() -> dict[str, type[Event]]:
    kinds: dict[str, type[Event]] = {}
    for file in _FILES:
        for cls in vars(file).values():
            if not isinstance(cls, type) or not issubclass(cls, Event) or cls is Event:
                continue
            if cls.kind in kinds or not cls.kind:
                raise TypeError(f"the event kind {cls.kind!r} of {cls.__name__} is taken or empty")
            kinds[cls.kind] = cls
    return kinds


EVENTS: Mapping[str, type[Event]] = _all_kinds()
"""Every event class by its stable kind."""
