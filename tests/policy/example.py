"""A configuration that uses every key, for the tests to read, change and break."""

from collections.abc import Mapping
from typing import Any

from interlock.policy.configuration import Configuration
from interlock.policy.load import load_configuration

EXAMPLE = """\
resources:
  orders:
    kind: postgres
    address: 127.0.0.1:5432
    database: orders
    credential: {user: orders_app, secret: env:ORDERS_PASSWORD}
    labels: {environment: production}
  scratch:
    kind: postgres
    address: "[::1]:5433"
    tls: {mode: require}
    labels: {environment: test}
  bastion:
    kind: toy
    address: bastion.example.com:22
vendors:
  acme: {}
  globex:
people:
  lead@example.com: {groups: [dba, administrators]}
  owner@example.com:
    groups: [dba]
    identities: {ssh: [SHA256:abc, SHA256:def]}
  dev@acme.example: {vendor: acme}
  dev@globex.example: {vendor: globex, groups: [ops]}
contracts:
  acme-orders: {vendor: acme, sponsor: owner@example.com, start: 2026-11-01, end: 2027-02-28, roles: [reader, writer]}
  globex-hosts:
    vendor: globex
    sponsor: lead@example.com
    start: 2026-11-01T08:00:00Z
    end: 2026-12-31T18:00:00+01:00
    roles: [shell]
    people: [dev@globex.example]
roles:
  reader:
    on: {kind: postgres, environment: production}
    allow: [connect, read]
    lend: {longest: 8h, approvals: [{from: {group: dba}, count: 1}], mfa: true}
  writer:
    on: {kind: postgres, environment: production}
    allow: [connect, read, write, alter, destroy]
    fence: {rows: 100}
    hold: [alter, destroy]
    lend:
      longest: 2h
      approvals:
        - {from: {group: dba}, count: 1}
        - {from: {sponsor: true}, count: 1}
  shell:
    on: {resources: [bastion]}
    allow: [connect, execute]
    hold: {actions: [execute], approvals: [{from: {people: [owner@example.com]}, same_vendor: true}]}
    lend: {longest: 30m, approvals: [{from: {sponsor: true}}], mfa: false}
  auditor:
    on: {resources: [orders, bastion]}
    allow: [replay]
    lend: {longest: 1h, approvals: [{from: {group: dba}, count: 1}]}
separations:
  - {conflict: [writer, shell]}
chains:
  release:
    duties: [develop, review, test, deploy]
    separate: [[develop, review], [develop, deploy]]
    bind: [test, deploy]
    independent: {review: vendor}
    at_least: {persons: 2}
    at_most: {persons: 3, duties: [develop, review, test]}
    claims: {min_persons: 2, min_vendors: 2, survives_absences: 1}
listen: {console: "127.0.0.1:0", postgres: "127.0.0.1:15432"}
timing: {lease: 5s, hold: 10m, login: 4h, presence: 3m, request: 12h, measure: 20s, lock_wait: 1s}
state: env:INTERLOCK_DATABASE
cedar: policies/
"""

PAYROLL = """\
// Payroll is nobody's to read here.
@id("no-payroll")
@reason("Payroll is read by finance alone.")
forbid (principal, action in [Action::"read", Action::"export"], resource)
when { context.part == "" || context.part like "table payroll.*" };

@hold
@limit("1000")
@mask("public.customers.card, *.*.secret")
permit (principal in Group::"dba", action in [Action::"read", Action::"export"], resource == Resource::"orders")
when { context.roles.contains("writer") };
"""


def check_postgres(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """A check as a protocol has it: the known keys are ``database`` and ``tls``."""
    return tuple(f"there is no setting {key}." for key in settings if key not in ("database", "tls"))


SCHEMES = ("env", "file", "openbao")
CHECKS = {"postgres": check_postgres, "toy": lambda settings: ()}


def load(text: str = EXAMPLE, cedar: Mapping[str, str] | None = None) -> Configuration:
    return load_configuration(text, "interlock.yaml", cedar=cedar or {}, check_settings=CHECKS, schemes=SCHEMES)
