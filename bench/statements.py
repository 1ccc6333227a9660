"""Statements a second and CPU a statement, against PgBouncer with TLS in front of the same server.

    python -m bench.statements --rounds 7

Peers take turns in short slices; what counts is the ratio within a round, of which the median and the spread are told.
Interlock runs one worker, with policy, recording and client certificates on. CPU is what the operating system
charged the gateway's process. The policy holds 20 roles, 200 resources and 2,000 people.
"""

import argparse
import os
import re
import statistics
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.protocols.postgres.servers import running_server
from tests.support.stack import Stack, running_stack

from bench.peers import pgbouncer

_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Peer:
    """A way to the server; ``pids`` are the processes whose CPU is counted."""

    name: str
    variables: Mapping[str, str]
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    per_second: float
    cpu_us: float


def policy(port: int) -> str:
    """20 roles, 200 resources, 2,000 people; one of each is used."""
    lines = ['listen: {console: "127.0.0.1:0", postgres: "127.0.0.1:0"}', "resources:"]
    for number in range(200):
        name = "bench" if number == 0 else f"other{number}"
        where = f'address: "127.0.0.1:{port}", database: {name}, credential: {{user: postgres}}'
        lines.append(f"  {name}: {{kind: postgres, {where}, labels: {{group: g{number % 20}}}}}")
    lines += ["people:", "  dev@example.com: {}", "  lead@example.com: {groups: [dba]}"]
    lines += [f"  p{number}@example.com: {{groups: [g{number % 50}]}}" for number in range(1998)]
    lines.append("roles:")
    for number in range(20):
        lend = "lend: {longest: 8h, approvals: [{from: {group: dba}, count: 1}]}"
        lines.append(
            f"  role{number}: {{on: {{kind: postgres, group: g{number}}}, allow: [connect, read, write], {lend}}}"
        )
    return "\n".join(lines) + "\n"


@contextmanager
def peers() -> Iterator[tuple[tuple[Peer, ...], Stack]]:
    with running_server(_PROGRAMS, ["max_connections=300"]) as server:
        server.run("CREATE DATABASE bench")
        direct = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGDATABASE": "bench",
            "PGUSER": "postgres",
            "PGSSLMODE": "disable",
        }
        made = subprocess.run(
            [_PROGRAMS / "pgbench", "-i", "-q", "-s", "10"],
            env={**os.environ, **direct},
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise SystemExit(made.stderr)
        with running_stack(policy(server.port), {}) as stack, pgbouncer(server.port, "bench", "postgres") as bouncer:
            dev = stack.member("dev@example.com")
            stack.grant(dev, "bench", "role0", [stack.member("lead@example.com")])
            pid, variables = bouncer
            yield (
                (
                    Peer("direct", direct, ()),
                    Peer("PgBouncer, TLS", {**variables, "PGSSLMODE": "require"}, (pid,)),
                    Peer("Interlock, TLS", stack.variables(dev, "bench"), tuple(stack.pids("gateway"))),
                ),
                stack,
            )


def run_slice(peer: Peer, mode: str, clients: int, seconds: int, script: str) -> Slice:
    before = _cpu_s(peer.pids)
    words = ["-n", "-M", mode, "-c", str(clients), "-j", "1", "-T", str(seconds), *script.split()]
    done = subprocess.run(
        [_PROGRAMS / "pgbench", *words],
        env={**os.environ, **peer.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    rate = re.search(r"tps = ([\d.]+) \(without", done.stdout)
    count = re.search(r"actually processed: (\d+)", done.stdout)
    if rate is None or count is None:
        raise SystemExit(f"pgbench through {peer.name}: {done.stdout}{done.stderr}")
    return Slice(float(rate[1]), (_cpu_s(peer.pids) - before) / int(count[1]) * 1e6)


def _cpu_s(pids: tuple[int, ...]) -> float:
    """User and system seconds of the processes, proc(5) fields 14 and 15."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def compare(chosen: argparse.Namespace) -> None:
    workloads = [
        ("select-only", "-S", mode, clients) for clients in (1, 8, 64) for mode in ("simple", "extended", "prepared")
    ]
    workloads.append(("TPC-B-like", "", "simple", 8))
    print("| workload | mode | clients | statements a second, × PgBouncer | spread | CPU µs, PgBouncer | Interlock |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with peers() as (known, _):
        for name, script, mode, clients in workloads:
            rounds = [
                {peer.name: run_slice(peer, mode, clients, chosen.seconds, script) for peer in known}
                for _ in range(chosen.rounds)
            ]
            ours, theirs = ([one[peer] for one in rounds] for peer in ("Interlock, TLS", "PgBouncer, TLS"))
            ratios = sorted(a.per_second / b.per_second for a, b in zip(ours, theirs, strict=True))
            cpu = [statistics.median(one.cpu_us for one in slices) for slices in (theirs, ours)]
            print(
                f"| {name} | {mode} | {clients} | {statistics.median(ratios):.2f} "
                f"| {ratios[0]:.2f} to {ratios[-1]:.2f} | {cpu[0]:.0f} | {cpu[1]:.0f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2)
    compare(parser.parse_args())


if __name__ == "__main__":
    main()
