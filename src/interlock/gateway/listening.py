"""Listeners: sockets that several workers may share, and what comes in on them."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

from interlock.errors import Failure
from interlock.gateway.pump import Pump, Receiver
from interlock.gateway.settings import Listen

_LOG = logging.getLogger("interlock.gateway")
_BACKLOG = 1024
_AT_ONCE = 32
"""Clients that are let in before others have their turn."""
_REST_S = 1.0
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def open_listener(protocol: str, where: Listen) -> socket.socket:
    """A listening socket that other workers may share. Raises Failure."""
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((where.host, where.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise Failure(
            f"The gateway cannot listen for {protocol} on {where.host}:{where.port}: {error.strerror or error}.",
            f"Choose another address in interlock.yaml: listen: {{{protocol}: HOST:PORT}}",
        ) from error
    return listener


class Listener:
    """Gives each client that comes in on ``sock`` a receiver of its own, until it is closed."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, pump: Pump, sock: socket.socket, receive: Callable[[], Receiver]
    ) -> None:
        self._loop = loop
        self._pump = pump
        self._sock = sock
        self._receive = receive
        self._rest: asyncio.TimerHandle | None = None
        loop.add_reader(sock.fileno(), self._accept)

    def close(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                client, _address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                self._pause(error)
                return
            client.setblocking(False)
            try:
                self._pump.open(client, self._receive())
            except Exception:
                client.close()
                raise

    def _pause(self, error: OSError) -> None:
        """Who waits would be told of again at once, and again in vain: give what is open a while to end."""
        _LOG.error("No more clients can come in for the moment: %s.", error.strerror)
        self._loop.remove_reader(self._sock.fileno())
        self._rest = self._loop.call_later(_REST_S, self._go_on)

    def _go_on(self) -> None:
        self._rest = None
        self._loop.add_reader(self._sock.fileno(), self._accept)
