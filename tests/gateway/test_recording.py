"""The recording over real disks and killed workers: nothing takes effect unwritten, nothing written is lost."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from interlock.gateway import worker as worker_module
from interlock.gateway.journal import Journal
from interlock.gateway.pump import Pump
from interlock.gateway.settings import Limits, WorkerSettings
from tests.gateway.world import Gate, ToyClient, gateway, inner_worker, outer_worker, surroundings, until


class Disk:
    """A real fdatasync that notes when it began and when it returned, and can be slow."""

    def __init__(self) -> None:
        self.slow_s = 0.0
        self.syncs: list[tuple[float, float]] = []

    def __call__(self, handle: int) -> None:
        began = time.monotonic()
        time.sleep(self.slow_s)
        os.fdatasync(handle)
        self.syncs.append((began, time.monotonic()))

    def synced(self, after: float, before: float) -> bool:
        """Whether a sync began after the one time and returned before the other."""
        return any(after <= began and returned <= before for began, returned in self.syncs)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    found = Disk()

    def open_journal(settings: WorkerSettings, limits: Limits, pump: Pump) -> Journal:
        return Journal(settings.journal, pump, file_bytes=1 << 20, durable_s=0.02, stall_s=limits.stall_s, sync=found)

    monkeypatch.setattr(worker_module, "_open_journal", open_journal)
    return found


def _arrived(gate: Gate, line: str) -> float:
    return next(at for visit in gate.store.visits for at, said in visit.lines if said == line)


async def test_no_byte_of_a_change_goes_out_before_its_record_is_on_disk(tmp_path: Path, disk: Disk) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("writer")
        client = await gate.enter()
        disk.slow_s = 0.3
        asked = time.monotonic()
        assert await client.ask("set a* 1") == "+set 0"
        assert disk.synced(asked, _arrived(gate, "set a* 1"))


async def test_a_read_does_not_wait_for_the_disk_unless_the_disk_hangs(tmp_path: Path, disk: Disk) -> None:
    async with gateway(tmp_path, limits=Limits(stall_s=0.1)) as gate:
        gate.lend("reader")
        client = await gate.enter()
        asked = time.monotonic()
        disk.slow_s = 0.8
        assert await client.ask("get a") == "+(nothing)"
        assert not disk.synced(asked, _arrived(gate, "get a"))
        await asyncio.sleep(0.3)
        assert await client.ask("get b") == "+(nothing)"
        assert disk.synced(asked, _arrived(gate, "get b"))


async def test_inside_a_transaction_the_commit_waits_for_all(tmp_path: Path, disk: Disk) -> None:
    async with gateway(tmp_path) as gate:
        gate.desk.change_policy(
            type(gate.desk.snapshot.policy)(
                2, "no fence", gate.desk.snapshot.policy.yaml.replace("    fence: {rows: 3}\n", "")
            )
        )
        gate.lend("writer")
        client = await gate.enter()
        await client.ask("begin")
        disk.slow_s = 0.3
        asked = time.monotonic()
        assert await client.ask("set a 1") == "+set 1"
        assert not disk.synced(asked, _arrived(gate, "set a 1"))
        assert await client.ask("commit") == "+commit"
        assert disk.synced(asked, _arrived(gate, "commit"))


async def test_a_killed_workers_sessions_are_sealed_by_the_next(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as gate:
        gate.lend("writer")
        async with outer_worker(gate) as first:
            client = await gate.enter()
            for number in range(20):
                assert await client.ask(f"set k{number} 1") == "+set 1"
            await until(lambda: gate.desk.starts)
            first.kill()
            await first.process.wait()
        (journal,) = (tmp_path / "journal").glob("w-*")
        with (journal / "00000001.journal").open("ab") as torn:
            torn.write(b"\x40\0\0\0half a fra")
        async with outer_worker(gate):
            (session,) = gate.desk.starts
            records = await gate.recording(session)
            assert gate.desk.ends[session].why == "the gateway stopped"
            assert gate.desk.ends[session].statements == 20
            await until(lambda: not journal.exists())
    recorded = {record["text"] for record in records if record["type"] == "statement"}
    assert recorded == {line for line in gate.store.lines if line.startswith("set")}
    assert records[-1]["type"] == "close"
    assert [record["n"] for record in records] == list(range(1, len(records) + 1))


async def test_workers_killed_under_load_leave_no_change_without_its_record(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as gate:
        gate.lend("writer")
        for round_number in range(3):
            async with outer_worker(gate) as worker:
                clients = [await gate.enter() for _ in range(4)]
                written = len(gate.store.lines)
                busy = [asyncio.create_task(_write(one, f"r{round_number}c{n}")) for n, one in enumerate(clients)]
                await until(lambda enough=written + 20: len(gate.store.lines) > enough)
                worker.kill()
                await asyncio.gather(*busy)
        async with outer_worker(gate):
            await until(lambda: len(gate.desk.ends) == len(gate.desk.starts) == 12)
        recorded = set()
        for session in gate.desk.ends:
            recorded |= {record.get("text") for record in await gate.recording(session)}
        changed = {line for line in gate.store.lines if line.startswith("set")}
        assert len(changed) > 20
        assert changed <= recorded


async def _write(client: ToyClient, name: str) -> None:
    for number in range(10_000):
        try:
            if not await client.ask(f"set {name}n{number} 1"):
                return
        except ConnectionError:
            return


async def test_a_live_workers_journal_is_left_alone(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as gate, outer_worker(gate):
        gate.lend("reader")
        client = await gate.enter()
        await until(lambda: gate.desk.starts)
        async with inner_worker(gate, 1):
            await asyncio.sleep(0.3)
        assert await client.ask("get a") == "+(nothing)"
        assert not gate.desk.ends


async def test_a_stopped_worker_seals_everything_and_leaves_nothing(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as gate:
        gate.lend("reader")
        async with outer_worker(gate) as worker:
            client = await gate.enter()
            assert await client.ask("get a") == "+(nothing)"
            stopping = asyncio.create_task(worker.stop())
            assert await client.rest() == "*The gateway is stopping. Connect again in a moment."
            assert await stopping == 0
        (end,) = gate.desk.ends.values()
        assert end.why == "the gateway was stopped"
        assert not list((tmp_path / "journal").glob("w-*"))


async def test_a_full_disk_ends_sessions_with_a_sentence_and_a_mended_one_brings_them_back(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as gate:
        gate.lend("writer")
        async with outer_worker(gate, before="small files") as worker:
            client = await gate.enter()
            said, number = "+", 0
            while said.startswith("+"):
                number += 1
                said = await client.ask(f"set {'k' * 500}{number} 1")
            assert said.startswith("*This session ends, because the recording cannot be written (File too large)")
            assert await client.line() == ""
            changed = [line for line in gate.store.lines if line.startswith("set")]
            assert len(changed) == number - 1
            refused = await gate.knock()
            assert refused.startswith("-No session is opened, because the recording cannot be written")
            worker.process.send_signal(signal.SIGUSR1)
            await until(lambda: gate.desk.ends)
            again = await gate.enter()
            assert await again.ask("set a 1") == "+set 1"
            session = next(iter(gate.desk.starts))
            records = await gate.recording(session)
        recorded = {record["text"] for record in records if record["type"] == "statement"}
        assert set(changed) <= recorded
        assert [record["n"] for record in records] == list(range(1, len(records) + 1))


async def test_somebody_watches_from_the_first_record_to_the_last(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.lend("reader")
        client = await gate.enter()
        assert await client.ask("get a") == "+(nothing)"
        await until(lambda: gate.desk.starts)
        (session,) = gate.desk.starts
        gate.desk.ask_watch(session, "ticket")
        gate.desk.ask_watch("s-elsewhere", "other")
        await until(lambda: len(gate.desk.watched["ticket"]) == 3)
        assert await client.ask("get b") == "+(nothing)"
        client.close()
        await until(lambda: "ticket" in gate.desk.watch_ended)
        watched = gate.desk.watched["ticket"]
        assert [one["type"] for one in watched] == ["open", *["statement", "outcome"] * 2, "close"]
        assert watched == await gate.recording(session)
        assert not gate.desk.watched["other"]


async def test_reports_land_when_the_control_plane_is_back(tmp_path: Path) -> None:
    async with gateway(tmp_path, lease_s=2) as gate:
        gate.lend("reader")
        client = await gate.enter()
        gate.desk.answering = False
        client.close()
        await asyncio.sleep(0.5)
        assert not gate.desk.ends
        gate.desk.answering = True
        await until(lambda: gate.desk.ends)
        assert list(gate.desk.ends) == list(gate.desk.starts)
