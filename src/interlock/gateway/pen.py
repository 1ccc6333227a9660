"""Lays down what the journal hands over: in order, in groups, each synced; on a thread of its own.

What is handed over stands in a ring. The thread takes whatever has gathered there, writes it behind what was written
before, calls fdatasync once, notes where each piece lies, and tells the loop through an eventfd. Compiled, whole turns
of that run in C (``in_c.pxd``) and without the interpreter, for which the thread would have to wait several times a
group; it comes back here for all that is out of the ordinary: another file, and a disk that fails.

INVARIANT: a piece counts as done only when it and all before it are on disk. What was not synced stays in the ring, and
is written again to a fresh file: after a failed fdatasync the kernel may have dropped what it could not write.

A file is given room ahead of what is written, filled with zeros: a sync then has no new length of the file to write
down, which halves its time. Zeros are no frame, so a reader stops where they begin.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from interlock.gateway import in_c
from interlock.wire.frames import MAGIC

SUFFIX = ".journal"
RING = 64
"""Pieces that may be under way. As large as the arrays in ``pen.pxd``, and what ``in_c.pxd`` calls a ring."""

_RETRY_S = 0.5
_ROOM = bytes(1024 * 1024)
_HANDED, _DONE, _STOPPING, _HANDLE, _END, _ROOM_END, _FILE, _FILE_BYTES, _WAKE, _TOLD = range(10)


class Pen:
    """``told`` is the eventfd that tells of what is done or has failed.

    All but ``_serve`` and what it calls is for the loop's thread.
    """

    def __init__(self, folder: Path, file_bytes: int, sync: Callable[[int], None]) -> None:
        self._folder = folder
        self._sync = sync
        self._in_c = sync is os.fdatasync
        self._state = _zeros(10)
        # The same as ``_contents``, for C.
        self._pointers = _nothing(RING)
        self._sizes = _zeros(RING)
        self._files = _zeros(RING)
        self._offsets = _zeros(RING)
        self._taken = _moments(RING)
        self._contents: list[bytearray] = [bytearray()] * RING
        self._handed = self._settled = 0
        self._troubles: list[str] = []
        self.told = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._state[_HANDLE] = -1
        self._state[_FILE_BYTES] = file_bytes
        self._state[_WAKE] = os.eventfd(0, os.EFD_CLOEXEC)
        self._state[_TOLD] = self.told
        self._thread = threading.Thread(target=self._serve, name="journal", daemon=True)
        self._thread.start()

    def has_room(self) -> bool:
        """Whether ``hand`` may be called: never again once it was told to stop."""
        return not self._state[_STOPPING] and self._handed - self._settled < RING

    def hand(self, content: bytearray) -> None:
        """Take ``content``, which nobody changes any more, to be laid down. Only while there is room."""
        at = self._handed % RING
        # Kept until the place is taken anew: the thread reads it where it lies.
        self._contents[at] = content
        self._pointers[at] = content
        self._sizes[at] = len(content)
        self._handed += 1
        in_c.publish(self._state, self._handed)
        in_c.tell(self._state[_WAKE])

    def hear(self) -> list[str]:
        """Why the disk failed, each time since this was last called. To be called when ``told`` can be read."""
        in_c.hear(self.told)
        if not self._troubles:
            return []
        troubles, self._troubles = self._troubles, []
        return troubles

    def take_done(self) -> tuple[int, int, float] | None:
        """The oldest piece that is on disk and was not asked for yet: its file, its offset, and when (monotonic) it was
        taken to be written."""
        if self._settled >= in_c.look_done(self._state):
            return None
        at = self._settled % RING
        self._settled += 1
        return self._files[at], self._offsets[at], self._taken[at]

    def stop(self) -> None:
        """Write what is left, as far as the disk lets us, and come to an end. ``join`` waits for it."""
        self._state[_STOPPING] = 1
        os.eventfd_write(self._state[_WAKE], 1)

    def join(self, within_s: float) -> None:
        self._thread.join(within_s)

    def close(self) -> None:
        """Give back what tells and wakes. A thread that still hangs at the disk keeps them."""
        if not self._thread.is_alive():
            os.close(self.told)
            os.close(self._state[_WAKE])

    # On the thread

    def _serve(self) -> None:
        while True:
            try:
                if self._take_turns():
                    return
            except Exception as error:  # noqa: BLE001 -- a thread that ends unheard lets everybody wait for ever
                # Asked to stop while it waits to try again it tries once more.
                is_last = bool(self._state[_STOPPING])
                self._fail(error)
                if is_last:
                    return

    def _take_turns(self) -> bool:
        """Write what has gathered, after waiting for it. Whether that was all, and this comes to an end."""
        if self._in_c:
            # Comes back when the next turn is none for it, with the error of one that failed.
            number = in_c.run_groups(self._state, self._pointers, self._sizes, self._files, self._offsets, self._taken)
            if number:
                raise OSError(number, os.strerror(number))
        first, upto = self._state[_DONE], self._state[_HANDED]
        if first < upto:
            self._write(first, upto, time.monotonic())
            os.eventfd_write(self._state[_TOLD], 1)
        elif not self._state[_STOPPING]:
            os.eventfd_read(self._state[_WAKE])
        return bool(self._state[_STOPPING]) and self._state[_DONE] == self._state[_HANDED]

    def _write(self, first: int, upto: int, taken_at: float) -> None:
        state = self._state
        if state[_HANDLE] < 0 or state[_END] >= state[_FILE_BYTES]:
            self._open_next()
        at = state[_END]
        for place in (number % RING for number in range(first, upto)):
            self._files[place], self._offsets[place], self._taken[place] = state[_FILE], at, taken_at
            at += write_all(state[_HANDLE], self._contents[place], at)
        if at > state[_ROOM_END]:
            # A matter of speed alone: a disk that has room for the records and no more is no failure.
            with contextlib.suppress(OSError):
                state[_ROOM_END] = at + write_all(state[_HANDLE], _ROOM, at)
        self._sync(state[_HANDLE])
        state[_END] = at
        state[_DONE] = upto

    def _fail(self, error: Exception) -> None:
        """What was synced stays; the rest is written again elsewhere, and would only fill the disk here."""
        self._close_file()
        said = error.strerror if isinstance(error, OSError) else None
        self._troubles.append(said or str(error) or type(error).__name__)
        os.eventfd_write(self._state[_TOLD], 1)
        if not self._state[_STOPPING]:
            time.sleep(_RETRY_S)

    def _open_next(self) -> None:
        self._close_file()
        path = file_path(self._folder, self._state[_FILE] + 1)
        self._state[_HANDLE] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._state[_END] = self._state[_ROOM_END] = write_all(self._state[_HANDLE], MAGIC, 0)
        sync_folder(self._folder)
        self._state[_FILE] += 1

    def _close_file(self) -> None:
        handle, self._state[_HANDLE] = self._state[_HANDLE], -1
        if handle >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, self._state[_END])
            # What closing says of a file that was synced, or given up, is no news.
            with contextlib.suppress(OSError):
                os.close(handle)


def _zeros(count: int) -> list[int]:
    return [0] * count


def _nothing(count: int) -> list[bytearray]:
    return [bytearray()] * count


def _moments(count: int) -> list[float]:
    return [0.0] * count


def file_path(folder: Path, file: int) -> Path:
    return folder / f"{file:08d}{SUFFIX}"


def write_all(handle: int, content: bytes | bytearray, at: int) -> int:
    view = memoryview(content)
    while view:
        written = os.pwrite(handle, view, at)
        view = view[written:]
        at += written
    return len(content)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
