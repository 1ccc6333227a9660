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
from tests.protocols.postgres.mask_attacks import ATTACKS
from tests.protocols.postgres.mask_texts import MASKED, Chance, make_pair
from tests.protocols.postgres.servers import TestServer


def masking(statement: Statement) -> Verdict:
    """As the policy's: who reads or writes gets the masks, who writes the fence."""
    actions = {need.action for need in statement.needs}
    fences = (Fence(100),) if Action.WRITE in actions else ()
    return Proceed((*fences, Mask(MASKED)) if actions & MASKED_ACTIONS else fences)


@pytest.fixture(scope="module")
def pair(server_18: TestServer) -> Iterator[tuple[Database, Database]]:
    first, second = make_pair(server_18)
    both = (Database(server_18, first), Database(server_18, second))
    yield both
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
