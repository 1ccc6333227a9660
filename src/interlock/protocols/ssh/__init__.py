"""SSH: the gateway ends the client's connection, and opens one of its own to the host (``docs/ssh.md``)."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlock.domain.actions import Need
from interlock.errors import Misuse
from interlock.ports.protocol import Machine, Outlet
from interlock.protocols.ssh.classify import needs_of_command
from interlock.protocols.ssh.host_identity import HostIdentity, read_host_identity
from interlock.protocols.ssh.session import SshMachine
from interlock.protocols.ssh.settings import check_settings


class SshAdapter:
    """What the gateway knows of SSH."""

    name = "ssh"
    default_port = 12222
    default_upstream_port = 22
    honours: frozenset[type] = frozenset()
    parting = True
    """A command that runs without a terminal outlives its connection unless it is told to end."""

    listens_when_used = True
    tells_watched = True

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._identity: HostIdentity | None = None

    def prepare(self, folder: Path) -> None:
        """Raises Failure when the gateway's own keys cannot be used."""
        # It tells of each connection and channel, which the recording does better.
        logging.getLogger("asyncssh").setLevel(logging.WARNING)
        self._folder = folder
        self._identity = read_host_identity(folder)

    def check_settings(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return check_settings(settings)

    def open_machine(self, outlet: Outlet) -> Machine:
        if self._folder is None or self._identity is None:
            raise Misuse("SSH is listened for before its keys were read")
        self._identity = self._identity.renewed(self._folder)
        return SshMachine(outlet, self._identity)

    def describe(self, text: str) -> tuple[Need, ...]:
        return needs_of_command(text)


PROTOCOL = SshAdapter()
