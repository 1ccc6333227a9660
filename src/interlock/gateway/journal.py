"""The worker's write-ahead journal: one append-only file at a time, shared by all its sessions, synced in groups.

Records are appended on the loop's thread and laid down by another (``pen.py``), which takes whatever has gathered,
writes it, calls fdatasync once, and says so. INVARIANT: ``then`` of a record is called only when its frame and all
before it are on disk.

When the disk fails, what was not durable stays in memory (the sessions end, so little more comes), the file is given
up and a fresh one is tried until it can be written. What waited goes first, so that a recording misses nothing;
``then`` is not called for it any more.

A journal lives in a folder of its own, whose ``lock`` is held (flock) as long as the worker lives. That is how
another worker tells the journal of a dead one.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from interlock.errors import Failure
from interlock.gateway import records_in_c
from interlock.gateway.journaling import FrameOwner, RecordTaker, Then
from interlock.gateway.pen import Pen, file_path, sync_folder
from interlock.gateway.pump import Pump, Watcher
from interlock.wire.frames import add_frame, after_frame

_LOG = logging.getLogger("interlock.gateway")
LOCK = "lock"
_CLOSE_S = 5.0


class _Batch:
    """Records in order: their frames, whose each of them is, and what is called when all of them are on disk.

    No object for each: thousands wait at a time, and the garbage collector would look at them over and over.
    """

    def __init__(self) -> None:
        self.owners: list[FrameOwner] = []
        self.frames = bytearray()
        self.thens: list[Then] = []


class _Ear(Watcher):
    """Tells a journal what its pen says, and that a turn is over."""

    def __init__(self, journal: "Journal") -> None:
        super().__init__()
        self._journal = journal

    def ready(self, events: int) -> None:
        self._journal.hear()

    def turn_over(self) -> None:
        self._journal.hand_over()


class Journal(RecordTaker):
    """See the module. All methods are for the loop's thread."""

    def __init__(
        self,
        folder: Path,
        pump: Pump,
        *,
        file_bytes: int,
        durable_s: float,
        stall_s: float,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        """``folder`` is the host's journal folder, in which this journal makes its own. Raises Failure."""
        self._durable_s = durable_s
        self._stall_s = stall_s
        self._loop = asyncio.get_running_loop()
        self._queue = _Batch()
        self._under_way: deque[_Batch] = deque()
        self._unsettled = 0
        self._oldest = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._asked = False
        self._emptied: asyncio.Event | None = None
        self._file = 0
        self.failure = ""
        self.on_failure: Callable[[str], None] = lambda _: None
        self.folder, self._lock = _make_own(folder)
        self._pen = Pen(self.folder, file_bytes, sync)
        self._ear = _Ear(self)
        self._pump = pump
        pump.watch(self._pen.told, self._ear)

    @property
    def file(self) -> int:
        """The number of the file that was told of last: of all records in those before it their owners know.

        The thread may be files ahead. Whoever deleted what is behind *it* would delete records that nobody knows yet.
        """
        return self._file

    def is_stalled(self) -> bool:
        """Whether the oldest record that is not on disk is older than it may be."""
        return self._unsettled > 0 and records_in_c.monotonic_s() - self._oldest > self._stall_s

    def append(self, owner: FrameOwner, payload: bytes, then: Then | None = None) -> None:
        """Take a record. With ``then`` it is synced at once, else within the time that a read's record may take."""
        queue = self._queue
        add_frame(queue.frames, payload)
        if self._unsettled == 0:
            self._oldest = records_in_c.monotonic_s()
        self._unsettled += 1
        queue.owners.append(owner)
        if then is not None:
            queue.thens.append(then)
            if not self._asked:
                # When all that came is done with: what must be synced at once is synced together.
                self._asked = True
                self._pump.call_after_turn(self._ear)
        elif self._timer is None:
            # It is never called off: with what comes while it runs it is early, and a new one costs more than a sync.
            self._timer = self._loop.call_later(self._durable_s, self._time_is_up)

    def path(self, file: int) -> Path:
        return file_path(self.folder, file)

    async def close(self) -> None:
        """Sync what is left, as far as the disk lets us, and stop the thread. The files stay."""
        self._time_is_up()
        until_s = time.monotonic() + _CLOSE_S
        if self._queue.frames:
            # There was no room: it is handed over as soon as there is.
            self._emptied = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._emptied.wait()
        self._pen.stop()
        await asyncio.to_thread(self._pen.join, max(1.0, until_s - time.monotonic()))
        self.hear()
        self._pump.unwatch(self._pen.told)
        self._pen.close()
        os.close(self._lock)

    # What the pump and the clock tell

    def _time_is_up(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.hand_over()

    def hand_over(self) -> None:
        """Give what has gathered to the pen; when that has no room it is asked again with the next that is done."""
        batch = self._queue
        self._asked = bool(batch.frames) and not self._pen.has_room()
        if self._asked or not batch.frames:
            return
        self._queue = _Batch()
        self._under_way.append(batch)
        self._pen.hand(batch.frames)
        if self._emptied is not None:
            self._emptied.set()

    def hear(self) -> None:
        for why in self._pen.hear():
            self._failed(why)
        while (done := self._pen.take_done()) is not None:
            self._settled(self._under_way.popleft(), *done)
        if self._queue.frames and (self._asked or self._timer is None):
            self.hand_over()

    # Inside

    def _settled(self, batch: _Batch, file: int, offset: int, taken_at: float) -> None:
        if self.failure:
            self.failure = ""
            _LOG.warning("The recording can be written again.")
        self._unsettled -= len(batch.owners)
        self._oldest = taken_at
        self._file = file
        frames, at = batch.frames, 0
        for owner in batch.owners:
            owner.placed(file, offset + at)
            at = after_frame(frames, at)
        for then in batch.thens:
            then()

    def _failed(self, why: str) -> None:
        for batch in self._under_way:
            batch.thens = []
        if not self.failure:
            self.failure = why
            _LOG.error("The recording cannot be written: %s. Sessions end until it can be.", why)
            self.on_failure(why)


def remove_journal(folder: Path) -> None:
    """Take a journal away that nobody needs any more; its lock goes last."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == LOCK):
        path.unlink()
    folder.rmdir()


def _make_own(folder: Path) -> tuple[Path, int]:
    """A new folder for one journal, and the handle that holds its lock."""
    own = folder / f"w-{secrets.token_hex(8)}"
    fresh = folder / f"new-{own.name}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.mkdir(mode=0o700)
        lock = os.open(fresh / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Named only when locked: another worker must never see it as a dead one's.
        fresh.rename(own)
        sync_folder(folder)
    except OSError as error:
        raise Failure(
            f"The folder for recordings, {folder}, cannot be written: {error.strerror or error}.",
            "Make room or mend its permissions, then start again.",
        ) from error
    return own, lock
