"""Real clients through the machine to a real server."""

import psycopg

from tests.protocols.postgres.conftest import Database
from tests.protocols.postgres.harness import TinyGateway


async def test_psycopg_reads_and_writes(gateway: TinyGateway, database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(gateway.dsn(), autocommit=True) as connection:
        rows = await (await connection.execute("SELECT id FROM orders ORDER BY id")).fetchall()
        await connection.execute("UPDATE orders SET total = %s WHERE id = %s", (99, 3))
    assert [row[0] for row in rows] == list(range(1, 11))
    assert database.read("SELECT total FROM orders WHERE id = 3") == [(99,)]
    update = gateway.session.asked[2]
    assert update.parameters == (b"\x00\x63", b"\x00\x03")
    assert update.formats == (1, 1)
    assert gateway.session.finished[2].changed == 1
