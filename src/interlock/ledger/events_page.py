"""docs/events.md, made from the events themselves: `python -m interlock.ledger.events_page > docs/events.md`."""

import dataclasses
import sys
from typing import get_type_hints

from interlock.domain.event import Event
from interlock.domain.events import EVENTS
from interlock.domain.sensitivity import FIELDS, sensitivity_of

_HEAD = """\
# Events

Every kind of entry in the [ledger](ledger.md). An entry's body is the canonical JSON of
`{"actor", "at", "event", "kind", "position"}`; `actor` is a person's name, `gateway:NAME` or `system`, and `event` has
the fields below. A kind keeps its name and its fields for ever; it may gain fields, each with a default.

Every field has a class. `public`: numbers, digests, kinds, names of rules and resources. `sensitive`: what speaks of a
person, or was written by one. `secret`: what may hold the contents of a protected system. A field without a class is
secret.

This page is made from the source: `python -m interlock.ledger.events_page > docs/events.md`. A test fails when it is
stale.
"""


def page() -> str:
    return "\n".join([_HEAD, *(_section(EVENTS[kind]) for kind in sorted(EVENTS))])


def _section(event: type[Event]) -> str:
    said = " ".join((event.__doc__ or "").split())
    hints = get_type_hints(event)
    lines = [f"## {event.kind}", "", said, "", "| field | type | class |", "| --- | --- | --- |"]
    lines += [f"| `{f.name}` | {_type(hints[f.name])} | {sensitivity_of(f.name)} |" for f in dataclasses.fields(event)]
    return "\n".join(lines) + "\n"


def _type(hint: object) -> str:
    text = hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
    for long, short in (
        ("datetime.datetime", "time"),
        ("datetime", "time"),
        ("collections.abc.Mapping[str, object]", "object"),
        ("tuple[str, ...]", "list of text"),
        ("str", "text"),
        ("int", "number"),
        (" | None", " or null"),
    ):
        text = text.replace(long, short)
    return text


def unclassed() -> list[str]:
    """The fields that nobody has classed, as ``kind.field``."""
    return [
        f"{kind}.{field.name}"
        for kind, event in EVENTS.items()
        for field in dataclasses.fields(event)
        if field.name not in FIELDS
    ]


if __name__ == "__main__":
    sys.stdout.write(page())
