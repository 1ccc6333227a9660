"""The machine without sockets: an outlet that records calls, a server that is a script, and a session opened on both.

A test feeds bytes and events in and looks at what came out. :class:`ScriptedServer` speaks enough of the protocol to
be talked to directly or through the machine, so that the two can be compared.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from interlock.domain.resources import Resource
from interlock.domain.snapshot import UpstreamCredential
from interlock.ports.precedents import Precedents
from interlock.ports.protocol import Admission, Aside, Credentials, Impact, Proceed, Refused, Scene, Verdict
from interlock.ports.sample import NO_SAMPLE, Sample
from interlock.ports.statement import Described, Outcome, Statement
from interlock.protocols.postgres import messages
from interlock.protocols.postgres.reading import Reader
from interlock.protocols.postgres.session import PostgresMachine

READER = Reader()

SENTENCE = "You may not do that."


def greet(*, read_only: bool = False) -> bytes:
    """What a server says when it lets somebody in."""
    reported = {
        "client_encoding": "UTF8",
        "standard_conforming_strings": "on",
        "default_transaction_read_only": "on" if read_only else "off",
        "is_superuser": "off",
        "session_authorization": "app",
        "application_name": "dev",
    }
    said = [messages.authentication(0)]
    said += [messages.frame(b"S", f"{name}\0{setting}\0".encode()) for name, setting in reported.items()]
    return b"".join([*said, messages.key_data(b"\0\0\0\7abcd"), messages.ready(ord("I"))])


def refuse_no(statement: Statement) -> Verdict | None:
    return Refused(SENTENCE) if "no" in statement.text.split() else Proceed()


class BookPrecedents(Precedents):
    """Lets through what the book's rule would let through, and has it written down as if it had been asked."""

    def __init__(self, book: "Playbook") -> None:
        self._book = book
        self._number = 0

    def follow(
        self,
        number: int,
        described: Described,
        payload: bytes,
        start: int,
        end: int,
        parameters: tuple[bytes | None, ...],
        formats: tuple[int, ...],
    ) -> bool:
        statement = Statement(payload[start:end].decode("ascii"), described, parameters, formats)
        if self._book.rule(statement) != Proceed():
            return False
        self._book.ask(number, statement)
        self._number = number
        self._book.followed += 1
        return True

    def ended(self, rows: int, changed: int, size_bytes: int, payload: bytes, start: int, end: int) -> None:
        tag = messages.decode(payload[start:end])
        self._book.finish(self._number, Outcome(rows, changed, size_bytes, "", tag))


