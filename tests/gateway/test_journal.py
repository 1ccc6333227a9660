"""The journal: what it calls durable is, in order and in groups; a disk that fails stops it until it is mended."""

import asyncio
import errno
import os
import resource
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from interlock.errors import Failure
from interlock.gateway.journal import Journal
from interlock.gateway.journaling import FrameOwner
from interlock.gateway.loop import pump_of
from interlock.gateway.pen import RING, file_path
from interlock.gateway.pump import Pump
from interlock.gateway.recovery import read_journal
from interlock.wire import frames
from interlock.wire.frames import scan
from tests.gateway.world import until


class Owner(FrameOwner):
    def __init__(self) -> None:
        self.places: list[tuple[int, int]] = []

    def placed(self, file: int, offset: int) -> None:
        self.places.append((file, offset))


class Disk:
    """A real fdatasync that can be slow or fail, and counts."""

    def __init__(self) -> None:
        self.slow_s = 0.0
        self.failing = 0
        self.synced = 0

    def __call__(self, handle: int) -> None:
        time.sleep(self.slow_s)
        if self.failing:
            self.failing -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fdatasync(handle)
        self.synced += 1


@pytest.fixture
async def pump() -> AsyncIterator[Pump]:
    with pump_of(asyncio.get_running_loop()) as found:
        yield found


def _journal(
    pump: Pump, folder: Path, disk: Callable[[int], None], *, file_bytes: int = 1 << 20, durable_s: float = 0.02
) -> Journal:
    return Journal(folder, pump, file_bytes=file_bytes, durable_s=durable_s, stall_s=0.1, sync=disk)


def _payloads(journal: Journal) -> list[bytes]:
    found = []
    for path in sorted(journal.folder.glob("*.journal")):
        found += [bytes(one.payload) for one in scan(memoryview(path.read_bytes()))]
    return found


async def test_then_is_called_only_when_the_record_and_all_before_it_are_on_disk(tmp_path: Path, pump: Pump) -> None:
    disk, owner = Disk(), Owner()
    disk.slow_s = 0.05
    journal = _journal(pump, tmp_path, disk)
    seen: list[list[bytes]] = []
    journal.append(owner, b"read")
    journal.append(owner, b"write", then=lambda: seen.append(_payloads(journal)))
    await asyncio.sleep(0.01)
    assert not seen
    await until(lambda: seen)
    assert seen == [[b"read", b"write"]]
    await journal.close()


async def test_whatever_gathers_during_a_sync_is_synced_at_once_together(tmp_path: Path, pump: Pump) -> None:
    disk, owner = Disk(), Owner()
    disk.slow_s = 0.05
    journal = _journal(pump, tmp_path, disk)
    done: list[int] = []
    for number in range(50):
        journal.append(owner, str(number).encode(), then=partial(done.append, number))
        if number == 0:
            await asyncio.sleep(0.01)
    await until(lambda: len(done) == 50)
    assert done == list(range(50))
    assert disk.synced <= 3
    assert [offset for _, offset in owner.places] == sorted(offset for _, offset in owner.places)
    await journal.close()


async def test_a_read_is_on_disk_soon_without_being_waited_for(tmp_path: Path, pump: Pump) -> None:
    disk, owner = Disk(), Owner()
    journal = _journal(pump, tmp_path, disk)
    journal.append(owner, b"read")
    await until(lambda: owner.places)
    assert _payloads(journal) == [b"read"]
    await journal.close()


async def test_a_slow_disk_is_seen_to_stall(tmp_path: Path, pump: Pump) -> None:
    disk, owner = Disk(), Owner()
    disk.slow_s = 0.5
    journal = _journal(pump, tmp_path, disk)
    journal.append(owner, b"read")
    assert not journal.is_stalled()
    await until(journal.is_stalled)
    await until(lambda: owner.places)
    assert not journal.is_stalled()
    await journal.close()


def _placed(owner: Owner, count: int) -> bool:
    return len(owner.places) == count


async def test_files_are_rotated(tmp_path: Path, pump: Pump) -> None:
    disk, owner = Disk(), Owner()
    journal = _journal(pump, tmp_path, disk, file_bytes=100)
    for number in range(6):
        journal.append(owner, b"x" * 60)
        await until(partial(_placed, owner, number + 1))
    assert sorted({file for file, _ in owner.places}) == [1, 2, 3]
    assert len(_payloads(journal)) == 6
    await journal.close()


async def test_a_full_disk_calls_nobody_and_loses_nothing(tmp_path: Path, pump: Pump) -> None:
    disk, owner = Disk(), Owner()
    journal = _journal(pump, tmp_path, disk)
    failures: list[str] = []
    journal.on_failure = failures.append
    called: list[str] = []
    journal.append(owner, b"first", then=lambda: called.append("first"))
    await until(lambda: called)
    disk.failing = 2
    journal.append(owner, b"second", then=lambda: called.append("second"))
    await until(lambda: failures)
    assert failures == ["No space left on device"]
    assert journal.failure
    journal.append(owner, b"third")
    await until(lambda: len(owner.places) == 3)
    assert called == ["first"]
    assert not journal.failure
    assert _payloads(journal) == [b"first", b"second", b"third"]
    journal.append(owner, b"fourth", then=lambda: called.append("fourth"))
    await until(lambda: "fourth" in called)
    await journal.close()


