from datetime import UTC, datetime, timedelta, timezone

import pytest

from interlock.domain.event import Event
from interlock.domain.rights_events import PersonAdded
from interlock.ledger.canonical import NotCanonical, canonical, read_canonical
from interlock.ledger.entries import Recorded, Unreadable, body_of, read_body
from tests.ledger.entries import EVENTS, START

GOOD = body_of(Recorded(1, START, "system", EVENTS[0]))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_a_body_reads_back_as_what_was_recorded(event: Event) -> None:
    recorded = Recorded(7, START, "gateway:one", event)
    assert read_body(body_of(recorded)) == recorded


def test_the_body_holds_everything() -> None:
    assert GOOD == (
        b'{"actor":"system","at":"2026-11-01T08:30:00.000125Z",'
        b'"event":{"groups":["dba"],"person":"lead@example.com","vendor":null},"kind":"person.added","position":1}'
    )


def test_one_moment_has_one_body() -> None:
    elsewhere = START.astimezone(timezone(timedelta(hours=2)))
    assert body_of(Recorded(1, elsewhere, "system", EVENTS[0])) == GOOD


def test_a_field_that_came_later_takes_its_default() -> None:
    plain = read_canonical(body_of(Recorded(1, START, "system", EVENTS[3])))
    del plain["event"]["by"]
    with pytest.raises(Unreadable, match=r"does not read as grant\.ended"):
        read_body(canonical(plain))
    plain = read_canonical(body_of(Recorded(1, START, "system", EVENTS[2])))
    del plain["event"]["content"]
    assert read_body(canonical(plain)).event.kind == "request.opened"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "person.vanished"}, "not known"),
        ({"kind": 5}, "not known"),
        ({"position": "1"}, "does not read"),
        ({"position": True}, "does not read"),
        ({"at": "2026-11-01T08:30:00.000125+00:00"}, "not written as times are"),
        ({"at": "2026-11-01T08:30:00.000125"}, "does not read"),
        ({"at": "yesterday"}, "does not read"),
        ({"event": []}, "does not read"),
        ({"event": {"person": "a", "vendor": 3, "groups": []}}, "does not read"),
        ({"more": 1}, "not that of a ledger entry"),
    ],
)
def test_a_body_that_is_not_an_event_in_its_place(change: dict[str, object], reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read_body(canonical({**read_canonical(GOOD), **change}))


def test_text_that_json_cannot_hold_has_no_body() -> None:
    with pytest.raises(NotCanonical):
        body_of(Recorded(1, datetime.now(UTC), "system", PersonAdded(person="\udcff", vendor=None, groups=())))


def test_only_the_ledgers_own_kinds_have_a_body() -> None:
    with pytest.raises(TypeError, match="not one of the ledger's kinds"):
        body_of(Recorded(1, START, "system", Event()))
