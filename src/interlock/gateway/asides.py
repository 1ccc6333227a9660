"""Out-of-band connections of a session to its resource, such as one that carries a cancel request.

One may be opened in a session's last moment and outlives it for a bounded time: stopping what runs is the point.
"""

import asyncio
import logging
from collections.abc import Callable

from interlock.domain.resources import Resource
from interlock.errors import PeerError
from interlock.gateway.connection import Connection
from interlock.gateway.dialling import dial, explain_failure
from interlock.gateway.shared import Shared
from interlock.ports.protocol import Aside, ProtocolAdapter

_LOG = logging.getLogger("interlock.gateway")


class AsideConnection:
    """Drives one :class:`~interlock.ports.protocol.Aside`; it is its channel as well."""

    def __init__(self, shared: Shared, aside: Aside) -> None:
        self._shared = shared
        self._aside = aside
        limits = shared.limits
        self._connection = Connection(self, limits.write_high, limits.write_low)
        self._broken = False
        self._ended: asyncio.Future[None] = shared.loop.create_future()

    async def run(self, resource: Resource, adapter: ProtocolAdapter) -> None:
        """Return when it is over, which it is after a bounded time."""
        within_s = self._shared.limits.connect_s
        try:
            await dial(self._shared.pump, resource, adapter, self._connection, within_s)
        except (OSError, UnicodeError) as error:
            _LOG.info("A signal to %s was lost: %s.", resource.name, explain_failure(resource, error, within_s))
        else:
            await asyncio.wait({self._ended}, timeout=within_s)
            self._connection.abort()

    # AsideChannel

    def send(self, payload: bytes) -> None:
        if not self._broken:
            self._connection.send(payload)

    def secure(self, server_name: str, mode: str, trust: str | None = None) -> None:
        self._connection.secure(self._shared.tls.upstream(mode, trust), server_name=server_name)

    def close(self) -> None:
        self._connection.close()

    # ConnectionOwner

    def connection_opened(self, connection: Connection) -> None:
        self._guard(lambda: self._aside.opened(self))

    def received(self, connection: Connection, payload: bytes) -> None:
        self._guard(lambda: self._aside.received(payload))

    def secured(self, connection: Connection, certificate: bytes | None) -> None:
        self._guard(self._aside.secured)

    def peer_finished(self, connection: Connection) -> None:
        connection.close()

    def connection_lost(self, connection: Connection, why: str) -> None:
        if not self._ended.done():
            self._ended.set_result(None)
        if why:
            _LOG.info("An out-of-band connection broke: %s", why)

    def write_pressure(self, connection: Connection, *, high: bool) -> None:
        if high:
            connection.pause()
        else:
            connection.resume()

    def _guard(self, enter: Callable[[], None]) -> None:
        if self._broken:
            return
        try:
            enter()
        except PeerError as error:
            self._broken = True
            _LOG.info("An out-of-band connection broke: %s", error)
            self._connection.abort()
        except Exception:  # noqa: BLE001 -- its fault ends the out-of-band connection and nothing else
            self._broken = True
            _LOG.exception("An out-of-band connection ends by a fault of ours.")
            self._connection.abort()
