"""A real sshd, the whole of Interlock in front of it, and people with roles of different width."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.sshd import Sshd, running_sshd
from tests.support.stack import INTERLOCK, Member, Stack, running_stack

_CONFIG = """\
listen: {{console: "127.0.0.1:0", ssh: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
resources:
  web:
    kind: ssh
    address: 127.0.0.1:{port}
    host_key: {host_key}
    credential: {{user: {user}, secret: env:WEB_KEY}}
    labels: {{environment: test}}
  certified:
    kind: ssh
    address: 127.0.0.1:{port}
    host_key: {host_key}
    sign_in: certificate
    credential: {{user: {user}, secret: env:USERS_AUTHORITY}}
    labels: {{environment: test}}
  impostor:
    kind: ssh
    address: 127.0.0.1:{port}
    host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGwrw4jHGmGVuvnLSmLr1lKOxTfs0sbf7x3fbTQVYSNQ
    credential: {{user: {user}, secret: env:WEB_KEY}}
    labels: {{environment: test}}
people:
  operator@example.com: {{}}
  reader@example.com: {{}}
  careful@example.com: {{}}
  brief@example.com: {{}}
  present@example.com: {{}}
  lead@example.com: {{groups: [dba, administrators]}}
  auditor@example.com: {{}}
roles:
  operator:
    on: {{kind: ssh, environment: test}}
    allow: [connect, read, write, destroy, execute]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
  reader:
    on: {{kind: ssh, environment: test}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
  present:
    on: {{kind: ssh, environment: test}}
    allow: [connect, read, write, destroy, execute]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}], mfa: true}}
  careful:
    on: {{kind: ssh, environment: test}}
    allow: [connect, read, execute]
    hold: [execute]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
  auditor:
    on: {{kind: ssh, environment: test}}
    allow: [replay]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
"""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Everything a test of SSH needs."""

    sshd: Sshd
    stack: Stack
    operator: Member
    reader: Member
    careful: Member
    present: Member
    lead: Member
    auditor: Member

    def prepare(self, member: Member, resource: str = "web") -> Path:
        """`interlock connect` once: its ssh configuration file, with a certificate that is good now."""
        self.connect(member, resource, "true")
        return member.home / "ssh_config"

    def connect(
        self, member: Member, resource: str, *words: str, stdin: str | None = None, check: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        finished = subprocess.run(
            [INTERLOCK, "connect", resource, "--", *words],
            env=self.environment(member),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if check and finished.returncode:
            raise AssertionError(finished.stderr)
        return finished

    def environment(self, member: Member) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("INTERLOCK", "SSH_"))}
        return kept | {"HOME": str(self.stack.folder), "INTERLOCK_HOME": str(member.home), "NO_COLOR": "1"}

    def run(
        self, member: Member, program: str, *words: str, stdin: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """An ordinary client (ssh, scp, sftp) with the file that `interlock connect` wrote."""
        return subprocess.run(
            [program, "-F", str(member.home / "ssh_config"), *words],
            env=self.environment(member),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def sessions(self, member: Member) -> list[dict[str, Any]]:
        found = self.stack.ask(self.lead, "sessions")
        return [one for one in found if one["person"] == member.name]


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as sshd:
        config = _CONFIG.format(port=sshd.port, host_key=sshd.host_key, user=sshd.user)
        secrets = {"WEB_KEY": sshd.key, "USERS_AUTHORITY": sshd.users_authority}
        with running_stack(config, secrets) as stack:
            names = ("operator", "reader", "careful", "present", "lead", "auditor")
            people = {name: stack.member(f"{name}@example.com") for name in names}
            for resource in ("web", "certified", "impostor"):
                stack.grant(people["operator"], resource, "operator", [people["lead"]])
            stack.grant(people["auditor"], "web", "auditor", [people["lead"]])
            for name in ("reader", "careful", "present"):
                stack.grant(people[name], "web", name, [people["lead"]])
            yield Hosts(sshd, stack, **people)
