"""The worker's time is the control plane's, whatever happens to the date of this machine."""

from datetime import UTC, datetime, timedelta

import pytest

from interlock.gateway.clock import WorkerClock

THEN = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Clocks:
    def __init__(self) -> None:
        self.steady = 1000.0
        self.wall = 50_000.0
        self.clock = WorkerClock(lambda: self.steady, lambda: self.wall)
        self.clock.anchor(THEN)

    def pass_s(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += seconds


def test_the_time_is_carried_from_the_last_word() -> None:
    clocks = Clocks()
    clocks.pass_s(90)
    assert clocks.clock.now() == THEN + timedelta(seconds=90)
    assert clocks.clock.steady_at(THEN + timedelta(seconds=100)) == pytest.approx(clocks.steady + 10)


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_date_that_jumps_moves_nothing_and_is_told(jump_s: float) -> None:
    clocks = Clocks()
    clocks.pass_s(5)
    assert clocks.clock.wall_jump() == 0.0
    clocks.wall += jump_s
    assert clocks.clock.now() == THEN + timedelta(seconds=5)
    assert clocks.clock.wall_jump() == pytest.approx(jump_s)
    clocks.clock.anchor(THEN + timedelta(hours=1))
    assert clocks.clock.wall_jump() == 0.0
    assert clocks.clock.now() == THEN + timedelta(hours=1)


def test_a_small_drift_is_no_jump() -> None:
    clocks = Clocks()
    clocks.wall += 2.9
    assert clocks.clock.wall_jump() == 0.0


def test_words_refine_the_time_and_late_ones_are_told() -> None:
    clocks = Clocks()
    clocks.pass_s(10)
    assert clocks.clock.hear(THEN + timedelta(seconds=11)) == 0.0
    assert clocks.clock.now() == THEN + timedelta(seconds=11)
    clocks.pass_s(10)
    assert clocks.clock.hear(THEN + timedelta(seconds=20)) == 0.0
    assert clocks.clock.now() == THEN + timedelta(seconds=21)
    assert clocks.clock.hear(THEN + timedelta(seconds=17)) == pytest.approx(-4)
    assert clocks.clock.hear(THEN + timedelta(seconds=60)) == pytest.approx(39)
    assert clocks.clock.now() == THEN + timedelta(seconds=21)
