"""What is written in C (``in_c.pxd``), for compiled callers; here is what it is without a compiler.

It is in C because it runs beside the sessions and must not take the interpreter from them: laying down the journal, and
taking records out of it again.
"""

import contextlib
import os
import re
import time
from array import array
from collections.abc import Sequence
from mmap import mmap

from interlock.wire.frames import read_payload

_AT_A_TIME = 128
"""Records that are taken out of a journal before the other threads have their turn: a tenth of a millisecond's work."""
_NUMBER = re.compile(rb',"n":([0-9]+)')

Gathered = tuple[int, int, int, bytes, int]


def tell(handle: int) -> None:
    """Let whoever waits for an eventfd go on."""
    os.eventfd_write(handle, 1)


def hear(handle: int) -> None:
    """Take what was told on an eventfd that does not block, maybe nothing."""
    with contextlib.suppress(BlockingIOError):
        os.eventfd_read(handle)


def publish(state: list[int], handed: int) -> None:
    """Make what was handed over visible to the thread, after its content."""
    state[0] = handed


def look_done(state: Sequence[int]) -> int:
    """How far the thread is, before anything that it said of the pieces up to there is read."""
    return state[1]


def run_groups(
    state: Sequence[int],
    pointers: Sequence[bytearray],
    sizes: Sequence[int],
    files: Sequence[int],
    offsets: Sequence[int],
    taken: Sequence[float],
) -> int:
    """Turns without the interpreter, until one needs it: 0, or the number of the error that a turn met.

    There are none without a compiler.
    """
    return 0


def gather_lines(content: mmap | bytes, offsets: "array[int]", at: int, last: int, most: int) -> Gathered:
    """The records whose frames lie in ``content`` at ``offsets``, from the ``at``-th on, one a line.

    As many as ``most`` bytes hold, and one at least; without those whose number is not above ``last``. Returns which
    offset comes next, the numbers of the first (0 when there is none) and the last record, the lines without the last
    line's end, and the offset of a frame that is not what was written, or -1; with one of those no lines.
    """
    taken: list[bytes] = []
    size = first = 0
    while at < len(offsets):
        if at % _AT_A_TIME == 0:
            # The sessions' own thread goes first.
            time.sleep(0)
        payload = read_payload(content, offsets[at])
        found = None if payload is None else _NUMBER.search(payload)
        if payload is None or found is None:
            return at, 0, last, b"", offsets[at]
        if size and size + len(payload) + 1 > most:
            break
        size += len(payload) + 1
        at += 1
        if (number := int(found[1])) > last:
            first = first or number
            last = number
            taken.append(payload)
    return at, first, last, b"\n".join(taken), -1
