"""While `interlock connect` waits for a touch, being asked to stop breaks nothing off in the middle."""

import os
import signal
import time

import pytest

from interlock.cli.presence import stop_asked


@pytest.fixture(autouse=True)
def _as_a_terminal_has_it() -> None:
    # A shell's background job ignores the one, what nohup started the other, and so would we.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_is_told_where_it_is_waited_for_and_nowhere_else(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_asked() as stopped:
        assert not stopped(0)
        for _ in range(1000):
            os.kill(os.getpid(), number)
            # What a call to the server does meanwhile goes on: nothing is raised here.
            sum(range(100))
        assert stopped(0)
        assert stopped(60)
    assert signal.getsignal(number) is before


def test_it_ends_the_wait_at_once() -> None:
    with stop_asked() as stopped:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        began = time.monotonic()
        assert stopped(600)
        assert time.monotonic() - began < 300
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_what_is_not_to_be_heard_stays_unheard() -> None:
    """As nohup has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_asked() as stopped:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stopped(0)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
