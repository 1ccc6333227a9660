"""A worker says that an end was applied after it cut what rested on it, and after it told of what it cut."""

import asyncio
from pathlib import Path

from tests.gateway.world import DEV, Gate, gateway, inner_worker, surroundings, until


def _said(gate: Gate, version: int) -> bool:
    return any(applied >= version for applied in gate.desk.applied)


async def test_what_was_told_first_is_said_to_be_applied(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        await until(lambda: _said(gate, gate.desk.snapshot.version))


async def test_an_end_is_applied_when_its_sessions_are_cut_and_known(tmp_path: Path) -> None:
    """The control plane hears of each session that was cut no later than that the end was applied."""
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        clients = [await gate.enter() for _ in range(20)]
        # as if they came in the same moment: none of them has been told of
        gate.desk.drop("people", DEV)
        version = gate.desk.snapshot.version
        await until(lambda: _said(gate, version))
        assert len(gate.desk.starts) == 20
        assert gate.worker is not None
        assert len(gate.worker.shared.sessions) == 0
        for client in clients:
            assert "has left" in await client.rest()
        assert "get a" not in gate.store.lines
        assert (await gate.knock()).startswith("-")


async def test_it_is_said_within_a_moment(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        client = await gate.enter()
        await until(lambda: _said(gate, gate.desk.snapshot.version))
        loop = asyncio.get_running_loop()
        gate.desk.drop("people", DEV)
        began, version = loop.time(), gate.desk.snapshot.version
        await until(lambda: _said(gate, version))
        assert loop.time() - began < 5
        assert "has left" in await client.rest()


async def test_a_control_plane_that_does_not_answer_is_told_when_it_does(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        client = await gate.enter()
        await until(lambda: _said(gate, gate.desk.snapshot.version))
        gate.desk.answering = False
        gate.desk.drop("people", DEV)
        version = gate.desk.snapshot.version
        assert "has left" in await client.rest()
        assert not _said(gate, version)
        gate.desk.answering = True
        await until(lambda: _said(gate, version))


async def test_an_end_that_was_lost_is_not_said_to_be_applied(tmp_path: Path) -> None:
    """Only with the snapshot that heals the gap, which has cut the session."""
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        client = await gate.enter()
        await until(lambda: _said(gate, gate.desk.snapshot.version))
        gate.desk.beating = gate.desk.greeting = False
        gate.desk.losing = True
        gate.desk.drop("people", DEV)
        gate.desk.losing = False
        version = gate.desk.snapshot.version
        gate.desk.drop("grants", "g-none")
        assert gate.worker is not None
        await until(lambda: gate.worker is not None and not gate.worker.shared.follower.fresh)
        assert not _said(gate, version)
        gate.desk.greeting = True
        await until(lambda: _said(gate, version))
        assert "has left" in await client.rest()


async def test_a_start_that_is_refused_for_good_does_not_silence_the_worker(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        gate.desk.refuse_first_report = True
        client = await gate.enter()
        gate.desk.drop("people", DEV)
        version = gate.desk.snapshot.version
        assert "has left" in await client.rest()
        await until(lambda: _said(gate, version))


async def test_two_workers_each_say_it(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as gate, inner_worker(gate), inner_worker(gate, 1):
        gate.desk.drop("people", DEV)
        version = gate.desk.snapshot.version
        await until(lambda: sum(applied >= version for applied in gate.desk.applied) >= 2)


async def test_a_session_that_could_not_be_told_of_ends_with_the_lease(tmp_path: Path) -> None:
    """The control plane could name it to nobody, so it may not live while nothing is said to remain."""
    async with gateway(tmp_path, lease_s=1.5) as gate:
        gate.lend("reader")
        known = await gate.enter()
        await until(lambda: len(gate.desk.starts) == 1)
        gate.desk.taking_reports = False
        unknown = await gate.enter()
        gate.desk.shut()
        assert "the control plane does not know of it yet" in await unknown.rest()
        await known.say("get a")
        gate.desk.taking_reports = True
        await gate.desk.open()
        assert await known.line() == "+(nothing)"
