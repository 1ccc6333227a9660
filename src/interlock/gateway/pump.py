"""Sockets of sessions without asyncio's transports: one wait for all of them, and all sends after all reads.

A :class:`Pump` waits for the sockets of all its pipes at once, hands on what has come, and then sends what was written
meanwhile: who is woken by a send finds the processor free of the reads before it, and a second write to the same socket
costs no second system call. A :class:`Pipe` has the methods of :class:`asyncio.Transport` that a connection needs, and
keeps its promises: nobody hears of an end inside of a call, what was written leaves before a ``close``, and a broken
socket shows as an end and never as an exception.

INVARIANT: a socket is closed only after a turn, so no number that a turn has an event for belongs to another socket.
"""

import asyncio
import math
import select
import socket

from interlock.gateway import records_in_c, sockets_in_c

_IN, _OUT = select.EPOLLIN, select.EPOLLOUT
_BROKEN = select.EPOLLERR | select.EPOLLHUP
_MOST = 256
"""Events that one turn takes. Who is left out is first in the next: the kernel goes round."""
_AT_ONCE_BYTES = 64 * 1024
"""So much is not gathered for the turn's end."""
_FLOOD_BYTES = 8 * 1024
"""From here on a read is part of a large result; it is what PostgreSQL sends at a time."""
_FLOOD_TURNS = 8
_REST_US = 150
"""So long large results gather in the kernel, when nobody else has something to do. Taken as fast as they come, in a
turn for each piece, they cost twice as much."""
_LONGEST_MS = 24 * 3600 * 1000
_HIGH_BYTES, _LOW_BYTES = 64 * 1024, 16 * 1024


class Receiver:
    """Whom a pipe tells what happens; as :class:`asyncio.Protocol`, and without doing anything by itself."""

    def connection_made(self, pipe: "Pipe") -> None: ...

    def data_received(self, data: bytes) -> None: ...

    def eof_received(self) -> None:
        """The peer sends no more; what is written still goes out."""

    def connection_lost(self, error: Exception | None) -> None:
        """The last that is told. ``error`` says why, when it was neither side's wish."""

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


_NOBODY = Receiver()


class Watcher:
    """Who waits for a handle at a pump; does nothing by itself. What it raises is told of and touches nobody else."""

    def __init__(self) -> None:
        # Whether the turn will be over for it, and who comes after it then.
        self.due = False
        self.next: Watcher | None = None

    def ready(self, events: int) -> None: ...

    def turn_over(self) -> None:
        """What was read in this turn is done with. Called when it was asked for, once."""


