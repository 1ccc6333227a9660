"""A few rows that a statement touches, found in its trial.

A row that a transaction changed or deleted keeps that transaction's number in ``xmax``, also when it was rolled back.
So the rows are found again, by cascades and triggers too, without a word of the statement being understood:

1. in the trial, before it is undone: the number of the trial's own (sub)transaction, which is the youngest that this
   backend has; rows that only bear its lock, which ``xmax`` does not tell from a change; and rows that were put there
2. when it was undone, in a transaction of their own: the rows as they are, by that number

Nothing here may hinder the hold: what fails or takes too long leaves a table without a sample, and says why. A row
that another transaction locks meanwhile, or that the statement reached inside a block with an exception handler, is
not found: a sample may have fewer rows than it could.

Values are written by their type's own output function (``format('%s')``): a cast to text might be a function of the
database's own. Every name is qualified, operators too: the client's search path must not decide what is read.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from interlock.ports.sample import (
    MOST_BYTES,
    MOST_CHARACTERS,
    MOST_COLUMNS,
    MOST_PARTS,
    MOST_ROWS,
    Cell,
    Sample,
    SampledPart,
)
from interlock.protocols.postgres import impact, shelter
from interlock.protocols.postgres.impact import Change, Table
from interlock.protocols.postgres.injection import Answer, Injection, Step
from interlock.protocols.postgres.relay import Relay, Wait

_WIDE_BYTES = 64 * 1024
"""A value that is stored in more bytes is not read: it may be a thousand times as large when it is unpacked."""

_MOST_LOCKED = 1000
_LOOK_MS = 2000
"""How long one look at one table may take. A table of any size may have to be read from end to end."""

LIMITS = [Step("SET LOCAL lock_timeout = 500"), Step(f"SET LOCAL statement_timeout = {_LOOK_MS}")]

_SECRET = re.compile(
    r"passw(?:or)?d|passphrase|api_?key|private_?key"
    r"|(?<![a-z])(?:pwd|secrets?|tokens?|credentials?|salt|pin|cvv|cvc|otp|totp)(?![a-z])",
    re.IGNORECASE,
)
"""Columns that are never read for a sample, by their names; words are parted first, as in ``resetToken``."""

_WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

OWN = Step(
    "SELECT l.transactionid FROM pg_catalog.pg_locks AS l"
    " WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.granted"
    " AND l.locktype OPERATOR(pg_catalog.=) 'transactionid'::pg_catalog.text"
    " AND l.mode OPERATOR(pg_catalog.=) 'ExclusiveLock'::pg_catalog.text"
    " ORDER BY pg_catalog.age(l.transactionid) LIMIT 1"
)
"""The youngest transaction number that this backend has given itself: that of the shelter's own, once it changed
anything, since a transaction is numbered before those inside it, and those that were inside have ended."""

TOO_LONG = "Looking for its rows took longer than it may."
TURNED_OFF = "The policy has no rows of this resource shown."


@dataclass(slots=True)
class Inside:
    """What was seen in the trial: its number, and for each table the columns, the rows that were only locked
    (``tableoid`` and ``ctid``), the rows that were put there, or why it is not looked at any further."""

    xid: str = ""
    columns: dict[Table, "_Columns"] = field(default_factory=dict)
    locked: dict[Table, list[str]] = field(default_factory=dict)
    fresh: dict[Table, Answer] = field(default_factory=dict)
    why_not: dict[Table, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Columns:
    shown: tuple[str, ...]
    left_out: tuple[str, ...]
    more: int


def is_on(settings: Mapping[str, Any]) -> bool:
    return settings.get("samples") != "nobody"


def look_inside(relay: Relay, change: Change) -> Generator[Wait, None, Inside]:
    """Look while the trial still stands. The transaction may be failed afterwards: it is undone next anyway."""
    inside = Inside()
    tables = _widest(change)
    if not tables or not is_on(relay.admission.resource.settings):
        return inside
    opened = yield from relay.inject([*LIMITS, OWN, *_find_columns(tables)])
    if not opened.succeeded or len(opened.answers[-3].rows) != 1:
        return inside
    inside.xid = impact.text(opened.answers[-3].rows[0][0])
    inside.columns = _read_columns(relay, tables, *opened.answers[-2:])
    for at, table in enumerate(tables):
        columns = inside.columns.get(table)
        if columns is None or not columns.shown:
            continue
        _, updated, deleted = change.tables[table]
        only_new = not updated + deleted
        step = _fresh(table, columns, inside.xid) if only_new else _locked(table, inside.xid)
        looked = yield from relay.inject([step])
        if not looked.succeeded:
            inside.why_not |= dict.fromkeys(tables[at:], _why(looked))
            break
        if only_new:
            inside.fresh[table] = looked.answers[0]
        elif len(looked.answers[0].rows) > _MOST_LOCKED:
            inside.why_not[table] = "Too many of its rows are only locked to tell those that change."
        else:
            inside.locked[table] = [impact.text(row[0]) for row in looked.answers[0].rows]
    return inside


def sample_change(relay: Relay, change: Change, inside: Inside) -> Generator[Wait, None, Sample]:
    """The rows as they are, once the trial was undone."""
    if not is_on(relay.admission.resource.settings):
        return Sample(why_not=TURNED_OFF)
    if not change.tables:
        return Sample(why_not="It changes no rows.")
    if not inside.xid:
        return Sample(why_not=TOO_LONG)
    parts: list[SampledPart] = []
    over = ""
    for table in _widest(change):
        columns = inside.columns.get(table)
        if columns is None or not columns.shown:
            parts.append(SampledPart(table.part, left_out=columns.left_out if columns else (), why_not=_UNREADABLE))
        elif table in inside.fresh:
            parts.append(_part(table, columns, inside.fresh[table], "new"))
        elif over or table in inside.why_not:
            parts.append(SampledPart(table.part, why_not=over or inside.why_not[table]))
        else:
            looked = yield from _look(relay, _touched(table, columns, inside.xid, inside.locked.get(table, [])))
            over = "" if looked.succeeded else _why(looked)
            parts.append(
                _part(table, columns, looked.answers[-1]) if looked.succeeded else SampledPart(table.part, why_not=over)
            )
    return _bounded(parts)


def sample_tables(relay: Relay, tables: Sequence[Table]) -> Generator[Wait, None, Sample]:
    """Some rows of tables that go whole."""
    if not is_on(relay.admission.resource.settings):
        return Sample(why_not=TURNED_OFF)
    tables = tables[:MOST_PARTS]
    found = yield from _look(relay, *_find_columns(tables))
    if not found.succeeded:
        return Sample(why_not=_why(found))
    known = _read_columns(relay, tables, *found.answers[-2:])
    parts: list[SampledPart] = []
    over = ""
    for table in tables:
        columns = known.get(table)
        if over or columns is None or not columns.shown:
            parts.append(SampledPart(table.part, why_not=over or _UNREADABLE))
            continue
        looked = yield from _look(relay, _any(table, columns))
        over = "" if looked.succeeded else _why(looked)
        parts.append(
            _part(table, columns, looked.answers[-1]) if looked.succeeded else SampledPart(table.part, why_not=over)
        )
    return _bounded(parts)


_UNREADABLE = "None of its columns may be read for a sample, or it is no ordinary table."


def _look(relay: Relay, *steps: Step) -> Generator[Wait, None, Injection]:
    inside = shelter.plan_shelter(relay)
    looked = yield from relay.inject([*inside.opening, *LIMITS, *steps])
    yield from shelter.leave(relay, inside)
    return looked


def _why(failed: Injection) -> str:
    if failed.sqlstate in ("57014", "55P03"):
        return TOO_LONG
    return f"Its rows could not be read ({failed.sqlstate or 'no answer'})."


def _widest(change: Change) -> list[Table]:
    """The tables with most rows changed, as many as are looked at."""
    return sorted(change.tables, key=lambda table: -sum(change.tables[table]))[:MOST_PARTS]


def _find_columns(tables: Sequence[Table]) -> tuple[Step, Step]:
    """The columns, and each table's kin: those that it inherits from or is a partition of, and the other way round."""
    columns = Step(
        "SELECT a.attrelid, a.attname, pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'::pg_catalog.text)"
        " FROM pg_catalog.pg_attribute AS a"
        " JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) a.attrelid"
        " WHERE a.attrelid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[])"
        " AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog.\"char\"[])"
        " AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped"
        " ORDER BY a.attrelid, a.attnum",
        (impact.oids(tables),),
    )
    kin = Step(
        "WITH RECURSIVE up(of, oid) AS (SELECT t.oid, t.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS t(oid)"
        " UNION SELECT up.of, i.inhparent FROM up"
        " JOIN pg_catalog.pg_inherits AS i ON i.inhrelid OPERATOR(pg_catalog.=) up.oid),"
        " down(of, oid) AS (SELECT t.oid, t.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS t(oid)"
        " UNION SELECT down.of, i.inhrelid FROM down"
        " JOIN pg_catalog.pg_inherits AS i ON i.inhparent OPERATOR(pg_catalog.=) down.oid)"
        " SELECT k.of, n.nspname, c.relname FROM (SELECT of, oid FROM up UNION SELECT of, oid FROM down) AS k"
        " JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) k.oid"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace",
        (impact.oids(tables),),
    )
    return columns, kin


