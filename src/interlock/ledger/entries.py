"""The body of a ledger entry: an event with its place, its time and its actor, as the bytes that are hashed.

The body is the canonical JSON of ``{"actor", "at", "event", "kind", "position"}``. Everything that matters about an
entry is inside it, so that nothing outside of the hash needs to be believed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from interlock.domain.codec import from_plain, to_plain
from interlock.domain.event import Event
from interlock.domain.events import EVENTS
from interlock.ledger.canonical import NotCanonical, canonical, read_canonical

_NAMES = frozenset({"actor", "at", "event", "kind", "position"})


class Unreadable(ValueError):
    """A body that is not the canonical form of a known event in its place; the text says why."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the ledger holds it."""

    position: int
    at: datetime
    actor: str
    event: Event


def body_of(recorded: Recorded) -> bytes:
    """The bytes that are hashed and kept. Raises NotCanonical for text or numbers that JSON cannot hold."""
    event = recorded.event
    if EVENTS.get(event.kind) is not type(event):
        raise TypeError(f"{type(event).__name__} is not one of the ledger's kinds of event")
    return canonical(
        {
            "actor": recorded.actor,
            "at": to_plain(recorded.at),
            "event": to_plain(event),
            "kind": event.kind,
            "position": recorded.position,
        }
    )


def read_body(body: bytes) -> Recorded:
    """What ``body`` says. Raises Unreadable."""
    try:
        plain = read_canonical(body)
    except NotCanonical as error:
        raise Unreadable(f"its body is damaged: {error}") from error
    if not isinstance(plain, Mapping) or plain.keys() != _NAMES:
        raise Unreadable("its body is not that of a ledger entry")
    kind = EVENTS.get(plain["kind"]) if isinstance(plain["kind"], str) else None
    if kind is None:
        raise Unreadable(f"its kind {plain['kind']!r} is not known to this version")
    try:
        recorded = Recorded(
            position=from_plain(int, plain["position"]),
            at=from_plain(datetime, plain["at"]),
            actor=from_plain(str, plain["actor"]),
            event=from_plain(kind, plain["event"]),
        )
    except ValueError as error:
        raise Unreadable(f"its body does not read as {kind.kind}: {error}") from error
    if to_plain(recorded.at) != plain["at"]:
        raise Unreadable("its time is not written as times are")
    return recorded
