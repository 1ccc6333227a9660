"""One TCP (or Unix) connection, plain or under our own TLS, with bounded memory in both directions."""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Protocol

from interlock.errors import Misuse, PeerError
from interlock.gateway.pump import Pipe, Receiver
from interlock.wire.tls import TlsEngine

_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 6))
_TCP_CLOSE, _TCP_CLOSE_WAIT = 7, 8
_INTERNET = (socket.AF_INET, socket.AF_INET6)


class ConnectionOwner(Protocol):
    """Who is told what happens on a connection. Nothing it raises reaches another connection."""

    def connection_opened(self, connection: "Connection") -> None: ...

    def received(self, connection: "Connection", payload: bytes) -> None: ...

    def secured(self, connection: "Connection", certificate: bytes | None) -> None: ...

    def peer_finished(self, connection: "Connection") -> None:
        """The peer sends no more (a half-close); what is written still goes out."""

    def connection_lost(self, connection: "Connection", why: str) -> None:
        """It is over. ``why`` is empty for an ordinary end."""

    def write_pressure(self, connection: "Connection", *, high: bool) -> None:
        """More (or again less) waits to be sent than the bounds allow."""


class Connection(Receiver):
    """Bytes in and out; TLS may start at any byte. All methods but ``abort`` do nothing once it is over.

    ``peer`` is the other side's address; ``local`` is true when both ends are on this machine's loopback.
    """

    def __init__(self, owner: ConnectionOwner, write_high: int, write_low: int) -> None:
        self._owner = owner
        self._bounds = (write_high, write_low)
        self._pipe: Pipe | None = None
        self._tls: TlsEngine | None = None
        self._waiting: list[bytes] = []
        self._over = False
        self._closing = False
        self._finished = False
        self.high = False
        self.paused = False
        self.peer = ""
        self.local = False

    # What the pipe calls

    def connection_made(self, pipe: Pipe) -> None:
        self._pipe = pipe
        high, low = self._bounds
        pipe.set_write_buffer_limits(high, low)
        sock = pipe.sock
        if sock.family in _INTERNET:
            peer = _address(sock.getpeername)
            self.peer = peer or "local"
            self.local = _is_loopback(peer) and _is_loopback(_address(sock.getsockname))
            _tune(sock)
        else:
            self.peer = "local"
        self._owner.connection_opened(self)

    def data_received(self, data: bytes) -> None:
        if self._over or self._closing:
            return
        if self._tls is None:
            self._owner.received(self, data)
        else:
            self._go_on(data)

    def eof_received(self) -> None:
        self._tell_finished()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._over:
            self._over = True
            self._owner.connection_lost(self, _reason(error))

    def pause_writing(self) -> None:
        self.high = True
        self._owner.write_pressure(self, high=True)

    def resume_writing(self) -> None:
        self.high = False
        if not self._over:
            self._owner.write_pressure(self, high=False)

    # What the owner calls

    def send(self, payload: bytes | bytearray | memoryview) -> None:
        if self._over or self._closing or self._pipe is None or not payload:
            return
        # The pipe keeps a reference until the bytes have left: what may still change is copied.
        settled = payload if isinstance(payload, bytes) else bytes(payload)
        if self._tls is None:
            self._pipe.write(settled)
        elif not self._tls.secured:
            self._waiting.append(settled)
        else:
            self._pipe.write(self._tls.encrypt(settled))

    def secure(self, context: ssl.SSLContext, *, server_name: str | None = None, rest: bytes = b"") -> None:
        """Start TLS: as the client towards ``server_name`` when it is given, else as the server.

        ``rest`` was read already and is the start of the peer's side of TLS. The handshake goes on when the caller
        has returned, so that nothing it leads to happens inside the call.
        """
        if self._tls is not None:
            raise Misuse("TLS was started twice on one connection")
        server_side = server_name is None
        self._tls = TlsEngine(context, server_side=server_side, server_name=server_name or None)
        if rest:
            self._tls.feed(rest)
        if rest or not server_side:
            asyncio.get_running_loop().call_soon(self._go_on, b"")

    def pause(self) -> None:
        if not self.paused and self._pipe is not None and not self._over:
            self.paused = True
            if not self._pipe.is_closing():
                self._pipe.pause_reading()

    def resume(self) -> None:
        if self.paused and self._pipe is not None and not self._over:
            self.paused = False
            if not self._pipe.is_closing():
                self._pipe.resume_reading()

    def close(self) -> None:
        """End after what was written has left; ``connection_lost`` follows."""
        if self._over or self._closing or self._pipe is None:
            return
        if self._tls is not None and self._tls.secured:
            self._tls.say_goodbye()
            self._pipe.write(self._tls.outgoing())
        self._closing = True
        self._pipe.close()

    def abort(self) -> None:
        """End now; what was not sent is lost."""
        self._closing = True
        if self._pipe is not None:
            self._pipe.abort()

    @property
    def over(self) -> bool:
        return self._over

    @property
    def gone(self) -> bool:
        """Whether the peer has closed its side, also while nothing is read (asked of the kernel; TCP only)."""
        if self._over:
            return True
        if self._pipe is None or self._pipe.sock.family not in _INTERNET:
            return False
        try:
            (state,) = struct.unpack("B", self._pipe.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1))
        except OSError:
            return True
        return state in (_TCP_CLOSE, _TCP_CLOSE_WAIT)

    # Inside

    def _go_on(self, encrypted: bytes) -> None:
        tls, pipe = self._tls, self._pipe
        if self._over or self._closing or tls is None or pipe is None:
            return
        was_secured = tls.secured
        try:
            plain = tls.receive(encrypted)
        except PeerError as error:
            # The alert goes out first, so that the peer learns why.
            pipe.write(tls.outgoing())
            self._fail(error.sentence)
            return
        outgoing = tls.outgoing()
        if outgoing:
            pipe.write(outgoing)
        if tls.secured and not was_secured:
            self._owner.secured(self, tls.peer_certificate)
            for payload in self._take_waiting():
                self.send(payload)
        if plain and not self._closing:
            self._owner.received(self, plain)
        if tls.closed:
            self._tell_finished()

    def _take_waiting(self) -> list[bytes]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _tell_finished(self) -> None:
        if self._tls is not None and not self._tls.secured:
            self._fail("The other side left during the TLS handshake.")
        elif not self._finished and not self._over and not self._closing:
            self._finished = True
            self._owner.peer_finished(self)

    def _fail(self, sentence: str) -> None:
        if self._pipe is not None:
            self._pipe.close()
        self._closing = self._over = True
        self._owner.connection_lost(self, sentence)


def _address(name: Callable[[], tuple[object, ...]]) -> str:
    """This end's address of a TCP connection, or nothing when it is gone already."""
    try:
        return str(name()[0])
    except OSError:
        return ""


def _is_loopback(written: str) -> bool:
    """Whether an address is of the machine's own loopback."""
    if not written:
        return False
    address = ipaddress.ip_address(written.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _tune(sock: socket.socket) -> None:
    # A peer that is gone already has no options to set; its end is told by the pipe.
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _reason(error: Exception | None) -> str:
    if error is None:
        return ""
    return f"The connection broke: {error}."
