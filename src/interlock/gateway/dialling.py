"""Connections towards a resource: where it is, and sentences for why it cannot be reached."""

import asyncio
import os
import socket

from interlock.domain.resources import Resource
from interlock.gateway.pump import Pump, Receiver
from interlock.ports.protocol import ProtocolAdapter

_Address = str | tuple[object, ...]


def socket_path(resource: Resource, adapter: ProtocolAdapter) -> str:
    """The Unix socket of a resource whose host is a path: the path itself, or the socket's name in that folder.

    The name comes from the adapter's ``upstream_socket``, such as ``.s.PGSQL.{port}``, if it has one.
    """
    name = getattr(adapter, "upstream_socket", "")
    return os.path.join(resource.host, name.format(port=resource.port)) if name else resource.host  # noqa: PTH118 -- a string for the kernel


async def dial(pump: Pump, resource: Resource, adapter: ProtocolAdapter, receiver: Receiver, within_s: float) -> None:
    """Connect. Raises OSError or TimeoutError; ``explain_failure`` puts either into words."""
    path = socket_path(resource, adapter) if resource.host.startswith("/") else ""
    async with asyncio.timeout(within_s):
        sock = await connect(path or resource.host, resource.port)
    try:
        pump.open(sock, receiver)
    except BaseException:
        sock.close()
        raise


async def connect(host: str, port: int) -> socket.socket:
    """A socket that is connected to ``host``, or to the Unix socket of that path. Raises OSError.

    The addresses of a name are tried in their order; the error is the first one's.
    """
    if host.startswith("/"):
        return await _connect(socket.AF_UNIX, host)
    first: OSError | None = None
    for family, address in await _addresses(host, port):
        try:
            return await _connect(family, address)
        except OSError as error:
            first = first or error
    raise first or OSError(f"{host} has no address")


async def _addresses(host: str, port: int) -> list[tuple[int, _Address]]:
    try:
        # What is an address already needs no thread that asks for it.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


async def _connect(family: int, address: _Address) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        # Also when it took too long, or nobody waits for it any more.
        sock.close()
        raise
    return sock


def explain_failure(resource: Resource, error: Exception, within_s: float) -> str:
    where = resource.host if resource.host.startswith("/") else f"{resource.host}:{resource.port}"
    if isinstance(error, TimeoutError):
        return f"{where} did not answer within {within_s:.0f} s"
    if isinstance(error, OSError) and error.errno:
        return f"{where}: {os.strerror(error.errno)}"
    return f"{where}: {error}"
