"""A pump and its pipes, over real sockets, one turn after the other."""

import os
import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from interlock.gateway.loop import PumpLoop
from interlock.gateway.pump import Pipe, Pump, Receiver, Watcher

_LOT = 8 * 1024 * 1024
_SOON_MS = 2000


class Heard(Receiver):
    """What was told, in its order. ``then`` is done with the bytes."""

    def __init__(self, then: Callable[[bytes], None] = lambda _: None) -> None:
        self.told: list[object] = []
        self.then = then

    def connection_made(self, pipe: Pipe) -> None:
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.told.append(data)
        self.then(data)

    def eof_received(self) -> None:
        self.told.append("finished")

    def connection_lost(self, error: Exception | None) -> None:
        self.told.append(error or "lost")

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


class Ends:
    """A pipe, what it told, and the far end of it."""

    def __init__(self, pump: Pump) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.far = socket.create_connection(listener.getsockname())
            near, _ = listener.accept()
        near.setblocking(False)
        self.far.settimeout(5)
        self.heard = Heard()
        self.pipe = pump.open(near, self.heard)

    def reset(self) -> None:
        self.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.far.close()


@pytest.fixture
def loop() -> Iterator[PumpLoop]:
    made = PumpLoop()
    yield made
    made.close()


@pytest.fixture
def pump(loop: PumpLoop) -> Pump:
    return loop.pump


@pytest.fixture
def connect(pump: Pump) -> Iterator[Callable[[], Ends]]:
    made: list[Ends] = []

    def open_ends() -> Ends:
        made.append(Ends(pump))
        return made[-1]

    yield open_ends
    for ends in made:
        ends.far.close()


@pytest.fixture
def ends(connect: Callable[[], Ends]) -> Ends:
    return connect()


