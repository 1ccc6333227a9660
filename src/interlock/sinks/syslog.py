"""Syslog: RFC 5424 messages over TCP with octet counting (RFC 6587 section 3.4.1), or TLS (RFC 5425)."""

import asyncio
import fcntl
import json
import os
import socket
import ssl
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from interlock.errors import Failure

_AUDIT_FACILITY = 13
"""RFC 5424 section 6.2.1: log audit."""

_SEVERITIES = {1: 6, 2: 5, 3: 4, 4: 3, 5: 2, 6: 1}
"""OCSF's severity_id to RFC 5424's severity."""

_WAIT_S = 10.0
_LOOK_S = 0.005


def message(event: Mapping[str, Any], host: str) -> bytes:
    """One RFC 5424 message; its MSG is the event as JSON, in UTF-8 with the byte order mark of section 6.4."""
    priority = _AUDIT_FACILITY * 8 + _SEVERITIES.get(event.get("severity_id", 1), 6)
    at = datetime.fromtimestamp(event["time"] / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    code = event["metadata"]["event_code"][:32]
    head = f"<{priority}>1 {at} {host} interlock {os.getpid()} {code} - ".encode("ascii", "replace")
    return head + b"\xef\xbb\xbf" + json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


class SyslogConnection:
    """Implements :class:`interlock.ports.sink.OpenSink`.

    A batch counts as told when the other side's kernel has acknowledged all of it; TCP does not say more. So what was
    told last goes out again on a new connection: the server may have died with it.
    """

    def __init__(self, host: str, port: int, trust: ssl.SSLContext | None) -> None:
        self._host, self._port, self._trust = host, port, trust
        self._socket: socket.socket | None = None
        self._last = b""
        self._name = (socket.gethostname() or "-").replace(" ", "-")[:255]

    async def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        messages = [message(event, self._name) for event in events]
        content = b"".join(b"%d %b" % (len(one), one) for one in messages)
        try:
            await asyncio.to_thread(self._send, content)
        except OSError as error:
            await self.close()
            why = str(error) or "it does not take them"
            raise Failure(
                f"Events cannot be sent to syslog at {self._host}:{self._port}: {why}.", "Mend that server."
            ) from error
        except asyncio.CancelledError:
            await self.close()
            raise

    async def close(self) -> None:
        held, self._socket = self._socket, None
        if held is not None:
            with suppress(OSError):
                # a thread that still writes is not to go on
                held.shutdown(socket.SHUT_RDWR)
            held.close()

    def _send(self, batch: bytes) -> None:
        until, content = time.monotonic() + _WAIT_S, batch
        if self._socket is None or _ended(self._socket):
            self._socket = self._connect()
            content = self._last + batch
        self._socket.settimeout(max(0.01, until - time.monotonic()))
        self._socket.sendall(content)
        while _unacknowledged(self._socket):
            if time.monotonic() > until:
                raise TimeoutError("it does not take them")
            time.sleep(_LOOK_S)
        self._last = batch

    def _connect(self) -> socket.socket:
        plain = socket.create_connection((self._host, self._port), timeout=_WAIT_S)
        if self._trust is None:
            return plain
        try:
            return self._trust.wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise


def _ended(connected: socket.socket) -> bool:
    """Whether the server has closed its side: what is written then would be lost."""
    connected.settimeout(0)
    try:
        return not connected.recv(4096)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


def _unacknowledged(connected: socket.socket) -> int:
    """Bytes that the kernel has and the other side's has not acknowledged (tcp(7), SIOCOUTQ)."""
    (count,) = struct.unpack("i", fcntl.ioctl(connected, termios.TIOCOUTQ, struct.pack("i", 0)))
    return int(count)


class Syslog:
    name = "syslog"
    here = False

    def open(self, to: str, secret: str | None) -> SyslogConnection:
        parts = urlsplit(to)
        if parts.scheme not in {"tcp", "tls"} or not parts.hostname:
            raise Failure(f"{to} is not where syslog listens.", "Write to: tls://HOST:6514 or tcp://HOST:601")
        tls = parts.scheme == "tls"
        trust = ssl.create_default_context() if tls else None
        return SyslogConnection(parts.hostname, parts.port or (6514 if tls else 601), trust)


SINK = Syslog()
