"""The worker's write-ahead journal: one append-only file at a time, shared by all its sessions, synced in groups.

Records are appended on the loop's thread and written by one other thread, which takes whatever has gathered, writes
it, calls fdatasync once, and says so back on the loop. INVARIANT: ``then`` of a record is called only when its frame
and all before it are on disk.

When the disk fails, what was not durable stays in memory (the sessions end, so little more comes), the file is given
up (after a failed fdatasync the kernel may have dropped what it could not write) and a fresh one is tried until it can
be written. What waited goes first, so that a recording misses nothing; ``then`` is not called for it any more.

A journal lives in a folder of its own, whose ``lock`` is held (flock) as long as the worker lives. That is how
another worker tells the journal of a dead one.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from interlock.errors import Failure
from interlock.wire.frames import MAGIC, frame

_LOG = logging.getLogger("interlock.gateway")
LOCK = "lock"
SUFFIX = ".journal"
_RETRY_S = 0.5
_ROOM = bytes(1024 * 1024)


class FrameOwner(Protocol):
    """Whose frame it is; told on the loop where it lies, once it is durable."""

    def placed(self, file: int, offset: int) -> None: ...


Then = Callable[[], None]


class _Batch:
    """Records in order: their frames, whose each of them is, and what is called when all of them are on disk.

    No object for each: thousands wait at a time, and the garbage collector would look at them over and over.
    """

    def __init__(self) -> None:
        self.owners: list[FrameOwner] = []
        self.frames: list[bytes] = []
        self.thens: list[Then] = []


@dataclass(frozen=True, slots=True)
class _Group:
    """A batch that is on disk: in which file, from which offset, and when it was taken to be written."""

    file: int
    offset: int
    batch: _Batch
    taken_at: float


class Journal:
    """See the module. All methods are for the loop's thread."""

    def __init__(
        self,
        folder: Path,
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
        self._handed: list[_Batch] = []
        self._unsettled = 0
        self._oldest = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._wake = threading.Condition()
        self._asked = False
        self._stopping = False
        self.failure = ""
        self.on_failure: Callable[[str], None] = lambda _: None
        self.folder, self._lock = _make_own(folder)
        self._writer = _Writer(self.folder, file_bytes, sync)
        self._thread = threading.Thread(target=self._write_groups, name="journal", daemon=True)
        self._thread.start()

    @property
    def file(self) -> int:
        """The number of the file that was written last."""
        return self._writer.file

    def is_stalled(self) -> bool:
        """Whether the oldest record that is not on disk is older than it may be."""
        return self._unsettled > 0 and time.monotonic() - self._oldest > self._stall_s

    def append(self, owner: FrameOwner, payload: bytes, then: Then | None = None) -> None:
        """Take a record. With ``then`` it is synced at once, else within the time that a read's record may take."""
        if self._unsettled == 0:
            self._oldest = time.monotonic()
        self._unsettled += 1
        queue = self._queue
        queue.owners.append(owner)
        queue.frames.append(frame(payload))
        if then is not None:
            queue.thens.append(then)
            self._ask()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._durable_s, self._ask)

    def path(self, file: int) -> Path:
        return file_path(self.folder, file)

    async def close(self) -> None:
        """Sync what is left, as far as the disk lets us, and stop the thread. The files stay."""
        self._ask()
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join, 5.0)
        await asyncio.sleep(0)
        os.close(self._lock)

    # On the loop

    def _ask(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with self._wake:
            self._handed.append(self._queue)
            self._asked = True
            self._wake.notify()
        self._queue = _Batch()

    def _settled(self, group: _Group) -> None:
        if self.failure:
            self.failure = ""
            _LOG.warning("The recording can be written again.")
        batch = group.batch
        self._unsettled -= len(batch.frames)
        self._oldest = group.taken_at
        file, offset = group.file, group.offset
        for owner, framed in zip(batch.owners, batch.frames, strict=True):
            owner.placed(file, offset)
            offset += len(framed)
        for then in batch.thens:
            then()

    def _failed(self, why: str) -> None:
        if not self.failure:
            self.failure = why
            _LOG.error("The recording cannot be written: %s. Sessions end until it can be.", why)
            self.on_failure(why)

    # On the writing thread

    def _write_groups(self) -> None:
        backlog = _Batch()
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._asked or self._stopping)
                self._asked = False
                taken, self._handed = self._handed, []
                last = self._stopping
            taken_at = time.monotonic()
            for batch in taken:
                backlog.owners += batch.owners
                backlog.frames += batch.frames
                backlog.thens += batch.thens
            if backlog.frames:
                backlog = self._write(backlog, taken_at)
            if last:
                return
            if backlog.frames:
                time.sleep(_RETRY_S)
                self._asked = True

    def _write(self, batch: _Batch, taken_at: float) -> _Batch:
        """Returns what is left to be written."""
        try:
            file, offset = self._writer.write(batch.frames)
        except OSError as error:
            batch.thens = []
            self._tell(self._failed, error.strerror or str(error))
            return batch
        self._tell(self._settled, _Group(file, offset, batch, taken_at))
        return _Batch()

    def _tell(self, what: Callable[..., None], told: object) -> None:
        # The loop may be over when the process ends with a group under way; nobody waits for it then.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, told)


