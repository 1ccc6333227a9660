"""What a statement did or would do, from the server's own counts: the queries, and what their answers mean.

``pg_stat_xact_user_tables`` counts the rows that this backend inserted, updated and deleted in each table, cascades
and triggers included, also what was rolled back to a savepoint. It may still hold the counts of earlier transactions
that were not flushed yet, so only a difference of two readings in one transaction means anything.

Every name is qualified, operators too: the client's search path must not decide what is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from interlock.ports.protocol import PartImpact
from interlock.protocols.postgres.injection import Answer, Injection, Row, Step
from interlock.protocols.postgres.messages import decode

_MOST_PARTS = 20

_OWN_LOCKS = (
    "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks AS l LEFT JOIN pg_catalog.pg_class AS c"
    " ON c.oid OPERATOR(pg_catalog.=) l.relation"
    " WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()"
    " AND l.locktype OPERATOR(pg_catalog.=) 'relation'::pg_catalog.text AND "
)
_FORMS = " OPERATOR(pg_catalog.+) ".join(
    f"pg_catalog.pg_stat_get_xact_tuples_{change}('pg_catalog.{table}'::pg_catalog.regclass::pg_catalog.oid)"
    for table in ("pg_class", "pg_attribute")
    for change in ("updated", "deleted")
)
MARKS = Step(
    " ".join(
        (
            "SELECT pg_catalog.current_setting('track_counts'), f.forms,",
            "CASE WHEN f.forms OPERATOR(pg_catalog.>) 0::pg_catalog.int8 THEN",
            _OWN_LOCKS,
            "l.mode OPERATOR(pg_catalog.=) 'AccessExclusiveLock'::pg_catalog.text",
            "AND COALESCE(c.relpersistence OPERATOR(pg_catalog.<>) 't'::pg_catalog.\"char\", true)) ELSE 0 END,",
            "CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_foreign_table) THEN",
            _OWN_LOCKS,
            "c.relkind OPERATOR(pg_catalog.=) 'f'::pg_catalog.\"char\"",
            "AND NOT l.mode OPERATOR(pg_catalog.=) ANY ('{AccessShareLock,RowShareLock}'::pg_catalog.text[]))",
            "ELSE 0 END",
            f"FROM (SELECT {_FORMS} AS forms) AS f",
        )
    )
)
"""Whether the server counts at all, and the marks of what it does not count: TRUNCATE, DROP and ALTER change the form
of a table under a lock against everybody, and the rows of another server's table are counted nowhere."""

PREPARED = Step(
    "SELECT p.name, pg_catalog.date_part('epoch', p.prepare_time) FROM pg_catalog.pg_prepared_statements AS p"
)
"""The prepared statements, and when each was made."""

COUNTS = Step(
    "SELECT c.oid, n.nspname, c.relname, s.n_tup_ins, s.n_tup_upd, s.n_tup_del"
    " FROM pg_catalog.pg_stat_xact_user_tables AS s"
    " JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=)"
    " COALESCE(pg_catalog.pg_partition_root(s.relid)::pg_catalog.oid, s.relid)"
    " JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
    " WHERE c.relpersistence OPERATOR(pg_catalog.<>) 't'::pg_catalog.\"char\" AND"
    " (s.n_tup_ins OPERATOR(pg_catalog.+) s.n_tup_upd OPERATOR(pg_catalog.+) s.n_tup_del)"
    " OPERATOR(pg_catalog.>) 0::pg_catalog.int8"
)
"""The counts of all tables that are not temporary; a partition's count for its root."""


@dataclass(frozen=True, slots=True)
class Table:
    oid: int
    schema: str
    name: str

    @property
    def part(self) -> str:
        return f"table {self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        return f"{quote(self.schema)}.{quote(self.name)}"


