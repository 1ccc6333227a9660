"""A session that a detection wants held: its next statement waits for another person, and one approval ends that."""

from collections.abc import Mapping
from pathlib import Path

from tests.gateway.world import Gate, gateway, policy, until

WHY = "It is late. Another person must approve the next statement (detection nights, entry 7)."


async def _alarm(gate: Gate) -> str:
    """The one session is to be held, and the worker knows."""
    await until(lambda: bool(gate.desk.starts))
    session = next(iter(gate.desk.starts))
    gate.desk.put("alarms", session, WHY)
    await until(lambda: session in _alarms(gate))
    return session


def _alarms(gate: Gate) -> Mapping[str, str]:
    snapshot = None if gate.worker is None else gate.worker.shared.follower.snapshot
    return {} if snapshot is None else snapshot.alarms


async def test_the_next_statement_is_held_whatever_it_is(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.store.values["a"] = "1"
        gate.lend("reader")
        client = await gate.enter()
        assert await client.ask("get a") == "+1"
        session = await _alarm(gate)
        told = await client.ask("get a")
        assert told.startswith("!held: request r-")
        request = told.split()[2]
        assert gate.desk.holds[request].why == WHY
        gate.desk.decide(request, "approved")
        assert await client.line() == "+1"
        # before the feed has said that the hold is over, and after
        assert await client.ask("get a") == "+1"
        gate.desk.drop("alarms", session)
        await until(lambda: session not in _alarms(gate))
        assert await client.ask("get a") == "+1"
        gate.desk.put("alarms", session, WHY.replace("7", "8"))
        await until(lambda: session in _alarms(gate))
        assert (await client.ask("get a")).startswith("!held: request r-")


async def test_a_no_lets_nothing_run_and_the_next_one_is_held_again(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.store.values["a"] = "1"
        gate.lend("writer")
        client = await gate.enter()
        await _alarm(gate)
        told = await client.ask("set a 2")
        request = told.split()[2]
        gate.desk.decide(request, "denied", "No.")
        assert (await client.line()).startswith(f"-{request}: No.")
        assert gate.store.values == {"a": "1"}
        assert (await client.ask("set a 3")).startswith("!held: request r-")


async def test_it_holds_one_session_and_no_other(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.store.values["a"] = "1"
        gate.lend("reader")
        first = await gate.enter()
        await _alarm(gate)
        other = await gate.enter()
        assert await other.ask("get a") == "+1"
        assert (await first.ask("get a")).startswith("!held")


async def test_what_a_session_comes_to_is_told_where_a_detection_looks(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        client = await gate.enter()
        assert (await client.ask("set a 1")).startswith("-")
        assert not gate.desk.counts
        more = "detections:\n  many: {detect: refusals, do: notify}\n"
        gate.desk.change_policy(policy(gate.store.port, version=2, more=more))
        again = await gate.enter()
        assert (await again.ask("set a 1")).startswith("-")
        await until(lambda: bool(gate.desk.counts))
        (count,) = gate.desk.counts.values()
        assert (count.rows, count.refused) == (0, 1)
        again.close()
        client.close()
        await until(lambda: len(gate.desk.ends) == 2)
        assert {end.refused for end in gate.desk.ends.values()} == {1}
