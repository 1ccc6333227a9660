"""Connections towards a resource: where it is, and sentences for why it cannot be reached."""

import asyncio
import os
from collections.abc import Callable

from interlock.domain.resources import Resource
from interlock.gateway.connection import Connection, as_asyncio
from interlock.ports.protocol import ProtocolAdapter


def socket_path(resource: Resource, adapter: ProtocolAdapter) -> str:
    """The Unix socket of a resource whose host is a path: the path itself, or the socket's name in that folder.

    The name comes from the adapter's ``upstream_socket``, such as ``.s.PGSQL.{port}``, if it has one.
    """
    name = getattr(adapter, "upstream_socket", "")
    return os.path.join(resource.host, name.format(port=resource.port)) if name else resource.host  # noqa: PTH118 -- a string for the kernel


async def dial(
    resource: Resource, adapter: ProtocolAdapter, open_connection: Callable[[], Connection], within_s: float
) -> None:
    """Connect. Raises OSError or TimeoutError; ``explain_failure`` puts either into words."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(within_s):
        if resource.host.startswith("/"):
            await loop.create_unix_connection(lambda: as_asyncio(open_connection()), socket_path(resource, adapter))
        else:
            await loop.create_connection(lambda: as_asyncio(open_connection()), resource.host, resource.port)


def explain_failure(resource: Resource, error: Exception, within_s: float) -> str:
    where = resource.host if resource.host.startswith("/") else f"{resource.host}:{resource.port}"
    if isinstance(error, TimeoutError):
        return f"{where} did not answer within {within_s:.0f} s"
    if isinstance(error, OSError) and error.errno:
        return f"{where}: {os.strerror(error.errno)}"
    return f"{where}: {error}"
