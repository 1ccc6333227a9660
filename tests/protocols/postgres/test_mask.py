"""Masked columns: what is shown comes covered, and no statement's answer depends on what was there.

The second is tried as it is said (non-interference; Goguen and Meseguer, 1982): two databases that differ in nothing
but the masked values, the same statement to both, and the answers must be the same bytes.
"""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path

import psycopg
import pytest

from interlock.domain.actions import Action
from interlock.domain.decisions import Fence, Mask
from interlock.errors import PeerError
from interlock.policy.annotations import MASKED as MASKED_ACTIONS
from interlock.ports.protocol import Held, Proceed, Verdict
from interlock.ports.statement import Statement
from interlock.protocols.postgres.row_mask import RowMask
from tests.protocols.postgres.conftest import Database
from tests.protocols.postgres.harness import TinyGateway, Upstream, serving
from tests.protocols.postgres.mask_texts import MASKED, TABLES, Chance, values_of
from tests.protocols.postgres.servers import TestServer


def masking(statement: Statement) -> Verdict:
    """As the policy's: who reads or writes gets the masks, who writes the fence."""
    actions = {need.action for need in statement.needs}
    fences = (Fence(100),) if Action.WRITE in actions else ()
    return Proceed((*fences, Mask(MASKED)) if actions & MASKED_ACTIONS else fences)


@pytest.fixture(scope="module")
def pair(server_18: TestServer) -> Iterator[tuple[Database, Database]]:
    both = []
    for seed in "ab":
        name = f"masked_{seed}"
        server_18.run(f"CREATE DATABASE {name}")
        server_18.run(*TABLES, *values_of(seed), database=name)
        both.append(Database(server_18, name))
    yield both[0], both[1]
    for one in both:
        server_18.run(f"DROP DATABASE {one.name} WITH (FORCE)")


@pytest.fixture
async def clients(
    pair: tuple[Database, Database], identity: tuple[Path, Path]
) -> AsyncIterator[tuple[psycopg.AsyncConnection, psycopg.AsyncConnection]]:
    async with AsyncExitStack() as held:
        connections = []
        for one in pair:
            gateway = TinyGateway(Upstream("127.0.0.1", one.server.port, one.name), masking)
            running = await held.enter_async_context(serving(gateway, identity))
            connections.append(await held.enter_async_context(await _connect(running)))
        yield connections[0], connections[1]


async def _connect(gateway: TinyGateway) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(gateway.dsn(), autocommit=True)


@pytest.fixture(params=["simple", "extended", "binary"])
def cursor(request: pytest.FixtureRequest) -> tuple[type[psycopg.AsyncCursor], bool]:
    if request.param == "simple":
        return psycopg.AsyncClientCursor, False
    return psycopg.AsyncCursor, request.param == "binary"


async def answer_of(connection: psycopg.AsyncConnection, text: str, *, simple: bool) -> str:
    """The whole answer: columns, rows, tag; or the error with all of its fields."""
    kind = psycopg.AsyncClientCursor if simple else psycopg.AsyncCursor
    try:
        # A text without values goes as a simple query, whatever the cursor, unless its answer is to be binary.
        cursor = await kind(connection).execute(text, binary=not simple)
        rows = await cursor.fetchall() if cursor.description else []
        return f"{[one.name for one in cursor.description or ()]} {rows} {cursor.statusmessage}"
    except psycopg.Error as error:
        said = error.diag
        return f"{said.sqlstate} {said.message_primary} {said.message_detail} {said.context}"