class _Writer:
    """The files, on the writing thread.

    A file is given room ahead of what is written, filled with zeros: a sync then has no new length of the file to write
    down, which halves its time. Zeros are no frame, so a reader stops where they begin.
    """

    def __init__(self, folder: Path, file_bytes: int, sync: Callable[[int], None]) -> None:
        self.file = 0
        self._folder = folder
        self._file_bytes = file_bytes
        self._sync = sync
        self._handle = -1
        self._end = 0
        self._room = 0

    def write(self, frames: list[bytes]) -> tuple[int, int]:
        """Lay down ``frames`` and sync. Returns the file and the offset of the first. Raises OSError."""
        if self._handle < 0 or self._end >= self._file_bytes:
            self._open_next()
        start = self._end
        content = b"".join(frames)
        try:
            _write_all(self._handle, content, start)
            self._make_room(start + len(content))
            self._sync(self._handle)
        except OSError:
            self._give_up()
            raise
        self._end += len(content)
        return self.file, start

    def _make_room(self, end: int) -> None:
        """Zeros behind what ends at ``end``, when that is not within the room that was made before."""
        if end > self._room:
            # A matter of speed alone: a disk that has room for the records and no more is no failure.
            with contextlib.suppress(OSError):
                self._room = end + _write_all(self._handle, _ROOM, end)

    def _open_next(self) -> None:
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            os.ftruncate(handle, self._end)
            os.close(handle)
        path = file_path(self._folder, self.file + 1)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._handle = os.open(path, flags, 0o600)
        self._end = self._room = 0
        try:
            self._end = self._room = _write_all(self._handle, MAGIC, 0)
            _sync_folder(self._folder)
        except OSError:
            self._give_up()
            raise
        self.file += 1

    def _give_up(self) -> None:
        # What was synced stays; the rest is written again elsewhere and would only fill the disk here.
        handle, self._handle = self._handle, -1
        with contextlib.suppress(OSError):
            os.ftruncate(handle, self._end)
        os.close(handle)


def file_path(folder: Path, file: int) -> Path:
    return folder / f"{file:08d}{SUFFIX}"


def remove_journal(folder: Path) -> None:
    """Take a journal away that nobody needs any more; its lock goes last."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == LOCK):
        path.unlink()
    folder.rmdir()


def _write_all(handle: int, content: bytes, at: int) -> int:
    view = memoryview(content)
    while view:
        written = os.pwrite(handle, view, at)
        view = view[written:]
        at += written
    return len(content)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
        _sync_folder(folder)
    except OSError as error:
        raise Failure(
            f"The folder for recordings, {folder}, cannot be written: {error.strerror or error}.",
            "Make room or mend its permissions, then start again.",
        ) from error
    return own, lock
