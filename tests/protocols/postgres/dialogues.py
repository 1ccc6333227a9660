"""Dialogues as hypothesis draws them: what a client may send, cut anywhere, with answers that come at any time."""

import itertools
import struct
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from interlock.protocols.postgres import messages
from interlock.protocols.postgres.session import PostgresMachine
from tests.protocols.postgres.playbook import Playbook, ScriptedServer, open_session, split

TEXTS = (
    "SELECT 3 AS rows",
    "SELECT 0 AS rows",
    "SELECT 2 that nobody can parse",
    "SELECT 1 AS no",
    "SELECT 1 AS fail",
    "SELECT set_config('a.b', 'c', false)",
    "UPDATE orders SET n = 1",
    "UPDATE orders SET n = 1 WHERE id = 2 -- fail",
    "UPDATE orders SET big = 1",
    "UPDATE orders SET big = 2 -- denied",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "COPY t FROM STDIN",
    "",
)
NAMES = ("", "a", "b")
_NO_VALUES = b"\0\0\0\0\0\0"
_ONE_VALUE = struct.pack("!hhi", 0, 1, 3) + b"abc" + b"\0\0"


def _copy_data(rows: bytes) -> bytes:
    return messages.frame(b"d", rows)


texts = st.sampled_from(TEXTS)
names = st.sampled_from(NAMES)
single = st.one_of(
    st.builds(messages.query, texts),
    st.builds(messages.parse, names, texts),
    st.builds(messages.bind, names, names, st.sampled_from((_NO_VALUES, _ONE_VALUE))),
    st.builds(messages.describe, st.sampled_from((b"S", b"P")), names),
    st.builds(messages.execute, names, st.sampled_from((0, 0, 1, 2))),
    st.builds(messages.close, st.sampled_from((b"S", b"P")), names),
    st.just(messages.SYNC),
    st.just(messages.FLUSH),
    st.builds(_copy_data, st.binary(max_size=8)),
    st.just(messages.COPY_DONE),
    st.just(messages.copy_fail("stopped")),
)


def _whole(text: str, name: str) -> list[bytes]:
    return [messages.parse("", text), messages.bind(name, "", _NO_VALUES), messages.execute(name)]


commands = st.lists(
    st.one_of(single.map(lambda one: [one]), st.builds(_whole, texts, names)), min_size=1, max_size=12
).map(lambda groups: [message for group in groups for message in group])


plans = st.lists(st.tuples(st.integers(1, 120), st.booleans(), st.integers(1, 64)), min_size=1, max_size=12)
"""How a dialogue is cut: so many bytes of the client's, whether the server then answers, and in which pieces."""


@dataclass
class Talk:
    """A machine, its playbook, and a scripted server whose answers wait until they are let through."""

    book: Playbook
    machine: PostgresMachine
    server: ScriptedServer
    sent: bytearray

    @classmethod
    def start(cls) -> "Talk":
        book = Playbook()
        return cls(book, open_session(book), ScriptedServer(), bytearray())

    def hold_dialogue(
        self, stream: bytes, plan: list[tuple[int, bool, int]], answer: Callable[[], bool] = lambda: False
    ) -> None:
        """Say ``stream`` cut as planned. ``answer`` gives one verdict that is due, and tells whether there was one."""
        at = 0
        for take, answers, cut in itertools.chain(plan, itertools.repeat((4096, True, 4096))):
            self.machine.client_bytes(stream[at : at + take])
            at += take
            if answers:
                self.let_through(cut, answer)
            if at >= len(stream):
                break
        self.let_through(4096, answer)

    def let_through(self, cut: int, answer: Callable[[], bool]) -> None:
        """Carry what is on its way up to the server, and its answer back, ``cut`` bytes at a time."""
        for _ in range(10_000):
            sent = self.book.take_upstream()
            if not sent and not answer():
                return
            check_framing(sent)
            self.sent += sent
            answers = self.server.receive(sent)
            for at in range(0, len(answers), cut):
                self.machine.upstream_bytes(answers[at : at + cut])
        raise AssertionError("the machine and the server never come to an end")


def check_framing(sent: bytes) -> None:
    """What goes upstream is whole messages of types that a client may send."""
    for code, _ in split(sent):
        assert code in (b"Q", b"P", b"B", b"D", b"E", b"C", b"H", b"S", b"d", b"c", b"f", b"X")


def shape(stream: bytes) -> list[tuple[bytes, bytes]]:
    """What of the answers must be the same: all of it, but of an error only whether it is a refusal."""
    return [(code, body[:0] if code == b"E" and b"C42501\0" not in body else body) for code, body in split(stream)]
