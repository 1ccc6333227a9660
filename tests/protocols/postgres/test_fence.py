"""A fence around writes: what keeps within it commits, what goes past it is undone and held."""

import asyncio
from collections.abc import Iterator

import asyncpg
import psycopg
import pytest
from psycopg.pq import TransactionStatus

from interlock.ports.protocol import Impact, PartImpact, Proceed, Refused
from tests.protocols.postgres.conftest import Database
from tests.protocols.postgres.harness import TinyGateway, until
from tests.protocols.postgres.rules import fencing

DENIED = Refused("Denied by lead@example.com: not without a ticket.")


async def connect(gateway: TinyGateway, *, autocommit: bool = True) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(gateway.dsn(), autocommit=autocommit)


def status(connection: psycopg.AsyncConnection) -> TransactionStatus:
    return connection.info.transaction_status


@pytest.fixture(params=["simple", "extended"])
def client(request: pytest.FixtureRequest) -> type[psycopg.AsyncCursor]:
    """The cursor that speaks one of the two query protocols."""
    return psycopg.AsyncClientCursor if request.param == "simple" else psycopg.AsyncCursor


async def test_a_write_within_the_fence_commits(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    gateway.rule = fencing(5)
    async with await connect(gateway) as connection:
        cursor = client(connection)
        await cursor.execute("UPDATE orders SET total = 0 WHERE id <= %s", (5,))
        assert cursor.rowcount == 5
        assert status(connection) is TransactionStatus.IDLE
        assert database.read("SELECT count(*) FROM orders WHERE total = 0") == [(5,)]
    outcome = gateway.session.finished[1]
    assert (outcome.changed, outcome.tag, outcome.error) == (5, "UPDATE 5", "")
    assert gateway.session.held == {}


async def test_past_the_fence_nothing_changes_and_the_count_includes_cascades(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    gateway.rule = fencing(7)
    gateway.on_hold = lambda impact: DENIED
    async with await connect(gateway) as connection:
        cursor = client(connection)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not without a ticket"):
            await cursor.execute("DELETE FROM orders WHERE id <= %s", (2,))
        assert status(connection) is TransactionStatus.IDLE
        assert await (await cursor.execute("SELECT count(*) FROM orders")).fetchone() == (10,)
    assert database.count() == 10
    (impact,) = gateway.session.held.values()
    assert impact == Impact(
        parts=(
            PartImpact("table public.orders", deleted=2, total=10),
            PartImpact("table public.items", deleted=6, total=30),
        ),
        over_fence=8,
    )
    assert "past the fence" in gateway.session.finished[1].error


async def test_released_it_runs_once(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    gateway.rule = fencing(3)
    gateway.on_hold = lambda impact: Proceed()
    async with await connect(gateway) as connection:
        cursor = client(connection)
        await cursor.execute("UPDATE orders SET total = total + 1 WHERE id > %s RETURNING id", (0,))
        assert cursor.rowcount == 10
        assert len(await cursor.fetchall()) == 10
    assert database.read("SELECT sum(total) FROM orders") == [(65,)]
    assert gateway.session.finished[1].changed == 10
    assert gateway.session.finished[1].rows == 10


async def test_inside_the_clients_transaction(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    gateway.rule = fencing(3)
    verdicts: Iterator[Proceed | Refused] = iter([Proceed(), DENIED])
    gateway.on_hold = lambda impact: next(verdicts)
    async with await connect(gateway, autocommit=False) as connection:
        cursor = client(connection)
        await cursor.execute("UPDATE orders SET total = 100 WHERE id = %s", (1,))
        await cursor.execute("UPDATE orders SET total = 200 WHERE id > %s", (5,))
        assert cursor.rowcount == 5
        assert status(connection) is TransactionStatus.INTRANS
        await cursor.execute("SAVEPOINT mine")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await cursor.execute("DELETE FROM orders WHERE id > %s", (0,))
        assert status(connection) is TransactionStatus.INERROR
        await cursor.execute("ROLLBACK TO mine")
        await cursor.execute("INSERT INTO orders VALUES (%s)", (11,))
        await connection.commit()
    assert database.read("SELECT sum(total) FROM orders") == [(100 + 2 + 3 + 4 + 5 + 1000,)]
    assert database.count() == 11


async def test_errors_of_the_statement_are_its_own(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    gateway.rule = fencing(3)
    async with await connect(gateway) as connection:
        cursor = client(connection)
        with pytest.raises(psycopg.errors.UniqueViolation):
            await cursor.execute("INSERT INTO orders VALUES (%s)", (1,))
        assert status(connection) is TransactionStatus.IDLE
        await cursor.execute("INSERT INTO orders VALUES (%s)", (12,))
    assert database.count() == 11
    assert gateway.session.finished[1].error.startswith("23505")


async def test_a_deferred_constraint_fails_the_statement(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    database.run("ALTER TABLE items ALTER CONSTRAINT items_order_id_fkey DEFERRABLE INITIALLY DEFERRED")
    gateway.rule = fencing(3)
    async with await connect(gateway) as connection:
        cursor = client(connection)
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            await cursor.execute("INSERT INTO items VALUES (%s, 999)", (31,))
        assert status(connection) is TransactionStatus.IDLE
    assert database.count("items") == 30


async def test_deferred_triggers_count_and_stay_deferred(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    database.run(
        "CREATE TABLE log (id int)",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO log SELECT generate_series(1, 5); RETURN NULL; END'",
        "CREATE CONSTRAINT TRIGGER noting AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION note()",
    )
    gateway.rule = fencing(3)
    gateway.on_hold = lambda impact: Proceed()
    async with await connect(gateway, autocommit=False) as connection:
        cursor = client(connection)
        await cursor.execute("INSERT INTO orders VALUES (%s)", (11,))
        assert await (await cursor.execute("SELECT count(*) FROM log")).fetchone() == (0,)
        await connection.commit()
    assert database.count("log") == 5
    assert [impact.over_fence for impact in gateway.session.held.values()] == [6]


async def test_without_counting_nothing_passes(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    database.run(f"ALTER DATABASE {database.name} SET track_counts = off")
    gateway.rule = fencing(3)
    gateway.on_hold = lambda impact: DENIED
    async with await connect(gateway) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await client(connection).execute("DELETE FROM items WHERE id = %s", (1,))
    assert database.count("items") == 30
    (impact,) = gateway.session.held.values()
    assert "track_counts" in impact.unmeasured


async def test_transaction_control_beside_a_fenced_write_is_refused(gateway: TinyGateway, database: Database) -> None:
    gateway.rule = fencing(3)
    async with await connect(gateway) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="Send the two apart"):
            await connection.execute("BEGIN; DELETE FROM orders; COMMIT")
        await connection.execute("DELETE FROM items WHERE id = 1; DELETE FROM items WHERE id = 2")
    assert database.count() == 10
    assert database.count("items") == 28


async def test_what_no_count_can_fence_is_held(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    gateway.rule = fencing(100)
    verdicts: Iterator[Proceed | Refused] = iter([DENIED, Proceed()])
    gateway.on_hold = lambda impact: next(verdicts)
    async with await connect(gateway) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await client(connection).execute("TRUNCATE items")
        assert database.count("items") == 30
        await client(connection).execute("TRUNCATE items")
    assert database.count("items") == 0
    items = PartImpact("table public.items", deleted=30, total=30)
    assert list(gateway.session.held.values()) == [Impact((items,)), Impact((items,))]


async def test_pipelined_writes_are_fenced_one_by_one(gateway: TinyGateway, database: Database) -> None:
    gateway.rule = fencing(3)
    gateway.on_hold = lambda impact: Proceed()
    async with await connect(gateway) as connection, connection.pipeline():
        cursors = [
            await connection.execute("UPDATE orders SET total = 7 WHERE id = %s", (1,)),
            await connection.execute("UPDATE orders SET total = 8 WHERE id > %s RETURNING id", (4,)),
            await connection.execute("SELECT total FROM orders WHERE id = %s", (1,)),
            await connection.execute("DELETE FROM items WHERE id = %s", (1,)),
        ]
        assert await cursors[2].fetchone() == (7,)
        assert len(await cursors[1].fetchall()) == 6
    assert database.read("SELECT sum(total) FROM orders") == [(7 + 2 + 3 + 4 + 6 * 8,)]
    assert database.count("items") == 29
    assert [impact.over_fence for impact in gateway.session.held.values()] == [6]


async def test_a_refused_write_in_a_pipeline_undoes_the_whole_batch(gateway: TinyGateway, database: Database) -> None:
    gateway.rule = fencing(3)
    gateway.on_hold = lambda impact: DENIED
    async with await connect(gateway) as connection:
        async with connection.pipeline() as pipeline:
            await connection.execute("DELETE FROM items WHERE id = %s", (1,))
            await connection.execute("DELETE FROM items WHERE id > %s", (1,))
            await connection.execute("DELETE FROM items WHERE id = %s", (2,))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await pipeline.sync()
        assert status(connection) is TransactionStatus.IDLE
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
    assert database.count("items") == 30


async def test_copy_within_and_past_the_fence(gateway: TinyGateway, database: Database) -> None:
    gateway.rule = fencing(3)
    verdicts: Iterator[Proceed | Refused] = iter([Proceed(), DENIED])
    gateway.on_hold = lambda impact: next(verdicts)

    async def load(connection: psycopg.AsyncConnection, first: int, rows: int) -> None:
        async with connection.cursor() as cursor, cursor.copy("COPY orders (id) FROM STDIN") as copy:
            for row in range(first, first + rows):
                await copy.write_row((row,))

    async with await connect(gateway) as connection:
        await load(connection, 11, 3)
        assert database.count() == 13
        await load(connection, 14, 6)
        assert database.count() == 19
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await load(connection, 20, 4)
        assert await (await connection.execute("SELECT count(*) FROM orders")).fetchone() == (19,)
    assert database.count() == 19
    assert gateway.session.finished[2].changed == 6
    assert [impact.over_fence for impact in gateway.session.held.values()] == [6, 4]


async def test_asyncpg_prepared_statements_survive_a_fence(gateway: TinyGateway, database: Database) -> None:
    gateway.rule = fencing(2)
    gateway.on_hold = lambda impact: Proceed()
    connection = await asyncpg.connect(gateway.dsn_url(), ssl="require")
    statement = await connection.prepare("UPDATE orders SET note = $1 WHERE id <= $2 RETURNING id")
    assert len(await statement.fetch("a", 2)) == 2
    assert len(await statement.fetch("b", 4)) == 4
    async with connection.transaction():
        assert len(await statement.fetch("c", 1)) == 1
        assert len(await statement.fetch("d", 3)) == 3
    await connection.close()
    assert database.read("SELECT note FROM orders WHERE id <= 4 ORDER BY id") == [("d",), ("d",), ("d",), ("b",)]


async def test_cancelling_a_fenced_write_undoes_it(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    gateway.rule = fencing(3)
    async with await connect(gateway) as connection:
        running = asyncio.create_task(
            client(connection).execute("UPDATE orders SET total = 1 WHERE id = %s AND pg_sleep(20) IS NOT NULL", (1,))
        )
        await until(lambda: database.sleepers() == 1)
        await connection.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            await running
        assert status(connection) is TransactionStatus.IDLE
        assert await (await connection.execute("SELECT 2")).fetchone() == (2,)
