"""A sample of the rows that a held statement touches: found in the trial itself, bounded, and never in its way."""

import time

import psycopg
import pytest

from interlock.domain.actions import Action
from interlock.ports.protocol import Impact, PartImpact, Refused
from interlock.ports.sample import MOST_BYTES, MOST_CHARACTERS, MOST_ROWS, Cell, Sample, SampledPart
from interlock.protocols.postgres.settings import check_settings
from tests.protocols.postgres.conftest import Database
from tests.protocols.postgres.harness import TinyGateway
from tests.protocols.postgres.rules import fencing, holding

DENIED = Refused("Denied by lead@example.com: wrong database.")


@pytest.fixture(params=["simple", "extended"])
def client(request: pytest.FixtureRequest) -> type[psycopg.AsyncCursor]:
    return psycopg.AsyncClientCursor if request.param == "simple" else psycopg.AsyncCursor


async def sampled(
    gateway: TinyGateway, text: str, *before: str, kind: type[psycopg.AsyncCursor] | None = None
) -> Sample:
    """The sample of ``text``, held after ``before`` ran in the same transaction, and denied."""
    gateway.rule = holding(Action.DESTROY, Action.WRITE) if gateway.rule.__name__ == "always" else gateway.rule
    gateway.on_hold = lambda impact: DENIED
    async with await psycopg.AsyncConnection.connect(gateway.dsn(), autocommit=not before) as connection:
        cursor = (kind or psycopg.AsyncClientCursor)(connection)
        held, gateway.rule = gateway.rule, fencing(1_000_000)
        for statement in before:
            await cursor.execute(statement.encode())
        gateway.rule = held
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await cursor.execute(text.encode())
        await connection.rollback()
    return list(gateway.session.samples.values())[-1]


def values(part: SampledPart) -> list[tuple[str | None, ...]]:
    return [tuple(cell.text for cell in row) for row in part.rows]


