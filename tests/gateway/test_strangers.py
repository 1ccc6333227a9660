"""Connections that nobody has vouched for: bounded, and the oldest makes room."""

from interlock.gateway.strangers import Strangers


class Stranger:
    def __init__(self, strangers: Strangers) -> None:
        self.dropped = ""
        self._strangers = strangers

    def drop(self, why: str) -> None:
        self.dropped = why
        self._strangers.leave(self)


def test_the_oldest_of_the_same_address_makes_room() -> None:
    strangers = Strangers(10, 2)
    first, other, second, third = (Stranger(strangers) for _ in range(4))
    strangers.enter(first, "a")
    strangers.enter(other, "b")
    strangers.enter(second, "a")
    strangers.enter(third, "a")
    assert "its address" in first.dropped
    assert not second.dropped + third.dropped + other.dropped
    assert len(strangers) == 3


def test_the_oldest_of_all_makes_room() -> None:
    strangers = Strangers(3, 2)
    all_of_them = [Stranger(strangers) for _ in range(5)]
    for place, stranger in enumerate(all_of_them):
        strangers.enter(stranger, f"address {place}")
    assert [bool(stranger.dropped) for stranger in all_of_them] == [True, True, False, False, False]


def test_who_is_known_is_no_stranger() -> None:
    strangers = Strangers(1, 1)
    known = Stranger(strangers)
    strangers.enter(known, "a")
    strangers.leave(known)
    strangers.leave(known)
    strangers.enter(Stranger(strangers), "a")
    assert not known.dropped
    assert len(strangers) == 1
    strangers.drop_all("done")
    assert len(strangers) == 0
