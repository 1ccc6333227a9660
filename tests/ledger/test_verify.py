from dataclasses import replace
from datetime import timedelta

import pytest

from interlock.ledger.links import GENESIS, link
from interlock.ledger.verify import Broken, Verified, Verifier, verify
from tests.ledger.entries import Row, ledger_of, relinked


def test_an_empty_ledger_holds() -> None:
    assert verify([]) == Verified(0, GENESIS.hex())


def test_a_ledger_holds() -> None:
    rows = ledger_of()
    assert verify(rows) == Verified(4, rows[-1].link)


def test_the_link_is_over_the_last_link_and_the_body() -> None:
    first = ledger_of()[0]
    assert link(GENESIS, first.body).hex() == first.link
    with pytest.raises(ValueError, match="32 bytes"):
        link(b"", first.body)


@pytest.mark.parametrize("index", range(4))
def test_a_missing_entry_is_named(index: int) -> None:
    rows = ledger_of()
    del rows[index]
    result = verify(rows)
    if index == 3:
        # What a chain alone cannot show; the head does.
        assert result == Verified(3, rows[-1].link)
    else:
        assert isinstance(result, Broken)
        assert result.position == index + 1
        assert "missing" in result.reason


@pytest.mark.parametrize("index", range(4))
def test_a_changed_body_is_named(index: int) -> None:
    rows = ledger_of()
    rows[index] = replace(rows[index], body=rows[index].body.replace(b"system", b"nobody"))
    assert _place(verify(rows)) == index + 1


@pytest.mark.parametrize("index", range(4))
def test_a_changed_link_is_named(index: int) -> None:
    rows = ledger_of()
    rows[index] = replace(rows[index], link=rows[index].link.upper() if index else "0" * 64)
    assert _place(verify(rows)) == index + 1


@pytest.mark.parametrize(
    "shown",
    [{"actor": "lead@example.com"}, {"kind": "person.ended"}, {"at": ledger_of()[0].at + timedelta(microseconds=1)}],
    ids=["actor", "kind", "at"],
)
def test_what_is_shown_beside_the_body_must_be_what_it_says(shown: dict[str, object]) -> None:
    rows = ledger_of()
    rows[1] = Row(**{**{name: getattr(rows[1], name) for name in Row.__slots__}, **shown})
    result = verify(rows)
    assert _place(result) == 2
    assert isinstance(result, Broken)
    assert "shown with another" in result.reason


def test_a_rewritten_ledger_must_still_hold_known_events_in_their_places() -> None:
    rows = ledger_of()
    rows[2] = replace(rows[2], body=rows[2].body.replace(b'"request.opened"', b'"request.erased"'))
    assert _place(verify(relinked(rows))) == 3
    rows = ledger_of()
    rows[2] = replace(rows[2], body=rows[2].body.replace(b'"position":3', b'"position":4'))
    assert _place(verify(relinked(rows))) == 3
    rows = ledger_of()
    rows[2] = replace(rows[2], body=b" " + rows[2].body)
    assert _place(verify(relinked(rows))) == 3


def test_entries_can_be_given_one_by_one_and_broken_stays_broken() -> None:
    rows = ledger_of()
    verifier = Verifier()
    assert verifier.add(rows[0]) is None
    assert verifier.result == Verified(1, rows[0].link)
    broken = verifier.add(rows[2])
    assert broken is not None
    assert verifier.add(rows[1]) == broken
    assert _place(verifier.result) == 2


def _place(result: Verified | Broken) -> int | None:
    return result.position if isinstance(result, Broken) else None