def _turn_until(pump: Pump, done: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if done():
            return
        pump.turn(1)
    pytest.fail("it did not come to it")


def test_bytes_go_both_ways(pump: Pump, ends: Ends) -> None:
    ends.far.sendall(b"ask")
    pump.turn(_SOON_MS)
    ends.pipe.write(b"ans")
    ends.pipe.write(b"wer")
    pump.turn(0)
    assert ends.heard.told == ["made", b"ask"]
    assert ends.far.recv(100) == b"answer"


def test_what_is_written_while_bytes_are_handed_on_leaves_with_that_turn(pump: Pump, ends: Ends) -> None:
    ends.heard.then = lambda ask: ends.pipe.write(b"you said " + ask)
    ends.far.sendall(b"this")
    pump.turn(_SOON_MS)
    assert ends.far.recv(100) == b"you said this"


def test_all_reads_of_a_turn_come_before_its_sends(pump: Pump, connect: Callable[[], Ends]) -> None:
    one, other = connect(), connect()
    seen: list[str] = []

    def answer(here: Ends, _: bytes) -> None:
        here.pipe.write(b"x")
        for there in (one, other):
            there.far.setblocking(False)
            with pytest.raises(BlockingIOError):
                there.far.recv(1)
        seen.append("read")

    for here in (one, other):
        here.heard.then = partial(answer, here)
        here.far.sendall(b"?")
    pump.turn(_SOON_MS)
    assert seen == ["read", "read"]
    assert [here.far.recv(9) for here in (one, other)] == [b"x", b"x"]


def test_a_half_close_leaves_the_other_way_open(pump: Pump, ends: Ends) -> None:
    ends.far.sendall(b"last")
    ends.far.shutdown(socket.SHUT_WR)
    _turn_until(pump, lambda: "finished" in ends.heard.told)
    ends.pipe.pause_reading()
    ends.pipe.resume_reading()
    pump.turn(0)
    ends.pipe.write(b"answer")
    ends.pipe.close()
    pump.turn(0)
    assert ends.far.recv(100) == b"answer"
    assert ends.far.recv(100) == b""
    assert ends.heard.told == ["made", b"last", "finished", "lost"]


def test_what_was_written_leaves_before_a_close_however_slow_the_reader_is(pump: Pump, ends: Ends) -> None:
    sent = bytes(range(256)) * (_LOT // 256)
    ends.pipe.write(sent[:-5])
    ends.pipe.write(sent[-5:])
    ends.pipe.close()
    pump.turn(0)
    assert "lost" not in ends.heard.told
    got = bytearray()
    while len(got) < len(sent):
        pump.turn(0)
        got += ends.far.recv(1 << 20)
    pump.turn(0)
    assert bytes(got) == sent
    assert ends.heard.told[-1] == "lost"
    assert ends.far.recv(1) == b""


def test_many_small_pieces_arrive_in_their_order(pump: Pump, ends: Ends) -> None:
    pieces = [b"%d," % number for number in range(5_000)]
    for piece in pieces:
        ends.pipe.write(piece)
    got = bytearray()
    while len(got) < sum(map(len, pieces)):
        pump.turn(0)
        got += ends.far.recv(1 << 20)
    assert bytes(got) == b"".join(pieces)


def test_a_slow_reader_presses_once_and_is_forgotten_once(pump: Pump, ends: Ends) -> None:
    ends.pipe.set_write_buffer_limits(1000, 100)
    for _ in range(4):
        ends.pipe.write(bytes(_LOT))
    assert ends.heard.told == ["made", "pause"]
    left = 4 * _LOT
    while left:
        pump.turn(0)
        left -= len(ends.far.recv(1 << 20))
    pump.turn(0)
    assert ends.heard.told == ["made", "pause", "resume"]


def test_an_abort_loses_what_was_not_sent_and_tells_of_its_end_later(pump: Pump, ends: Ends) -> None:
    ends.pipe.write(b"never")
    ends.pipe.abort()
    ends.pipe.write(b"nor this")
    assert ends.pipe.is_closing()
    assert ends.heard.told == ["made"]
    pump.turn(0)
    ends.pipe.abort()
    ends.pipe.close()
    pump.turn(0)
    assert ends.heard.told == ["made", "lost"]
    assert ends.far.recv(100) == b""


def test_a_reset_in_the_middle_of_a_write_is_an_end_and_no_exception(pump: Pump, ends: Ends) -> None:
    ends.pipe.pause_reading()
    ends.pipe.write(bytes(4 * _LOT))
    ends.reset()
    _turn_until(pump, lambda: len(ends.heard.told) > 2)
    ends.pipe.write(b"more")
    pump.turn(0)
    assert ends.heard.told[:2] == ["made", "pause"]
    assert isinstance(ends.heard.told[2], OSError)
    assert len(ends.heard.told) == 3


def test_a_reset_is_an_end_with_its_reason(pump: Pump, ends: Ends) -> None:
    ends.reset()
    pump.turn(_SOON_MS)
    assert isinstance(ends.heard.told[-1], ConnectionResetError)


def test_nothing_is_read_while_paused_and_all_of_it_afterwards(pump: Pump, ends: Ends) -> None:
    ends.pipe.pause_reading()
    ends.far.sendall(b"before it left")
    ends.far.close()
    for _ in range(3):
        pump.turn(1)
    assert ends.heard.told == ["made"]
    ends.pipe.resume_reading()
    _turn_until(pump, lambda: "finished" in ends.heard.told)
    assert ends.heard.told == ["made", b"before it left", "finished"]


def test_a_peer_that_is_gone_wakes_nobody_while_paused(pump: Pump, ends: Ends) -> None:
    ends.pipe.pause_reading()
    ends.reset()
    assert not pump.turn(50)
    assert ends.heard.told == ["made"]
    ends.pipe.resume_reading()
    pump.turn(_SOON_MS)
    assert isinstance(ends.heard.told[-1], ConnectionResetError)


@pytest.mark.parametrize("end", [Pipe.close, Pipe.abort, Pipe.pause_reading])
def test_an_event_of_the_same_turn_is_stale_after_another_pipe_had_its_say(
    pump: Pump, connect: Callable[[], Ends], end: Callable[[Pipe], None]
) -> None:
    one, other = connect(), connect()
    one.heard.then = lambda _: end(other.pipe)
    other.heard.then = lambda _: end(one.pipe)
    for here in (one, other):
        here.far.sendall(b"x")
    pump.turn(_SOON_MS)
    pump.turn(0)
    assert sorted([one.heard.told.count(b"x"), other.heard.told.count(b"x")]) == [0, 1]


def test_the_number_of_a_socket_that_ended_is_not_used_in_the_same_turn(
    pump: Pump, connect: Callable[[], Ends]
) -> None:
    one, other = connect(), connect()
    opened: list[Ends] = []

    def make_way(there: Ends) -> None:
        if not opened:
            number = there.pipe.sock.fileno()
            there.pipe.abort()
            opened.append(connect())
            assert opened[0].pipe.sock.fileno() != number

    one.heard.then = lambda _: make_way(other)
    other.heard.then = lambda _: make_way(one)
    for here in (one, other):
        here.far.sendall(b"x")
    pump.turn(_SOON_MS)
    opened[0].far.sendall(b"new")
    pump.turn(_SOON_MS)
    assert opened[0].heard.told == ["made", b"new"]


def test_the_number_of_a_socket_is_used_again_afterwards(pump: Pump, connect: Callable[[], Ends]) -> None:
    for _ in range(5):
        ends = connect()
        ends.far.sendall(b"x")
        pump.turn(_SOON_MS)
        ends.pipe.close()
        pump.turn(0)
        assert ends.heard.told == ["made", b"x", "lost"]
        ends.far.close()


def test_a_fault_of_a_receiver_ends_its_own_pipe(loop: PumpLoop, pump: Pump, connect: Callable[[], Ends]) -> None:
    reported: list[object] = []
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
    fault = ValueError("a fault")

    def fail(_: bytes) -> None:
        raise fault

    one, other = connect(), connect()
    one.heard.then = fail
    for here in (one, other):
        here.far.sendall(b"x")
    pump.turn(_SOON_MS)
    pump.turn(0)
    assert reported == [fault]
    assert one.heard.told == ["made", b"x", fault]
    assert other.heard.told == ["made", b"x"]


class Bell(Watcher):
    """Writes down what it was told, by its name. ``fault`` is raised each time."""

    def __init__(self, name: str, told: list[str], fault: Exception | None = None) -> None:
        super().__init__()
        self.name, self.told, self.fault = name, told, fault
        self.handle = os.eventfd(1, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def ready(self, events: int) -> None:
        os.eventfd_read(self.handle)
        self._tell("heard")

    def turn_over(self) -> None:
        self._tell("over")

    def _tell(self, what: str) -> None:
        self.told.append(f"{self.name} {what}")
        if self.fault is not None:
            raise self.fault


def test_what_a_watcher_asked_for_comes_after_all_reads_of_a_turn_once_and_in_order(pump: Pump, ends: Ends) -> None:
    told: list[str] = []
    first, second = Bell("first", told), Bell("second", told)
    for bell in (first, second):
        pump.watch(bell.handle, bell)
    for bell in (second, first, second):
        ends.heard.then = lambda _: told.append("read")
        ends.far.sendall(b"x")
        pump.call_after_turn(bell)
    pump.turn(_SOON_MS)
    assert sorted(told[:3]) == ["first heard", "read", "second heard"]
    assert told[3:] == ["second over", "first over"]
    pump.unwatch(first.handle)
    os.eventfd_write(first.handle, 1)
    pump.turn(0)
    assert len(told) == 5
    pump.unwatch(second.handle)
    for bell in (first, second):
        os.close(bell.handle)


def test_the_fault_of_a_watcher_touches_nobody_else(loop: PumpLoop, pump: Pump, ends: Ends) -> None:
    told: list[str] = []
    reported: list[object] = []
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
    bells = [Bell("bad", told, RuntimeError("broken")), Bell("good", told)]
    for bell in bells:
        pump.watch(bell.handle, bell)
        pump.call_after_turn(bell)
    ends.heard.then = lambda ask: ends.pipe.write(ask)
    ends.far.sendall(b"still served")
    pump.turn(_SOON_MS)
    assert sorted(told) == ["bad heard", "bad over", "good heard", "good over"]
    assert reported == [bells[0].fault] * 2
    assert ends.far.recv(100) == b"still served"
    for bell in bells:
        pump.unwatch(bell.handle)
        os.close(bell.handle)


def test_an_end_may_write_to_others_and_end_them(pump: Pump, connect: Callable[[], Ends]) -> None:
    one, other = connect(), connect()

    class Mourner(Receiver):
        def connection_lost(self, error: Exception | None) -> None:
            other.pipe.write(b"it is over")
            other.pipe.close()

    near, far = socket.socketpair()
    near.setblocking(False)
    pipe = pump.open(near, Mourner())
    one.pipe.write(b"first")
    pipe.abort()
    pump.turn(0)
    assert other.far.recv(100) == b"it is over"
    assert other.heard.told == ["made", "lost"]
    assert far.recv(1) == b""
    far.close()


def test_a_thousand_connections(pump: Pump, connect: Callable[[], Ends]) -> None:
    all_ends = [connect() for _ in range(1000)]
    for ends in all_ends:
        ends.heard.then = ends.pipe.write
    for number, ends in enumerate(all_ends):
        ends.far.sendall(b"%d" % number)
    _turn_until(pump, lambda: all(len(ends.heard.told) == 2 for ends in all_ends))
    for number, ends in enumerate(all_ends):
        assert ends.far.recv(100) == b"%d" % number
        ends.far.close()
    _turn_until(pump, lambda: all("finished" in ends.heard.told for ends in all_ends))
    for ends in all_ends:
        ends.pipe.close()
    pump.turn(0)
    assert all(ends.heard.told[-1] == "lost" for ends in all_ends)


def test_a_pump_that_is_closed_sends_what_was_written_and_tells_nobody(loop: PumpLoop, ends: Ends) -> None:
    ends.pipe.write(b"goodbye")
    loop.close()
    assert ends.far.recv(100) == b"goodbye"
    assert ends.far.recv(100) == b""
    assert ends.heard.told == ["made"]


def test_only_a_result_that_does_not_end_is_let_gather(pump: Pump) -> None:
    """One word of anybody's, and no more is waited."""
    large, small = Ends(pump), Ends(pump)
    pump.turn(0)
    for _ in range(3):
        seen = []
        for _ in range(10):
            large.far.sendall(bytes(16 * 1024))
            pump.turn(_SOON_MS)
            seen.append(pump.is_flooded())
        assert not any(seen[:4])
        assert seen[-1]
        small.far.sendall(b"a word")
        pump.turn(_SOON_MS)
        assert not pump.is_flooded()
    for ends in (large, small):
        ends.far.close()
