"""SELECTs put together at random over tables of which columns are masked; most of them PostgreSQL understands."""

import random
from collections.abc import Iterator

from tests.protocols.postgres.servers import TestServer

TABLES = (
    "CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, email text, salary int, city text)",
    "ALTER TABLE people ADD CHECK (city <> '')",
    "CREATE TABLE teams (id int PRIMARY KEY, name text, lead int, email text DEFAULT 'team@example.com')",
    "INSERT INTO teams VALUES (1, 'red', 1), (2, 'blue', 3)",
    "CREATE TABLE visits (id int, who text, day date) PARTITION BY RANGE (id)",
    "CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (0) TO (100)",
    "CREATE TABLE elders (age int) INHERITS (people)",
    "CREATE VIEW addresses AS SELECT id, lower(email) AS at FROM people",
    "CREATE VIEW nearly AS SELECT id, at AS x FROM addresses",
    "CREATE VIEW reds AS SELECT id, name FROM teams WHERE id = 1",
    "CREATE MATERIALIZED VIEW copied AS SELECT id, email AS at FROM people WITH NO DATA",
    "CREATE FUNCTION contact(people) RETURNS text LANGUAGE sql AS 'SELECT $1.email'",
    "CREATE FUNCTION find_mail(int) RETURNS text LANGUAGE sql AS 'SELECT email FROM people WHERE id = $1'",
    "CREATE VIEW found AS SELECT id, find_mail(id) AS at FROM teams",
    "CREATE VIEW seen AS SELECT id FROM found",
    'CREATE TABLE "Quoted" (id int, "Salary" int)',
    "CREATE TABLE pay (id int, salary int, city text, yearly int GENERATED ALWAYS AS (salary * 12) STORED)",
    "ALTER TABLE pay ADD town text GENERATED ALWAYS AS (upper(city)) STORED",
    "CREATE TABLE raises (id int, salary int, more int GENERATED ALWAYS AS (salary + 1) VIRTUAL)",
    "CREATE DOMAIN people_then AS people[]",
    "CREATE TYPE paired AS (one people, other int)",
    "CREATE TABLE archive (id int, was people)",
    "CREATE TABLE archives (id int, were people_then)",
    "CREATE TABLE pairs (id int, pair paired)",
    "CREATE VIEW of_archive AS SELECT id, was AS x FROM archive",
    "CREATE VIEW told AS SELECT attname, histogram_bounds::text AS x FROM pg_stats",
    "CREATE TABLE odd (id int, row_to_json text, max int)",
    "CREATE TABLE towns (id int PRIMARY KEY)",
    "CREATE TABLE dwellers (id int, salary int, town int NOT NULL REFERENCES towns ON DELETE SET NULL)",
    "CREATE TABLE keys (id int, salary int UNIQUE)",
    "CREATE TABLE kept (id int, pay int REFERENCES keys (salary) DEFERRABLE INITIALLY DEFERRED)",
    "INSERT INTO odd VALUES (1, 'x', 1)",
    "INSERT INTO towns VALUES (1)",
)
"""Masked are ``email`` of people, ``who`` of visits, and every ``salary``."""

MASKED = ("public.people.email", "*.*.salary", "public.visits.who")

_PEOPLE = ("id", "name", "email", "salary", "city")
_COLUMNS = {
    "people": _PEOPLE,
    "elders": (*_PEOPLE, "age"),
    "teams": ("id", "name", "lead", "email"),
    "visits": ("id", "who", "day"),
    "visits_1": ("id", "who", "day"),
    "reds": ("id", "name"),
    "copied": ("id", "at"),
    "addresses": ("id", "at"),
    "pay": ("id", "salary", "city", "yearly", "town"),
    "raises": ("id", "salary", "more"),
    "archive": ("id", "was"),
    "odd": ("id", "row_to_json", "max"),
}
_OFTEN = ("people", "people", "people", "elders", "teams", "visits", *_COLUMNS)
_FUNCTIONS = (
    "upper({}::text)", "({})::text", "({})", "coalesce({}, NULL)", "count({})", "({}) IS NULL", "to_json({})",
    "max({}::text)", "row_to_json({})", "array_agg({})", "ROW({})", "({}).email", "length(({})::text)",
)  # fmt: skip
_JOINS = (", {}", " JOIN {} USING (id)", " LEFT JOIN {} ON true", " NATURAL JOIN {}", " CROSS JOIN {}")
_ROW_FUNCTIONS = ("contact", "row_to_json", "to_jsonb", "array_agg", "max")

Scope = list[tuple[str, tuple[str, ...]]]
"""What may be named: sources, and the columns of each."""


def values_of(seed: str) -> Iterator[str]:
    """Rows that differ from those of another ``seed`` in nothing but what is masked."""
    chance = random.Random(seed)
    secrets = [f"{chance.randrange(10**6)}-{seed}@example.com" for _ in range(6)]
    for at, name in enumerate(("ann", "bob", "cy")):
        yield f"INSERT INTO people VALUES ({at}, '{name}', '{secrets[at]}', {chance.randrange(90_000)}, 'Oslo')"
    yield "INSERT INTO people VALUES (3, 'dee', " + ("NULL, NULL" if seed == "b" else "'d', 1") + ", NULL)"
    yield f"INSERT INTO elders VALUES (9, 'eve', '{secrets[3]}', 7, 'Rome', 80)"
    yield f"INSERT INTO visits VALUES (1, '{secrets[4]}', '2026-01-01'), (2, '{secrets[5]}', '2026-01-02')"
    yield f'INSERT INTO "Quoted" VALUES (1, {chance.randrange(90_000)})'
    amount = chance.randrange(90_000)
    other = amount if seed == "a" else amount + 1
    yield f"INSERT INTO pay VALUES (1, {amount}, 'Oslo'), (1, {other}, 'Oslo')"
    yield f"INSERT INTO raises VALUES (1, {amount}), (1, {other})"
    yield f"INSERT INTO dwellers VALUES (1, {amount}, 1)"
    yield f"INSERT INTO keys VALUES (1, {amount})"
    yield f"INSERT INTO kept VALUES (1, {amount})"
    yield "INSERT INTO archive SELECT id, p FROM people AS p"
    yield "INSERT INTO archives SELECT id, ARRAY[p] FROM people AS p"
    yield "INSERT INTO pairs SELECT id, ROW(p, 1)::paired FROM people AS p"
    yield "REFRESH MATERIALIZED VIEW copied"
    yield "ANALYZE"


