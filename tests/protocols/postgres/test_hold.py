"""Held statements: measured where they would run, run once when released, withdrawn when nobody waits any more."""

import asyncio

import asyncpg
import psycopg
import pytest
from psycopg.pq import TransactionStatus

from interlock.domain.actions import Action
from interlock.ports.protocol import Held, Impact, PartImpact, Proceed, Refused
from tests.protocols.postgres.conftest import Database
from tests.protocols.postgres.harness import TinyGateway, until
from tests.protocols.postgres.rules import holding

DENIED = Refused("Denied by lead@example.com: wrong database.")


async def connect(gateway: TinyGateway, *, autocommit: bool = True) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(gateway.dsn(), autocommit=autocommit)


def status(connection: psycopg.AsyncConnection) -> TransactionStatus:
    return connection.info.transaction_status


@pytest.fixture(params=["simple", "extended"])
def client(request: pytest.FixtureRequest) -> type[psycopg.AsyncCursor]:
    return psycopg.AsyncClientCursor if request.param == "simple" else psycopg.AsyncCursor


async def test_a_delete_of_everything_is_measured_with_its_cascades(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    gateway.rule = holding(Action.DESTROY)
    gateway.on_hold = lambda impact: DENIED
    notices: list[str] = []
    async with await connect(gateway) as connection:
        connection.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="wrong database"):
            await client(connection).execute("DELETE FROM orders")
        assert status(connection) is TransactionStatus.IDLE
    assert database.count() == 10
    assert list(gateway.sessions[0].held.values()) == [
        Impact(
            (
                PartImpact("table public.orders", deleted=10, total=10),
                PartImpact("table public.items", deleted=30, total=30),
            )
        )
    ]
    assert notices == ["Statement held: another person must approve it."]
    assert gateway.sessions[0].finished == {}


