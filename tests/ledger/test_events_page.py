"""Every event is documented, and every field of every event has its class."""

from pathlib import Path

from interlock.domain.events import EVENTS
from interlock.domain.sensitivity import FIELDS, Sensitivity, sensitivity_of
from interlock.ledger.events_page import page, unclassed

PAGE = Path(__file__).parents[2] / "docs" / "events.md"


def test_the_page_is_what_the_events_say() -> None:
    assert PAGE.read_text() == page(), "type: python -m interlock.ledger.events_page > docs/events.md"


def test_every_field_has_a_class() -> None:
    assert unclassed() == [], "class the new fields in src/interlock/domain/sensitivity.py"


def test_every_event_says_what_it_is() -> None:
    for event in EVENTS.values():
        assert (event.__doc__ or "").endswith("."), event


def test_what_nobody_has_classed_is_secret() -> None:
    assert sensitivity_of("some field of tomorrow") is Sensitivity.SECRET
    assert sensitivity_of("content") is Sensitivity.SECRET
    assert {"person", "reason", "address"} <= {name for name, found in FIELDS.items() if found is Sensitivity.SENSITIVE}