Counts = dict[Table, tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Change:
    """What changed between two readings. ``countable`` is false when the numbers cannot be trusted."""

    tables: dict[Table, tuple[int, int, int]]
    countable: bool

    @property
    def rows(self) -> int:
        return sum(sum(counts) for counts in self.tables.values())


@dataclass(frozen=True, slots=True)
class Marks:
    """What MARKS answers: how often a table's form was changed, how many tables are locked against everybody, how many
    of other servers are locked for a change."""

    counting: bool
    forms: int
    exclusive: int
    foreign: int


def read_marks(answer: Answer) -> Marks:
    counting, forms, exclusive, foreign = (text(cell) for cell in answer.rows[0])
    return Marks(counting == "on", int(forms), int(exclusive), int(foreign))


def why_uncounted(before: Marks, after: Marks) -> str:
    """Why the counts between the two do not tell everything; empty when they do."""
    if not (before.counting and after.counting):
        return "Its server does not count rows (track_counts is off)."
    if after.forms > before.forms and after.exclusive:
        return "It changes more than rows, as a TRUNCATE, a DROP or an ALTER in a trigger or function does."
    if after.foreign:
        return "It changes rows of another server, which are not counted here."
    return ""


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def array(parts: Sequence[str]) -> str:
    """An array as text (PostgreSQL documentation, "Array Input and Output Syntax")."""
    quoted = ('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)
    return "{" + ",".join(quoted) + "}"


def read_counts(answer: Answer) -> Counts:
    counts: Counts = {}
    for row in answer.rows:
        oid, schema, name, inserted, updated, deleted = (text(cell) for cell in row)
        table = Table(int(oid), schema, name)
        before = counts.get(table, (0, 0, 0))
        counts[table] = (before[0] + int(inserted), before[1] + int(updated), before[2] + int(deleted))
    return counts


def text(cell: bytes | None) -> str:
    return "" if cell is None else decode(cell)


def compare(before: Counts, after: Counts) -> Change:
    """The difference. A count that went down (a TRUNCATE inside a trigger does that) cannot be trusted."""
    tables: dict[Table, tuple[int, int, int]] = {}
    countable = True
    for table in {**before, **after}:
        was, now = before.get(table, (0, 0, 0)), after.get(table, (0, 0, 0))
        inserted, updated, deleted = now[0] - was[0], now[1] - was[1], now[2] - was[2]
        countable = countable and min(inserted, updated, deleted) >= 0
        if inserted or updated or deleted:
            tables[table] = (inserted, updated, deleted)
    return Change(tables, countable)


def find_targets(names: Sequence[str]) -> Step:
    """Find the tables that a classification names as written (``table orders``, ``table public.orders``)."""
    written = [name.removeprefix("table ").split(".", 1) for name in names[:_MOST_PARTS]]
    return Step(
        "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.unnest($1::pg_catalog.text[]) AS w(name)"
        " JOIN pg_catalog.pg_class AS c ON"
        " c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(w.name)::pg_catalog.oid"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace",
        (array([".".join(quote(part) for part in parts) for parts in written]),),
    )


def read_tables(answer: Answer) -> list[Table]:
    return [_table(row) for row in answer.rows]


def _table(row: Row) -> Table:
    oid, schema, name = (text(cell) for cell in row[:3])
    return Table(int(oid), schema, name)


def count_rows(tables: Sequence[Table]) -> list[Step]:
    """The exact number of rows of each table, one statement each."""
    # A table's name cannot be a parameter; it comes from the catalogue and is quoted.
    return [Step(f"SELECT pg_catalog.count(*) FROM {table.quoted}") for table in tables[:_MOST_PARTS]]  # noqa: S608


def estimate_rows(tables: Sequence[Table]) -> list[Step]:
    """What the server's planner takes for the number of rows of each table; below zero when it has no idea."""
    estimate = (
        "SELECT c.reltuples::pg_catalog.int8 FROM pg_catalog.pg_class AS c"
        " WHERE c.oid OPERATOR(pg_catalog.=) $1::pg_catalog.oid"
    )
    return [Step(estimate, (str(table.oid),)) for table in tables[:_MOST_PARTS]]


def read_totals(tables: Sequence[Table], injection: Injection) -> dict[Table, int]:
    totals: dict[Table, int] = {}
    for table, answer in zip(tables, injection.answers, strict=False):
        if answer.rows and answer.rows[0][0] is not None:
            total = int(answer.rows[0][0])
            if total >= 0:
                totals[table] = total
    return totals


def find_referencing(tables: Sequence[Table]) -> Step:
    """The tables that refer to ``tables`` by foreign keys, and those that refer to them, and so on."""
    return Step(
        "WITH RECURSIVE gone(oid) AS (SELECT pg_catalog.unnest($1::pg_catalog.oid[]) UNION"
        " SELECT f.conrelid FROM gone JOIN pg_catalog.pg_constraint AS f ON"
        " f.confrelid OPERATOR(pg_catalog.=) gone.oid AND f.contype OPERATOR(pg_catalog.=) 'f'::pg_catalog.\"char\")"
        " SELECT c.oid, n.nspname, c.relname FROM gone"
        " JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) gone.oid"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
        " WHERE NOT gone.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[])",
        (oids(tables),),
    )


def find_dependents(tables: Sequence[Table]) -> Step:
    """The views over ``tables`` (and over those views), and the foreign keys that point at them, in words."""
    return Step(
        "WITH RECURSIVE gone(oid) AS (SELECT pg_catalog.unnest($1::pg_catalog.oid[]) UNION"
        " SELECT r.ev_class FROM gone JOIN pg_catalog.pg_depend AS d ON"
        " d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid"
        " AND d.refobjid OPERATOR(pg_catalog.=) gone.oid"
        " AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid"
        " JOIN pg_catalog.pg_rewrite AS r ON r.oid OPERATOR(pg_catalog.=) d.objid)"
        " SELECT pg_catalog.pg_describe_object("
        "'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, gone.oid, 0) FROM gone"
        " WHERE NOT gone.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[])"
        " UNION ALL SELECT pg_catalog.pg_describe_object("
        "'pg_catalog.pg_constraint'::pg_catalog.regclass::pg_catalog.oid, f.oid, 0)"
        " FROM pg_catalog.pg_constraint AS f WHERE f.contype OPERATOR(pg_catalog.=) 'f'::pg_catalog.\"char\""
        " AND f.confrelid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[])"
        " AND NOT f.conrelid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[])",
        (oids(tables),),
    )


def oids(tables: Sequence[Table]) -> str:
    return array([str(table.oid) for table in tables])


def describe_parts(change: Change, targets: Sequence[Table], totals: dict[Table, int]) -> tuple[PartImpact, ...]:
    """The parts of an impact, the statement's own targets first, then what it touched most."""
    others = sorted(
        (table for table in change.tables if table not in targets), key=lambda table: -sum(change.tables[table])
    )
    own = [table for table in targets if table in change.tables or table in totals]
    parts = []
    for table in [*own, *others]:
        inserted, updated, deleted = change.tables.get(table, (0, 0, 0))
        parts.append(PartImpact(table.part, inserted, updated, deleted, totals.get(table)))
    return tuple(parts)
