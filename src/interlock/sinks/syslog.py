"""Syslog: RFC 5424 messages over TCP with octet counting (RFC 6587 section 3.4.1), or TLS (RFC 5425)."""

import asyncio
import json
import os
import socket
import ssl
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


def message(event: Mapping[str, Any], host: str) -> bytes:
    """One RFC 5424 message; its MSG is the event as JSON, in UTF-8 with the byte order mark of section 6.4."""
    priority = _AUDIT_FACILITY * 8 + _SEVERITIES.get(event.get("severity_id", 1), 6)
    at = datetime.fromtimestamp(event["time"] / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    code = event["metadata"]["event_code"][:32]
    head = f"<{priority}>1 {at} {host} interlock {os.getpid()} {code} - ".encode("ascii", "replace")
    return head + b"\xef\xbb\xbf" + json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


class SyslogConnection:
    """Implements :class:`interlock.ports.sink.OpenSink`. TCP says when bytes left, not when they were stored: a server
    that dies may lose the last ones."""

    def __init__(self, host: str, port: int, trust: ssl.SSLContext | None) -> None:
        self._host, self._port, self._trust = host, port, trust
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None
        self._name = (socket.gethostname() or "-").replace(" ", "-")[:255]

    async def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        try:
            async with asyncio.timeout(_WAIT_S):
                writer = await self._connected()
                for event in events:
                    content = message(event, self._name)
                    writer.write(b"%d %b" % (len(content), content))
                await writer.drain()
        except (OSError, TimeoutError) as error:
            await self.close()
            why = str(error) or "it does not take them"
            raise Failure(
                f"Events cannot be sent to syslog at {self._host}:{self._port}: {why}.", "Mend that server."
            ) from error

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    async def _connected(self) -> asyncio.StreamWriter:
        # a server that closed its side is noticed by its end of file: what is written then would be lost
        if self._writer is not None and self._reader is not None and self._reader.at_eof():
            await self.close()
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port, ssl=self._trust)
        return self._writer


class Syslog:
    name = "syslog"

    def open(self, to: str, secret: str | None) -> SyslogConnection:
        parts = urlsplit(to)
        if parts.scheme not in {"tcp", "tls"} or not parts.hostname:
            raise Failure(f"{to} is not where syslog listens.", "Write to: tls://HOST:6514 or tcp://HOST:601")
        tls = parts.scheme == "tls"
        trust = ssl.create_default_context() if tls else None
        return SyslogConnection(parts.hostname, parts.port or (6514 if tls else 601), trust)


SINK = Syslog()
