"""A real OpenSSH server on a free port, in a folder of its own, that lets this account in with one key."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "/usr/sbin/sshd"

_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile {folder}/pid
AuthorizedKeysFile {folder}/allowed
TrustedUserCAKeys {folder}/users_authority.pub
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
AcceptEnv *
AllowTcpForwarding yes
Subsystem sftp internal-sftp
LogLevel VERBOSE
"""


@dataclass(frozen=True, slots=True)
class Sshd:
    """``host_key`` is its public line, ``key`` the private key (text) of whom it lets in as ``user``."""

    folder: Path
    port: int
    user: str

    @property
    def host_key(self) -> str:
        return " ".join((self.folder / "host.pub").read_text().split()[:2])

    @property
    def key(self) -> str:
        return (self.folder / "user").read_text()

    @property
    def users_authority(self) -> str:
        return (self.folder / "users_authority").read_text()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


def make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True, timeout=20)


@contextmanager
def running_sshd(folder: Path) -> Iterator[Sshd]:
    for name in ("host", "user", "users_authority"):
        make_key(folder / name)
    (folder / "allowed").write_text((folder / "user.pub").read_text())
    port = free_port()
    if os.geteuid() == 0:
        # Where sshd separates its privileges; a service manager makes it otherwise.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    (folder / "config").write_text(_CONFIG.format(port=port, folder=folder))
    process = subprocess.Popen([SSHD, "-D", "-f", folder / "config", "-E", folder / "log"])
    try:
        until = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if time.monotonic() > until:
                raise RuntimeError((folder / "log").read_text())
            time.sleep(0.02)
        yield Sshd(folder, port, getpass.getuser())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
