"""What the relations of a statement are, asked of the server: their columns, which of them are masked, and what is
behind a view.

Every name is qualified, operators too: the client's search path must decide nothing but what the statement's own names
mean.
"""

from collections.abc import Generator
from dataclasses import dataclass, field

from interlock.protocols.postgres import impact
from interlock.protocols.postgres.injection import Answer, Injection, Row, Step
from interlock.protocols.postgres.relay import Relay, Wait
from interlock.protocols.postgres.sampling import is_named

SYSTEM = frozenset({"pg_catalog", "information_schema"})
STATISTICS = frozenset({"pg_stats", "pg_stats_ext", "pg_stats_ext_exprs", "pg_statistic", "pg_statistic_ext_data"})
"""The system's own relations that hold values of columns."""

_OWN = """
SELECT n.place, c.oid, s.nspname, c.relname, a.attnum, a.attname,
  s.nspname OPERATOR(pg_catalog.<>) ALL ('{pg_catalog,information_schema}'::pg_catalog.name[])
  AND (c.relkind OPERATOR(pg_catalog.=) ANY ('{v,m}'::pg_catalog."char"[]) OR c.relhassubclass OR c.relispartition
  OR a.atttypid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
  OR EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid OPERATOR(pg_catalog.=) c.oid)),
  CASE WHEN a.attgenerated OPERATOR(pg_catalog.<>) ''::pg_catalog."char" THEN (
    SELECT pg_catalog.string_agg(k.refobjsubid::pg_catalog.text, ' ') FROM pg_catalog.pg_depend AS k
    LEFT JOIN pg_catalog.pg_attrdef AS f ON f.oid OPERATOR(pg_catalog.=) k.objid
      AND k.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass::pg_catalog.oid
    WHERE k.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
      AND k.refobjid OPERATOR(pg_catalog.=) c.oid
      AND (f.adrelid OPERATOR(pg_catalog.=) c.oid AND f.adnum OPERATOR(pg_catalog.=) a.attnum
      OR k.classid OPERATOR(pg_catalog.=) k.refclassid AND k.objid OPERATOR(pg_catalog.=) c.oid
      AND k.objsubid OPERATOR(pg_catalog.=) a.attnum)
  ) END
FROM pg_catalog.unnest($1::pg_catalog.text[]) WITH ORDINALITY AS n(name, place)
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(n.name)::pg_catalog.oid
JOIN pg_catalog.pg_namespace AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
  AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped
"""
"""All columns of the relations that are named, whether there is more to know of each, and the columns that one is
generated from. Most are tables without kin, of which there is no more: the other question takes four times as long."""

_MORE = """
WITH RECURSIVE named(place, oid) AS (
  SELECT n.place, pg_catalog.to_regclass(n.name)::pg_catalog.oid
  FROM pg_catalog.unnest($1::pg_catalog.text[]) WITH ORDINALITY AS n(name, place)
), reached(place, oid, beneath) AS (
  SELECT place, oid, false FROM named WHERE oid IS NOT NULL
  UNION
  SELECT r.place, x.oid, x.beneath FROM reached AS r CROSS JOIN LATERAL (
    SELECT i.inhparent, r.beneath FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid OPERATOR(pg_catalog.=) r.oid
    UNION ALL
    SELECT i.inhrelid, r.beneath FROM pg_catalog.pg_inherits AS i WHERE i.inhparent OPERATOR(pg_catalog.=) r.oid
    UNION ALL
    SELECT d.refobjid, true FROM pg_catalog.pg_rewrite AS w
    JOIN pg_catalog.pg_class AS v ON v.oid OPERATOR(pg_catalog.=) w.ev_class
    JOIN pg_catalog.pg_namespace AS s ON s.oid OPERATOR(pg_catalog.=) v.relnamespace
    JOIN pg_catalog.pg_depend AS d ON d.objid OPERATOR(pg_catalog.=) w.oid
      AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid
      AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
    WHERE w.ev_class OPERATOR(pg_catalog.=) r.oid AND w.ev_type OPERATOR(pg_catalog.=) '1'::pg_catalog."char"
      AND d.refobjid OPERATOR(pg_catalog.<>) r.oid
      AND s.nspname OPERATOR(pg_catalog.<>) ALL ('{pg_catalog,information_schema}'::pg_catalog.name[])
    UNION ALL
    SELECT y.typrelid, true FROM pg_catalog.pg_attribute AS b
    JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) b.atttypid
    LEFT JOIN pg_catalog.pg_type AS u ON u.oid OPERATOR(pg_catalog.=) t.typelem
      OR u.oid OPERATOR(pg_catalog.=) t.typbasetype
    JOIN pg_catalog.pg_type AS y ON y.oid OPERATOR(pg_catalog.=) ANY (
      ARRAY[t.oid, u.oid, u.typelem, u.typbasetype]::pg_catalog.oid[])
    WHERE b.attrelid OPERATOR(pg_catalog.=) r.oid AND b.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2
      AND NOT b.attisdropped AND b.atttypid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
      AND y.typrelid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid AND y.typrelid OPERATOR(pg_catalog.<>) r.oid
  ) AS x(oid, beneath)
)
SELECT r.place, r.beneath, n.oid OPERATOR(pg_catalog.=) r.oid, s.nspname, c.relname, c.oid, a.attnum, a.attname
FROM reached AS r
JOIN named AS n ON n.place OPERATOR(pg_catalog.=) r.place
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) r.oid
JOIN pg_catalog.pg_namespace AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
  AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped
UNION ALL
SELECT r.place, true, NULL, s.nspname, p.proname, p.oid, NULL, NULL
FROM reached AS r
JOIN pg_catalog.pg_rewrite AS w ON w.ev_class OPERATOR(pg_catalog.=) r.oid
  AND w.ev_type OPERATOR(pg_catalog.=) '1'::pg_catalog."char"
JOIN pg_catalog.pg_depend AS d ON d.objid OPERATOR(pg_catalog.=) w.oid
  AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid
  AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid
JOIN pg_catalog.pg_proc AS p ON p.oid OPERATOR(pg_catalog.=) d.refobjid
JOIN pg_catalog.pg_namespace AS s ON s.oid OPERATOR(pg_catalog.=) p.pronamespace
WHERE s.nspname OPERATOR(pg_catalog.<>) ALL ('{pg_catalog,information_schema}'::pg_catalog.name[])
"""
"""All columns of their kin, and of what views among them read; and the functions that such a view calls and that are
not the server's own (of which it is not said whether they are what is named)."""


