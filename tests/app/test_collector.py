"""What start-up made is not looked at again, and what comes later still is."""

import gc
import weakref

from interlock.app.collector import settle_collector


class Ring:
    def __init__(self) -> None:
        self.itself = self


def test_only_what_comes_later_is_looked_at() -> None:
    gone = weakref.ref(Ring())
    try:
        settle_collector()
        assert gone() is None
        assert gc.get_freeze_count() > 10_000
        assert len(gc.get_objects()) < 5_000
        later = weakref.ref(Ring())
        gc.collect()
        assert later() is None
    finally:
        gc.unfreeze()
