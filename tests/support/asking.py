"""What a gateway would be asked about a text: by an adapter that knows many texts already, and by one that knows none.

Nothing here looks inside of the machine: bytes go in as a client sends them, and what it asks its outlet comes out. A
server that agrees to everything is at the other side.
"""

import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat

from interlock.domain.actions import Need
from interlock.ports.protocol import Machine, Proceed, Refused, Verdict
from interlock.ports.statement import Effect, Statement
from interlock.protocols.postgres import PostgresAdapter, messages
from tests.protocols.postgres.playbook import Playbook, admission, greet, startup

_NO_VALUES = b"\0\0\0\0\0\0"
_PROCESSES = 2

Rule = Callable[[Statement], Verdict]


@dataclass(frozen=True, slots=True)
class Seen:
    """A statement as it was asked about, by what it says and not by which object says it."""

    text: str
    parameters: tuple[bytes | None, ...]
    needs: tuple[Need, ...]
    effect: Effect
    summary: str
    measurable: bool
    fenceable: bool
    unknown: str


def see(statement: Statement) -> Seen:
    return Seen(
        statement.text,
        statement.parameters,
        statement.needs,
        statement.effect,
        statement.summary,
        statement.measurable,
        statement.fenceable,
        statement.unknown,
    )


def refuse_all(statement: Statement) -> Verdict:
    return Refused("No.")


def allow_all(statement: Statement) -> Verdict:
    return Proceed()


@dataclass(frozen=True, slots=True)
class Manner:
    """How a text is sent, and to what kind of session."""

    extended: bool
    read_only: bool


MANNERS = tuple(Manner(extended, read_only) for extended in (False, True) for read_only in (False, True))


@dataclass
class Agreeable:
    """A server for which every statement is there, and does nothing. What is not there is an error until the Sync."""

    buffer: bytearray = field(default_factory=bytearray)
    skipping: bool = False

    def receive(self, stream: bytes) -> bytes:
        self.buffer += stream
        answer = b""
        while len(self.buffer) >= 5:
            length = int.from_bytes(self.buffer[1:5], "big")
            if len(self.buffer) < 1 + length:
                break
            raw = bytes(self.buffer[: 1 + length])
            del self.buffer[: 1 + length]
            answer += self._answer(raw)
        return answer

    def _answer(self, raw: bytes) -> bytes:
        code = raw[:1]
        if code == b"S":
            self.skipping = False
            return messages.ready(ord("I"))
        if self.skipping:
            return b""
        if code == b"B" and messages.read_bind(raw).statement:
            # Only the unnamed statement is ever parsed here: any other is one that refuses.
            self.skipping = True
            return messages.error("26000", "there is no such statement")
        done = messages.frame(b"C", b"SELECT 0\0")
        return {
            b"Q": done + messages.ready(ord("I")),
            b"P": messages.frame(b"1", b""),
            b"B": messages.frame(b"2", b""),
            b"E": done,
        }.get(code, b"")


@dataclass
class Asker:
    """One session, kept open. A session that ended is opened anew, on the same adapter."""

    adapter: PostgresAdapter
    rule: Rule
    read_only: bool
    book: Playbook = field(default_factory=Playbook)
    machine: Machine | None = None
    server: Agreeable = field(default_factory=Agreeable)

    def ask(self, text: str, *, extended: bool) -> tuple[Seen, ...]:
        """What is asked about ``text``."""
        machine = self.machine or self._open()
        before = len(self.book.asked)
        sent = text.encode()
        if extended:
            parsed = messages.frame(b"P", b"\0" + sent + b"\0\0\0")
            machine.client_bytes(parsed + messages.bind("", "", _NO_VALUES) + messages.execute("") + messages.SYNC)
        else:
            machine.client_bytes(messages.frame(b"Q", sent + b"\0"))
        for _ in range(8):
            upstream = self.book.take_upstream()
            if not upstream:
                break
            machine.upstream_bytes(self.server.receive(upstream))
        self.book.take_client()
        return tuple(see(statement) for statement in itertools.islice(self.book.asked.values(), before, None))

    def renew(self) -> None:
        self.machine = None

    def _open(self) -> Machine:
        self.book = Playbook(rule=self.rule)
        self.server = Agreeable()
        machine = self.adapter.open_machine(self.book)
        machine.client_bytes(messages.SSL_REQUEST)
        machine.client_secured(None)
        machine.client_bytes(startup(user="dev", database="orders"))
        machine.client_bytes(messages.password(b"one-time"))
        machine.admitted(admission(read_only=self.read_only))
        machine.upstream_opened()
        machine.upstream_bytes(greet(read_only=self.read_only))
        self.book.take_upstream()
        self.book.take_client()
        self.machine = machine
        return machine


Asked = dict[str, tuple[Seen, ...]]


def asked_apart(texts: Sequence[str], shape: Callable[[str], str], manner: Manner) -> Asked:
    """What is asked about each text by an adapter that knows nothing.

    Texts of one shape are never met by one process, so that no memory, whoever keeps it, can mix them up.
    """
    batches: list[list[str]] = []
    met: dict[str, int] = {}
    for text in texts:
        key = shape(text)
        place = met[key] = met.get(key, -1) + 1
        if place == len(batches):
            batches.append([])
        batches[place].append(text)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    found: Asked = {}
    with ProcessPoolExecutor(_PROCESSES, mp_context=context, max_tasks_per_child=1) as pool:
        for answers in pool.map(_ask_all, batches, repeat(manner)):
            found.update(answers)
    return found


def _ask_all(texts: Iterable[str], manner: Manner) -> Asked:
    return {
        text: Asker(PostgresAdapter(), refuse_all, manner.read_only).ask(text, extended=manner.extended)
        for text in texts
    }
