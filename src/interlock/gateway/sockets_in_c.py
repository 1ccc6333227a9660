"""The system calls of a statement's way, in C (``sockets_in_c.pxd``), for compiled callers; here without a compiler.

Sockets are known by their numbers, so that neither making nor reading an object stands between an event and its bytes.
"""

import os
import select
import time

_RECEIVED_BYTES = 256 * 1024
_PIECES_AT_ONCE = 64

Room = list[tuple[int, int]]
"""Where events are put by the kernel."""

_EPOLLS: dict[int, select.epoll] = {}


def open_epoll() -> int:
    """Its number. Raises OSError."""
    epoll = select.epoll()
    _EPOLLS[epoll.fileno()] = epoll
    return epoll.fileno()


def close_epoll(epoll: int) -> None:
    _EPOLLS.pop(epoll).close()


def change(epoll: int, handle: int, before: int, after: int) -> None:
    """Wait for the events ``after`` where ``before`` was waited for; 0 is none. Raises OSError."""
    if not before:
        _EPOLLS[epoll].register(handle, after)
    elif after:
        _EPOLLS[epoll].modify(handle, after)
    else:
        _EPOLLS[epoll].unregister(handle)


def make_room(_most: int) -> Room:
    return []


def give_room_back(room: Room) -> None:
    room.clear()


def wait_ready(epoll: int, room: Room, most: int, timeout_ms: int) -> int:
    """How many events there are, after ``timeout_ms`` at the latest (-1: whenever); -1 when a signal came in between.

    The interpreter is free for other threads meanwhile.
    """
    room[:] = _EPOLLS[epoll].poll(timeout_ms / 1e3 if timeout_ms >= 0 else None, most)
    return len(room)


def rest_us(how_long: int) -> None:
    """Sleep so long. The interpreter is free for other threads meanwhile."""
    time.sleep(how_long / 1e6)


def handle_at(room: Room, place: int) -> int:
    return room[place][0]


def events_at(room: Room, place: int) -> int:
    return room[place][1]


def receive(handle: int) -> bytes | None:
    """What has come; nothing when the peer sends no more, None when there is nothing yet. Raises OSError."""
    try:
        return os.read(handle, _RECEIVED_BYTES)
    except BlockingIOError:
        return None


def send_one(handle: int, piece: bytes) -> int:
    """Send as much as the kernel takes. Returns how many bytes. Raises OSError."""
    return send_pieces(handle, [piece], 0)


def send_pieces(handle: int, pieces: list[bytes], past: int) -> int:
    """Send as much as the kernel takes, the first of the pieces from ``past`` on. Returns how many bytes.

    Raises OSError.
    """
    first = memoryview(pieces[0])[past:]
    try:
        return os.writev(handle, [first, *pieces[1:_PIECES_AT_ONCE]])
    except BlockingIOError:
        return 0