SHOWN = {
    "SELECT id, email, city FROM people WHERE id = 0": [(0, "***", "Oslo")],
    "SELECT email AS at FROM people WHERE id < 2 ORDER BY id": [("***",), ("***",)],
    "SELECT p.salary, p.email FROM public.people AS p WHERE p.id = 3": [(None, "***")],
    "SELECT * FROM people WHERE id = 0": [(0, "ann", "***", None, "Oslo")],
    "TABLE elders": [(9, "eve", "***", None, "Rome", 80)],
    "SELECT * FROM visits_1 ORDER BY id LIMIT 1": [(1, "***", date(2026, 1, 1))],
    "SELECT s.* FROM (SELECT * FROM people WHERE id = 0) AS s": [(0, "ann", "***", None, "Oslo")],
    "WITH s AS (TABLE people) SELECT s.name, t.name, t.email FROM s JOIN teams t ON lead = s.id ORDER BY t.id": [
        ("bob", "red", "team@example.com"),
        ("dee", "blue", "team@example.com"),
    ],
    "SELECT count(*), city FROM people GROUP BY city HAVING count(*) > 1": [(3, "Oslo")],
    "SELECT DISTINCT city FROM people WHERE city IS NOT NULL ORDER BY city": [("Oslo",), ("Rome",)],
    "SELECT name FROM people p WHERE EXISTS (SELECT * FROM teams WHERE lead = p.id) ORDER BY 1": [
        ("bob",),
        ("dee",),
    ],
    'SELECT "Salary" FROM "Quoted"': [(None,)],
    "SELECT * FROM reds": [(1, "red")],
    "SELECT email FROM teams WHERE email LIKE 'team%' AND id = 1": [("team@example.com",)],
    "SELECT relname FROM pg_catalog.pg_class WHERE relname = 'people'": [("people",)],
    "SELECT 1 AS email": [(1,)],
    "SELECT yearly, town, id FROM pay LIMIT 1": [(None, "OSLO", 1)],
    "SELECT more, id FROM raises LIMIT 1": [(None, 1)],
    "SELECT id FROM pay WHERE town = 'OSLO' LIMIT 1": [(1,)],
}


@pytest.mark.parametrize("text", SHOWN)
async def test_what_is_masked_comes_covered_and_the_rest_as_it_is(
    clients: tuple[psycopg.AsyncConnection, ...], cursor: tuple[type[psycopg.AsyncCursor], bool], text: str
) -> None:
    kind, binary = cursor
    answer = await (await kind(clients[0]).execute(text, binary=binary)).fetchall()
    assert answer == SHOWN[text]


