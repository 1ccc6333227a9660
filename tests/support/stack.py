"""The whole of Interlock, started as an operator starts it and used as people use it: through its commands.

Everything runs in a folder of its own on ports of its own, in front of a real database that the caller gives.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp

INTERLOCK = str(Path(sys.executable).with_name("interlock"))
_START_S = 90
_TO_SHOW_IT_S = 12


@dataclass(slots=True)
class Member:
    """A person who uses Interlock from a home of their own."""

    name: str
    home: Path
    password: str
    totp_secret: str = ""
    last_step: int = 0

    def code(self) -> str:
        """A one-time code that was not used before; waits for the next one when it has to."""
        # The half minute before is taken as well, if there is time enough until it is too late.
        self.last_step = max(int((time.time() + _TO_SHOW_IT_S) // 30) - 1, self.last_step + 1)
        time.sleep(max(0.0, (self.last_step - 1) * 30 - time.time()))
        return pyotp.TOTP(self.totp_secret).at(self.last_step * 30)


@dataclass(slots=True)
class Stack:
    """A running Interlock. ``config`` is the text of interlock.yaml, with ``listen`` on port 0 everywhere."""

    folder: Path
    config: str
    environment: Mapping[str, str] = field(default_factory=dict)
    workers: int = 1
    members: dict[str, Member] = field(default_factory=dict)
    process: "subprocess.Popen[str] | None" = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def ports(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.data / "run" / "ports.json").read_text())
        return found

    def port(self, name: str) -> int:
        return int(self.ports[name].rpartition(":")[2])

    @property
    def server(self) -> str:
        return f"https://{self.ports['console']}"

    # --- the operator

    def start(self) -> None:
        """`interlock up`, until everything answers."""
        (self.folder / "interlock.yaml").write_text(self.config)
        log = (self.folder / "up.log").open("a")
        command = [INTERLOCK, "up", "--config", str(self.folder / "interlock.yaml"), "--data", str(self.data)]
        self.process = subprocess.Popen(
            [*command, "--workers", str(self.workers), "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=self._environment({}),
        )
        log.close()
        said = []
        while self.process.stdout is not None and (line := self.process.stdout.readline()):
            said.append(line)
            if line == "}\n":
                break
        if '"listen": {' not in "".join(said):
            raise RuntimeError(f"interlock up ended: {(self.folder / 'up.log').read_text()}")

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(40)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def kill(self) -> None:
        """``kill -9`` of the supervisor."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def pids(self, part: str) -> list[int]:
        """The processes of a part: ``control``, ``gateway`` or ``postgres`` (the state's postmaster)."""
        if self.process is None:
            return []
        found = []
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            for pid in (thread / "children").read_text().split():
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                is_postgres = Path(words[0]).name == "postgres"
                if (part == "postgres" and is_postgres) or (part != "postgres" and part in words):
                    found.append(int(pid))
        return found

    # --- people

    def member(self, name: str) -> Member:
        """Enrol a person and sign them in, as the operator and the person do it."""
        if name in self.members:
            return self.members[name]
        made = json.loads(self.run(None, "enrol", name, "--data", str(self.data), "--json").stdout)
        home = self.folder / "homes" / name
        member = Member(name, home, secrets.token_urlsafe(12))
        enrolled = self.run(
            member, "login", "--server", self.server, "--person", name, "--code", made["code"], "--enrol-only", "--json"
        )
        member.totp_secret = json.loads(enrolled.stdout)["totp_secret"]
        self.members[name] = member
        self.sign_in(member)
        return member

    def sign_in(self, member: Member) -> None:
        self.run(member, "login", "--server", self.server, "--person", member.name, totp=True)

    def run(
        self, member: Member | None, *words: str, totp: bool = False, check: bool = True, stdin: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """One command of ``interlock``, as ``member`` (None: as the operator)."""
        more = {}
        if member is not None:
            more = {"INTERLOCK_HOME": str(member.home), "INTERLOCK_PASSWORD": member.password}
            if totp:
                more["INTERLOCK_TOTP"] = member.code()
        finished = subprocess.run(
            [INTERLOCK, *words],
            env=self._environment(more),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if check and finished.returncode != 0:
            raise AssertionError(f"interlock {' '.join(words)}: {finished.stdout}\n{finished.stderr}")
        return finished

    def ask(self, member: Member, *words: str) -> Any:
        """What a command answers as JSON."""
        return json.loads(self.run(member, *words, "--json").stdout)

    def grant(self, member: Member, resource: str, role: str, approvers: Sequence[Member], hours: int = 1) -> str:
        """Request a role and have it approved; the grant's number."""
        asked = self.ask(member, "request", resource, "--role", role, "--for", f"{hours}h", "--reason", "test")
        request = asked.get("id") or asked["request"]["id"]
        for approver in approvers:
            self.ask(approver, "approve", request, "--yes")
        for found in self.ask(member, "grants"):
            if found.get("request") == request:
                return str(found["id"])
        raise AssertionError(f"{request} was approved and made no grant")

    def variables(self, member: Member, resource: str) -> dict[str, str]:
        """How libpq reaches a resource as this member, as environment variables."""
        host, _, port = self.ports["postgres"].rpartition(":")
        return {
            "PGHOST": host,
            "PGPORT": port,
            "PGDATABASE": resource,
            "PGUSER": member.name,
            "PGSSLMODE": "verify-full",
            "PGSSLCERT": str(member.home / "certificate.pem"),
            "PGSSLKEY": str(member.home / "key.pem"),
            "PGSSLROOTCERT": str(member.home / "authority.pem"),
        }

    def one_password(self, member: Member, resource: str) -> str:
        """A password for one connection within 60 s."""
        return str(self.ask(member, "connect", resource, "--print")["password"])

    def seated(self, member: Member) -> dict[str, str]:
        """For a program that ``member`` starts in their home."""
        return self._environment({"INTERLOCK_HOME": str(member.home)})

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "INTERLOCK"))}
        return kept | {"HOME": str(self.folder), "NO_COLOR": "1"} | dict(self.environment) | dict(more)


@contextmanager
def running_stack(config: str, environment: Mapping[str, str], workers: int = 1) -> Iterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="interlock-stack-"))
    folder.chmod(0o711)
    stack = Stack(folder, config, environment, workers)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)
