"""The whole way of a statement, over real sockets, through a worker in this process."""

from pathlib import Path

import pytest

from tests.gateway.world import gateway, inner_worker, surroundings, until


async def test_a_reader_reads_and_everything_is_recorded(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.store.values["a"] = "1"
        gate.lend("reader")
        client = await gate.enter()
        assert await client.ask("get a") == "+1"
        client.writer.write_eof()
        assert await client.rest() == ""
        await until(lambda: gate.desk.ends)
        (session,) = gate.desk.starts
        records = await gate.recording(session)
    assert [record["type"] for record in records] == ["open", "statement", "outcome", "close"]
    assert [record["n"] for record in records] == [1, 2, 3, 4]
    assert records[1]["text"] == "get a"
    assert records[1]["effect"] == "allow"
    assert records[2]["rows"] == 1
    assert records[3]["why"] == "the client left"


async def test_a_worker_that_stops_says_so_when_its_sessions_are_cut_and_reported(tmp_path: Path) -> None:
    async with surroundings(tmp_path, lease_s=5.0) as gate:
        async with inner_worker(gate):
            gate.lend("reader")
            await gate.enter()
            await until(lambda: gate.desk.starts)
            assert not gate.desk.left
        assert gate.desk.ends
        assert gate.desk.left == [set()]


async def test_a_worker_whose_sessions_could_not_be_reported_does_not_say_that_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: its control plane loses the report, and would take the goodbye for an end of all that it opened."""
    monkeypatch.setattr("interlock.gateway.worker._STOP_S", 0.3)
    async with surroundings(tmp_path, lease_s=5.0) as gate:
        async with inner_worker(gate):
            gate.lend("reader")
            await gate.enter()
            await until(lambda: gate.desk.starts)
            gate.desk.taking_reports = False
        assert not gate.desk.left
        gate.desk.taking_reports = True
