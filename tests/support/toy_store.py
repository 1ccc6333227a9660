"""A tiny key-value server, real enough to be killed, to be slow and to say much. What the toy protocol leads to.

One line, one answer: ``get k``, ``set k v`` (``k*``: all that begin so), ``drop k``, ``match k``, ``begin``,
``commit``, ``rollback``, ``dump N`` (N bytes), ``wait MS``; ``name X`` names the connection and is not answered;
``stop X`` on another connection ends the wait of X.
"""

import asyncio
import ssl
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Visit:
    """One connection: its lines with the time of each, whether it was closed, and what it waits for."""

    lines: list[tuple[float, str]] = field(default_factory=list)
    name: str = ""
    closed: bool = False
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    before: dict[str, str] | None = None


class ToyStore:
    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.values: dict[str, str] = {}
        self.visits: list[Visit] = []
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._tls = tls
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "ToyStore":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    def hang_up(self) -> None:
        """Close every connection."""
        for writer in self._writers:
            writer.transport.abort()

    @property
    def lines(self) -> list[str]:
        """Every line of every connection that was meant for the values, in order of arrival."""
        said = sorted((at, line) for visit in self.visits for at, line in visit.lines)
        return [line for _, line in said if not line.startswith(("name", "stop"))]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit()
        self.visits.append(visit)
        self._writers.append(writer)
        try:
            while line := (await reader.readline()).decode().strip():
                visit.lines.append((time.monotonic(), line))
                await self._answer(visit, line, reader, writer)
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            visit.closed = True
            writer.close()

    async def _answer(
        self, visit: Visit, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        match line.split():
            case ["name", name]:
                visit.name = name
            case ["stop", name]:
                for other in self.visits:
                    if other.name == name:
                        other.stopped.set()
            case ["dump", size]:
                await _dump(writer, int(size))
            case ["wait", milliseconds]:
                writer.write(await _wait(visit, reader, int(milliseconds)))
            case words:
                writer.write(f"+{self._change(visit, words)}\n".encode())
                await writer.drain()

    def _change(self, visit: Visit, words: list[str]) -> str:
        match words:
            case ["get", key]:
                return self.values.get(key, "(nothing)")
            case ["set", key, value]:
                keys = self._matching(key) if key.endswith("*") else [key]
                self.values.update(dict.fromkeys(keys, value))
                return f"set {len(keys)}"
            case ["drop", key]:
                keys = self._matching(key)
                for one in keys:
                    del self.values[one]
                return f"dropped {len(keys)}"
            case ["match", key]:
                return f"matched {len(self._matching(key))} {len(self.values)}"
            case ["begin"]:
                visit.before = dict(self.values)
            case ["rollback"] if visit.before is not None:
                self.values = visit.before
        return words[0]

    def _matching(self, key: str) -> list[str]:
        if key.endswith("*"):
            return [one for one in self.values if one.startswith(key[:-1])]
        return [key] if key in self.values else []


async def _dump(writer: asyncio.StreamWriter, size: int) -> None:
    writer.write(f"={size}\n".encode())
    while size > 0:
        part = min(size, 65536)
        writer.write(b"x" * part)
        size -= part
        await writer.drain()


async def _wait(visit: Visit, reader: asyncio.StreamReader, milliseconds: int) -> bytes:
    stopped = asyncio.ensure_future(visit.stopped.wait())
    left = asyncio.ensure_future(_left(reader))
    done, pending = await asyncio.wait({stopped, left}, timeout=milliseconds / 1000, return_when="FIRST_COMPLETED")
    for one in pending:
        one.cancel()
    if left in done:
        raise ConnectionResetError
    visit.stopped.clear()
    return b"+stopped\n" if stopped in done else b"+waited\n"


async def _left(reader: asyncio.StreamReader) -> None:
    while not reader.at_eof():  # noqa: ASYNC110 -- the stream has no event for it
        await asyncio.sleep(0.01)
