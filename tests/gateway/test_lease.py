"""A worker that has lost the control plane, or its sense of time, decides nothing, and comes back by itself."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tests.toy
from interlock.domain.codec import to_plain
from interlock.gateway.settings import Limits
from interlock.gateway.worker import working
from interlock.ports.control import PasswordHolder
from tests.gateway.world import DEV, Gate, gateway, surroundings, until
from tests.support.control import DeskLink

LEASE_S = 1.5


def _fresh(gate: Gate) -> bool:
    return gate.worker is not None and gate.worker.shared.follower.fresh


async def test_without_a_word_for_the_lease_statements_wait_and_nobody_comes_in(tmp_path: Path) -> None:
    async with gateway(tmp_path, lease_s=LEASE_S) as gate:
        gate.lend("reader")
        client = await gate.enter()
        await until(lambda: len(gate.desk.starts) == 1)
        gate.desk.shut()
        await until(lambda: not _fresh(gate))
        await client.say("get a")
        with pytest.raises(TimeoutError):
            await client.line(0.3)
        assert not gate.store.lines
        gate.desk.passwords["sesame@things"] = PasswordHolder(DEV, "l-1")
        said = await (await gate.connect()).ask("HELLO things sesame")
        assert said.startswith("-No session is opened now, because this gateway has not heard from the control plane")
        await gate.desk.open()
        assert await client.line() == "+(nothing)"


async def test_a_feed_that_falls_silent_is_opened_anew(tmp_path: Path) -> None:
    async with gateway(tmp_path, lease_s=LEASE_S) as gate:
        gate.desk.beating = False
        await until(lambda: gate.desk.snapshots_sent >= 2)


async def test_a_statement_waits_for_a_bounded_time(tmp_path: Path) -> None:
    async with gateway(tmp_path, lease_s=LEASE_S, limits=Limits(stale_wait_s=0.4)) as gate:
        gate.lend("reader")
        client = await gate.enter()
        await until(lambda: len(gate.desk.starts) == 1)
        gate.desk.shut()
        await until(lambda: not _fresh(gate))
        said = await client.ask("get a")
        assert said.startswith("-Nothing is allowed now, because this gateway has not heard from the control plane")
        assert not gate.store.lines
        await gate.desk.open()
        await until(lambda: _fresh(gate))
        assert await client.ask("get a") == "+(nothing)"


async def test_a_control_plane_that_is_back_within_the_lease_is_not_missed(tmp_path: Path) -> None:
    async with gateway(tmp_path, lease_s=3) as gate:
        gate.lend("reader")
        client = await gate.enter()
        gate.desk.shut()
        assert await client.ask("get a") == "+(nothing)"
        await gate.desk.open()
        await until(lambda: gate.desk.snapshots_sent == 2)
        assert await client.ask("get a") == "+(nothing)"


async def test_an_end_that_was_missed_is_found_in_the_next_snapshot(tmp_path: Path) -> None:
    async with gateway(tmp_path, lease_s=3) as gate:
        gate.lend("reader")
        client = await gate.enter()
        gate.desk.shut()
        gate.desk.drop("grants", "g-1")
        await gate.desk.open()
        assert "g-1 (reader) has ended" in await client.rest()


async def test_the_next_change_shows_that_one_was_lost_and_nothing_of_it_is_trusted(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        client = await gate.enter()
        gate.desk.beating = gate.desk.greeting = False
        gate.desk.losing = True
        gate.desk.drop("grants", "g-1")
        gate.desk.losing = False
        assert await client.ask("get a") == "+(nothing)"
        gate.lend("writer", "g-2")
        await until(lambda: not _fresh(gate))
        assert gate.worker is not None
        follower = gate.worker.shared.follower
        assert "was never heard" in follower.why_stale
        assert follower.snapshot is not None
        assert set(follower.snapshot.grants) == {"g-1"}
        await client.say("get a")
        with pytest.raises(TimeoutError):
            await client.line(0.3)
        gate.desk.greeting = True
        assert "g-1 (reader) has ended" in await client.rest()
        assert len([line for line in gate.store.lines if line == "get a"]) == 1
        assert set(follower.snapshot.grants) == {"g-2"}


async def test_a_beat_shows_that_the_last_change_was_lost(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        client = await gate.enter()
        gate.desk.losing = True
        gate.desk.drop("grants", "g-1")
        assert "g-1 (reader) has ended" in await client.rest()
        assert gate.desk.snapshots_sent == 2


async def test_what_does_not_fit_counts_at_once_even_when_the_connection_does_not_close(tmp_path: Path) -> None:
    closing = asyncio.Event()

    class Lingering(DeskLink):
        async def feed(self) -> AsyncIterator[Mapping[str, Any]]:
            try:
                async for message in super().feed():
                    yield message
            finally:
                closing.set()
                await asyncio.Event().wait()

    async with surroundings(tmp_path) as gate:
        link = Lingering(gate.desk.port)
        async with working(gate.settings(), {"toy": tests.toy.PROTOCOL}, link) as worker:
            await until(lambda: worker.shared.follower.fresh)
            gate.desk.say({"type": "beat", "version": 99, "at": to_plain(gate.desk.now())})
            await closing.wait()
            assert not worker.shared.follower.fresh


async def test_a_change_that_was_told_twice_starts_again_from_a_snapshot(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        known = gate.desk.snapshot.version
        gate.lend("reader")
        again = {"type": "change", "after": known, "version": known + 1, "at": to_plain(gate.desk.now())}
        gate.desk.say({**again, "drop": {"grants": ["g-1"]}})
        await until(lambda: gate.desk.snapshots_sent == 2)
        await gate.enter()


@pytest.mark.parametrize(
    "message",
    [
        {"type": "change", "version": 0, "put": {}, "drop": {}},
        {"type": "change", "version": 99, "after": 98},
        {"type": "change", "version": 99, "after": None},
        {"type": "beat", "version": 0},
        {"type": "beat", "version": 99},
        {"type": "change", "version": 99, "put": {"unheard-of": {}}},
        {"type": "change", "version": 99, "put": {"grants": {"g-9": {"id": 7}}}},
        {"type": "change", "version": "many"},
    ],
)
async def test_a_feed_that_does_not_fit_starts_again_from_a_snapshot(
    tmp_path: Path, message: dict[str, object]
) -> None:
    async with gateway(tmp_path) as gate:
        gate.desk.say({"at": to_plain(gate.desk.now()), "after": gate.desk.snapshot.version, **message})
        await until(lambda: gate.desk.snapshots_sent == 2)
        await until(lambda: _fresh(gate))


async def test_a_message_of_a_later_version_is_passed_over(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.desk.say({"type": "weather", "rain": True})
        gate.lend("reader")
        client = await gate.enter()
        assert await client.ask("get a") == "+(nothing)"
        assert gate.desk.snapshots_sent == 1


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_control_plane_whose_clock_jumped_is_asked_for_a_snapshot(tmp_path: Path, hours: int) -> None:
    async with gateway(tmp_path, lease_s=2) as gate:
        grant = gate.lend("reader", last_s=1800)
        client = await gate.enter()
        gate.desk.clock_off = timedelta(hours=hours)
        await until(lambda: gate.desk.snapshots_sent == 2)
        if gate.desk.now() > grant.ends_at:
            assert "g-1 (reader) has ended" in await client.rest()
        else:
            await until(lambda: _fresh(gate))
            assert gate.worker is not None
            assert abs(gate.worker.shared.now() - gate.desk.now()) < timedelta(seconds=1)


async def test_a_feed_that_does_not_begin_with_a_snapshot_is_left(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        assert gate.worker is not None
        gate.desk.shut()
        said = json.dumps({"type": "beat", "version": 10**6, "at": to_plain(gate.desk.now())}).encode()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(said + b"\n")
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", gate.desk.port):
            await until(lambda: not _fresh(gate))
        await gate.desk.open()
        await until(lambda: _fresh(gate))


async def test_a_policy_that_cannot_be_read_allows_nothing_until_another_comes(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        good = gate.desk.snapshot.policy
        gate.lend("reader")
        client = await gate.enter()
        gate.desk.change_policy(type(good)(2, "bad", "resources: 7"))
        await until(lambda: not _fresh(gate))
        await client.say("get a")
        with pytest.raises(TimeoutError):
            await client.line(0.3)
        gate.desk.change_policy(good)
        assert await client.line() == "+(nothing)"


async def test_a_gateway_that_is_told_to_stop_decides_nothing_until_it_may_go_on(tmp_path: Path) -> None:
    async with gateway(tmp_path, limits=Limits(stale_wait_s=0.3)) as gate:
        gate.lend("reader")
        client = await gate.enter()
        assert await client.ask("get a") == "+(nothing)"
        gate.desk.say({"type": "stop", "why": "the sink siem cannot be told what happens, and must be"})
        await until(lambda: not _fresh(gate))
        said = await client.ask("get a")
        assert said.startswith("-Nothing is allowed now, because the sink siem cannot be told what happens")
        # what else is heard, beats and changes, does not start it again
        gate.lend("reader", "g-2")
        await asyncio.sleep(0.3)
        assert not _fresh(gate)
        assert "the sink siem" in await gate.knock()
        gate.desk.say({"type": "go"})
        await until(lambda: _fresh(gate))
        assert await client.ask("get a") == "+(nothing)"


async def test_a_statement_that_waits_runs_when_the_gateway_may_go_on(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        client = await gate.enter()
        gate.desk.say({"type": "stop", "why": "the sink siem cannot be told what happens, and must be"})
        await until(lambda: not _fresh(gate))
        await client.say("get a")
        await asyncio.sleep(0.2)
        gate.desk.say({"type": "go"})
        assert await client.line() == "+(nothing)"