class Pipe(Watcher):
    """One connected socket. :meth:`Pump.open` makes it."""

    def __init__(self, pump: "Pump", sock: socket.socket, receiver: Receiver) -> None:
        super().__init__()
        self.sock = sock
        self._pump = pump
        self._receiver = receiver
        self._handle = sock.fileno()
        self._interest = 0
        # What waits to be sent: one piece, or all that there are.
        self._only: bytes | None = None
        self._pieces: list[bytes] = []
        self._past = 0
        self._size = 0
        self._high, self._low = _HIGH_BYTES, _LOW_BYTES
        self._reading = True
        self._finished = False
        self._stuck = False
        self._pressed = False
        self._closing = False
        self._ended = False
        self._why: Exception | None = None

    # What a connection calls

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        self._high, self._low = high, low

    def write(self, payload: bytes) -> None:
        """Send it when the turn is over. What the kernel does not take is kept as it is, not copied."""
        if self._closing or not payload:
            return
        if self._size == 0:
            self._only = payload
        else:
            self._gather()
            self._pieces.append(payload)
        self._size += len(payload)
        if self._stuck:
            self._press()
        elif self._size >= _AT_ONCE_BYTES:
            self.flush()
        elif not self.due:
            self._pump.call_after_turn(self)

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._reading = False
        self._attend()

    def resume_reading(self) -> None:
        self._reading = True
        self._attend()

    def close(self) -> None:
        """End when what was written has left."""
        if self._closing:
            return
        self._closing = True
        if self._size:
            self._attend()
        else:
            self._end(None)

    def abort(self) -> None:
        """End now; what was not sent is lost."""
        self._end(None)

    # What the pump calls

    def turn_over(self) -> None:
        self.flush()

    def flush(self) -> None:
        if self._ended or self._size == 0:
            return
        only = self._only
        try:
            if only is not None:
                sent = sockets_in_c.send_one(self._handle, only)
            else:
                sent = sockets_in_c.send_pieces(self._handle, self._pieces, self._past)
        except OSError as error:
            self._end(error)
            return
        if sent == self._size:
            self._drop_pieces()
            if self._stuck:
                self._stuck = False
                self._attend()
        else:
            self._gather()
            self._take_off(sent)
            if not self._stuck:
                self._stuck = True
                self._attend()
        if self._pressed or self._stuck:
            self._press()
        if self._closing and not self._size:
            self._end(None)

    def ready(self, events: int) -> None:
        """What the kernel told may be of no interest any more: another pipe's bytes came first."""
        if self._stuck and events & (_OUT | _BROKEN):
            self.flush()
        if self._interest & _IN and events & (_IN | _BROKEN):
            self._read()

    def start(self) -> None:
        self._receiver.connection_made(self)
        self._attend()

    def fail(self, error: Exception) -> None:
        """End by a fault of the receiver's."""
        self._pump.report("A connection ends by a fault of ours.", error)
        self._end(error)

    def finish(self) -> None:
        """Tell its end, and close the socket. Once, after the turn in which it ended."""
        receiver, self._receiver = self._receiver, _NOBODY
        try:
            receiver.connection_lost(self._why)
        except Exception as error:  # noqa: BLE001 -- a receiver's fault touches no other pipe
            self._pump.report("The end of a connection met a fault of ours.", error)
        self.sock.close()

    def drop(self) -> None:
        """Close the socket and tell nobody."""
        self._closing = self._ended = True
        self._receiver = _NOBODY
        self.sock.close()

    # Inside

    def _read(self) -> None:
        try:
            payload = sockets_in_c.receive(self._handle)
        except OSError as error:
            self._end(error)
            return
        if payload is None:
            return
        self._pump.note_read(len(payload))
        try:
            if payload:
                self._receiver.data_received(payload)
            else:
                self._finished = True
                self._attend()
                self._receiver.eof_received()
        except Exception as error:  # noqa: BLE001 -- a receiver's fault ends its own pipe and no other
            self.fail(error)

    def _gather(self) -> None:
        if self._only is not None:
            self._pieces.append(self._only)
            self._only = None

    def _drop_pieces(self) -> None:
        if self._only is not None:
            self._only = None
        else:
            self._pieces.clear()
        self._past = self._size = 0

    def _take_off(self, sent: int) -> None:
        self._size -= sent
        sent += self._past
        count = 0
        while sent and sent >= len(self._pieces[count]):
            sent -= len(self._pieces[count])
            count += 1
        del self._pieces[:count]
        self._past = sent

    def _press(self) -> None:
        """Tell the receiver that too much waits, or little enough again."""
        if self._pressed == (self._size > (self._low if self._pressed else self._high)):
            return
        self._pressed = not self._pressed
        try:
            if self._pressed:
                self._receiver.pause_writing()
            else:
                self._receiver.resume_writing()
        except Exception as error:  # noqa: BLE001 -- as in _read
            self.fail(error)

    def _attend(self) -> None:
        """Let the kernel know which events are of interest. With none of them it tells of nothing, a reset included."""
        if self._ended:
            return
        reads = self._reading and not self._finished and not self._closing
        wanted = (_IN if reads else 0) | (_OUT if self._stuck else 0)
        if wanted != self._interest:
            self._pump.attend(self._handle, self._interest, wanted)
            self._interest = wanted

    def _end(self, why: Exception | None) -> None:
        if self._ended:
            return
        self._closing = True
        self._stuck = False
        self._attend()
        self._ended = True
        self._why = why
        self._drop_pieces()
        self._pump.end_soon(self)