def _handle_of(path: Path) -> int:
    """The descriptor by which this process has ``path`` open."""
    for link in Path("/proc/self/fd").iterdir():
        if link.exists() and link.samefile(path):
            return int(link.name)
    raise AssertionError(f"{path} is not open")


async def test_a_sync_that_fails_is_believed_once_and_the_file_given_up(tmp_path: Path, pump: Pump) -> None:
    # The writing thread's own fdatasync, which a character device refuses after it has taken what was written.
    owner = Owner()
    journal = _journal(pump, tmp_path, os.fdatasync)
    failures: list[str] = []
    called: list[str] = []
    journal.on_failure = failures.append
    journal.append(owner, b"first", then=lambda: called.append("first"))
    await until(lambda: called)
    null = os.open("/dev/null", os.O_WRONLY)
    os.dup2(null, _handle_of(file_path(journal.folder, 1)), inheritable=False)
    os.close(null)
    journal.append(owner, b"second", then=lambda: called.append("second"))
    await until(lambda: failures)
    assert failures == ["Invalid argument"]
    await until(lambda: len(owner.places) == 2)
    assert called == ["first"]
    assert owner.places[1][0] == 2
    assert _payloads(journal) == [b"first", b"second"]
    await journal.close()


async def test_more_than_may_be_under_way_waits_and_keeps_its_order(tmp_path: Path, pump: Pump) -> None:
    disk, owner = Disk(), Owner()
    disk.slow_s = 0.002
    journal = _journal(pump, tmp_path, disk, file_bytes=2000)
    done: list[int] = []
    for number in range(3 * RING):
        journal.append(owner, str(number).encode(), then=partial(done.append, number))
        await asyncio.sleep(0)
    await until(lambda: len(done) == 3 * RING)
    assert done == list(range(3 * RING))
    assert _payloads(journal) == [str(number).encode() for number in range(3 * RING)]
    await journal.close()


async def test_many_groups_through_several_files_by_the_thread_s_own_sync(tmp_path: Path, pump: Pump) -> None:
    owner = Owner()
    journal = _journal(pump, tmp_path, os.fdatasync, file_bytes=20_000)
    done: list[int] = []
    for number in range(400):
        journal.append(owner, b"%d " % number + b"x" * 400, then=partial(done.append, number))
        await asyncio.sleep(0.001)
    await until(lambda: len(done) == 400)
    assert done == list(range(400))
    assert [int(payload.split()[0]) for payload in _payloads(journal)] == done
    assert len({file for file, _ in owner.places}) > 5
    await journal.close()


