"""Connections to our listener that have nothing under way: bounded in seconds and in number.

Whoever connects may say nothing, or a byte a minute, for as long as they like, as far as HTTP and the server below are
concerned. Here a call's head has to come in time, and of the connections whose call is not here whole (none begun, or
its body still under way) there are only so many, altogether and for one network. One too many takes the place of the
oldest, from the same network first: who does as clients do is through within milliseconds, so silence delays nobody.
"""

import asyncio
from collections import OrderedDict
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from interlock.services.attempts import network_of

HEAD_S = 20.0
"""How long the head of a call may take, from when the connection is there or its last call was answered."""
IDLE_S = 15
"""How long a connection is kept between two calls: far longer than clients of ours do (``identity/api_client.py``), so
that none is ended in the moment in which the next call is on its way."""
UNREAD_S = 120.0
"""How long it may take until less is left of what a client has to read. The system's own buffers hide who is slow."""
MOST = 4000
MOST_OF_ONE_NETWORK = 500
"""A gateway's host, or an office behind one address, has far fewer whose call is not here whole."""


class Crowd:
    """The connections of one process that wait for a call, the oldest first."""

    def __init__(
        self,
        *,
        head_s: float = HEAD_S,
        idle_s: int = IDLE_S,
        unread_s: float = UNREAD_S,
        most: int = MOST,
        most_of_one: int = MOST_OF_ONE_NETWORK,
    ) -> None:
        self.head_s = head_s
        self.idle_s = idle_s
        self.unread_s = unread_s
        self._most = most
        self._most_of_one = most_of_one
        self._all: OrderedDict[BoundedHttp, str] = OrderedDict()
        self._by_network: dict[str, OrderedDict[BoundedHttp, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def enter(self, one: "BoundedHttp", network: str) -> None:
        if one in self._all:
            return
        self._all[one] = network
        same = self._by_network.setdefault(network, OrderedDict())
        same[one] = None
        if len(same) > self._most_of_one:
            next(iter(same)).drop()
        elif len(self._all) > self._most:
            next(iter(self._all)).drop()

    def leave(self, one: "BoundedHttp") -> None:
        network = self._all.pop(one, None)
        if network is None:
            return
        same = self._by_network[network]
        del same[one]
        if not same:
            del self._by_network[network]


class BoundedHttp(H11Protocol):
    """Uvicorn's own protocol, which waits for no client longer than :class:`Crowd` lets it."""

    crowd: ClassVar[Crowd]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive = self.crowd.idle_s
        self._network = network_of(self.client[0]) if self.client else "unknown"
        self._waiting: asyncio.TimerHandle | None = None
        self._gone = self._unread = False
        self._left_bytes = 0
        self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = True
        self._look()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = False
        self._stop_waiting()
        self._look()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        # From here on another protocol has the connection.
        self._gone = True
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._stop_waiting()
        self.crowd.leave(self)
        super().connection_lost(exc)

    def drop(self) -> None:
        """Nobody is told anything: there is no call to answer."""
        self._stop_waiting()
        self.crowd.leave(self)
        self.transport.abort()

    def _look(self) -> None:
        """See what is under way, and wait for the rest of it, or for nothing."""
        closing = self.transport.is_closing()
        if self._gone or (closing and not self.transport.get_write_buffer_size()):
            self._stop_waiting()
            self.crowd.leave(self)
            return
        if closing or self._unread or self.cycle is None or self.cycle.response_complete:
            if self._waiting is None:
                self._wait()
            self.crowd.enter(self, self._network)
            return
        self._stop_waiting()
        if not self.cycle.more_body:
            self.crowd.leave(self)

    def _wait(self) -> None:
        self._left_bytes = self.transport.get_write_buffer_size()
        time_s = self.crowd.unread_s if self._left_bytes else self.crowd.head_s
        self._waiting = self.loop.call_later(time_s, self._waited)

    def _waited(self) -> None:
        """Time is over. Who reads, however slowly, gets it anew."""
        if 0 < self.transport.get_write_buffer_size() < self._left_bytes:
            self._wait()
        else:
            self.drop()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def bounded_by(crowd: Crowd) -> type[BoundedHttp]:
    """For ``http`` of uvicorn's configuration."""
    return type("BoundedHttp", (BoundedHttp,), {"crowd": crowd})
