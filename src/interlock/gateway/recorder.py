"""One session's recording: its records in order, and where each lies in the journal until it is sealed.

Each record is one JSON object with ``session``, ``n`` (its number in the session, from 1), ``at`` and ``type``:

``open``       person, resource, login, grants, address, client, presence (the pass that was spent on it)
``statement``  number, text, parameters, summary, needs, effect (allow, deny, hold), reason, policies
``held``       number, request, impact          ``released``  number, effect, reason
``output``     number, text                    ``input``     number, text (secret)
``resize``     number, columns, rows
``outcome``    number, rows, changed, size_bytes, tag, error, took_us
``close``      why, statements

Bind values are shown as text; one that is binary, or is no UTF-8, as ``\\x`` and hexadecimal digits.
"""

import json
from array import array
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any, Protocol

from interlock.domain.codec import to_plain
from interlock.domain.decisions import Decision, Effect
from interlock.gateway import records_in_c
from interlock.gateway.clock import WorkerClock
from interlock.gateway.journaling import FrameOwner, RecordTaker, Then
from interlock.gateway.tally import Tally
from interlock.ports.control import SessionStart
from interlock.ports.protocol import Impact, Scene, TerminalInput, TerminalOutput
from interlock.ports.statement import Described, Outcome, Statement

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_quote: Callable[[str], str] = encode_basestring
_DECISIONS = 256
_NO_PARAMETERS = b"[]"
_DENY = Effect.DENY


class Shelf(Protocol):
    """Told which journal files a session's frames lie in."""

    def holds(self, file: int, session: str) -> None: ...


class Recording(FrameOwner):
    """Writes a session's records to the journal. ``written`` counts them, ``durable`` those that are on disk.

    ``complete`` is true when the last record is durable. ``index`` maps a journal file's number to the offsets of
    this session's frames in it, in order.
    """

    def __init__(self, session: str, journal: RecordTaker, clock: WorkerClock, shelf: Shelf) -> None:
        self.session = session
        self.written = 0
        self.durable = 0
        self.statements = 0
        self.index: dict[int, array[int]] = {}
        self.complete = False
        self.tally = Tally(session)
        self._completed: Callable[[], None] | None = None
        self._journal = journal
        self._clock = clock
        self._shelf = shelf
        self._head = f'{{"session":{_quote(session)},"n":'.encode()
        self._second = -1
        self._micros = 0
        self._second_written = b""
        # The file that was told of last, and this session's places in it.
        self._file = -1
        self._places = array("Q")
        # What a statement's record says after its parameters. A session asks the same again and again.
        self._decided: dict[Described, tuple[Decision, bytes]] = {}

    def placed(self, file: int, offset: int) -> None:
        if file != self._file:
            self._file = file
            self._places = self.index.setdefault(file, array("Q"))
            self._shelf.holds(file, self.session)
        records_in_c.add_place(self._places, offset)
        self.durable += 1
        if self._completed is not None and self.durable == self.written:
            self.complete = True
            self._completed()

    def open(self, start: SessionStart) -> None:
        self._write_fields(
            "open",
            {
                "person": start.person,
                "resource": start.resource,
                "login": start.login,
                "grants": list(start.grants),
                "address": start.address,
                "client": start.client,
                "presence": start.presence,
            },
        )

    def statement(
        self,
        number: int,
        statement: Statement,
        decision: Decision,
        then: Then | None = None,
        steady_s: float = 0.0,
    ) -> None:
        """``steady_s`` is what the clock read just now, when it was read."""
        if decision.effect is _DENY:
            self.tally.add_refusal()
        text = _quoted(statement.text)
        parameters, formats = statement.parameters, statement.formats
        self.statement_of(
            number, statement.described, decision, text, 0, len(text), True, parameters, formats, steady_s, then
        )

    def statement_of(
        self,
        number: int,
        described: Described,
        decision: Decision,
        text: bytes,
        start: int,
        end: int,
        is_quoted: bool,
        parameters: tuple[bytes | None, ...],
        formats: tuple[int, ...],
        steady_s: float,
        then: Then | None = None,
    ) -> None:
        """As ``statement``, of one that is not refused: ``text`` from ``start`` to ``end`` is ASCII, or with
        ``is_quoted`` JSON already."""
        self.statements += 1
        shown = write_parameters(parameters, formats) if parameters else _NO_PARAMETERS
        kept = self._decided.get(described)
        if kept is None or kept[0] is not decision:
            kept = self._write_decided(described, decision)
        self._tick(steady_s)
        record = records_in_c.statement_record(
            self._head,
            self.written,
            self._second_written,
            self._micros,
            number,
            text,
            start,
            end,
            is_quoted,
            shown,
            kept[1],
        )
        self._journal.append(self, record, then)

    def outcome(self, number: int, outcome: Outcome, took_us: int, steady_s: float = 0.0) -> None:
        tag = _quoted(outcome.tag)
        rows, changed, size_bytes = outcome.rows, outcome.changed, outcome.size_bytes
        error = _quoted(outcome.error)
        self.outcome_of(number, rows, changed, size_bytes, tag, 0, len(tag), True, took_us, steady_s, error)

    def outcome_of(
        self,
        number: int,
        rows: int,
        changed: int,
        size_bytes: int,
        tag: bytes,
        start: int,
        end: int,
        is_quoted: bool,
        took_us: int,
        steady_s: float,
        error: bytes = b'""',
    ) -> None:
        """As ``outcome``. For ``tag`` holds what holds for the text of ``statement_of``; ``error`` is JSON."""
        if rows or changed:
            self.tally.add_rows(rows + changed)
        self._tick(steady_s)
        record = records_in_c.outcome_record(
            self._head,
            self.written,
            self._second_written,
            self._micros,
            number,
            rows,
            changed,
            size_bytes,
            tag,
            start,
            end,
            is_quoted,
            error,
            took_us,
        )
        self._journal.append(self, record)

    def held(self, number: int, request: str, impact: Impact) -> None:
        self._write_fields("held", {"number": number, "request": request, "impact": to_plain(impact)})

    def released(self, number: int, effect: str, reason: str, *, then: Then | None = None) -> None:
        if effect == _DENY.value:
            self.tally.add_refusal()
        self._write_fields("released", {"number": number, "effect": effect, "reason": reason}, then)

    def scene(self, number: int, scene: Scene, then: Then | None = None) -> None:
        """A moment of the terminal of statement ``number``."""
        if isinstance(scene, TerminalOutput | TerminalInput):
            kind = "output" if isinstance(scene, TerminalOutput) else "input"
            self._write(f'"{kind}","number":{number},"text":{_quote(scene.text)}', then)
        else:
            self._write(f'"resize","number":{number},"columns":{scene.columns},"rows":{scene.rows}', then)

    def close(self, why: str, completed: Callable[[], None]) -> None:
        """The last record. ``completed`` is called when all of them are durable, a failing disk mended if need be."""
        self._completed = completed
        self._write_fields("close", {"why": why, "statements": self.statements})

    def _write_decided(self, described: Described, decision: Decision) -> tuple[Decision, bytes]:
        """The fields from ``summary`` on, written once and kept."""
        written = (decision, _list_decided(described, decision).encode("utf-8", "backslashreplace"))
        if len(self._decided) >= _DECISIONS:
            self._decided.clear()
        self._decided[described] = written
        return written

    def _write_fields(self, kind: str, fields: Mapping[str, Any], then: Then | None = None) -> None:
        self._write(f"{_quote(kind)},{_encode(fields)[1:-1]}", then)

    def _write(self, kind_and_fields: str, then: Then | None = None) -> None:
        self._tick(0.0)
        said = kind_and_fields.encode("utf-8", "backslashreplace")
        at = b"%b.%06dZ" % (self._second_written, self._micros)
        self._journal.append(self, b'%b%d,"at":"%b","type":%b}' % (self._head, self.written, at, said), then)

    def _tick(self, steady_s: float) -> None:
        """Count one more record, and take its time: ``steady_s``, or what the clock reads now.

        The part of it before the point is written once a second.
        """
        self.written += 1
        now_s = self._clock.at_s(steady_s or self._clock.read())
        second = int(now_s)
        self._micros = int((now_s - second) * 1_000_000)
        if second != self._second:
            self._second = second
            self._second_written = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


