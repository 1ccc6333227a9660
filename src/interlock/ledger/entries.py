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
    return Written(recorded.event).placed(recorded.position, Stamp(recorded.at, recorded.actor))


class Stamp:
    """When, and by whom: the same for all events of a unit of work. Raises NotCanonical as ``Written`` does."""

    __slots__ = ("text",)

    def __init__(self, at: datetime, actor: str) -> None:
        self.text = b'{"actor":%b,"at":%b' % (canonical(actor), canonical(to_plain(at)))


class Written:
    """An event's part of its body, made before its place is known: who gives places lets everybody else wait.

    Raises NotCanonical for text or numbers that JSON cannot hold.
    """

    __slots__ = ("_text", "kind")

    def __init__(self, event: Event) -> None:
        if EVENTS.get(event.kind) is not type(event):
            raise TypeError(f"{type(event).__name__} is not one of the ledger's kinds of event")
        self.kind = event.kind
        self._text = b'"event":%b,"kind":%b' % (canonical(to_plain(event)), canonical(event.kind))

    def placed(self, position: int, stamp: Stamp) -> bytes:
        """The body of the event in its place."""
        return b'%b,%b,"position":%d}' % (stamp.text, self._text, position)


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
