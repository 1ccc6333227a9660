"""Forged recordings: each is detected and named, and nothing else is blamed."""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from interlock.app.kept_recordings import KeptRecordings
from interlock.domain.event import Event
from interlock.domain.rights_events import ApprovalGiven, RequestOpened
from interlock.domain.work_events import RecordingDeleted, RecordingKept, SessionClosed, SessionOpened
from interlock.gateway.sealing import Kept, RecordingStore, keep_records
from interlock.ledger.entries import Recorded, body_of
from interlock.wire.segments import Header, Segment, segment_path

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
ONE, OTHER = "s-0000000000001", "s-0000000000002"


@dataclass
class Site:
    """Recordings in a folder and the ledger's entries about them."""

    folder: Path
    events: list[Event] = field(default_factory=list)
    digests: dict[str, list[str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def path(self, session: str, number: int) -> Path:
        return self.folder / segment_path(self.digests[session][number - 1])

    async def verify(self, where: Path | None = None) -> str:
        """The sentence about the first thing that does not hold; empty when all does."""
        kept = KeptRecordings(str(where or self.folder))
        for position, event in enumerate(self.events, 1):
            if reason := await kept.check(position, body_of(Recorded(position, AT, "gateway:gw1", event))):
                return reason
        self.said = kept.deleted
        broken = kept.finish()
        return "" if broken is None else broken.reason

    def change(self, kind: type[Event], session: str, number: int = 0, **changes: object) -> None:
        """Change the ``number``-th event of a kind about a session, as one who writes the ledger would."""
        found = [
            at for at, one in enumerate(self.events) if type(one) is kind and getattr(one, "session", "") == session
        ]
        changed: Event = replace(self.events[found[number]], **changes)
        self.events[found[number]] = changed


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Two sessions at once, each with four segments in two reports."""
    site = Site(tmp_path / "recordings")
    store = RecordingStore(str(site.folder))
    for session in (ONE, OTHER):
        site.events.append(_opened(session))
        site.digests[session] = []
    kept = {session: (secrets.token_bytes(32), Kept()) for session in (ONE, OTHER)}
    for report in range(2):
        for session in (ONE, OTHER):
            key, before = kept[session]
            payloads = [_record(session, n) for n in range(4 * report + 1, 4 * report + 5)]
            now, stored = before, []
            for pair in (payloads[:2], payloads[2:]):
                now, more = keep_records(store, session, key, now, pair)
                stored += [segment.digest for segment in more]
            site.digests[session] += stored
            site.events.append(_kept(session, before, stored, now.records))
            kept[session] = (key, now)
    for session in (ONE, OTHER):
        site.events.append(_closed(session, kept[session][1]))
    return site


def _record(session: str, number: int) -> bytes:
    return (
        f'{{"session":"{session}","n":{number},"type":"statement","text":"select {secrets.token_hex(400)}"}}'.encode()
    )


def _opened(session: str) -> SessionOpened:
    return SessionOpened(
        session=session,
        person="dev",
        resource="orders",
        login="l-1",
        grants=("g-1",),
        gateway="gw1",
        address="10.0.0.9",
        client="psql",
        opened_at=AT,
    )


def _kept(session: str, before: Kept, digests: Sequence[str], records: int) -> RecordingKept:
    return RecordingKept(
        session=session, first=before.segments + 1, previous=before.head, digests=tuple(digests), records=records
    )


def _closed(session: str, kept: Kept) -> SessionClosed:
    return SessionClosed(
        session=session,
        person="dev",
        resource="orders",
        closed_at=AT,
        why="the client left",
        statements=8,
        recording=kept.head,
        segments=kept.segments,
    )


async def test_what_was_not_touched_holds(site: Site) -> None:
    assert await site.verify() == ""
    # a session that is still live, and so has no end yet, is no fault
    site.events.pop()
    assert await site.verify() == ""


async def test_a_segment_that_was_cut_off_is_named(site: Site) -> None:
    path = site.path(ONE, 2)
    path.write_bytes(path.read_bytes()[:-10])
    assert "Segment 2 of s-0000000000001, which entry 3 speaks of, is cut off" in await site.verify()
    path.write_bytes(b"")
    assert "Segment 2 of s-0000000000001, which entry 3 speaks of, was cut off" in await site.verify()


async def test_a_segment_with_one_bit_changed_is_named(site: Site) -> None:
    path = site.path(OTHER, 4)
    content = bytearray(path.read_bytes())
    content[-20] ^= 4
    path.write_bytes(content)
    assert await site.verify() == "Segment 4 of s-0000000000002, which entry 6 speaks of, was changed."


async def test_swapped_segments_are_named(site: Site) -> None:
    one, two = site.path(ONE, 1), site.path(ONE, 2)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    found = await site.verify()
    assert "Segment 1 of s-0000000000001" in found
    assert "is not there: segment 2 of s-0000000000001 is in its place" in found


async def test_another_sessions_segment_in_the_place_of_one_is_named(site: Site) -> None:
    site.path(ONE, 3).write_bytes(site.path(OTHER, 3).read_bytes())
    found = await site.verify()
    assert "Segment 3 of s-0000000000001" in found
    assert "segment 3 of s-0000000000002 is in its place" in found


async def test_a_removed_segment_is_named_also_while_the_session_lives(site: Site) -> None:
    site.path(ONE, 4).unlink()
    expected = (
        "Segment 4 of s-0000000000001, which entry 5 speaks of, is missing, and nothing in the ledger says that it was "
        "deleted."
    )
    assert await site.verify() == expected
    site.events = site.events[:-2]
    assert await site.verify() == expected


async def test_a_segment_replayed_in_the_ledger_is_named(site: Site) -> None:
    """A gateway, or who writes the ledger for it, says an old segment again, as a new one."""
    third, head = site.digests[ONE][2], site.digests[ONE][1]
    site.change(RecordingKept, ONE, 1, digests=(third, head))
    found = await site.verify()
    assert "Segment 4 of s-0000000000001" in found
    assert "is segment 2 of s-0000000000001: it was repeated or moved" in found
    site.change(RecordingKept, ONE, 1, digests=(third, site.digests[OTHER][3]))
    assert "is segment 4 of s-0000000000002: it was repeated or moved" in await site.verify()


async def test_segments_in_another_order_are_named(site: Site) -> None:
    one, two = site.digests[ONE][:2]
    site.change(RecordingKept, ONE, 0, digests=(two, one))
    assert "is segment 2 of s-0000000000001: it was repeated or moved" in await site.verify()


async def test_reports_that_were_left_out_repeated_or_moved_are_named(site: Site) -> None:
    events = list(site.events)
    site.events = [event for at, event in enumerate(events) if at != 2]
    assert "segments were left out, repeated or moved" in await site.verify()
    site.events = [*events[:3], events[2], *events[3:]]
    assert "segments were left out, repeated or moved" in await site.verify()
    site.events = [*events[:2], events[4], events[3], events[2], *events[5:]]
    assert "segments were left out, repeated or moved" in await site.verify()


async def test_a_tail_that_the_ledger_never_heard_of_is_named_at_the_sessions_end(site: Site) -> None:
    del site.events[4]
    found = await site.verify()
    assert "The recording of s-0000000000001 ends with segment 2" in found
    assert "its tail was cut off" in found


async def test_an_end_that_says_less_than_was_stored_is_named(site: Site) -> None:
    for changes in (
        {"segments": 2, "recording": site.digests[ONE][1]},
        {"segments": 0, "recording": ""},
        {"recording": site.digests[OTHER][3]},
    ):
        before = list(site.events)
        site.change(SessionClosed, ONE, **changes)
        assert "does not end with the segment that entry 7 speaks of" in await site.verify()
        site.events = before


async def test_what_is_no_segment_at_all_is_named(site: Site) -> None:
    """Something else under its own true hash: the ledger's entry was made for it."""
    store = RecordingStore(str(site.folder))
    stray = secrets.token_bytes(64)
    digest = hashlib.sha256(stray).hexdigest()
    store.create(Segment(Header(ONE, 4, "", 1, 1), stray, digest))
    site.change(RecordingKept, ONE, 1, digests=(site.digests[ONE][2], digest))
    assert "is no segment of a recording" in await site.verify()


async def test_segments_of_a_session_that_was_never_opened_are_named(site: Site) -> None:
    del site.events[0]
    assert "which was not open" in await site.verify()


# Deleted as it should be, and not


def _request(site: Site, **changes: Any) -> RequestOpened:
    content = {"recordings": [{"session": ONE, "person": "dev", "recording": site.digests[ONE][3]}]}
    opened = RequestOpened(
        request="r-1",
        request_kind="deletion",
        person="asker",
        resource="recordings",
        role="",
        digest="d" * 64,
        reason="its time is over",
        content=content,
    )
    return replace(opened, **changes)


def _approval(person: str, digest: str = "d" * 64) -> ApprovalGiven:
    return ApprovalGiven(request="r-1", person=person, digest=digest, present_at=AT)


def _stone(site: Site, **changes: Any) -> RecordingDeleted:
    stone = RecordingDeleted(
        session=ONE,
        request="r-1",
        by="asker",
        allowed_by=("one", "two"),
        reason="its time is over",
        recording=site.digests[ONE][3],
        segments=4,
    )
    return replace(stone, **changes)


def _erase(site: Site) -> None:
    for number in range(1, 5):
        site.path(ONE, number).unlink()


async def test_a_deleted_recording_has_a_tombstone_that_verifies(site: Site) -> None:
    _erase(site)
    site.events += [_request(site), _approval("one"), _approval("two"), _stone(site)]
    assert await site.verify() == ""
    (said,) = site.said
    assert "s-0000000000001 was deleted on 2026-11-28 12:00 UTC (entry 12)" in said
    assert said.endswith("asked for by asker (its time is over), allowed by one and two.")
    # and nothing else is excused by it
    site.path(OTHER, 1).unlink()
    assert "Segment 1 of s-0000000000002" in await site.verify()


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (lambda site: [_stone(site)], "no request to delete it"),
        (lambda site: [_request(site), _approval("one"), _stone(site)], "approvals of two persons do not stand"),
        (
            lambda site: [_request(site), _approval("one"), _stone(site, allowed_by=("one",))],
            "approvals of two persons do not stand",
        ),
        (
            lambda site: [_request(site), _approval("one"), _approval("two", "e" * 64), _stone(site)],
            "approvals of two persons do not stand",
        ),
        (
            lambda site: [_request(site), _approval("one"), _stone(site), _approval("two")],
            "approvals of two persons do not stand",
        ),
        (
            lambda site: [
                _request(site),
                _approval("one"),
                _approval("asker"),
                _stone(site, allowed_by=("asker", "one")),
            ],
            "allowed by who asked for it or was recorded",
        ),
        (
            lambda site: [_request(site), _approval("one"), _approval("dev"), _stone(site, allowed_by=("dev", "one"))],
            "allowed by who asked for it or was recorded",
        ),
        (
            lambda site: [_request(site, content={}), _approval("one"), _approval("two"), _stone(site)],
            "for another recording",
        ),
        (
            lambda site: [_request(site, person="else"), _approval("one"), _approval("two"), _stone(site)],
            "is another's",
        ),
        (
            lambda site: [_request(site, request_kind="grant"), _approval("one"), _approval("two"), _stone(site)],
            "no request to delete it",
        ),
    ],
)
async def test_a_forged_tombstone_is_named(site: Site, forge: Callable[[Site], list[Event]], said: str) -> None:
    _erase(site)
    site.events += forge(site)
    assert said in await site.verify()
