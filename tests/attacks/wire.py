"""A PostgreSQL client that sends exactly what it is told to, message by message, through the gateway."""

import select
import socket
import ssl
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from interlock.protocols.postgres import messages

SYNC, FLUSH = messages.SYNC, messages.FLUSH
_WAIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One message of the server's: its type and its body."""

    code: str
    body: bytes

    @property
    def fields(self) -> dict[str, str]:
        """The fields of an error or a notice."""
        return messages.read_fields(messages.frame(self.code.encode(), self.body))


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything up to a moment, parameter reports and notices included."""

    all: tuple[Answer, ...]

    @property
    def codes(self) -> str:
        """The types in order, without reports, notices and descriptions."""
        return "".join(answer.code for answer in self.all if answer.code not in "SNATtn")

    @property
    def errors(self) -> list[str]:
        """The SQLSTATEs of the errors."""
        return [answer.fields["C"] for answer in self.all if answer.code == "E"]

    @property
    def sentences(self) -> list[str]:
        return [answer.fields["M"] for answer in self.all if answer.code == "E"]

    @property
    def tags(self) -> list[str]:
        return [answer.body[:-1].decode() for answer in self.all if answer.code == "C"]

    @property
    def rows(self) -> list[tuple[bytes | None, ...]]:
        rows: list[tuple[bytes | None, ...]] = []
        for answer in self.all:
            if answer.code == "D":
                rows += messages.read_rows(messages.frame(b"D", answer.body))
        return rows

    @property
    def status(self) -> str:
        """The transaction status of the last ReadyForQuery, empty when none came."""
        ready = [answer.body.decode() for answer in self.all if answer.code == "Z"]
        return ready[-1] if ready else ""

    @property
    def held(self) -> str:
        """The notice of a held statement, empty when there was none."""
        said = [answer.fields["M"] for answer in self.all if answer.code == "N"]
        return next((sentence for sentence in said if sentence.startswith("held: ")), "")

    @property
    def request(self) -> str:
        """The number of the request that a held statement waits for."""
        return self.held.split()[2]

    @property
    def over(self) -> bool:
        """Whether the session was ended."""
        return any(answer.code == "E" and answer.fields["S"] == "FATAL" for answer in self.all)


class Wire:
    """An open session. ``key`` is what a cancel request must show."""

    def __init__(self, sock: ssl.SSLSocket, address: tuple[str, int]) -> None:
        self.key = b""
        self._socket = sock
        self._address = address
        self._received = bytearray()

    def send(self, *parts: bytes) -> None:
        """All parts in one write, as a pipelining client does it."""
        self._socket.sendall(b"".join(parts))

    def ask(self, *parts: bytes, ready: int = 1) -> Answers:
        """Send, and wait for ``ready`` ReadyForQuery, or the end of the session."""
        self.send(*parts)
        return self.read(ready)

    def query(self, text: str) -> Answers:
        return self.ask(messages.query(text))

    def read(self, ready: int = 1) -> Answers:
        got: list[Answer] = []
        while ready and (answer := self._take(_WAIT_S)) is not None:
            got.append(answer)
            ready -= answer.code == "Z"
        return Answers(tuple(got))

    def read_held(self) -> Answers:
        """Everything up to the notice that the statement is held, or to a ReadyForQuery when it is not."""
        got: list[Answer] = []
        while (answer := self._take(_WAIT_S)) is not None:
            got.append(answer)
            if answer.code == "Z" or (answer.code == "N" and answer.fields["M"].startswith("held: ")):
                break
        return Answers(tuple(got))

    def read_for(self, seconds: float) -> Answers:
        """What comes within a time."""
        got: list[Answer] = []
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and (answer := self._take(left, patient=True)) is not None:
            got.append(answer)
        return Answers(tuple(got))

    def cancel(self) -> None:
        with socket.create_connection(self._address) as sock:
            sock.sendall(messages.cancel_request(self.key))
            sock.recv(1)

    def withdraw(self) -> Answers:
        """Cancel what is held, and its answers. The gateway lets an address try only so often, so it is tried again."""
        until = time.monotonic() + _WAIT_S
        while time.monotonic() < until:
            self.cancel()
            if self._received or self._socket.pending() or select.select([self._socket], [], [], 0.3)[0]:
                return self.read()
        raise TimeoutError("the cancel was not answered")

    def close(self) -> None:
        self._socket.close()

    def _take(self, wait_s: float, *, patient: bool = False) -> Answer | None:
        """The next message; None at the end of the connection, or (``patient``) when none came in time."""
        until = time.monotonic() + wait_s
        while True:
            if len(self._received) >= 5:
                (length,) = struct.unpack_from("!i", self._received, 1)
                if len(self._received) > length:
                    answer = Answer(chr(self._received[0]), bytes(self._received[5 : length + 1]))
                    del self._received[: length + 1]
                    return answer
            left = until - time.monotonic()
            if not self._socket.pending() and not select.select([self._socket], [], [], max(left, 0))[0]:
                if patient:
                    return None
                raise TimeoutError(f"no answer within {wait_s} s; there are {bytes(self._received)!r}")
            try:
                chunk = self._socket.recv(65536)
            except (ConnectionError, ssl.SSLError):
                return None
            if not chunk:
                return None
            self._received += chunk


def _context(variables: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=variables["PGSSLROOTCERT"])
    context.load_cert_chain(variables["PGSSLCERT"], variables["PGSSLKEY"])
    return context


@contextmanager
def wire(variables: Mapping[str, str], *early: bytes, **parameters: str) -> Iterator[Wire]:
    """Open a session as libpq would with these variables; ``early`` is sent right behind the startup message."""
    address = (variables["PGHOST"], int(variables["PGPORT"]))
    plain = socket.create_connection(address, timeout=_WAIT_S)
    plain.sendall(messages.SSL_REQUEST)
    if plain.recv(1) != b"S":
        raise ConnectionError("the gateway takes no TLS")
    secured = _context(variables).wrap_socket(plain, server_hostname=variables["PGHOST"])
    client = Wire(secured, address)
    start = {"user": variables["PGUSER"], "database": variables["PGDATABASE"], **parameters}
    try:
        client.send(messages.startup(list(start.items())), *early)
        if not early:
            opened = client.read()
            client.key = next((answer.body for answer in opened.all if answer.code == "K"), b"")
            if not client.key:
                raise ConnectionRefusedError("; ".join(opened.sentences))
        yield client
    finally:
        client.close()


def parse(text: str, name: str = "") -> bytes:
    return messages.parse(name, text)


def bind(statement: str = "", portal: str = "", values: Sequence[str] = ()) -> bytes:
    return messages.bind(portal, statement, messages.bind_tail(values))


def execute(portal: str = "", most: int = 0) -> bytes:
    return messages.execute(portal, most)


def run(text: str) -> bytes:
    """Parse, Bind and Execute of the unnamed statement."""
    return parse(text) + bind() + execute()


def close_statement(name: str) -> bytes:
    return messages.close(b"S", name)


def query(text: str) -> bytes:
    return messages.query(text)