ATTACKS = (
    # Conditions, order and comparison tell a value bit by bit.
    "SELECT id FROM people WHERE email LIKE 'a%'",
    "SELECT id FROM people ORDER BY email",
    "SELECT id, email FROM people ORDER BY 2",
    "SELECT email AS e FROM people ORDER BY e",
    "SELECT * FROM people ORDER BY 4",
    "SELECT DISTINCT email FROM people",
    "SELECT DISTINCT ON (salary) id FROM people",
    "SELECT email, count(*) FROM people GROUP BY 1",
    "SELECT count(DISTINCT salary) FROM people",
    "SELECT salary, count(*) FROM pay GROUP BY ROLLUP (1)",
    "SELECT salary, count(*) FROM pay GROUP BY GROUPING SETS (CUBE (1), ())",
    "SELECT salary, city, count(*) FROM pay GROUP BY (1, 2)",
    "SELECT 1 WHERE EXISTS (SELECT DISTINCT * FROM pay OFFSET 1)",
    "SELECT 1 WHERE EXISTS (SELECT * FROM pay GROUP BY 1, 2, 3, 4, 5 OFFSET 1)",
    # What is generated from it, and what holds rows of its table.
    "SELECT id FROM pay WHERE yearly > 5",
    "SELECT more + 0 FROM raises",
    "SELECT was FROM archive",
    "SELECT (was).email FROM archive",
    "SELECT (were[1]).email FROM archives",
    "SELECT ((pair).one).email FROM pairs",
    "SELECT (x).email FROM of_archive",
    "SELECT x FROM told",
    "SELECT id FROM people GROUP BY id HAVING max(salary) > 10",
    "SELECT id, rank() OVER (ORDER BY salary) FROM people",
    "SELECT id, sum(id) OVER w FROM people WINDOW w AS (PARTITION BY email ORDER BY id)",
    "SELECT a.id FROM people a JOIN people b USING (email)",
    "SELECT a.id FROM people a NATURAL JOIN elders b",
    "SELECT id FROM people LIMIT (SELECT max(salary) FROM people)",
    "SELECT id FROM (SELECT * FROM people ORDER BY 4 LIMIT 1) s",
    "SELECT id FROM (SELECT DISTINCT * FROM people) s",
    # Expressions of it.
    "SELECT email::text FROM people",
    "SELECT upper(email) FROM people",
    "SELECT coalesce(email, '') FROM people",
    "SELECT (email) || '' FROM people",
    "SELECT CASE WHEN salary > 1 THEN 1 END FROM people",
    "SELECT ARRAY[email] FROM people",
    "SELECT email IS NULL FROM people",
    'SELECT email COLLATE "C" FROM people',
    "SELECT (SELECT email FROM people WHERE id = 0)",
    "SELECT x FROM (SELECT email AS x FROM people) s",
    "SELECT s.x FROM (SELECT id, email FROM people) AS s(i, x)",
    "SELECT x FROM people AS p(i, n, x)",
    "WITH s(i, n, x) AS (SELECT * FROM people) SELECT x FROM s",
    "SELECT email FROM people UNION SELECT 'x'",
    "SELECT * FROM people UNION ALL SELECT * FROM people",
    "SELECT x FROM (SELECT 1, 'a' AS x UNION SELECT id, email FROM people) s",
    "SELECT q.* FROM (SELECT * FROM people UNION ALL SELECT * FROM people) q",
    "WITH RECURSIVE r AS (SELECT * FROM people UNION SELECT * FROM r) SELECT * FROM r",
    "SELECT 'x' IN (SELECT * FROM (SELECT email FROM people) s)",
    "SELECT ARRAY(SELECT email FROM people)",
    "SELECT format('%s', email) FROM people",
    "SELECT string_agg(email, ',') FROM people",
    "SELECT t.x FROM people, LATERAL (VALUES (email)) AS t(x)",
    "SELECT t FROM people, unnest(ARRAY[email]) AS t",
    "SELECT nullif(salary, 7) FROM people",
    "SELECT json_build_object('e', email) FROM people",
    # Whole rows.
    "SELECT p FROM people p",
    "SELECT people FROM people",
    "SELECT p::text FROM people p",
    "SELECT (p).email FROM people p",
    "SELECT (p).* FROM people p",
    "SELECT row(p.*)::text FROM people p",
    "SELECT p.* IS NULL FROM people p",
    "SELECT row_to_json(p) FROM people p",
    "SELECT p.row_to_json FROM people p",
    "SELECT p.to_jsonb FROM people p",
    "SELECT s.row_to_json FROM (SELECT * FROM people) s",
    "SELECT s.row_to_json FROM (SELECT row_to_json.* FROM people AS row_to_json) s",
    "SELECT s.row_to_json FROM (SELECT * FROM people) s, odd",
    "SELECT s.max FROM (SELECT * FROM people) s, (SELECT 1 FROM odd) o",
    "SELECT s.array_agg FROM (SELECT * FROM people) s, (SELECT array_agg(id) FROM teams) o",
    "SELECT jsonb_agg(s) FROM (SELECT * FROM people) s",
    "WITH s AS (SELECT * FROM people) SELECT to_json(s) FROM s",
    "SELECT to_json(j) FROM (people JOIN teams USING (id)) AS j",
    "SELECT count(p) FROM people p WHERE p > row(1)",
    "SELECT email(p) FROM people p",
    "SELECT contact(p) FROM people p",
    "SELECT p.contact FROM people p",
    "SELECT people.contact FROM people",
    "SELECT id FROM people p WHERE p.contact LIKE 'a%'",
    "SELECT find_mail(1)",
    "SELECT id, name FROM people GROUP BY people.id, people",
    "SELECT * FROM json_to_recordset((SELECT json_agg(p) FROM people p)) AS x(email text)",
    # Through views, copies, partitions, statistics.
    "SELECT * FROM addresses",
    "SELECT id FROM nearly WHERE x LIKE 'a%'",
    "SELECT at FROM copied",
    "SELECT at FROM found",
    "SELECT id FROM seen",
    "SELECT id FROM visits_1 WHERE who LIKE '1%'",
    "SELECT age FROM elders WHERE salary > 5",
    "SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE tablename = 'people'",
    "SELECT stavalues1 FROM pg_catalog.pg_statistic",
    "SELECT query_to_xml('SELECT * FROM people', true, false, '')",
    "SELECT table_to_xml('people', true, false, '')",
    "SELECT * FROM ts_stat('SELECT to_tsvector(email) FROM people')",
    # Other ways out.
    "COPY people TO STDOUT",
    "COPY (SELECT email FROM people) TO STDOUT",
    "DECLARE c CURSOR WITH HOLD FOR SELECT email FROM people",
    "EXPLAIN (ANALYZE) SELECT email FROM people WHERE salary > 10",
    "SELECT email INTO TEMP t FROM people",
    "CREATE TEMP TABLE t AS SELECT * FROM people",
    "CREATE TEMP VIEW v AS SELECT email AS e FROM people",
    "INSERT INTO teams SELECT * FROM people",
    "INSERT INTO teams (id, name) SELECT id + 100, email FROM people",
    "UPDATE teams SET name = p.email FROM people p WHERE p.id = teams.lead",
    "UPDATE people SET name = email",
    "UPDATE people SET name = name RETURNING email",
    "UPDATE people SET name = name RETURNING *",
    "UPDATE people SET name = name WHERE id = 1 RETURNING WITH (OLD AS o) o",
    "UPDATE people SET name = name WHERE id = 1 RETURNING WITH (NEW AS n) n.row_to_json",
    "UPDATE pay SET city = '' WHERE id = 1 RETURNING yearly",
    "DELETE FROM people WHERE salary > 5",
    "INSERT INTO people (id, name) VALUES (0, 'x') ON CONFLICT (id) DO UPDATE SET name = people.email",
    "INSERT INTO people (id, name) VALUES (0, 'x') ON CONFLICT (id) DO UPDATE SET name = 'x' WHERE people.salary > 5",
    "WITH x AS (UPDATE people SET name = name RETURNING *) SELECT * FROM x",
    "WITH x AS (UPDATE people SET name = name RETURNING email AS e) SELECT e FROM x",
    "MERGE INTO teams USING people ON teams.id = people.id WHEN MATCHED THEN UPDATE SET name = people.email",
    "SELECT 1; SELECT upper(email) FROM people",
    "SELECT email FROM people; SELECT 1",
)