@dataclass(slots=True)
class Relation:
    """What a name of the statement stands for. ``masked`` are names of its columns, in lower case; of a view, ``over``
    (or of a table with a column that holds whole rows) is a table of which columns are masked, ``calls`` a function
    that nobody knows, and ``statistics`` says that it reads the server's. ``generated`` are the places of the columns
    that a column is made from."""

    oid: int
    schema: str
    name: str
    columns: dict[int, str] = field(default_factory=dict)
    masked: set[str] = field(default_factory=set)
    over: str = ""
    statistics: bool = False
    generated: dict[int, set[int]] = field(default_factory=dict)
    calls: str = ""

    @property
    def shown(self) -> str:
        return f"{self.schema}.{self.name}"


Relations = dict[str, Relation]
"""By the quoted name in the statement; what is not there is left out."""


def ask_relations(
    relay: Relay, names: list[str], masked: tuple[str, ...], then: list[Step], *, sync: bool
) -> Generator[Wait, None, tuple[Injection, Relations]]:
    """What ``names`` stand for. ``then`` are steps that go with the question, in the injection that is returned; of one
    that did not succeed the relations are none."""
    named = (impact.array(names),)
    asked = yield from relay.inject([Step(_OWN, named), *then], sync=sync)
    if not asked.succeeded:
        return asked, {}
    more: list[Row] = []
    if any(row[6] == b"t" for row in asked.answers[0].rows):
        behind = yield from relay.inject([Step(_MORE, named)], sync=sync)
        if not behind.succeeded:
            return behind, {}
        more = behind.answers[0].rows
    return asked, _read(asked.answers[0], more, names, [one.lower() for one in masked])


def _read(own: Answer, more: list[Row], names: list[str], patterns: list[str]) -> Relations:
    found: dict[int, Relation] = {}
    kin: dict[int, set[tuple[str, str]]] = {}
    for row in own.rows:
        place, oid, schema, name, number, column, _, sources = (impact.text(cell) for cell in row)
        relation = found.setdefault(int(place), Relation(int(oid), schema, name))
        kin.setdefault(int(place), {(schema, name)})
        if number:
            relation.columns[int(number)] = column
            relation.generated[int(number)] = {int(one) for one in sources.split()}
    for row in more:
        place, beneath, is_own, schema, name, _, _, column = (impact.text(cell) for cell in row)
        # It was dropped in between.
        relation = found.get(int(place)) or Relation(0, schema, name)
        if not is_own:
            relation.calls = f"{schema}.{name}"
        elif beneath != "t":
            kin.setdefault(int(place), set()).add((schema, name))
        elif schema in SYSTEM and name in STATISTICS:
            relation.statistics = True
        elif is_named(patterns, schema, name, column):
            relation.over = f"{schema}.{name}"
    for at, relation in found.items():
        if relation.schema not in SYSTEM:
            relation.masked = {
                column.lower()
                for column in relation.columns.values()
                if any(is_named(patterns, schema, name, column) for schema, name in kin[at])
            }
            relation.masked |= {
                relation.columns[number].lower()
                for number, sources in relation.generated.items()
                if any(relation.columns.get(source, "").lower() in relation.masked for source in sources)
            }
    return {names[at - 1]: relation for at, relation in found.items()}


def covered(relations: Relations) -> frozenset[tuple[int, int]]:
    """The masked columns as a server numbers them: their relation's oid, and their place in it."""
    return frozenset(
        (relation.oid, number)
        for relation in relations.values()
        for number, column in relation.columns.items()
        if column.lower() in relation.masked
    )
