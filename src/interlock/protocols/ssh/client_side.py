"""The connection with the client, for which the gateway is the SSH server."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import asyncssh

from interlock.ports.protocol import Credentials, KeyCertificate
from interlock.protocols.ssh.host_identity import HostIdentity

WINDOW = 256 * 1024
_ONLY_OURS = (
    "Interlock takes an SSH certificate of its own authority that is valid now, and no plain key. "
    "Type: interlock connect RESOURCE\n"
)
_NO_FORWARDING = "Interlock forwards no ports and no sockets"


class ClientOwner(Protocol):
    """The machine, as its client's connection sees it."""

    async def admit(self, credentials: Credentials) -> bool: ...

    def open_channel(self) -> "asyncssh.SSHServerSession[bytes]": ...

    def client_over(self) -> None: ...


class ClientConnection(asyncssh.SSHServerConnection):
    """asyncssh proves that the client holds the certificate's key; who may come in is the gateway's to say."""

    admit: Callable[[Credentials], Awaitable[bool]]

    async def reload_config(self) -> None:
        """There are no files to read again."""

    async def validate_public_key(self, username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
        good = await super().validate_public_key(username, key_data, msg, signature)
        if not good:
            if b"-cert-v01@openssh.com" in key_data[:64]:
                self.send_auth_banner(_ONLY_OURS)
            return False
        if not msg:
            # Only asked whether this certificate would do.
            return True
        shown = KeyCertificate(key_data)
        return await self.admit(Credentials(username, key_certificate=shown, client=client_program(self)))

    async def validate_password(self, username: str, password: str) -> bool:
        return await self.admit(Credentials(username, password=password, client=client_program(self)))


class _Server(asyncssh.SSHServer):
    def __init__(self, owner: ClientOwner) -> None:
        self._owner = owner

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.client_over()

    def password_auth_supported(self) -> bool:
        return True

    def session_requested(self) -> "asyncssh.SSHServerSession[bytes]":
        return self._owner.open_channel()

    # Nothing of what goes through a forwarded port could be decided or recorded.

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, _NO_FORWARDING)

    def unix_connection_requested(self, dest_path: str) -> bool:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, _NO_FORWARDING)

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        return False

    def unix_server_requested(self, listen_path: str) -> bool:
        return False


def serve_client(owner: ClientOwner, identity: HostIdentity, loop: Any) -> ClientConnection:
    options = asyncssh.SSHServerConnectionOptions(
        loop=loop,
        server_factory=lambda: _Server(owner),
        server_version="Interlock",
        server_host_keys=[(identity.key, identity.certificate)],
        authorized_client_keys=identity.people,
        gss_host=None,
        x509_trusted_certs=None,
        kbdint_auth=False,
        host_based_auth=False,
        # Before somebody is known nothing of theirs is unpacked.
        compression_algs=None,
        agent_forwarding=False,
        x11_forwarding=False,
        allow_scp=False,
        line_editor=False,
        encoding=None,
        window=WINDOW,
        login_timeout=0,
    )
    connection = ClientConnection(loop, options)
    connection.admit = owner.admit
    return connection


def client_program(connection: asyncssh.SSHServerConnection) -> str:
    """What the client calls itself, such as ``OpenSSH_9.2p1``; it is the client's word."""
    said = str(connection.get_extra_info("client_version") or "")
    return said.removeprefix("SSH-2.0-")[:100]