async def test_released_it_runs_once(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    database.run("CREATE SEQUENCE runs")
    gateway.rule = holding(Action.DESTROY)
    gateway.on_hold = lambda impact: Proceed()
    async with await connect(gateway) as connection:
        cursor = await client(connection).execute("UPDATE orders SET total = total + 1 RETURNING id")
        assert cursor.rowcount == 10
    assert database.read("SELECT sum(total) FROM orders") == [(65,)]
    assert gateway.sessions[0].finished[1].changed == 10


async def test_inside_a_transaction_the_work_before_stays(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    gateway.rule = holding(Action.DESTROY)
    gateway.on_hold = lambda impact: Proceed()
    async with await connect(gateway, autocommit=False) as connection:
        cursor = client(connection)
        await cursor.execute("DELETE FROM orders WHERE id > %s", (7,))
        await cursor.execute("UPDATE orders SET total = 0")
        await connection.commit()
    (impact,) = gateway.sessions[0].held.values()
    assert impact.parts == (PartImpact("table public.orders", updated=7, total=7),)
    assert database.read("SELECT count(*), sum(total) FROM orders") == [(7, 0)]


async def test_values_are_measured_as_bound(gateway: TinyGateway, database: Database) -> None:
    gateway.rule = holding(Action.WRITE)
    gateway.on_hold = lambda impact: Proceed()
    connection = await asyncpg.connect(gateway.dsn_url(), ssl="require")
    statement = await connection.prepare("INSERT INTO items SELECT n, 1 FROM generate_series($1::int, $2) AS n")
    await statement.fetch(31, 35)
    async with connection.transaction():
        await statement.fetch(41, 42)
    await connection.close()
    counts = [impact.parts for impact in gateway.sessions[0].held.values()]
    assert counts == [
        (PartImpact("table public.items", inserted=5, total=30),),
        (PartImpact("table public.items", inserted=2, total=35),),
    ]
    assert database.count("items") == 37


async def test_truncate_and_drop_are_described_without_being_run(gateway: TinyGateway, database: Database) -> None:
    database.run("CREATE VIEW big AS SELECT * FROM orders WHERE total > 5", "CREATE VIEW bigger AS SELECT * FROM big")
    gateway.rule = holding(Action.DESTROY)
    gateway.on_hold = lambda impact: DENIED
    async with await connect(gateway) as connection:
        for text in ("TRUNCATE orders CASCADE", "TRUNCATE public.items", "DROP TABLE orders CASCADE"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(text.encode())
    cascade, alone, dropped = gateway.sessions[0].held.values()
    orders = PartImpact("table public.orders", deleted=10, total=10)
    items = PartImpact("table public.items", deleted=30, total=30)
    assert cascade == Impact((orders, items))
    assert alone == Impact((items,))
    assert dropped.parts == (orders,)
    assert set(dropped.dependents) == {
        "view big",
        "view bigger",
        "constraint items_order_id_fkey on table items",
    }


async def test_a_locked_table_is_not_waited_for(gateway: TinyGateway, database: Database) -> None:
    gateway.rule = holding(Action.DESTROY)
    gateway.on_hold = lambda impact: DENIED
    async with (
        await psycopg.AsyncConnection.connect(database.server.dsn(database.name)) as other,
        await connect(gateway) as connection,
    ):
        await other.execute("SELECT * FROM orders FOR UPDATE")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("DELETE FROM orders")
    (impact,) = gateway.sessions[0].held.values()
    assert "longer than it may" in impact.unmeasured


async def test_a_statement_that_would_fail_says_so(gateway: TinyGateway, database: Database) -> None:
    gateway.rule = holding(Action.DESTROY)
    gateway.on_hold = lambda impact: DENIED
    async with await connect(gateway) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("UPDATE orders SET total = NULL")
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
    (impact,) = gateway.sessions[0].held.values()
    assert "23502" in impact.unmeasured


async def test_the_clients_cancel_withdraws(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    gateway.rule = holding(Action.DESTROY)
    async with await connect(gateway) as connection:
        waiting = asyncio.create_task(client(connection).execute("DELETE FROM orders"))
        await until(lambda: gateway.sessions[0].held)
        await connection.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            await waiting
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
    assert gateway.sessions[0].withdrawn == [1]
    assert database.count() == 10


async def test_a_client_that_leaves_withdraws(gateway: TinyGateway, database: Database) -> None:
    gateway.rule = holding(Action.DESTROY)
    connection = await connect(gateway)
    waiting = asyncio.create_task(connection.execute("DELETE FROM orders"))
    await until(lambda: gateway.sessions[0].held)
    waiting.cancel()
    with pytest.raises((asyncio.CancelledError, psycopg.Error)):
        await waiting
    await connection.close()
    await until(lambda: gateway.sessions[0].withdrawn)
    assert database.count() == 10


async def test_what_cannot_be_measured_is_held_all_the_same(gateway: TinyGateway, database: Database) -> None:
    gateway.rule = lambda statement: Held(measure=False)
    gateway.on_hold = lambda impact: Proceed()
    async with await connect(gateway) as connection:
        await connection.execute("CREATE TABLE made (id int)")
    assert database.count("made") == 0
    assert [bool(impact.unmeasured) for impact in gateway.sessions[0].held.values()] == [True]


async def test_held_statements_in_a_pipeline_run_in_their_order(gateway: TinyGateway, database: Database) -> None:
    gateway.rule = holding(Action.DESTROY)
    gateway.on_hold = lambda impact: Proceed()
    async with await connect(gateway) as connection, connection.pipeline():
        first = await connection.execute("INSERT INTO orders VALUES (%s) RETURNING id", (11,))
        held = await connection.execute("DELETE FROM items RETURNING id")
        after = await connection.execute("DELETE FROM orders RETURNING id")
        assert await first.fetchone() == (11,)
        assert len(await held.fetchall()) == 30
        assert len(await after.fetchall()) == 11
    assert database.count() == 0
    assert [impact.touched for impact in gateway.sessions[0].held.values()] == [30, 11]
