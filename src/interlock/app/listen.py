"""Listening addresses: reading them, and reserving them before anything is started.

Workers share a port with SO_REUSEPORT, and so would a second program of the same account by accident. A reservation
therefore first binds alone, which fails if anybody is there, and then keeps a bound, silent socket in the group: as
long as it lives nobody outside of the group can take the port, also while a worker is being replaced.
"""

import errno
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from interlock.errors import Failure
from interlock.policy.configuration import CONSOLE, Address, Configuration
from interlock.ports.protocol import ProtocolAdapter

CONSOLE_PORT = 8443


@dataclass(frozen=True, slots=True)
class Reservation:
    """A port that is ours until ``release``."""

    name: str
    address: Address
    keeper: socket.socket

    def release(self) -> None:
        self.keeper.close()


def wanted_addresses(configuration: Configuration, protocols: Mapping[str, ProtocolAdapter]) -> dict[str, Address]:
    """Where each listener wants to be: as configured, else on loopback at the protocol's own port.

    One that is ``listens_when_used`` is left out as long as no resource speaks its protocol.

    Raises Failure for a name under ``listen`` that is neither the console nor a protocol that was found.
    """
    unknown = sorted(set(configuration.listen) - set(protocols) - {CONSOLE})
    if unknown:
        known = ", ".join((CONSOLE, *sorted(protocols)))
        raise Failure(
            f"listen.{unknown[0]}: there is no protocol of that name.", f"The names that can listen are: {known}."
        )
    addresses = {CONSOLE: configuration.listen.get(CONSOLE, Address("127.0.0.1", CONSOLE_PORT))}
    used = {resource.kind for resource in configuration.resources.values()} | set(configuration.listen)
    for name, adapter in sorted(protocols.items()):
        if getattr(adapter, "listens_when_used", False) and name not in used:
            continue
        addresses[name] = configuration.listen.get(name, Address("127.0.0.1", adapter.default_port))
    return addresses


def read_address(text: str) -> Address:
    """``host:port`` as :class:`Address` writes it. Raises ValueError."""
    host, _, port = text.rpartition(":")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def reserve(name: str, wanted: Address) -> Reservation:
    """Take ``wanted`` (port 0: any free one) for our workers. Raises Failure naming the port and what to do."""
    family = _family(wanted.host)
    alone = socket.socket(family, socket.SOCK_STREAM)
    keeper = socket.socket(family, socket.SOCK_STREAM)
    try:
        # SO_REUSEADDR passes over connections that are still closing, not over a listener.
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind((wanted.host, wanted.port))
        port = int(alone.getsockname()[1])
        alone.close()
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        keeper.bind((wanted.host, port))
    except OSError as error:
        alone.close()
        keeper.close()
        raise _cannot_listen(name, wanted, error) from error
    return Reservation(name, Address(wanted.host, port), keeper)


def reachable_host(host: str) -> str:
    """The host under which this machine's own programs reach a listener on ``host``."""
    if host in ("0.0.0.0", ""):  # noqa: S104 -- compared with, not bound to
        return "127.0.0.1"
    return "::1" if host == "::" else host


def _family(host: str) -> socket.AddressFamily:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return socket.AF_INET
    return socket.AF_INET6 if version == 6 else socket.AF_INET


def _cannot_listen(name: str, wanted: Address, error: OSError) -> Failure:
    if error.errno == errno.EADDRINUSE:
        return Failure(
            f"Port {wanted.port} on {wanted.host}, wanted for {name}, is in use by another program.",
            f"Stop that program, or choose another port in interlock.yaml: listen: {{{name}: {wanted.host}:PORT}}",
        )
    if error.errno == errno.EACCES:
        return Failure(
            f"This account may not listen on port {wanted.port}, wanted for {name}.",
            f"Choose a port above 1023 in interlock.yaml: listen: {{{name}: {wanted.host}:PORT}}",
        )
    return Failure(
        f"Interlock cannot listen on {wanted} for {name}: {error.strerror or error}.",
        f"Choose an address of this machine in interlock.yaml: listen: {{{name}: HOST:PORT}}",
    )
