"""The two connections of a session, to its client and to its resource: reached, regulated and closed together."""

from collections.abc import Callable

from interlock.domain.resources import Resource
from interlock.errors import Misuse
from interlock.gateway.connection import Connection, ConnectionOwner
from interlock.gateway.dialling import dial, explain_failure
from interlock.gateway.shared import Shared
from interlock.ports.protocol import ProtocolAdapter


class Sides:
    """``client`` is there from the start; ``upstream`` from when it is dialled. ``owner`` hears of both."""

    def __init__(self, shared: Shared, adapter: ProtocolAdapter, owner: ConnectionOwner) -> None:
        limits = shared.limits
        self.client = Connection(owner, limits.write_high, limits.write_low)
        self.upstream: Connection | None = None
        self._shared = shared
        self._adapter = adapter
        self._owner = owner
        self._dialled = False
        self._asked_pause = False

    @property
    def over(self) -> bool:
        """Nothing is connected any more."""
        return self.client.over and (self.upstream is None or self.upstream.over)

    # --- the upstream

    def reach(self, resource: Resource, failed: Callable[[str], None]) -> None:
        """Connect to ``resource``; ``failed`` gets a clause when it cannot be reached. Misuse the second time."""
        if self._dialled:
            raise Misuse("an upstream is opened once, after the admission")
        self._dialled = True
        self._shared.run_errand(self._dial(resource, failed))

    async def _dial(self, resource: Resource, failed: Callable[[str], None]) -> None:
        limits = self._shared.limits
        self.upstream = upstream = Connection(self._owner, limits.write_high, limits.write_low)
        try:
            await dial(self._shared.pump, resource, self._adapter, upstream, limits.connect_s)
        except (OSError, UnicodeError) as error:
            self.upstream = None
            failed(explain_failure(resource, error, limits.connect_s))

    def secure_upstream(self, server_name: str, mode: str, trust: str | None) -> None:
        if self.upstream is None:
            raise Misuse("TLS was started towards a resource that is not connected")
        self.upstream.secure(self._shared.tls.upstream(mode, trust), server_name=server_name)

    def close_upstream(self) -> None:
        """End it after what was written has left."""
        if self.upstream is not None:
            self.upstream.close()

    def abort_upstream(self) -> None:
        if self.upstream is not None:
            self.upstream.abort()

    # --- both

    def ask_pause(self, *, pause: bool) -> None:
        """The machine wants the client to be read no further, or again."""
        self._asked_pause = pause
        self.regulate()

    def regulate(self) -> None:
        """Read a side only while the other can be written. A client that does not read is not read either."""
        upstream = self.upstream
        if self._asked_pause or self.client.high or (upstream is not None and upstream.high):
            self.client.pause()
        else:
            self.client.resume()
        if upstream is not None:
            if self.client.high:
                upstream.pause()
            else:
                upstream.resume()

    def close(self) -> None:
        """End both after what was written has left."""
        self.close_upstream()
        self.client.close()

    def abort(self) -> None:
        self.client.abort()
        self.abort_upstream()