async def test_rows_that_would_go_and_those_that_would_go_with_them(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    sample = await sampled(gateway, "DELETE FROM orders WHERE id IN (4, 8)", kind=client)
    assert sample.why_not == ""
    by_part = {part.part: part for part in sample.parts}
    orders, items = by_part["table public.orders"], by_part["table public.items"]
    assert orders.columns == ("id", "note", "total")
    assert values(orders) == [("4", "order 4", "4"), ("8", "order 8", "8")]
    assert items.columns == ("id", "order_id")
    assert len(items.rows) == MOST_ROWS
    assert {order for _, order in values(items)} <= {"4", "8"}
    assert database.count() == 10


async def test_rows_before_an_update_and_not_those_that_it_only_locks(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    database.run("ALTER TABLE orders ADD COLUMN after int REFERENCES orders")
    # Row 1 is locked by the check of the foreign key, and not changed.
    sample = await sampled(gateway, "UPDATE orders SET after = 1, note = 'x' WHERE id = 7", kind=client)
    (orders,) = sample.parts
    assert values(orders) == [("7", "order 7", "7", None)]
    assert orders.moment == "before"


async def test_rows_that_would_be_new(gateway: TinyGateway, database: Database) -> None:
    sample = await sampled(gateway, "INSERT INTO items SELECT n, 2 FROM generate_series(101, 120) AS n")
    (items,) = sample.parts
    assert items.moment == "new"
    assert values(items) == [(str(number), "2") for number in range(101, 106)]


async def test_what_triggers_touch_is_found_too(gateway: TinyGateway, database: Database) -> None:
    database.run(
        "CREATE TABLE audit (what text)",
        "CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN UPDATE audit SET what = what || '!'; RETURN OLD; END $$",
        "INSERT INTO audit VALUES ('kept')",
        "CREATE TRIGGER noting BEFORE DELETE ON items FOR EACH ROW EXECUTE FUNCTION note_it()",
    )
    sample = await sampled(gateway, "DELETE FROM items WHERE id = 3")
    assert {part.part: values(part) for part in sample.parts}["table public.audit"] == [("kept",)]


async def test_inside_a_transaction_only_what_this_statement_touches(
    gateway: TinyGateway, database: Database, client: type[psycopg.AsyncCursor]
) -> None:
    before = ["UPDATE orders SET note = 'mine' WHERE id = 2", "SAVEPOINT own", "DELETE FROM orders WHERE id = 9"]
    sample = await sampled(gateway, "UPDATE orders SET total = 0 WHERE id IN (2, 3)", *before, kind=client)
    (orders,) = sample.parts
    assert sorted(values(orders)) == [("2", "mine", "2"), ("3", "order 3", "3")]


async def test_partitions_are_read_by_their_root(gateway: TinyGateway, database: Database) -> None:
    database.run(
        "CREATE TABLE days (day int, what text) PARTITION BY RANGE (day)",
        "CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM (10) TO (20)",
        "INSERT INTO days VALUES (3, 'a'), (13, 'b'), (14, 'c')",
    )
    sample = await sampled(gateway, "DELETE FROM days WHERE day < 14")
    (days,) = sample.parts
    assert days.part == "table public.days"
    assert sorted(values(days)) == [("13", "b"), ("3", "a")]


async def test_tables_that_go_whole(gateway: TinyGateway, database: Database) -> None:
    sample = await sampled(gateway, "TRUNCATE orders CASCADE")
    assert [(part.part, len(part.rows)) for part in sample.parts] == [
        ("table public.orders", MOST_ROWS),
        ("table public.items", MOST_ROWS),
    ]


@pytest.mark.parametrize("kind", [psycopg.AsyncClientCursor, psycopg.AsyncCursor])
async def test_past_a_fence_the_rows_are_those_that_it_rolled_back(
    gateway: TinyGateway, database: Database, kind: type[psycopg.AsyncCursor]
) -> None:
    gateway.rule = fencing(3)
    sample = await sampled(gateway, "UPDATE orders SET total = 0 WHERE id > 6", kind=kind)
    (orders,) = sample.parts
    assert {row[0] for row in values(orders)} == {"7", "8", "9", "10"}
    assert database.read("SELECT count(*) FROM orders WHERE total = 0") == [(0,)]


async def test_wide_values_are_cut_and_larger_ones_are_not_read(gateway: TinyGateway, database: Database) -> None:
    database.run(
        "ALTER TABLE orders ALTER note SET STORAGE external",
        "UPDATE orders SET note = repeat('é', 5000) WHERE id = 1",
        "UPDATE orders SET note = repeat('x', 1000000) WHERE id = 2",
        "UPDATE orders SET note = NULL WHERE id = 3",
    )
    sample = await sampled(gateway, "DELETE FROM orders WHERE id < 4")
    orders = next(part for part in sample.parts if part.part == "table public.orders")
    notes = {row[0].text: row[1] for row in orders.rows}
    assert notes["1"] == Cell("é" * MOST_CHARACTERS, "cut")
    assert notes["2"] == Cell(None, "wide")
    assert notes["3"] == Cell(None, "")


async def test_a_sample_has_a_bound_in_all(gateway: TinyGateway, database: Database) -> None:
    columns = ", ".join(f"c{number} text DEFAULT repeat('ü', 200)" for number in range(40))
    tables = [f"wide_{number}" for number in range(8)]
    database.run(*(f"CREATE TABLE {table} ({columns})" for table in tables))
    database.run(*(f"INSERT INTO {table} SELECT FROM generate_series(1, 9)" for table in tables))
    changes = ", ".join(f"d{n} AS (DELETE FROM {table} RETURNING 1)" for n, table in enumerate(tables))
    sample = await sampled(gateway, f"WITH {changes} SELECT 1")
    assert len(sample.parts) == 6
    assert 0 < sum(part.size_bytes for part in sample.parts) <= MOST_BYTES
    assert sample.parts[0].more_columns == 16
    assert any(part.why_not == "Its rows are too large to be shown." for part in sample.parts)


async def test_secret_columns_are_never_read(gateway: TinyGateway, database: Database) -> None:
    database.run(
        "CREATE TABLE people (id int, password_hash text, api_key text, iban text, Spin text, note text)",
        "INSERT INTO people VALUES (1, 'argon2', 'k-1', 'DE02', 'left', 'n')",
    )
    gateway.upstream.settings["secret_columns"] = ["people.iban", "other.note"]
    sample = await sampled(gateway, "UPDATE people SET note = 'o'")
    (people,) = sample.parts
    assert people.columns == ("id", "spin", "note")
    assert people.left_out == ("password_hash", "api_key", "iban")
    assert "argon2" not in repr(values(people))


async def test_a_secret_column_is_one_in_a_partition_and_in_a_table_that_inherits_it(
    gateway: TinyGateway, database: Database
) -> None:
    database.run(
        "CREATE TABLE people (id int, iban text) PARTITION BY RANGE (id)",
        "CREATE TABLE people_low PARTITION OF people FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id)",
        "CREATE TABLE people_1 PARTITION OF people_low FOR VALUES FROM (0) TO (5)",
        "INSERT INTO people VALUES (1, 'DE02')",
        "CREATE TABLE party (id int, iban text)",
        "CREATE TABLE firm (city text) INHERITS (party)",
        "INSERT INTO firm VALUES (1, 'FR76', 'Lyon')",
    )
    gateway.upstream.settings["secret_columns"] = ["public.people.iban", "party.iban"]
    for text in ("TRUNCATE people_1", "TRUNCATE people_low", "DELETE FROM people_1", "UPDATE firm SET city = 'x'"):
        sample = await sampled(gateway, text)
        (part,) = sample.parts
        assert "iban" in part.left_out, text
        assert part.rows, text
        assert "iban" not in part.columns


async def test_names_of_secrets_are_known_however_they_are_written(gateway: TinyGateway, database: Database) -> None:
    database.run(
        'CREATE TABLE users (id int, "passwordHash" text, "resetToken" text, "APIKey" text, "userPassword" text,'
        ' "hashedPin" text, "cvv2" text, password2 text, "spinning" text, "tokenizer" text, "a.iban" text)',
        "INSERT INTO users VALUES (1, 's', 's', 's', 's', 's', 's', 's', 'n', 'n', 's')",
    )
    gateway.upstream.settings["secret_columns"] = ["users.a.iban"]
    sample = await sampled(gateway, "DELETE FROM users")
    (users,) = sample.parts
    assert users.columns == ("id", "spinning", "tokenizer")
    assert values(users) == [("1", "n", "n")]


async def test_the_policy_may_say_that_no_rows_are_read(gateway: TinyGateway, database: Database) -> None:
    gateway.upstream.settings["samples"] = "nobody"
    sample = await sampled(gateway, "DELETE FROM orders")
    assert (sample.parts, sample.why_not) == ((), "The policy has no rows of this resource shown.")


async def test_a_look_that_takes_too_long_leaves_the_hold_as_it_is(gateway: TinyGateway, database: Database) -> None:
    # A row policy that sleeps makes reading slow for a role that it holds for, and the trial itself quick.
    database.run(
        "DROP ROLE IF EXISTS slow",
        "CREATE ROLE slow LOGIN",
        "CREATE TABLE logs (id int)",
        "INSERT INTO logs SELECT generate_series(1, 3)",
        "GRANT ALL ON logs TO slow",
        "CREATE FUNCTION drowsy() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
        " IF current_setting('statement_timeout') = '2s' THEN PERFORM pg_sleep(90); END IF; RETURN true; END $$",
        "ALTER TABLE logs ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY slowly ON logs USING (drowsy())",
    )
    gateway.upstream.user = "slow"
    started = time.monotonic()
    try:
        sample = await sampled(gateway, "DELETE FROM logs")
    finally:
        database.run("DROP OWNED BY slow", "DROP ROLE slow")
    assert time.monotonic() - started < 60
    assert [(part.part, part.rows, part.why_not) for part in sample.parts] == [
        ("table public.logs", (), "Looking for its rows took longer than it may.")
    ]
    assert list(gateway.session.held.values()) == [Impact((PartImpact("table public.logs", deleted=3, total=3),))]


async def test_no_function_of_the_databases_own_is_called(gateway: TinyGateway, database: Database) -> None:
    """A cast to text, a shadowed operator and a shadowed function would run with the upstream account's rights."""
    database.run(
        "CREATE TABLE trap (touched text)",
        "CREATE TYPE pair AS (a int, b int)",
        "CREATE FUNCTION spring(pair) RETURNS text LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO trap VALUES ('cast'); RETURN 'sprung'; END $$",
        "CREATE CAST (pair AS text) WITH FUNCTION spring(pair) AS IMPLICIT",
        "CREATE FUNCTION concat(VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO trap VALUES ('concat'); RETURN 'sprung'; END $$",
        "CREATE TABLE pairs (p pair)",
        "INSERT INTO pairs VALUES ('(1,2)')",
    )
    sample = await sampled(gateway, "DELETE FROM pairs")
    (pairs,) = sample.parts
    assert values(pairs) == [("(1,2)",)]
    assert database.count("trap") == 0


def test_the_words_of_the_configuration() -> None:
    assert check_settings({"samples": "readers", "secret_columns": ["users.password", "*.iban", "a.b.c"]}) == ()
    assert check_settings({"samples": "everybody"}) == (
        "samples must be one of readers, approvers, nobody, not 'everybody'",
    )
    for wrong in ("users.password", [], [1], ["a.b.c.d"], ["a..b"]):
        (mistake,) = check_settings({"secret_columns": wrong})
        assert mistake.startswith("secret_columns must list columns")
