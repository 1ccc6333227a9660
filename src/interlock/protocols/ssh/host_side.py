"""The connection to the host, for which the gateway is the SSH client. It is the host that was named, or none."""

import asyncio
import time

import asyncssh

from interlock.errors import PeerError
from interlock.ports.protocol import Admission
from interlock.protocols.ssh.settings import read_trust, way_in

CERTIFICATE_S = 60


def connect_host(
    admission: Admission, loop: asyncio.AbstractEventLoop
) -> tuple[asyncssh.SSHClientConnection, "asyncio.Future[None]"]:
    """The connection, and what is done when the host let the gateway in. Raises PeerError."""
    resource = admission.resource
    trust = read_trust(resource)
    if not trust.keys and not trust.authorities:
        raise PeerError(f"Nothing says how the host of {resource.name} is known. Ask its operator to set host_key.")
    waiter: asyncio.Future[None] = loop.create_future()
    options = asyncssh.SSHClientConnectionOptions(
        loop=loop,
        config=None,
        host=resource.host,
        port=resource.port,
        known_hosts=(list(trust.keys), list(trust.authorities), []),
        agent_path=None,
        agent_forwarding=False,
        gss_host=None,
        x509_trusted_certs=None,
        disable_trivial_auth=True,
        compression_algs=None,
        login_timeout=0,
        client_version="Interlock",
        **_sign_in(admission),
    )
    options.waiter = waiter
    connection = asyncssh.SSHClientConnection(loop, options, wait="auth")
    connection.set_extra_info(host=resource.host, port=resource.port)
    return connection, waiter


def _sign_in(admission: Admission) -> dict[str, object]:
    credential, resource = admission.credential, admission.resource
    if credential is None or not credential.secret:
        raise PeerError(f"The gateway has no credential for {resource.name}. Tell its operator: interlock doctor")
    way = way_in(resource)
    if way == "password":
        return {"username": credential.user, "password": credential.secret, "client_keys": None}
    try:
        key = asyncssh.import_private_key(credential.secret)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as error:
        raise PeerError(
            f"The gateway's credential for {resource.name} is no private key that it can read. "
            "Its operator gives it in OpenSSH's or PEM form, without a passphrase."
        ) from error
    if way == "certificate":
        return {"username": credential.user, "client_keys": [_certified(admission, key)], "password": None}
    return {"username": credential.user, "client_keys": [key], "password": None}


def _certified(admission: Admission, authority: asyncssh.SSHKey) -> tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]:
    """A key of this connection alone, certified for a minute: the host's log then names the person and the session."""
    user = admission.credential.user if admission.credential is not None else ""
    own = asyncssh.generate_private_key("ssh-ed25519")
    now = int(time.time())
    certificate = authority.generate_user_certificate(
        own,
        f"interlock {admission.session} {admission.person}",
        principals=[user],
        valid_after=now - CERTIFICATE_S,
        valid_before=now + CERTIFICATE_S,
        permit_x11_forwarding=False,
        permit_agent_forwarding=False,
        permit_port_forwarding=False,
        permit_user_rc=False,
    )
    return own, certificate
