"""What a session says and hears beside its own two connections: interrupts, and asides to its resource."""

import logging
from collections.abc import Callable

from interlock.domain.resources import Resource
from interlock.gateway.asides import AsideConnection
from interlock.gateway.shared import Shared
from interlock.ports.protocol import Aside, ProtocolAdapter

_LOG = logging.getLogger("interlock.gateway")


class Signals:
    """Those of one connection. At most so many asides are open at a time, and one foreign key may be shown."""

    def __init__(self, shared: Shared, adapter: ProtocolAdapter) -> None:
        self._shared = shared
        self._adapter = adapter
        self._keys: list[bytes] = []
        self._asides = 0
        self._shown = False

    def mint(self, size_bytes: int, interrupted: Callable[[], None]) -> bytes:
        key = self._shared.interrupts.mint(size_bytes, interrupted)
        self._keys.append(key)
        return key

    def forget_keys(self) -> None:
        while self._keys:
            self._shared.interrupts.forget(self._keys.pop())

    def interrupt(self, key: bytes, address: str) -> None:
        """One key for a connection: guessing costs a connection each time."""
        if not self._shown:
            self._shown = True
            self._shared.interrupts.interrupt(key, address)

    def open_aside(self, aside: Aside, resource: Resource) -> None:
        if self._asides >= self._shared.limits.asides:
            _LOG.info("One out-of-band connection to %s too many is not opened.", resource.name)
            return
        self._asides += 1
        self._shared.run_errand(self._run_aside(AsideConnection(self._shared, aside), resource))

    async def _run_aside(self, aside: AsideConnection, resource: Resource) -> None:
        try:
            await aside.run(resource, self._adapter)
        finally:
            self._asides -= 1
