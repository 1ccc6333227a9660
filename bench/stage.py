"""Everything that takes part, started once for all workloads: server, peers, and the whole of Interlock.

Interlock runs one worker with a real policy (20 roles, 200 resources, 2,000 people), recording on. Its one listener
takes clients with TLS, and those of this machine without; who comes without shows a short-lived password.
"""

import json
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.protocols.postgres.servers import TestServer, running_server
from tests.support.stack import Member, Stack, running_stack

from bench.certificates import write_certificates
from bench.peers import USER, Proxy, haproxy, pgbouncer
from interlock.identity.api_client import ApiClient
from interlock.identity.keys import load_or_create_key

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
DATABASE = "bench"
FENCED = "other1"
"""The resource whose role has a fence and holds; it is the same database."""
MASKED = "other2"
"""The one whose role has a mask; the same database too."""

DIRECT, PGBOUNCER, HAPROXY, INTERLOCK = "direct", "PgBouncer", "HAProxy", "Interlock"
PEERS = (DIRECT, PGBOUNCER, HAPROXY, INTERLOCK)
ROLES, RESOURCES, PEOPLE = 20, 200, 2000


def policy(port: int) -> str:
    """20 roles, 200 resources, 2,000 people; few of each are used."""
    lines = [
        'listen: {console: "127.0.0.1:0", postgres: {address: "127.0.0.1:0", clear_text: loopback}}',
        "resources:",
    ]
    for number in range(RESOURCES):
        name = DATABASE if number == 0 else f"other{number}"
        database = DATABASE if number < 3 else name
        where = f'address: "127.0.0.1:{port}", database: {database}, credential: {{user: {USER}}}'
        lines.append(f"  {name}: {{kind: postgres, {where}, labels: {{group: g{number % ROLES}}}}}")
    lines += ["people:", "  dev@example.com: {}", "  lead@example.com: {groups: [dba]}"]
    lines += [f"  p{number}@example.com: {{groups: [g{number % 50}]}}" for number in range(PEOPLE - 2)]
    lines.append("roles:")
    for number in range(ROLES):
        lend = "lend: {longest: 8h, approvals: [{from: {group: dba}, count: 1}]}"
        allow = "allow: [connect, read, write, export], "
        if number == 1:
            allow = "allow: [connect, read, write, destroy], fence: {rows: 100}, hold: [destroy], "
        if number == 2:
            allow = "allow: [connect, read], mask: [public.bench_rows.note], "
        lines.append(f"  role{number}: {{on: {{kind: postgres, group: g{number}}}, {allow}{lend}}}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Stage:
    """``as_dev`` is the API as the person whose sessions are measured."""

    server: TestServer
    stack: Stack
    dev: Member
    lead: Member
    bouncer: Proxy
    proxy: Proxy
    as_dev: ApiClient

    def pids(self, peer: str) -> tuple[int, ...]:
        """The processes whose CPU and memory are the peer's."""
        if peer == INTERLOCK:
            return tuple(self.stack.pids("gateway"))
        return {PGBOUNCER: (self.bouncer.pid,), HAPROXY: (self.proxy.pid,)}.get(peer, ())

    def variables(self, peer: str, *, tls: bool, connections: int = 1, resource: str = DATABASE) -> dict[str, str]:
        """How libpq reaches the database through ``peer``, as environment variables."""
        if peer == INTERLOCK:
            reached = self.stack.variables(self.dev, resource)
            return reached if tls else in_the_clear(self.as_dev, reached, resource, connections)
        reached = {
            DIRECT: Proxy(0, self.server.port, self.server.folder),
            PGBOUNCER: self.bouncer,
            HAPROXY: self.proxy,
        }[peer].variables(DATABASE)
        return {**reached, "PGSSLMODE": "require" if tls else "disable"}

    @contextmanager
    def api(self, member: Member) -> Iterator[ApiClient]:
        """The API as ``member``, with a login that is fresh enough to approve."""
        self.stack.sign_in(member)
        with client(self.stack, member) as api:
            yield api


def in_the_clear(api: ApiClient, reached: Mapping[str, str], resource: str, connections: int) -> dict[str, str]:
    """As `interlock connect --print` asks for it, without starting a program each time."""
    issued = api.post("/v1/passwords", {"resource": resource, "connections": connections})
    kept = {name: value for name, value in reached.items() if not name.startswith("PGSSL")}
    return {**kept, "PGSSLMODE": "disable", "PGPASSWORD": str(issued["password"])}


def client(stack: Stack, member: Member) -> ApiClient:
    login = json.loads((member.home / "login.json").read_text())
    return ApiClient(
        stack.server,
        key=load_or_create_key(member.home / "key.pem"),
        authority=(member.home / "authority.pem").read_text(),
        token=login["token"],
    )


@contextmanager
def staged(scale: int, sessions: int) -> Iterator[Stage]:
    """``scale`` is pgbench's; ``sessions`` how many the server must be able to take."""
    if not (PROGRAMS / "pgbench").exists():
        raise SystemExit(
            "Debian's PostgreSQL 15 is not here. Type: tools/debian-packages postgresql-15 pgbouncer haproxy"
        )
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as held:
        certificates = Path(tempfile.mkdtemp(prefix="interlock-bench-"))
        held.callback(shutil.rmtree, certificates, ignore_errors=True)
        write_certificates(certificates, USER)
        files = [certificates / "server.crt", certificates / "server.key"]
        settings = [f"max_connections={sessions}", "ssl=on", "fsync=on", "shared_buffers=256MB", "max_wal_size=4GB"]
        server = held.enter_context(running_server(PROGRAMS, settings, files))
        server.run(f"CREATE DATABASE {DATABASE}")
        _fill(server, scale)
        stack = held.enter_context(running_stack(policy(server.port), {}))
        dev, lead = stack.member("dev@example.com"), stack.member("lead@example.com")
        stack.grant(dev, DATABASE, "role0", [lead], hours=8)
        stack.grant(dev, FENCED, "role1", [lead], hours=8)
        stack.grant(dev, MASKED, "role2", [lead], hours=8)
        bouncer = held.enter_context(pgbouncer(server.port, DATABASE))
        proxy = held.enter_context(haproxy(server.port))
        yield Stage(server, stack, dev, lead, bouncer, proxy, held.enter_context(client(stack, dev)))


def _fill(server: TestServer, scale: int) -> None:
    reached = Proxy(0, server.port, server.folder).variables(DATABASE)
    made = subprocess.run(
        [PROGRAMS / "pgbench", "-i", "-q", "-s", str(scale)],
        env={**os.environ, **reached, "PGSSLMODE": "disable"},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise SystemExit(made.stderr)
