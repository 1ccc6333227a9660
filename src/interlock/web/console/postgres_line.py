"""A small client for PostgreSQL's simple queries, for the terminal in the browser.

It runs no program and reads no file. Protocol 3 ("Message Flow"): TLS, a password, then one query at a time. A
result is handed on as it comes.
"""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

from interlock.errors import Failure, Refusal

_TLS_REQUEST = struct.pack("!II", 8, 80877103)
_PROTOCOL = 196608
_LONGEST = 16 * 1024 * 1024
_MOST_OF_A_VALUE = 4096
"""Bytes of one value, or of what a server says, that are kept: more than a terminal shows of it."""
_OK, _CLEAR_TEXT = 0, 3


@dataclass(frozen=True, slots=True)
class Columns:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    values: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Done:
    tag: str


@dataclass(frozen=True, slots=True)
class Said:
    """An error or a notice, such as that a statement is held. ``level`` is PostgreSQL's word."""

    level: str
    sentence: str
    more: str = ""


Answer = Columns | Row | Done | Said


class PostgresLine:
    """One connection. Use as a context manager."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._key = b""
        self._busy = False
        self.status = "I"

    @classmethod
    async def open(
        cls, where: tuple[str, int], context: ssl.SSLContext, *, user: str, database: str, password: str
    ) -> "PostgresLine":
        """Raises Failure or Refusal with the server's sentence."""
        reader, writer = await asyncio.open_connection(*where)
        try:
            writer.write(_TLS_REQUEST)
            await _need_tls(reader)
            await writer.start_tls(context, server_hostname="localhost")
            line = cls(reader, writer)
            await line._sign_in(user, database, password)
        except BaseException:
            writer.close()
            raise
        return line

    async def query(self, text: str) -> AsyncIterator[Answer]:
        """The answers to a query, or several; ends when the server is ready for the next."""
        self._busy = True
        self._send(b"Q", text.encode() + b"\0")
        await self._writer.drain()
        while True:
            code, body = await self._message()
            if code == b"Z":
                self.status = body.decode()
                self._busy = False
                return
            if code == b"T":
                yield Columns(_column_names(body))
            elif code == b"D":
                yield Row(_values(body))
            elif code == b"C":
                yield Done(_text(body))
            elif code in (b"E", b"N"):
                yield _said(body)
            elif code == b"G":
                # A terminal has nothing to copy in.
                self._send(b"f", b"COPY FROM STDIN is not for a terminal in the browser\0")
                await self._writer.drain()
            elif code == b"d":
                yield Said("COPY", body[:_MOST_OF_A_VALUE].decode(errors="replace").rstrip("\n"))

    async def cancel(self, where: tuple[str, int], context: ssl.SSLContext) -> None:
        """Ask for what runs to be stopped, on a connection of its own."""
        reader, writer = await asyncio.open_connection(*where)
        try:
            writer.write(_TLS_REQUEST)
            if await reader.readexactly(1) == b"S":
                await writer.start_tls(context, server_hostname="localhost")
                writer.write(struct.pack("!II", 8 + len(self._key), 80877102) + self._key)
                await writer.drain()
        finally:
            writer.close()

    def close(self) -> None:
        """In the middle of an answer at once: a parting word would wait behind what nobody reads any more."""
        if self._busy:
            self._writer.transport.abort()
        elif not self._writer.is_closing():
            self._send(b"X", b"")
            self._writer.close()

    async def _sign_in(self, user: str, database: str, password: str) -> None:
        words = {"user": user, "database": database, "client_encoding": "UTF8", "application_name": "terminal"}
        body = struct.pack("!I", _PROTOCOL) + b"".join(f"{k}\0{v}\0".encode() for k, v in words.items()) + b"\0"
        self._writer.write(struct.pack("!I", len(body) + 4) + body)
        while True:
            code, body = await self._message()
            if code == b"R":
                (wanted,) = struct.unpack("!I", body[:4])
                if wanted == _CLEAR_TEXT:
                    self._send(b"p", password.encode() + b"\0")
                elif wanted != _OK:
                    raise Failure("The gateway asks for a sign-in that is not known here.", "Tell the operator.")
            elif code == b"K":
                self._key = body
            elif code == b"E":
                raise Refusal("refused", _said(body).sentence)
            elif code == b"Z":
                self.status = body.decode()
                return

    def _send(self, code: bytes, body: bytes) -> None:
        self._writer.write(code + struct.pack("!I", len(body) + 4) + body)

    async def _message(self) -> tuple[bytes, bytes]:
        head = await self._reader.readexactly(5)
        (size,) = struct.unpack("!I", head[1:])
        if not 4 <= size <= _LONGEST:
            raise Failure("A row is longer than this terminal shows.", "Use psql: interlock connect RESOURCE")
        return head[:1], await self._reader.readexactly(size - 4)


async def _need_tls(reader: asyncio.StreamReader) -> None:
    if await reader.readexactly(1) != b"S":
        raise Failure("The gateway does not speak TLS.", "Tell the operator: interlock doctor")


def _column_names(body: bytes) -> tuple[str, ...]:
    (count,) = struct.unpack("!H", body[:2])
    names, at = [], 2
    for _ in range(count):
        end = body.index(b"\0", at)
        names.append(body[at:end].decode(errors="replace"))
        at = end + 19
    return tuple(names)


def _values(body: bytes) -> tuple[str | None, ...]:
    (count,) = struct.unpack("!H", body[:2])
    values: list[str | None] = []
    at = 2
    for _ in range(count):
        (size,) = struct.unpack("!i", body[at : at + 4])
        at += 4
        values.append(None if size < 0 else body[at : at + min(size, _MOST_OF_A_VALUE)].decode(errors="replace"))
        at += max(size, 0)
    return tuple(values)


def _said(body: bytes) -> Said:
    fields = {part[:1]: part[1:_MOST_OF_A_VALUE].decode(errors="replace") for part in body.split(b"\0") if part}
    more = [fields[name] for name in (b"D", b"H") if name in fields]
    return Said(fields.get(b"S", "ERROR"), fields.get(b"M", "an error"), "\n".join(more))


def _text(body: bytes) -> str:
    return body.rstrip(b"\0").decode(errors="replace")