def _read_columns(relay: Relay, tables: Sequence[Table], columns: Answer, kin: Answer) -> dict[Table, _Columns]:
    by_oid = {table.oid: table for table in tables}
    patterns = [str(one).lower() for one in relay.admission.resource.settings.get("secret_columns") or ()]
    # What is secret in a table is so in its partitions, and in what inherits it.
    names: dict[int, list[tuple[str, str]]] = {}
    for row in kin.rows if patterns else ():
        oid, schema, name = (impact.text(cell) for cell in row)
        names.setdefault(int(oid), []).append((schema, name))
    found: dict[Table, tuple[list[str], list[str]]] = {}
    for row in columns.rows:
        oid, name, readable = (impact.text(cell) for cell in row)
        table = by_oid[int(oid)]
        shown, left_out = found.setdefault(table, ([], []))
        named = any(is_named(patterns, schema, of, name) for schema, of in names.get(int(oid), ()))
        (left_out if readable != "t" or named or sounds_secret(name) else shown).append(name)
    return {
        table: _Columns(tuple(shown[:MOST_COLUMNS]), tuple(left_out), max(0, len(shown) - MOST_COLUMNS))
        for table, (shown, left_out) in found.items()
    }


def sounds_secret(column: str) -> bool:
    return _SECRET.search(_WORD_ENDS.sub("_", column)) is not None


