"""A WebSocket that a test reads and writes line by line, on a loop of its own that runs while the test waits for it.

Not the library's client with threads: over TLS its two threads write and read one SSL object at once, which OpenSSL
allows nobody and Python 3.11 does not prevent (from 3.13 on it does), so that once in a thousand openings one waits for
ever for what came.
"""

import asyncio
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

_OPEN_S = 20.0


class Socket:
    """Open as long as its block. Entering raises what websockets raises: InvalidStatus for a refusal."""

    def __init__(self, address: str, trust: ssl.SSLContext, *, origin: str, headers: Mapping[str, str]) -> None:
        self._address = address
        self._trust = trust
        self._origin = Origin(origin)
        self._headers = headers

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        try:
            self._connection = self._runner.run(self._open())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._runner.run(self._connection.close())
        finally:
            self._runner.close()

    async def _open(self) -> ClientConnection:
        return await connect(
            self._address,
            ssl=self._trust,
            origin=self._origin,
            additional_headers=self._headers,
            proxy=None,
            compression=None,
            open_timeout=_OPEN_S,
        )

    def send(self, said: str | bytes) -> None:
        """Raises ConnectionClosed."""
        self._runner.run(self._connection.send(said))

    def recv(self, timeout: float) -> str | bytes:
        """Raises ConnectionClosed, and TimeoutError after ``timeout`` seconds."""
        return self._runner.run(self._recv(timeout))

    async def _recv(self, timeout_s: float) -> str | bytes:
        async with asyncio.timeout(timeout_s):
            return await self._connection.recv()
