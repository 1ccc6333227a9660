"""What ends a session, and how fast: by the feed, by the worker's clock, mid-statement, past a client that is stuck."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from interlock.gateway.settings import Limits
from tests.gateway.world import DEV, Gate, gateway, outer_worker, policy, surroundings, until


async def test_an_ended_grant_cuts_running_statements(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as gate, outer_worker(gate):
        gate.lend("reader")
        clients = [await gate.enter() for _ in range(20)]
        for client in clients:
            await client.say("wait 60000")
        await until(lambda: gate.store.lines.count("wait 60000") == len(clients))
        gate.desk.drop("grants", "g-1")
        # how long it takes is measured by bench.cut
        for client in clients:
            assert "g-1 (reader) has ended" in await client.rest()
        await until(lambda: len(gate.desk.ends) == len(clients))
        session = next(iter(gate.desk.ends))
        records = await gate.recording(session)
        assert records[-2]["type"] == "outcome"
        assert records[-2]["error"].startswith("cut off")
        await until(lambda: all(visit.closed for visit in gate.store.visits))


@pytest.mark.parametrize(
    ("where", "key", "why"),
    [
        ("people", DEV, "dev@acme.example has left"),
        ("logins", "l-1", "the login l-1 is over"),
        ("contracts", "acme-work", "the contract acme-work is over"),
    ],
)
async def test_whatever_a_session_rests_on_ends_it(tmp_path: Path, where: str, key: str, why: str) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        client = await gate.enter()
        gate.desk.drop(where, key)
        assert await client.rest() == f"*Interlock ended this session: {why}."


async def test_of_two_grants_the_first_that_ends_ends_the_session(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        gate.lend("writer", "g-2")
        client = await gate.enter()
        assert await client.ask("set a 1") == "+set 1"
        gate.desk.drop("grants", "g-2")
        assert "g-2 (writer) has ended" in await client.rest()
        again = await gate.enter()
        assert (await again.ask("set a 1")).startswith("-write of key a on things is not allowed")


async def test_rights_do_not_grow(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        client = await gate.enter()
        gate.lend("writer", "g-2")
        assert (await client.ask("set a 1")).startswith("-write of key a on things is not allowed")


async def test_an_order_to_cut_reaches_its_session_alone(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        one, other = await gate.enter(), await gate.enter()
        await until(lambda: len(gate.desk.starts) == 2)
        first, _ = gate.desk.starts
        gate.desk.put("cuts", first, "lead@example.com cut it: enough.")
        assert await one.rest() == "*Interlock ended this session: lead@example.com cut it: enough."
        assert await other.ask("get a") == "+(nothing)"


async def test_the_window_ends_by_the_workers_own_clock(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader", last_s=2.0)
        client = await gate.enter()
        await client.say("wait 60000")
        assert await client.rest() == "*Interlock ended this session: the grant g-1 (reader) has ended."


async def test_a_shorter_window_ends_earlier(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        grant = gate.lend("reader")
        client = await gate.enter()
        gate.desk.put("grants", "g-1", replace(grant, ends_at=gate.desk.now()))
        assert "g-1 (reader) has ended" in await client.rest()


async def test_a_resource_that_moved_ends_its_sessions(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        client = await gate.enter()
        gate.desk.change_policy(policy(gate.store.port + 1, version=2))
        assert "the resource things is another one" in await client.rest()


async def test_a_policy_that_says_the_same_leaves_sessions_alone_and_a_narrower_one_decides(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("writer")
        client = await gate.enter()
        assert await client.ask("set a 1") == "+set 1"
        changed = policy(gate.store.port, version=2)
        narrow = replace(
            changed, yaml=changed.yaml.replace("[connect, read, write, destroy]", "[connect, read, destroy]")
        )
        narrow = replace(narrow, digest="narrow", yaml=narrow.yaml.replace("fence: {rows: 3}", ""))
        gate.desk.change_policy(narrow)
        await until(lambda: gate.worker is not None and _digest(gate) == "narrow")
        assert (await client.ask("set a 2")).startswith("-write of key a on things is not allowed")


def _digest(gate: Gate) -> str:
    rules = gate.worker.shared.follower.rules if gate.worker is not None else None
    return "" if rules is None else rules.digest


async def test_a_client_that_does_not_read_is_cut_all_the_same(tmp_path: Path) -> None:
    limits = Limits(write_high=32 * 1024, write_low=8 * 1024)
    async with gateway(tmp_path, limits=limits) as gate:
        gate.lend("reader")
        client = await gate.enter()
        await client.say(f"dump {512 * 1024 * 1024}")
        await asyncio.sleep(0.5)
        gate.desk.drop("grants", "g-1")
        await until(lambda: gate.store.visits[0].closed)
        await until(lambda: gate.desk.ends)


async def test_a_fault_in_one_machine_leaves_the_others_alone(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        broken, sound = await gate.enter(), await gate.enter()
        await broken.say("crash")
        assert await broken.rest() == "*The gateway met a fault of its own and ends this session."
        assert await sound.ask("get a") == "+(nothing)"
        await until(lambda: gate.desk.ends)
        (end,) = gate.desk.ends.values()
        assert end.why == "a fault of the gateway"


async def test_an_upstream_that_ends_is_told(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        client = await gate.enter()
        await client.say("wait 60000")
        await until(lambda: gate.store.lines)
        gate.store.hang_up()
        assert (await client.rest()).startswith("*The store")
        await until(lambda: gate.desk.ends)


async def test_a_half_closed_client_gets_its_answers(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.store.values["a"] = "1"
        gate.lend("reader")
        client = await gate.enter()
        client.writer.write(b"wait 300\nget a\n")
        client.writer.write_eof()
        assert await client.rest() == "+waited\n+1"
