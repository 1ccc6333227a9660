"""One session's recording: its records in order, and where each lies in the journal until it is sealed.

Each record is one JSON object with ``session``, ``n`` (its number in the session, from 1), ``at`` and ``type``:

``open``       person, resource, login, grants, address, client
``statement``  number, text, parameters, summary, needs, effect (allow, deny, hold), reason, policies
``held``       number, request, impact          ``released``  number, effect, reason
``outcome``    number, rows, changed, size_bytes, tag, error, took_us
``close``      why, statements

Bind values are shown as text; one that is binary, or is no UTF-8, as ``\\x`` and hexadecimal digits.
"""

import json
from array import array
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from interlock.domain.codec import to_plain
from interlock.domain.decisions import Decision
from interlock.gateway.clock import WorkerClock
from interlock.gateway.journal import Journal, Then
from interlock.ports.control import SessionStart
from interlock.ports.protocol import Impact, Outcome, Statement

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Shelf(Protocol):
    """Told which journal files a session's frames lie in."""

    def holds(self, file: int, session: str) -> None: ...


class Recording:
    """Writes a session's records to the journal. ``written`` counts them, ``durable`` those that are on disk.

    ``complete`` is true when the last record is durable. ``index`` maps a journal file's number to the offsets of
    this session's frames in it, in order.
    """

    def __init__(self, session: str, journal: Journal, clock: WorkerClock, shelf: Shelf) -> None:
        self.session = session
        self.written = 0
        self.durable = 0
        self.statements = 0
        self.index: dict[int, array[int]] = {}
        self.complete = False
        self._completed: Callable[[], None] | None = None
        self._journal = journal
        self._clock = clock
        self._shelf = shelf

    def placed(self, file: int, offset: int) -> None:
        offsets = self.index.get(file)
        if offsets is None:
            offsets = self.index[file] = array("Q")
            self._shelf.holds(file, self.session)
        offsets.append(offset)
        self.durable += 1
        if self._completed is not None and self.durable == self.written:
            self.complete = True
            self._completed()

    def open(self, start: SessionStart) -> None:
        self._write(
            "open",
            {
                "person": start.person,
                "resource": start.resource,
                "login": start.login,
                "grants": list(start.grants),
                "address": start.address,
                "client": start.client,
            },
        )

    def statement(self, number: int, statement: Statement, decision: Decision, *, then: Then | None = None) -> None:
        self.statements += 1
        fields: dict[str, Any] = {
            "number": number,
            "text": statement.text,
            "parameters": show_parameters(statement),
            "summary": statement.summary,
            "needs": [str(need) for need in statement.needs],
            "effect": decision.effect.value,
            "reason": decision.reason,
            "policies": decision.policies,
        }
        if decision.errors:
            fields["errors"] = decision.errors
        if statement.unknown:
            fields["unknown"] = statement.unknown
        self._write("statement", fields, then=then)

    def held(self, number: int, request: str, impact: Impact) -> None:
        self._write("held", {"number": number, "request": request, "impact": to_plain(impact)})

    def released(self, number: int, effect: str, reason: str, *, then: Then | None = None) -> None:
        self._write("released", {"number": number, "effect": effect, "reason": reason}, then=then)

    def outcome(self, number: int, outcome: Outcome, took_us: int) -> None:
        self._write(
            "outcome",
            {
                "number": number,
                "rows": outcome.rows,
                "changed": outcome.changed,
                "size_bytes": outcome.size_bytes,
                "tag": outcome.tag,
                "error": outcome.error,
                "took_us": took_us,
            },
        )

    def close(self, why: str, completed: Callable[[], None]) -> None:
        """The last record. ``completed`` is called when all of them are durable, a failing disk mended if need be."""
        self._completed = completed
        self._write("close", {"why": why, "statements": self.statements})

    def _write(self, kind: str, fields: Mapping[str, Any], *, then: Then | None = None) -> None:
        self.written += 1
        at = self._clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
        record = {"session": self.session, "n": self.written, "at": at, "type": kind, **fields}
        self._journal.append(self, _encode(record).encode(errors="backslashreplace"), then=then)


def show_parameters(statement: Statement) -> tuple[str | None, ...]:
    """The bind values for people. One format for all, or one for each (the rest are text)."""
    formats = statement.formats
    shared = len(formats) == 1
    return (
        tuple(
            _show(value, binary=bool(formats[0] if shared else (formats[place] if place < len(formats) else 0)))
            for place, value in enumerate(statement.parameters)
        )
        if statement.parameters
        else ()
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
