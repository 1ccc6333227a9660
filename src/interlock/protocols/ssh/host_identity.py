"""The gateway's own side of SSH: its host key, that key's certificate, and the authorities of people's keys."""

from dataclasses import dataclass
from pathlib import Path

import asyncssh

from interlock.errors import Failure

_FILES = ("ssh_host.key", "ssh_host-cert.pub", "ssh_authority.pub")


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """``written`` says of which versions of the files it was read."""

    key: asyncssh.SSHKey
    certificate: asyncssh.SSHCertificate
    people: asyncssh.SSHAuthorizedKeys
    written: tuple[int, ...]

    def renewed(self, folder: Path) -> "HostIdentity":
        """This, or that of newer files: the control plane renews the certificate while the gateway runs."""
        return self if _written(folder) == self.written else read_host_identity(folder)


def read_host_identity(folder: Path) -> HostIdentity:
    """Raises Failure when a file is missing or cannot be used."""
    key, certificate, authority = (folder / name for name in _FILES)
    try:
        lines = authority.read_text().splitlines()
        return HostIdentity(
            asyncssh.read_private_key(str(key)),
            asyncssh.read_certificate(str(certificate)),
            # Any principal: it names the person, whom the gateway compares with the login.
            asyncssh.import_authorized_keys("".join(f'cert-authority,principals="*" {line}\n' for line in lines)),
            _written(folder),
        )
    except (OSError, ValueError, asyncssh.KeyImportError) as error:
        raise Failure(
            f"The gateway's keys for SSH in {folder} cannot be read: {error}.",
            "Start the control plane with this data folder first, or copy its keys here.",
        ) from error


def _written(folder: Path) -> tuple[int, ...]:
    return tuple((folder / name).stat().st_mtime_ns for name in _FILES)
