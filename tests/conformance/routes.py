"""The two ways to the same database, direct and through the gateway, and what must be the same on both."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Route:
    """One way to a database, as libpq's environment variables.

    ``programs`` holds psql, pg_dump and pgbench; ``fresh_password`` gives a password for one more connection.
    """

    name: str
    host: str
    port: int
    database: str
    user: str
    variables: Mapping[str, str]
    fresh_password: Callable[[], str] = field(repr=False)
    programs: Path
    authority: Path | None = None

    def environment(self, **more: str) -> dict[str, str]:
        own = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        return own | {"LC_ALL": "C.UTF-8", "PSQLRC": "/dev/null", "PAGER": "cat"} | dict(self.variables) | more

    def run(self, *command: str, stdin: str = "", timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.programs / command[0]), *command[1:]],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            env=self.environment(),
        )

    def psql(self, script: str, *options: str) -> str:
        """What psql printed, both streams, without the numbers that name the connection."""
        finished = self.run("psql", "-X", "-v", "VERBOSITY=verbose", *options, stdin=script)
        printed = f"{finished.stdout}\n--\n{finished.stderr}\n-- {finished.returncode}"
        return re.sub(r"server process with PID \d+", "server process with PID …", printed)


def same(routes: Sequence[Route], act: Callable[[Route], object]) -> object:
    """Do ``act`` on every route; all must give the same. Returns what they gave."""
    results = [(route.name, act(route)) for route in routes]
    first_name, first = results[0]
    for name, result in results[1:]:
        if result != first:
            raise AssertionError(f"{name} gives\n{result}\nbut {first_name} gives\n{first}")
    return first