def _quoted(text: str) -> bytes:
    """As JSON. Bytes that were no UTF-8 stand in ``text`` as lone surrogates, and get their escapes."""
    return _quote(text).encode("utf-8", "backslashreplace")


def _list_decided(described: Described, decision: Decision) -> str:
    fields: dict[str, str | Iterable[str]] = {
        "summary": described.summary,
        "needs": [str(need) for need in described.needs],
        "effect": decision.effect.value,
        "reason": decision.reason,
        "policies": decision.policies,
    }
    if decision.errors:
        fields["errors"] = decision.errors
    if described.unknown:
        fields["unknown"] = described.unknown
    return _encode(fields)[1:-1]


def write_parameters(parameters: tuple[bytes | None, ...], formats: tuple[int, ...]) -> bytes:
    """The bind values for people, as JSON."""
    written = records_in_c.list_values(parameters, formats)
    if written is not None:
        return written
    shown = ["null" if value is None else _quote(value) for value in show_parameters(parameters, formats)]
    return f"[{','.join(shown)}]".encode("utf-8", "backslashreplace")


def show_parameters(parameters: tuple[bytes | None, ...], formats: tuple[int, ...]) -> tuple[str | None, ...]:
    """The bind values for people. One format for all, or one for each (the rest are text)."""
    shared = len(formats) == 1
    return tuple(
        _show(value, binary=bool(formats[0] if shared else (formats[place] if place < len(formats) else 0)))
        for place, value in enumerate(parameters)
    )


def _show(value: bytes | None, *, binary: bool) -> str | None:
    if value is None:
        return None
    if not binary:
        try:
            return value.decode()
        except UnicodeDecodeError:
            pass
    return "\\x" + value.hex()
