"""A small ledger to try things on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from interlock.domain.event import Event
from interlock.domain.rights_events import GrantEnded, PersonAdded, RequestOpened
from interlock.ledger.entries import Recorded, body_of
from interlock.ledger.links import GENESIS, link

START = datetime(2026, 11, 1, 8, 30, 0, 125, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    position: int
    at: datetime
    actor: str
    kind: str
    body: bytes
    link: str


EVENTS: Sequence[Event] = (
    PersonAdded(person="lead@example.com", vendor=None, groups=("dba",)),
    PersonAdded(person="dev@acme.example", vendor="acme", groups=()),
    RequestOpened(
        request="r-00000001",
        request_kind="grant",
        person="dev@acme.example",
        resource="orders",
        role="writer",
        digest="ab" * 32,
        reason="to mend order №7 – “now”",
        content={"duration_s": 7200, "parameters": ["x", None], "share": 0.5},
    ),
    GrantEnded(grant="g-00000001", by="lead@example.com", reason=""),
)


def ledger_of(events: Sequence[Event] = EVENTS) -> list[Row]:
    rows: list[Row] = []
    head = GENESIS
    for position, event in enumerate(events, 1):
        at = START + timedelta(seconds=position)
        body = body_of(Recorded(position, at, "system", event))
        head = link(head, body)
        rows.append(Row(position, at, "system", event.kind, body, head.hex()))
    return rows


def relinked(rows: Sequence[Row]) -> list[Row]:
    """The same bodies with links that fit: what somebody could make who may rewrite everything."""
    head = GENESIS
    fresh = []
    for row in rows:
        head = link(head, row.body)
        fresh.append(Row(row.position, row.at, row.actor, row.kind, row.body, head.hex()))
    return fresh
