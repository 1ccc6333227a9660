"""What must be told stops the gateways while it is not: from the first failure, and when it hangs."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from interlock.services.feed import Message, follow
from interlock.services.outflow import PATIENCE_S, Outflow
from tests.services.test_feed import credentials
from tests.services.world import World


def test_a_sink_that_hangs_counts_as_down_after_a_while() -> None:
    at = [100.0]
    outflow = Outflow(["siem"], lambda: at[0])
    outflow.told("siem")
    outflow.sending("siem")
    assert "siem" not in outflow.why_stopped
    at[0] += PATIENCE_S + 0.1
    outflow.sending("siem")
    assert "the sink siem cannot" in outflow.why_stopped
    outflow.told("siem")
    assert not outflow.why_stopped


def test_a_sink_that_is_not_enforced_stops_nothing() -> None:
    outflow = Outflow(["siem"])
    outflow.told("siem")
    outflow.failed("file")
    outflow.sending("file")
    assert not outflow.why_stopped


def test_each_of_several_must_be_told() -> None:
    outflow = Outflow(name for name in ("a", "b"))
    outflow.told("a")
    assert "sink b " in outflow.why_stopped
    outflow.told("b")
    outflow.failed("a")
    outflow.failed("b")
    assert "sink a and b " in outflow.why_stopped


async def _until(messages: AsyncGenerator[Message, None], wanted: Callable[[Message], bool]) -> Message:
    async with asyncio.timeout(10):
        async for message in messages:
            if wanted(message):
                return message
    raise AssertionError("the feed ended")


async def test_the_feed_says_stop_and_go(world: World) -> None:
    outflow = Outflow(["siem"])
    async with aclosing(follow(world.desk, credentials(world), outflow, lasts=world.lasts)) as messages:
        first = await anext(messages)
        assert first["stopped"] == "the sink siem cannot be told what happens, and must be"
        outflow.told("siem")
        assert await _until(messages, lambda message: message["type"] in {"stop", "go"}) == {"type": "go"}
        outflow.failed("siem")
        said = await _until(messages, lambda message: message["type"] in {"stop", "go"})
        assert said == {"type": "stop", "why": "the sink siem cannot be told what happens, and must be"}