async def test_a_disk_with_room_for_the_records_alone_is_no_failure(tmp_path: Path, pump: Pump) -> None:
    disk, owner = Disk(), Owner()
    journal = _journal(pump, tmp_path, disk)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, most))
    try:
        for number in range(3):
            journal.append(owner, b"record %d" % number)
            await until(partial(_placed, owner, number + 1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert not journal.failure
    assert _payloads(journal) == [b"record 0", b"record 1", b"record 2"]
    await journal.close()


async def test_closing_syncs_what_is_left(tmp_path: Path, pump: Pump) -> None:
    disk, owner = Disk(), Owner()
    journal = _journal(pump, tmp_path, disk, durable_s=60)
    journal.append(owner, b"last")
    await journal.close()
    assert _payloads(journal) == [b"last"]
    assert file_path(journal.folder, 1).stat().st_mode & 0o777 == 0o600


async def test_closing_syncs_what_had_no_room_yet(tmp_path: Path, pump: Pump) -> None:
    disk, owner = Disk(), Owner()
    journal = _journal(pump, tmp_path, disk)
    disk.failing = 1
    failures: list[str] = []
    journal.on_failure = failures.append
    journal.append(owner, b"0", then=lambda: None)
    await until(lambda: failures)
    # While the thread waits before it tries again it takes nothing: all that there is room for is one group then.
    for number in range(1, RING + 7):
        journal.append(owner, b"%d" % number, then=lambda: None)
        await asyncio.sleep(0)
    await journal.close()
    assert _payloads(journal) == [b"%d" % number for number in range(RING + 7)]
    assert len(owner.places) == RING + 7


async def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path, pump: Pump) -> None:
    (tmp_path / "journal").write_text("in the way")
    with pytest.raises(Failure, match="cannot be written: File exists"):
        _journal(pump, tmp_path / "journal", Disk())


async def test_a_file_that_cannot_even_be_closed_is_given_up_all_the_same(tmp_path: Path, pump: Pump) -> None:
    # As on a network's or a user's file system, which tells of what it lost once more when the file is closed.
    owner = Owner()
    left = 2

    def sync(handle: int) -> None:
        nonlocal left
        if left:
            left -= 1
            os.close(handle)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fdatasync(handle)

    journal = _journal(pump, tmp_path, sync)
    failures: list[str] = []
    called: list[str] = []
    journal.on_failure = failures.append
    journal.append(owner, b"first", then=lambda: called.append("first"))
    await until(lambda: failures)
    assert failures == ["Input/output error"]
    await until(lambda: owner.places)
    assert not called
    assert owner.places == [(3, len(frames.MAGIC))]
    assert [one.payload for one in scan(memoryview(journal.path(3).read_bytes()))] == [b"first"]
    await journal.close()


async def test_a_fault_of_ours_while_writing_is_a_failure_and_no_silence(tmp_path: Path, pump: Pump) -> None:
    owner = Owner()
    left = 1

    def sync(handle: int) -> None:
        nonlocal left
        if left:
            left -= 1
            raise MemoryError
        os.fdatasync(handle)

    journal = _journal(pump, tmp_path, sync)
    failures: list[str] = []
    journal.on_failure = failures.append
    journal.append(owner, b"first", then=lambda: failures.append("called"))
    await until(lambda: failures)
    await until(lambda: owner.places)
    assert failures == ["MemoryError"]
    assert _payloads(journal) == [b"first"]
    await journal.close()


async def test_the_file_of_a_record_that_was_not_told_of_is_not_behind_us(tmp_path: Path, pump: Pump) -> None:
    # Whoever cleans up deletes files before this one: the thread may be two files ahead of what the loop has heard.
    owner = Owner()
    journal = _journal(pump, tmp_path, os.fdatasync, file_bytes=100)
    journal.append(owner, b"x" * 200, then=lambda: None)
    journal.hand_over()
    _wait_here(lambda: len(_payloads(journal)) == 1)
    journal.append(owner, b"y" * 200, then=lambda: None)
    journal.hand_over()
    _wait_here(lambda: len(_payloads(journal)) == 2)
    assert not owner.places
    assert journal.file < 1
    await until(partial(_placed, owner, 2))
    assert [file for file, _ in owner.places] == [1, 2]
    assert journal.file == 2
    await journal.close()


def _wait_here(holds: Callable[[], bool]) -> None:
    """Wait without letting the loop go on."""
    until_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.001)


async def test_what_is_too_long_for_a_frame_harms_nobody_else(
    tmp_path: Path, pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, other = Owner(), Owner()
    journal = _journal(pump, tmp_path, os.fdatasync)
    called: list[str] = []

    monkeypatch.setattr(frames, "LONGEST_BYTES", 100)
    journal.append(owner, b"first")
    with pytest.raises(ValueError, match="a frame holds 100 bytes at most"):
        journal.append(other, b"x" * 101, then=lambda: called.append("too long"))
    journal.append(owner, b"second", then=lambda: called.append("second"))
    await until(lambda: called)
    assert called == ["second"]
    assert len(owner.places) == 2
    assert not other.places
    assert not journal.is_stalled()
    await journal.close()


async def test_a_read_that_found_no_room_in_time_does_not_wait_for_the_next_time(tmp_path: Path, pump: Pump) -> None:
    gate, owner, other = threading.Event(), Owner(), Owner()

    def sync(handle: int) -> None:
        gate.wait()
        os.fdatasync(handle)

    journal = _journal(pump, tmp_path, sync, durable_s=3600)
    for _ in range(RING):
        journal.append(other, b"write", then=lambda: None)
        journal.hand_over()
    journal.append(owner, b"read")
    journal._time_is_up()
    journal.append(owner, b"another")
    gate.set()
    await until(partial(_placed, owner, 2))
    await journal.close()


async def test_nothing_is_laid_down_or_told_of_after_the_end(tmp_path: Path, pump: Pump) -> None:
    journal, owner = _journal(pump, tmp_path, os.fdatasync), Owner()
    await journal.close()
    told: list[str] = []
    # They have the numbers that the journal gave back.
    with ExitStack() as held:
        foreign = [held.enter_context((tmp_path / str(number)).open("wb")) for number in range(8)]
        journal.append(owner, b"late", then=lambda: told.append("durable"))
        await asyncio.sleep(0.1)
        assert [os.fstat(file.fileno()).st_size for file in foreign] == [0] * 8
    assert not told
    assert not owner.places


async def test_room_that_a_killed_worker_left_is_not_told_of_as_a_torn_end(
    tmp_path: Path, pump: Pump, caplog: pytest.LogCaptureFixture
) -> None:
    journal, owner = _journal(pump, tmp_path, Disk()), Owner()
    journal.append(owner, b'{"session": "s-1", "n": 1, "at": "", "type": "statement", "effect": "permit"}')
    await journal.close()
    path = journal.path(1)
    assert path.stat().st_size > 1 << 10
    assert set(read_journal(journal.folder)) == {"s-1"}
    assert not caplog.messages
    with path.open("ab") as file:
        file.write(b"\x40\0\0\0half a fra")
    assert set(read_journal(journal.folder)) == {"s-1"}
    (message,) = caplog.messages
    assert "torn end" in message