@pytest.mark.parametrize("text", ATTACKS)
async def test_another_use_than_showing_it_is_refused(clients: tuple[psycopg.AsyncConnection, ...], text: str) -> None:
    for connection in clients:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="masked"):
            await psycopg.AsyncClientCursor(connection).execute(text)
    if ";" not in text:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="masked"):
            await clients[0].execute(text)


async def test_an_answer_does_not_depend_on_what_is_masked(clients: tuple[psycopg.AsyncConnection, ...]) -> None:
    answered, chance = 0, Chance(1)
    for text in (*SHOWN, *ATTACKS, *(chance.select() for _ in range(500))):
        for simple in (True, False):
            first, second = [await answer_of(one, text, simple=simple) for one in clients]
            assert first == second, text
            answered += not first.startswith("42501")
    # Not by refusing everything.
    assert answered > 400


async def test_what_was_prepared_by_a_statement_is_not_run(clients: tuple[psycopg.AsyncConnection, ...]) -> None:
    await clients[0].execute("PREPARE p AS SELECT upper(email) FROM people")
    for kind in (psycopg.AsyncClientCursor, psycopg.AsyncCursor):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="masked"):
            await kind(clients[0]).execute("EXECUTE p")


async def test_an_error_says_nothing_of_a_row(clients: tuple[psycopg.AsyncConnection, ...]) -> None:
    """PostgreSQL tells of a row that breaks a constraint with all of its columns."""
    for kind in (psycopg.AsyncClientCursor, psycopg.AsyncCursor):
        for text in (
            "UPDATE people SET name = NULL WHERE id = 0",
            "UPDATE people SET city = '' WHERE id = 0",
            "UPDATE people SET name = NULL",  # reads nothing
            "DELETE FROM towns",  # the row is one of another table
            "DELETE FROM keys",  # told when the transaction ends
        ):
            with pytest.raises(psycopg.errors.IntegrityError) as broken:
                await kind(clients[0]).execute(text, binary=kind is psycopg.AsyncCursor)
            assert broken.value.diag.message_detail is None
            assert broken.value.diag.context is None
            assert "example.com" not in str(broken.value)


