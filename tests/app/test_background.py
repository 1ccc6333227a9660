"""Work beside the requests outlives failures and our own faults, and ends with its block."""

import asyncio
import logging

import pytest

from interlock.app.background import beside, for_good
from interlock.errors import Failure

_LOG = logging.getLogger("interlock.test")


class Work:
    """Fails with each of ``failures`` in turn, then goes on until it is cancelled."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.going_on = asyncio.Event()
        self.ended = False

    async def __call__(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.going_on.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def test_a_failure_is_told_once_and_a_fault_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    down = Failure("It does not answer.", "Look.")
    work = Work(down, down, ZeroDivisionError(), Failure("It is full.", ""), down)
    async with beside(for_good(work, "Nothing is told", _LOG, pause_s=0)):
        async with asyncio.timeout(10):
            await work.going_on.wait()
    assert work.ended
    told = [record.getMessage().split(" Look")[0] for record in caplog.records]
    assert told == [
        "Nothing is told: It does not answer.",
        "Nothing is told, by a fault of ours.",
        "Nothing is told: It is full.",
        "Nothing is told: It does not answer.",
    ]


async def test_all_works_end_with_the_block() -> None:
    first, second = Work(), Work()
    async with beside(first(), second()):
        await first.going_on.wait()
        await second.going_on.wait()
    assert first.ended
    assert second.ended