def is_named(patterns: Sequence[str], schema: str, table: str, column: str) -> bool:
    """Whether one of ``schema.table.column``, ``table.column`` or ``column`` names it; ``*`` stands for any part."""
    parts = [part.lower() for part in (schema, table, column)]
    # A name with a dot in it is found as it is written, at least.
    plain = {".".join(parts[first:]) for first in range(len(parts))}
    return any(
        pattern in plain
        or all(
            wanted in ("*", have) for wanted, have in zip(reversed(pattern.split(".")), reversed(parts), strict=False)
        )
        for pattern in patterns
    )


def _cells(columns: _Columns) -> str:
    """Each value in one cell: ``N`` for NULL, ``W`` for one that is too large, ``V`` before any other."""
    return ", ".join(
        f"CASE WHEN t.{name} IS NULL THEN 'N'"
        f" WHEN pg_catalog.pg_column_size(t.{name}) OPERATOR(pg_catalog.>) {_WIDE_BYTES} THEN 'W'"
        f" ELSE pg_catalog.concat('V', pg_catalog.left(pg_catalog.format('%s', t.{name}), {MOST_CHARACTERS + 1})) END"
        for name in map(impact.quote, columns.shown)
    )


# A table's and a column's names cannot be parameters; they come from the catalogue and are quoted.


def _touched(table: Table, columns: _Columns, xid: str, locked: list[str]) -> Step:
    return Step(
        f"SELECT {_cells(columns)} FROM {table.quoted} AS t"  # noqa: S608
        " WHERE t.xmax OPERATOR(pg_catalog.=) $1::pg_catalog.xid"
        " AND pg_catalog.concat(t.tableoid, t.ctid) OPERATOR(pg_catalog.<>) ALL ($2::pg_catalog.text[])"
        f" LIMIT {MOST_ROWS}",
        (xid, impact.array(locked)),
    )


def _locked(table: Table, xid: str) -> Step:
    return Step(
        f"SELECT pg_catalog.concat(t.tableoid, t.ctid) FROM {table.quoted} AS t"  # noqa: S608
        f" WHERE t.xmax OPERATOR(pg_catalog.=) $1::pg_catalog.xid LIMIT {_MOST_LOCKED + 1}",
        (xid,),
    )


def _fresh(table: Table, columns: _Columns, xid: str) -> Step:
    return Step(
        f"SELECT {_cells(columns)} FROM {table.quoted} AS t"  # noqa: S608
        f" WHERE t.xmin OPERATOR(pg_catalog.=) $1::pg_catalog.xid LIMIT {MOST_ROWS}",
        (xid,),
    )


def _any(table: Table, columns: _Columns) -> Step:
    return Step(f"SELECT {_cells(columns)} FROM {table.quoted} AS t LIMIT {MOST_ROWS}")  # noqa: S608


def _part(table: Table, columns: _Columns, answer: Answer, moment: str = "before") -> SampledPart:
    rows = tuple(tuple(_cell(cell) for cell in row) for row in answer.rows)
    why_not = "" if rows else "None of its rows was found again."
    return SampledPart(table.part, moment, columns.shown, rows, columns.left_out, columns.more, why_not)


def _cell(raw: bytes | None) -> Cell:
    said = "N" if raw is None else raw.decode("utf-8", "backslashreplace")
    if said[:1] != "V":
        return Cell(None, "wide" if said[:1] == "W" else "")
    value = said[1:]
    return Cell(value[:MOST_CHARACTERS], "cut" if len(value) > MOST_CHARACTERS else "")


def _bounded(parts: list[SampledPart]) -> Sample:
    """No more than a sample may have: rows are left out from the end."""
    left = MOST_BYTES
    kept = []
    for part in parts:
        rows = list(part.rows)
        while rows and replace(part, rows=tuple(rows)).size_bytes > left:
            rows.pop()
        why_not = part.why_not if rows or not part.rows else "Its rows are too large to be shown."
        small = replace(part, rows=tuple(rows), why_not=why_not)
        left -= small.size_bytes
        kept.append(small)
    return Sample(tuple(kept))