class Pump:
    """All pipes of one loop. ``inner`` is the loop's own epoll, when the loop waits through the pump.

    Else the pump is ``attached``: the loop calls ``turn`` when ``handle`` can be read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, inner: int = -1) -> None:
        self._loop = loop
        self._room = sockets_in_c.make_room(_MOST)
        self.handle = sockets_in_c.open_epoll()
        self._watchers: list[Watcher | None] = []
        self._first_due: Watcher | None = None
        self._last_due: Watcher | None = None
        self._ended: list[Pipe] = []
        self._inner = inner
        self._attached = inner < 0
        self._turning = False
        self._scheduled = False
        self._floods = 0
        self.asked = False
        if inner >= 0:
            sockets_in_c.change(self.handle, inner, 0, _IN)

    def open(self, sock: socket.socket, receiver: Receiver) -> Pipe:
        """Take over a connected socket that does not block. What ``connection_made`` raises is the caller's."""
        pipe = Pipe(self, sock, receiver)
        self._place(sock.fileno(), pipe)
        pipe.start()
        return pipe

    def watch(self, handle: int, watcher: Watcher) -> None:
        """Call its ``ready`` whenever ``handle``, which stays the caller's, can be read."""
        self._place(handle, watcher)
        self.attend(handle, 0, _IN)

    def unwatch(self, handle: int) -> None:
        self.attend(handle, _IN, 0)
        self._watchers[handle] = None

    def _place(self, handle: int, watcher: Watcher) -> None:
        if handle >= len(self._watchers):
            self._watchers.extend([None] * (handle + 64 - len(self._watchers)))
        self._watchers[handle] = watcher

    def work(self, timeout_s: float | None) -> bool:
        """Turns, until the loop has something to do: one of its events (which is returned), a call, or the time."""
        self.asked = False
        self.settle()
        if self.asked or (timeout_s is not None and timeout_s <= 0):
            # What was asked for before is done before what the sockets bring, as in every loop of asyncio's.
            self._loop.call_soon(self.turn, 0)
            return True
        timeout_ms = -1
        until = 0.0
        if timeout_s is not None:
            until = records_in_c.monotonic_s() + timeout_s
            timeout_ms = min(math.ceil(timeout_s * 1e3), _LONGEST_MS)
        while True:
            if self.is_flooded():
                sockets_in_c.rest_us(_REST_US)
            inner = self.turn(timeout_ms)
            if inner or self.asked:
                return inner
            if timeout_ms > 0:
                left_s = until - records_in_c.monotonic_s()
                if left_s <= 0:
                    return False
                timeout_ms = int(left_s * 1e3) + 1

    def turn(self, timeout_ms: int) -> bool:
        """Wait, hand on what came, send what was written, tell what ended. Returns whether the loop has an event."""
        count = sockets_in_c.wait_ready(self.handle, self._room, _MOST, timeout_ms)
        if count < 0:
            self.asked = True
        inner = False
        self._turning = True
        try:
            for place in range(count):
                handle = sockets_in_c.handle_at(self._room, place)
                if handle == self._inner:
                    inner = True
                    continue
                watcher = self._watchers[handle]
                if watcher is not None:
                    try:
                        watcher.ready(sockets_in_c.events_at(self._room, place))
                    except Exception as error:  # noqa: BLE001 -- the fault of one touches no other
                        self.report("What came on a handle met a fault of ours.", error)
            self.settle()
        finally:
            self._turning = False
        return inner

    def note_read(self, size_bytes: int) -> None:
        self._floods = self._floods + 1 if size_bytes >= _FLOOD_BYTES else 0

    def is_flooded(self) -> bool:
        """Whether the last reads were all of large results, so that a moment's rest keeps nobody waiting."""
        return self._floods >= _FLOOD_TURNS

    def settle(self) -> None:
        """Send what was written, and tell of the pipes that ended, until there is neither."""
        self._scheduled = False
        while self._first_due is not None or self._ended:
            while self._first_due is not None:
                watcher = self._first_due
                self._first_due = watcher.next
                if watcher.next is None:
                    self._last_due = None
                watcher.next = None
                watcher.due = False
                try:
                    watcher.turn_over()
                except Exception as error:  # noqa: BLE001 -- the fault of one touches no other
                    self.report("The end of a turn met a fault of ours.", error)
            if self._ended:
                pipe = self._ended.pop(0)
                self._watchers[pipe.sock.fileno()] = None
                pipe.finish()

    def close(self) -> None:
        """Close everything that is open; no receiver hears of it."""
        self.settle()
        for watcher in self._watchers:
            if isinstance(watcher, Pipe):
                watcher.drop()
        self._watchers.clear()
        sockets_in_c.close_epoll(self.handle)
        sockets_in_c.give_room_back(self._room)

    # What watchers call

    def call_after_turn(self, watcher: Watcher) -> None:
        """Call its ``turn_over`` when all that came in this turn was handed on: in the order of asking, and once."""
        if watcher.due:
            return
        watcher.due = True
        last, self._last_due = self._last_due, watcher
        if last is None:
            self._first_due = watcher
        else:
            last.next = watcher
        if self._attached:
            self._schedule()

    def end_soon(self, pipe: Pipe) -> None:
        self._ended.append(pipe)
        if self._attached:
            self._schedule()

    def attend(self, handle: int, before: int, after: int) -> None:
        sockets_in_c.change(self.handle, handle, before, after)

    def report(self, what: str, error: Exception) -> None:
        self._loop.call_exception_handler({"message": what, "exception": error})

    def _schedule(self) -> None:
        """An attached pump that is not in the middle of a turn sends in the loop's next round."""
        if not self._turning and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.settle)
