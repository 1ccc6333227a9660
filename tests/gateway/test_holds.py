"""Held statements: what the client sees, every way in which the wait ends, and that only a yes lets anything run."""

import asyncio
from pathlib import Path

import pytest

from interlock.gateway.holds import describe_impact
from interlock.gateway.settings import Limits
from interlock.ports.protocol import Impact, PartImpact
from tests.gateway.world import Gate, ToyClient, gateway, until


async def _held(gate: Gate, line: str = "drop a") -> tuple[ToyClient, str]:
    gate.store.values["a"] = "1"
    gate.lend("writer")
    client = await gate.enter()
    told = await client.ask(line)
    assert told.startswith("!held: request r-")
    return client, told.split()[2]


@pytest.mark.parametrize("state", ["denied", "expired", "withdrawn"])
async def test_anything_but_a_yes_refuses(tmp_path: Path, state: str) -> None:
    async with gateway(tmp_path) as gate:
        client, request = await _held(gate)
        gate.desk.decide(request, state, "Because.")
        assert await client.line() == f"-{request}: Because. It did not run."
        assert gate.store.values == {"a": "1"}
        assert await client.ask("get a") == "+1"


async def test_an_approval_is_used_once(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        client, request = await _held(gate)
        gate.desk.decide(request, "approved")
        assert await client.line() == "+dropped 1"
        assert gate.desk.taken == [request]
        gate.store.values["a"] = "1"
        assert (await client.ask("drop a")).startswith("!held: request r-")


async def test_an_approval_that_cannot_be_taken_refuses(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        client, request = await _held(gate)
        gate.desk.taken.append(request)
        gate.desk.decide(request, "approved")
        assert await client.line() == f"-{request} is not approved. It did not run."
        assert gate.store.values == {"a": "1"}


async def test_a_client_that_leaves_withdraws(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        client, request = await _held(gate)
        client.close()
        await until(lambda: request in gate.desk.withdrawn)
        await until(lambda: gate.desk.ends)
        assert gate.store.values == {"a": "1"}


async def test_an_interrupt_withdraws_and_the_session_goes_on(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.store.values["a"] = "1"
        gate.lend("writer")
        client = await gate.enter()
        key = (await client.ask("KEY"))[1:]
        request = (await client.ask("drop a")).split()[2]
        await (await gate.connect()).say(f"INTERRUPT {key}")
        assert await client.line() == "-You withdrew it. It did not run."
        await until(lambda: request in gate.desk.withdrawn)
        assert await client.ask("get a") == "+1"


async def test_a_session_that_is_cut_withdraws(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        client, request = await _held(gate)
        gate.desk.drop("grants", "g-1")
        assert "has ended" in await client.rest()
        await until(lambda: request in gate.desk.withdrawn)


async def test_a_lost_control_plane_never_approves(tmp_path: Path) -> None:
    limits = Limits(stale_wait_s=0.5)
    async with gateway(tmp_path, lease_s=1.5, limits=limits) as gate:
        client, request = await _held(gate)
        gate.desk.shut()
        gate.desk.decide(request, "approved")
        assert (await client.line()).startswith("-It did not run. Nothing is allowed now, because this gateway has not")
        await gate.desk.open()
        await until(lambda: request in gate.desk.withdrawn)
        # The withdrawal goes by another connection than the feed, which may come back later.
        await until(lambda: gate.worker is not None and gate.worker.shared.follower.fresh)
        assert await client.ask("get a") == "+1"
        assert not gate.desk.taken


async def test_an_approval_while_the_control_plane_was_away_is_found(tmp_path: Path) -> None:
    async with gateway(tmp_path, lease_s=1.5) as gate:
        client, request = await _held(gate)
        gate.desk.shut()
        gate.desk.decide(request, "approved")
        await until(lambda: gate.worker is not None and not gate.worker.shared.follower.fresh)
        await gate.desk.open()
        assert await client.line() == "+dropped 1"


async def test_a_hold_that_was_parked_is_opened_unmeasured(tmp_path: Path) -> None:
    async with gateway(tmp_path, lease_s=1.5) as gate:
        gate.store.values["a"] = "1"
        gate.lend("writer")
        client = await gate.enter()
        await until(lambda: len(gate.desk.starts) == 1)
        gate.desk.shut()
        await until(lambda: gate.worker is not None and not gate.worker.shared.follower.fresh)
        await client.say("drop a")
        await asyncio.sleep(0.2)
        await gate.desk.open()
        told = await client.line()
        assert "what drop would change is not known: The gateway had lost the control plane when it came" in told
        gate.desk.decide(told.split()[2], "approved")
        assert await client.line() == "+dropped 1"


async def test_a_right_that_went_away_meanwhile_is_not_given_back_by_an_approval(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        client, request = await _held(gate)
        text = gate.desk.snapshot.policy.yaml.replace("write, destroy]", "write]").replace("hold: [destroy]", "")
        gate.desk.change_policy(type(gate.desk.snapshot.policy)(2, "narrow", text))
        gate.desk.decide(request, "approved")
        assert (await client.line()).startswith("-It was approved, and is no longer allowed: destroy of key a")
        assert not gate.desk.taken


async def test_a_fenced_write_within_the_fence_passes_and_one_past_it_can_be_denied(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.store.values.update({f"a{n}": "1" for n in range(4)})
        gate.lend("writer")
        client = await gate.enter()
        assert await client.ask("set a1* 2") == "+set 1"
        request = (await client.ask("set a* 3")).split()[2]
        assert gate.desk.holds[request].impact.over_fence == 4
        gate.desk.decide(request, "denied", "No.")
        assert await client.line() == f"-{request}: No. It did not run."
        assert sorted(set(gate.store.values.values())) == ["1", "2"]
        session = next(iter(gate.desk.starts))
        client.close()
        records = await gate.recording(session)
        assert [r["error"] for r in records if r["type"] == "outcome"] == ["", "rolled back"]


async def test_a_write_that_cannot_be_counted_is_held(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("writer")
        client = await gate.enter()
        assert await client.ask("begin") == "+begin"
        told = await client.ask("set a 1")
        assert told.startswith("!held: request r-")


def test_an_impact_reads_as_a_sentence() -> None:
    orders = PartImpact("table public.orders", deleted=10_000, total=10_000)
    items = PartImpact("table public.items", deleted=30_000, total=30_000)
    assert describe_impact("DELETE", Impact((orders, items))) == (
        "DELETE would change 10,000 of 10,000 rows in table public.orders and 30,000 in table public.items"
    )
    added = PartImpact("table public.orders", inserted=500, total=0)
    assert describe_impact("INSERT", Impact((added,))) == "INSERT would change 500 rows in table public.orders"
    assert describe_impact("UPDATE", Impact(over_fence=7)) == (
        "UPDATE changed 7 rows, more than the fence lets through, and was rolled back"
    )
    assert describe_impact("DROP", Impact((), ("view v",))) == "DROP would change no rows · would go too: view v"
    assert describe_impact("CALL", Impact(unmeasured="It is a secret.")) == (
        "what CALL would change is not known: It is a secret"
    )