async def test_a_mistake_is_told_as_the_server_tells_it(clients: tuple[psycopg.AsyncConnection, ...]) -> None:
    for kind in (psycopg.AsyncClientCursor, psycopg.AsyncCursor):
        with pytest.raises(psycopg.errors.UndefinedColumn, match='column "nothing" does not exist'):
            await kind(clients[0]).execute("SELECT nothing FROM people", binary=kind is psycopg.AsyncCursor)
        with pytest.raises(psycopg.errors.UndefinedTable):
            await kind(clients[0]).execute("SELECT email FROM nowhere", binary=kind is psycopg.AsyncCursor)
        assert await (await kind(clients[0]).execute("SELECT name FROM people WHERE id = 1")).fetchall() == [("bob",)]


async def test_what_changes_rows_without_looking_at_what_is_masked_goes_on(
    clients: tuple[psycopg.AsyncConnection, ...],
) -> None:
    connection = clients[0]
    async with connection.transaction(force_rollback=True):
        cursor = await connection.execute("UPDATE people SET email = 'n@example.com' WHERE id = %s", (1,))
        assert cursor.rowcount == 1
        cursor = await connection.execute(
            "INSERT INTO people VALUES (50, 'zed', 'z@example.com', 5, 'Bonn') RETURNING id"
        )
        assert await cursor.fetchall() == [(50,)]
        cursor = await connection.execute("SELECT email FROM people WHERE id = 50")
        assert await cursor.fetchall() == [("***",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with connection.transaction():
                await connection.execute("DELETE FROM people WHERE email = 'z@example.com'")
        assert (await connection.execute("DELETE FROM people WHERE id = 50")).rowcount == 1


async def test_a_prepared_statement_and_a_portal_in_parts_come_covered(
    clients: tuple[psycopg.AsyncConnection, ...],
) -> None:
    connection = clients[0]
    for number in range(3):
        cursor = await connection.execute("SELECT email FROM people WHERE id = %s", (number,), prepare=True)
        assert await cursor.fetchall() == [("***",)]
    async with connection.pipeline():
        answers = [await connection.execute("SELECT id, email FROM people WHERE id = %s", (at,)) for at in range(3)]
    assert [await one.fetchall() for one in answers] == [[(at, "***")] for at in range(3)]
    shown = [row async for row in psycopg.AsyncCursor(connection).stream("SELECT email, id FROM people ORDER BY id")]
    assert shown == [("***", at) for at in (0, 1, 2, 3, 9)]


async def test_rows_of_any_size_are_covered_in_any_pieces(
    pair: tuple[Database, Database], identity: tuple[Path, Path]
) -> None:
    pair[0].run("CREATE TABLE wide (id int, name text, salary bytea)")
    pair[0].run("INSERT INTO wide SELECT g, repeat('n', g * 997), decode(repeat('ab', g * 1009), 'hex')"
                " FROM generate_series(0, 400) g")  # fmt: skip
    gateway = TinyGateway(Upstream("127.0.0.1", pair[0].server.port, pair[0].name), masking)
    async with serving(gateway, identity), await _connect(gateway) as connection:
        rows = await (await connection.execute("SELECT id, salary, name FROM wide ORDER BY id")).fetchall()
        assert rows == [(at, None, "n" * (at * 997)) for at in range(401)]
        outcome = gateway.session.finished[max(gateway.session.finished)]
        assert outcome.rows == 401
        assert 80_000_000 > outcome.size_bytes > 997 * 400 * 200
    pair[0].run("DROP TABLE wide")


async def test_a_held_statement_that_was_approved_is_covered_too(
    pair: tuple[Database, Database], identity: tuple[Path, Path]
) -> None:
    def holding(statement: Statement) -> Verdict:
        return Held(measure=False) if "email" in statement.text else Proceed()

    gateway = TinyGateway(
        Upstream("127.0.0.1", pair[0].server.port, pair[0].name), holding, on_hold=lambda _: Proceed((Mask(MASKED),))
    )
    async with serving(gateway, identity), await _connect(gateway) as connection:
        for kind in (psycopg.AsyncClientCursor, psycopg.AsyncCursor):
            assert await (await kind(connection).execute("SELECT email FROM people WHERE id = 0")).fetchall() == [
                ("***",)
            ]
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="masked"):
                await kind(connection).execute("SELECT upper(email) FROM people")


async def test_a_table_made_meanwhile_is_masked_too(
    clients: tuple[psycopg.AsyncConnection, ...], pair: tuple[Database, ...]
) -> None:
    pair[0].run("CREATE TABLE fresh AS SELECT id, salary FROM people")
    try:
        assert await (await clients[0].execute("SELECT * FROM fresh WHERE id = 0")).fetchall() == [(0, None)]
        pair[0].run("ALTER TABLE fresh RENAME salary TO pay", "ALTER TABLE fresh ADD salary text DEFAULT 'much'")
        # Another name is another column: a mask is of names. What has the name now is masked.
        cursor = await clients[0].execute("SELECT salary FROM fresh WHERE id = 0")
        assert await cursor.fetchall() == [("***",)]
    finally:
        pair[0].run("DROP TABLE fresh")


def _description(*columns: tuple[int, int, int]) -> bytes:
    body = len(columns).to_bytes(2, "big")
    for relation, place, kind in columns:
        body += b"c\0" + relation.to_bytes(4, "big") + place.to_bytes(2, "big") + kind.to_bytes(4, "big") + bytes(8)
    return b"T" + (len(body) + 4).to_bytes(4, "big") + body


def _row(*values: bytes | None) -> bytes:
    body = len(values).to_bytes(2, "big")
    for value in values:
        body += b"\xff" * 4 if value is None else len(value).to_bytes(4, "big") + value
    return b"D" + (len(body) + 4).to_bytes(4, "big") + body


def test_rows_are_covered_however_they_are_cut() -> None:
    description = _description((7, 1, 23), (7, 2, 25), (7, 3, 23), (0, 0, 25))
    rows = [_row(b"1", b"secret", b"77", b"kept"), _row(b"2", None, None, None), _row(b"", b"", b"", b"")]
    expected = [_row(b"1", b"***", None, b"kept"), _row(b"2", b"***", None, None), _row(b"", b"***", None, b"")]
    whole = b"".join(rows)
    for size in range(1, len(whole) + 1):
        mask = RowMask(description, frozenset({(7, 2), (7, 3)}))
        got = b"".join(mask.take(whole[at : at + size]) for at in range(0, len(whole), size))
        assert got == b"".join(expected)


def test_rows_that_are_not_what_was_announced_end_the_session() -> None:
    description = _description((7, 1, 25), (7, 2, 25))
    chance = random.Random(2)
    good = _row(b"a", b"secret")
    for wrong in (
        _row(b"a"),
        _row(b"a", b"b", b"c"),
        b"d" + good[1:],
        good[:7] + b"\x7f" + good[8:],
        b"D\xff\xff\xff\xff",
    ):
        with pytest.raises(PeerError):
            RowMask(description, frozenset({(7, 2)})).take(wrong)
    with pytest.raises(PeerError):
        RowMask(description, frozenset({(7, 2)})).check(_description((7, 2, 25), (7, 1, 25)))
    for _ in range(3000):
        broken = bytearray(good)
        broken[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
        try:
            got = RowMask(description, frozenset({(7, 2)})).take(bytes(broken))
        except PeerError:
            continue
        assert b"secret" not in got
    for _ in range(1000):
        broken = bytearray(description)
        broken[chance.randrange(len(description))] ^= 1 << chance.randrange(8)
        try:
            RowMask(bytes(broken), frozenset({(7, 2)}))
        except PeerError:
            continue
