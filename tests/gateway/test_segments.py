"""A live session's recording lies in segments a few seconds later, and goes on in them after a kill."""

import asyncio
from pathlib import Path

import pytest

from interlock.gateway import archive
from tests.gateway.world import gateway, outer_worker, surroundings, until
from tests.support.recorded import journal_files


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_EVERY_S", 0.05)


async def test_a_live_sessions_records_are_in_segments_while_it_lives(tmp_path: Path, often: None) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("writer")
        client = await gate.enter()
        await until(lambda: gate.desk.starts)
        (session,) = gate.desk.starts
        for number in range(3):
            assert await client.ask(f"set secret{number} 1") == "+set 1"
            # the statement and its outcome, beside what was there before
            await until(lambda found=2 * number + 2: len(gate.recorded(session)) > found)
        assert not gate.desk.ends
        before = len(gate.desk.kept[session])
        assert before >= 3
        client.close()
        records = await gate.recording(session)
        assert [record["n"] for record in records] == list(range(1, len(records) + 1))
        assert records[-1]["type"] == "close"
        assert len(gate.desk.kept[session]) > before
    stored = b"".join(path.read_bytes() for path in (tmp_path / "recordings").rglob("*") if path.is_file())
    assert stored
    assert b"secret" not in stored


async def test_a_killed_workers_recording_goes_on_where_the_ledger_knows_it(tmp_path: Path) -> None:
    before = "short intervals"
    async with surroundings(tmp_path) as gate:
        gate.lend("writer")
        async with outer_worker(gate, before=before) as first:
            client = await gate.enter()
            for number in range(10):
                assert await client.ask(f"set k{number} 1") == "+set 1"
            await until(lambda: gate.desk.starts)
            (session,) = gate.desk.starts
            await until(lambda: len(gate.recorded(session)) >= 20)
            for number in range(10, 20):
                assert await client.ask(f"set k{number} 1") == "+set 1"
            first.kill()
            await first.process.wait()
            kept = list(gate.desk.kept[session])
        async with outer_worker(gate):
            records = await gate.recording(session)
    assert gate.desk.kept[session][: len(kept)] == kept
    assert len(gate.desk.kept[session]) > len(kept)
    assert {record["text"] for record in records if record["type"] == "statement"} == {
        f"set k{number} 1" for number in range(20)
    }
    assert [record["n"] for record in records] == list(range(1, len(records) + 1))


async def test_a_recording_that_is_not_taken_stays_in_the_journal(tmp_path: Path, often: None) -> None:
    async with surroundings(tmp_path) as gate:
        gate.lend("writer")
        async with gate.working(gate.settings()) as worker:
            gate.address = worker.addresses["toy"]
            client = await gate.enter()
            await until(lambda: gate.desk.starts)
            (session,) = gate.desk.starts
            gate.desk.refused_segments.add(session)
            assert await client.ask("set a 1") == "+set 1"
            client.close()
            await until(lambda: worker.shared.archive.given_up)
            await asyncio.sleep(0.2)
        assert session not in gate.desk.ends
        assert journal_files(tmp_path / "journal")
        gate.desk.refused_segments.clear()
        async with outer_worker(gate):
            records = await gate.recording(session)
            await until(lambda: len(journal_files(tmp_path / "journal")) <= 1)
    assert [record["text"] for record in records if record["type"] == "statement"] == ["set a 1"]
