"""What ordinary ssh, scp and sftp need to reach resources through the gateway: a configuration file in the home.

Each resource is a ``Host`` of its own name there. The key is the login's own and never leaves the machine; its
certificate ends with the grant. The gateway is known by its authority, and by nothing else.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from interlock.cli.client import Client
from interlock.cli.home import Home
from interlock.errors import Failure
from interlock.identity.authority import make_request

_HOST = """Host {name}
    HostName {host}
    Port {port}
    User {name}
    IdentityFile {key}
    CertificateFile {certificate}
    IdentitiesOnly yes
    IdentityAgent none
    PreferredAuthentications publickey
    UserKnownHostsFile {known}
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    UpdateHostKeys no
    ForwardAgent no
    ForwardX11 no
"""


@dataclass(frozen=True, slots=True)
class SshHost:
    """A resource as ssh reaches it through the gateway."""

    name: str
    host: str
    port: int


def ssh_host_of(resource: Mapping[str, Any]) -> SshHost | None:
    """None when it is no host, or cannot be reached."""
    connect = resource.get("connect")
    if resource.get("kind") != "ssh" or not isinstance(connect, Mapping) or not connect.get("host"):
        return None
    return SshHost(str(resource["name"]), str(connect["host"]), int(connect["port"]))


def ssh_hosts_of(client: Client) -> list[SshHost]:
    """Every host that ssh can reach, as the server lists it for this person."""
    hosts = (ssh_host_of(resource) for resource in client.get("/v1/resources"))
    return [host for host in hosts if host is not None]


def write_ssh_config(home: Home, hosts: Sequence[SshHost]) -> Path:
    """The home's own configuration file for ssh, written anew."""
    sections = [
        _HOST.format(
            name=host.name,
            host=host.host,
            port=host.port,
            key=_quoted(home.key),
            certificate=_quoted(certificate_file(home, host.name)),
            known=_quoted(home.root / "ssh_known_hosts"),
        )
        for host in hosts
    ]
    head = "# Written by Interlock. Use it: ssh -F THIS_FILE NAME, scp -F THIS_FILE FILE NAME:\n\n"
    return home.write("ssh_config", head + "\n".join(sections))


def certificate_file(home: Home, resource: str) -> Path:
    return home.root / f"{resource}-cert.pub"


def fetch_certificate(client: Client, resource: str) -> Mapping[str, Any]:
    """A certificate for this home's key, kept where the configuration names it. Raises Refusal."""
    home = client.home
    issued: Mapping[str, Any] = client.post(
        "/v1/ssh-certificates", {"resource": resource, "csr": make_request(home.private_key())}
    )
    # OpenSSH matches a certificate with a PEM key by the public half beside it.
    public = home.private_key().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    home.write(f"{home.key.name}.pub", f"{public.decode()}\n")
    home.write(certificate_file(home, resource).name, f"{issued['certificate']}\n")
    home.write("ssh_known_hosts", "".join(f"@cert-authority * {line}\n" for line in issued["authorities"]))
    return issued


def become_ssh(config: Path, resource: str, arguments: Sequence[str]) -> None:
    ssh = shutil.which("ssh")
    if ssh is None:
        raise Failure("There is no ssh on this machine.", "Install it: apt install openssh-client")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(ssh, ["ssh", "-F", str(config), resource, *arguments])  # noqa: S606 -- becoming the client is the purpose


def _quoted(path: Path) -> str:
    """A path in ssh_config(5): in quotes, with % as %%."""
    return '"' + str(path).replace("%", "%%") + '"'