@dataclass
class Playbook:
    """The outlet, and everything that was asked of it, in order. ``precedents``: whether it follows any."""

    rule: Callable[[Statement], Verdict | None] = refuse_no
    client: bytearray = field(default_factory=bytearray)
    upstream: bytearray = field(default_factory=bytearray)
    asked: dict[int, Statement] = field(default_factory=dict)
    finished: dict[int, Outcome] = field(default_factory=dict)
    proceeded: set[int] = field(default_factory=set)
    held: dict[int, Impact] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    asides: list[Aside] = field(default_factory=list)
    paused: bool = False
    precedents: bool = False
    followed: int = 0

    def to_client(self, payload: bytes | bytearray | memoryview) -> None:
        self.client += payload

    def to_upstream(self, payload: bytes | bytearray | memoryview) -> None:
        self.upstream += payload

    def secure_client(self, after: bytes = b"", rest: bytes = b"", alpn: tuple[str, ...] = ()) -> None:
        self.calls.append(f"secure_client {after!r} {rest!r} {alpn}")

    def refuse_clear_text(self) -> Refused | None:
        return Refused("This connection is not encrypted.", "clear-text")

    def secure_upstream(self, server_name: str, mode: str, trust: str | None = None) -> None:
        self.calls.append(f"secure_upstream {server_name} {mode} {trust}")

    def authenticate(self, credentials: Credentials) -> None:
        self.calls.append(f"authenticate {credentials.resource} {credentials.user}")

    def open_upstream(self) -> None:
        self.calls.append("open_upstream")

    def open_aside(self, aside: Aside) -> None:
        self.asides.append(aside)

    def established(self) -> Precedents:
        self.calls.append("established")
        return BookPrecedents(self) if self.precedents else Precedents()

    def ask(self, number: int, statement: Statement) -> Verdict | None:
        assert number not in self.asked
        self.asked[number] = statement
        verdict = self.rule(statement)
        if isinstance(verdict, Proceed):
            self.proceeded.add(number)
        return verdict

    def hold(self, number: int, impact: Impact, sample: Sample = NO_SAMPLE) -> None:
        self.held[number] = impact

    def withdraw(self, number: int) -> None:
        self.calls.append(f"withdraw {number}")

    def record(self, number: int, scene: Scene, then: Callable[[], None], *, durable: bool = False) -> None:
        raise AssertionError("PostgreSQL has no terminal")

    def finish(self, number: int, outcome: Outcome) -> None:
        assert number not in self.finished
        assert number in self.proceeded
        self.finished[number] = outcome

    def mint_interrupt_key(self, size_bytes: int) -> bytes:
        return bytes(size_bytes)

    def interrupt(self, key: bytes) -> None:
        self.calls.append(f"interrupt {key!r}")

    def pause_client(self) -> None:
        self.paused = True

    def resume_client(self) -> None:
        self.paused = False

    def close(self, why: str = "") -> None:
        self.calls.append(f"close {why}")

    def take_upstream(self) -> bytes:
        sent = bytes(self.upstream)
        self.upstream.clear()
        return sent

    def take_client(self) -> bytes:
        sent = bytes(self.client)
        self.client.clear()
        return sent


def startup(**parameters: str) -> bytes:
    body = struct.pack("!i", 196608)
    body += b"".join(f"{name}\0{setting}\0".encode() for name, setting in parameters.items()) + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def admission(*, read_only: bool = False) -> Admission:
    resource = Resource("orders", "postgres", "127.0.0.1", 5432)
    return Admission("s-1", "dev", resource, UpstreamCredential("app"), read_only)


def open_session(book: Playbook) -> PostgresMachine:
    """A machine whose session is open, with both logs empty."""
    machine = PostgresMachine(book, READER)
    machine.client_bytes(messages.SSL_REQUEST)
    machine.client_secured(None)
    machine.client_bytes(startup(user="dev", database="orders"))
    machine.client_bytes(messages.password(b"one-time"))
    machine.admitted(admission())
    machine.upstream_opened()
    machine.upstream_bytes(greet())
    assert "established" in book.calls
    book.take_upstream()
    book.take_client()
    return machine


def split(stream: bytes) -> list[tuple[bytes, bytes]]:
    """The messages in a stream of whole ones: type and body."""
    found = []
    at = 0
    while at < len(stream):
        length = int.from_bytes(stream[at + 1 : at + 5], "big")
        assert length >= 4
        assert at + 1 + length <= len(stream)
        found.append((stream[at : at + 1], stream[at + 5 : at + 1 + length]))
        at += 1 + length
    return found


_COLUMN = messages.frame(b"T", struct.pack("!h", 1) + b"n\0" + struct.pack("!ihihih", 0, 0, 23, 4, -1, 0))
_DESCRIBED = messages.frame(b"t", struct.pack("!h", 0))


def _row(*cells: bytes) -> bytes:
    body = struct.pack("!h", len(cells)) + b"".join(struct.pack("!i", len(cell)) + cell for cell in cells)
    return messages.frame(b"D", body)


