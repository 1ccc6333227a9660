"""The feed's messages, and what a change makes of a snapshot."""

from datetime import UTC, datetime

import pytest

from interlock.domain.codec import to_plain
from interlock.domain.people import Person
from interlock.domain.snapshot import PolicyText, Snapshot
from interlock.gateway.feed_messages import Beat, Change, FeedBroken, WatchAsked, Whole, apply_change, read_message

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SNAPSHOT = Snapshot(7, NOON, PolicyText(1, "digest", "text"), people={"a": Person("a"), "b": Person("b")})


def test_each_kind_of_message_is_read() -> None:
    at = to_plain(NOON)
    assert read_message({"type": "snapshot", "lease_s": 10, "snapshot": to_plain(SNAPSHOT)}) == Whole(10, SNAPSHOT)
    assert read_message({"type": "beat", "version": 7, "at": at}) == Beat(7, NOON)
    assert read_message({"type": "watch", "session": "s-1", "ticket": "t"}) == WatchAsked("s-1", "t")
    change = read_message(
        {
            "type": "change",
            "after": 7,
            "version": 8,
            "at": at,
            "put": {"people": {"c": {"name": "c"}}},
            "drop": {"cuts": ["s-1"]},
        }
    )
    assert change == Change(7, 8, NOON, {"people": {"c": Person("c")}}, {"cuts": ("s-1",)})
    assert isinstance(change, Change)
    assert change.touched == {("people", "c"), ("cuts", "s-1")}
    assert read_message({"type": "later"}) is None


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"type": "snapshot", "lease_s": 0, "snapshot": to_plain(SNAPSHOT)},
        {"type": "snapshot", "lease_s": 10, "snapshot": {"version": 1}},
        {"type": "change", "version": 8, "at": to_plain(NOON)},
        {"type": "change", "after": None, "version": 8, "at": to_plain(NOON)},
        {"type": "change", "after": 7, "version": 8, "at": "noon"},
        {"type": "change", "after": 7, "version": 8, "at": to_plain(NOON), "drop": {"rights": ["x"]}},
        {"type": "change", "after": 7, "version": 8, "at": to_plain(NOON), "put": {"people": {"c": {}}}},
        {"type": "beat", "at": to_plain(NOON)},
    ],
)
def test_a_message_that_cannot_be_read_breaks_the_feed(broken: dict[str, object]) -> None:
    with pytest.raises(FeedBroken):
        read_message(broken)


def test_a_change_makes_a_new_snapshot_and_leaves_the_old_one() -> None:
    change = Change(7, 8, NOON, {"people": {"c": Person("c")}}, {"people": ("a", "nobody")})
    after = apply_change(SNAPSHOT, change)
    assert set(after.people) == {"b", "c"}
    assert after.version == 8
    assert set(SNAPSHOT.people) == {"a", "b"}
    assert after.grants is SNAPSHOT.grants


def test_a_change_from_before_breaks_the_feed_and_one_of_the_same_moment_does_not() -> None:
    with pytest.raises(FeedBroken, match="went back from version 7 to 6"):
        apply_change(SNAPSHOT, Change(6, 8, NOON))
    with pytest.raises(FeedBroken, match="went back from version 7 to 6"):
        apply_change(SNAPSHOT, Change(7, 6, NOON))
    assert apply_change(SNAPSHOT, Change(7, 7, NOON)).version == 7


def test_a_change_that_follows_what_was_never_heard_breaks_the_feed() -> None:
    with pytest.raises(FeedBroken, match="between the versions 7 and 8 was never heard"):
        apply_change(SNAPSHOT, Change(8, 9, NOON))
    assert apply_change(SNAPSHOT, Change(7, 9, NOON)).version == 9