def make_pair(server: TestServer) -> tuple[str, str]:
    """Two databases that differ in nothing but what is masked, also not in the numbers of what they hold."""
    server.run("CREATE DATABASE masked_tables")
    server.run(*TABLES, database="masked_tables")
    for seed in "ab":
        server.run(f"CREATE DATABASE masked_{seed} TEMPLATE masked_tables")
        server.run(*values_of(seed), database=f"masked_{seed}")
    server.run("DROP DATABASE masked_tables")
    return "masked_a", "masked_b"


class Chance:
    """Texts by a seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def select(self) -> str:
        if self._chance.random() > 0.12:
            return self._select(0, ())[0]
        inner, columns = self._select(1, ())
        listed = "(x)" if self._chance.random() < 0.1 else ""
        return f"WITH q{listed} AS ({inner}) {self._select(0, columns)[0]}"

    def _select(self, depth: int, with_q: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """A text, and the names of its columns, as far as they have some. ``with_q`` are those of the CTE."""
        chance = self._chance
        scope: Scope = []
        joined = ""
        for name in chance.sample(("p", "t", "s"), 1 if chance.random() < 0.7 else 2):
            text = self._source(name, depth, with_q, scope)
            joined += chance.choice(_JOINS).format(text) if joined else text
        shown = [self._shown(scope) for _ in range(chance.randint(1, 3))]
        text = (
            f"SELECT {'DISTINCT ' if chance.random() < 0.06 else ''}{', '.join(one for one, _ in shown)} FROM {joined}"
        )
        if chance.random() < 0.25:
            text += f" WHERE {self._condition(scope, depth)}"
        if chance.random() < 0.06:
            grouped = chance.choice(("{}", "{}", "ROLLUP ({})", "GROUPING SETS (({}), ())", "({}, 1)"))
            text += f" GROUP BY {grouped.format(self._sorted(scope))}"
        if chance.random() < 0.05:
            text += f" {chance.choice(('UNION', 'UNION ALL', 'EXCEPT'))} {text}"
        if chance.random() < 0.3:
            text += f" ORDER BY {self._sorted(scope)}"
        return text, tuple(name for _, names in shown for name in names)

    def _source(self, name: str, depth: int, with_q: tuple[str, ...], scope: Scope) -> str:
        chance = self._chance
        if with_q and chance.random() < 0.6:
            scope.append((name, with_q))
            return f"q AS {name}"
        table = chance.choice(_OFTEN)
        columns = _COLUMNS[table]
        if depth < 2 and chance.random() < 0.3:
            text = f"SELECT * FROM {table}"
            if chance.random() < 0.6:
                text, columns = self._select(depth + 1, ())
            listed = "(x, y)" if chance.random() < 0.06 else ""
            scope.append((name, (*columns, "x") if listed else columns))
            return f"({text}) AS {name}{listed}"
        if chance.random() < 0.3 and all(one != table for one, _ in scope):
            scope.append((table, columns))
            return table
        scope.append((name, columns))
        return f"{table} AS {name}"

    def _column(self, scope: Scope) -> tuple[str, str]:
        """A column (or what looks like one), and its name."""
        chance = self._chance
        source, columns = chance.choice(scope)
        roll = chance.random()
        if roll < 0.05 or not columns:
            return source, source
        if roll < 0.09:
            function = chance.choice(_ROW_FUNCTIONS)
            return f"{source}.{function}", function
        column = chance.choice(columns)
        return (column if len(scope) == 1 and roll < 0.5 else f"{source}.{column}"), column

    def _shown(self, scope: Scope) -> tuple[str, tuple[str, ...]]:
        chance = self._chance
        roll = chance.random()
        if roll < 0.06:
            return "*", tuple(name for _, columns in scope for name in columns)
        if roll < 0.12:
            source, columns = chance.choice(scope)
            return f"{source}.*", columns
        one, name = self._column(scope)
        if chance.random() < 0.2:
            one, name = chance.choice(_FUNCTIONS).format(one), ""
        if chance.random() < 0.2:
            name = chance.choice("xy")
            one = f"{one} AS {name}"
        return one, (name,) if name else ()

    def _condition(self, scope: Scope, depth: int) -> str:
        chance = self._chance
        column, _ = self._column(scope)
        if depth < 1 and chance.random() < 0.3:
            inner, _ = self._select(depth + 1, ())
            return f"{chance.choice(('EXISTS', 'NOT EXISTS', f'{column} IN', f'{column} > ALL'))} ({inner})"
        return f"({column})::text {chance.choice(('LIKE ' + repr('%1%'), '> ' + repr('3'), 'IS NOT NULL'))}"

    def _sorted(self, scope: Scope) -> str:
        return self._chance.choice(("1", "2", "x", self._column(scope)[0], self._column(scope)[0]))