class _ServerError(Exception):
    def __init__(self, sqlstate: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reply = messages.error(sqlstate, sentence)


class ScriptedServer:
    """PostgreSQL's rules for batches, names, transactions and copies, over a toy language.

    ``SELECT N`` returns N rows; a text with the word ``fail`` fails when it runs, one with ``no`` when it is
    bound; BEGIN, COMMIT, ROLLBACK and ``COPY t FROM STDIN`` do what they say. An UPDATE changes 5 rows, one with the
    word ``big`` 50; the counts of them can be read as the machine reads them. With ``denies`` a text with the word
    ``denied`` fails when it runs, as it does for a client when people refuse it.
    """

    def __init__(self, *, denies: bool = False) -> None:
        self._denies = denies
        self.updated = 0
        self._buffer = bytearray()
        self._out = bytearray()
        self._statements: dict[str, str] = {}
        self._portals: dict[str, tuple[str, int]] = {}
        self._status = ord("I")
        self._skipping = False
        self._copying: bytes | None = None
        self._active = False

    def receive(self, stream: bytes) -> bytes:
        """What the server answers. Everything is sent at once; a flush changes nothing."""
        self._buffer += stream
        while len(self._buffer) >= 5:
            length = int.from_bytes(self._buffer[1:5], "big")
            if len(self._buffer) < 1 + length:
                break
            raw = bytes(self._buffer[: 1 + length])
            del self._buffer[: 1 + length]
            self._take(raw)
        answer = bytes(self._out)
        self._out.clear()
        return answer

    def _take(self, raw: bytes) -> None:
        code = raw[:1]
        if self._copying is not None:
            self._take_copy(code)
        elif code == b"S":
            self._skipping = False
            self._sync()
        elif self._skipping or code in b"dcfHX":
            return
        elif code == b"Q":
            self._query(raw)
        else:
            try:
                self._extended(code, raw)
            except _ServerError as error:
                self._fail(error)
                self._skipping = True

    def _fail(self, error: _ServerError) -> None:
        self._out += error.reply
        if self._status == ord("T"):
            self._status = ord("E")

    def _sync(self) -> None:
        if self._status == ord("I"):
            self._portals.clear()
        self._out += messages.ready(self._status)

    def _take_copy(self, code: bytes) -> None:
        if code in (b"d", b"S", b"H"):
            return
        mode, self._copying = self._copying, None
        if code == b"c":
            self._out += messages.frame(b"C", b"COPY 0\0")
        else:
            self._fail(_ServerError("57014", "copy failed"))
            self._skipping = mode == b"E"
        if mode == b"Q":
            self._sync()

    def _query(self, raw: bytes) -> None:
        text = messages.read_query(raw)
        if "no" not in text.split():
            # A refused query is not sent on, and so leaves the unnamed statement where it is.
            self._statements.pop("", None)
            self._portals.pop("", None)
        try:
            self._check(text)
            self._run(text, 0, rows_described=True, mode=b"Q")
        except _ServerError as error:
            self._fail(error)
        if self._copying is None:
            self._sync()

    def _check(self, text: str) -> None:
        if "no" in text.split():
            raise _ServerError("42501", SENTENCE)
        if self._status == ord("E") and not text.startswith(("ROLLBACK", "COMMIT")):
            raise _ServerError("25P02", "aborted")

    def _extended(self, code: bytes, raw: bytes) -> None:
        if code == b"P":
            parsed = messages.read_parse(raw)
            if not parsed.name:
                self._statements.pop("", None)
            elif parsed.name in self._statements:
                raise _ServerError("42P05", "exists")
            if self._status == ord("E") and not parsed.text.startswith(("ROLLBACK", "COMMIT")):
                raise _ServerError("25P02", "aborted")
            self._statements[parsed.name] = parsed.text
            self._out += b"1\0\0\0\4"
        elif code == b"B":
            bound = messages.read_bind(raw)
            if bound.statement not in self._statements:
                raise _ServerError("26000", "no statement")
            text = self._statements[bound.statement]
            self._check(text)
            if bound.portal and bound.portal in self._portals:
                raise _ServerError("42P03", "exists")
            self._portals[bound.portal] = (text, 0)
            self._out += b"2\0\0\0\4"
        elif code == b"D":
            self._describe(raw)
        elif code == b"E":
            self._execute(raw)
        elif code == b"C":
            kind, name = messages.read_named(raw, "Close")
            (self._statements if kind == b"S" else self._portals).pop(name, None)
            self._out += b"3\0\0\0\4"
        else:
            raise _ServerError("08P01", "unexpected")

    def _describe(self, raw: bytes) -> None:
        kind, name = messages.read_named(raw, "Describe")
        if kind == b"S":
            if name not in self._statements:
                raise _ServerError("26000", "no statement")
            text = self._statements[name]
            self._out += _DESCRIBED
        else:
            if name not in self._portals:
                raise _ServerError("34000", "no portal")
            text = self._portals[name][0]
        self._out += _COLUMN if text.startswith("SELECT") else b"n\0\0\0\4"

    def _execute(self, raw: bytes) -> None:
        name, most = messages.read_execute(raw)
        if name not in self._portals:
            raise _ServerError("34000", "no portal")
        text, at = self._portals[name]
        if self._status == ord("E") and not text.startswith(("ROLLBACK", "COMMIT")):
            raise _ServerError("25P02", "aborted")
        if at < 0 and not text.startswith("SELECT"):
            raise _ServerError("55000", "cannot be run")
        if at < 0:
            self._out += messages.frame(b"C", b"SELECT 0\0")
            return
        done = self._run(text, most, at=at, mode=b"E")
        if name in self._portals:
            self._portals[name] = (text, -1 if done < 0 else done)

    def _run(self, text: str, most: int, *, at: int = 0, rows_described: bool = False, mode: bytes) -> int:
        """Run from row ``at``. Returns where it stopped, or -1 when it is done."""
        words = text.split()
        if "fail" in words:
            raise _ServerError("22012", "division by zero")
        if self._denies and "denied" in words:
            raise _ServerError("42501", SENTENCE)
        if "track_counts" in text:
            self._out += _row(b"on", b"0", b"0", b"0") + messages.frame(b"C", b"SELECT 1\0")
            return -1
        if "pg_stat_xact_user_tables" in text:
            self._out += _row(b"1", b"public", b"orders", b"0", b"%d" % self.updated, b"0")
            self._out += messages.frame(b"C", b"SELECT 1\0")
            return -1
        if "to_regclass" in text or "count(*)" in text or "pg_attribute" in text:
            self._out += messages.frame(b"C", b"SELECT 0\0")
            return -1
        if "current_setting" in text:
            self._out += _row(b"on", b"UTF8", b"off", b"app", b"off", b"dev") + messages.frame(b"C", b"SELECT 1\0")
            return -1
        if words[:1] == ["SELECT"]:
            total = int(words[1]) if words[1].isdigit() else 1
            if rows_described:
                self._out += _COLUMN
            until = total if most == 0 else min(total, at + most)
            self._out += b"".join(_row(b"%d" % n) for n in range(at, until))
            if until < total or (most and until - at == most):
                self._out += b"s\0\0\0\4"
                return until
            self._out += messages.frame(b"C", b"SELECT %d\0" % (until - at))
        elif words[:1] == ["COPY"]:
            self._copying = mode
            self._out += messages.frame(b"G", b"\0\0\0")
        elif not words:
            self._out += b"I\0\0\0\4"
        else:
            self._control(text)
        return -1

    def _control(self, text: str) -> None:
        tag = text.split()[0]
        if tag == "UPDATE":
            changed = 50 if "big" in text else 5
            self.updated += changed
            tag = f"UPDATE {changed}"
        if text.startswith("ROLLBACK TO") or (tag == "BEGIN" and self._status == ord("I")):
            self._status = ord("T")
        elif tag in ("COMMIT", "ROLLBACK"):
            tag = "ROLLBACK" if self._status == ord("E") else tag
            self._status = ord("I")
            self._portals.clear()
        self._out += messages.frame(b"C", tag.encode() + b"\0")
