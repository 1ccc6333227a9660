"""A https server of somebody else's, ``client.example``, on loopback, and a fetch for which that is the world."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from interlock.domain.addresses import Address
from interlock.identity.authority import Authority
from interlock.identity.keys import load_or_create_key
from interlock.identity.public_fetch import PublicFetch

HOST = "client.example"
_LOOPBACK = ipaddress.ip_address("127.0.0.1")


@asynccontextmanager
async def site(folder: Path, answer: Callable[[], bytes]) -> AsyncIterator[tuple[PublicFetch, int, list[bytes]]]:
    """The fetch, the port, and the heads of the calls that came. ``answer`` is what each is answered with."""
    authority = Authority.open(folder, datetime.now(UTC))
    key = load_or_create_key(folder / "site.key")
    certificate = folder / "site.pem"
    certificate.write_bytes(authority.issue_server(key.public_key(), [HOST], datetime.now(UTC)))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, folder / "site.key")
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)

    async def resolves(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    def allows(address: Address) -> bool:
        return address == _LOOPBACK

    trust = ssl.create_default_context(cadata=authority.pem)
    async with server:
        yield PublicFetch(resolves, allows, trust), server.sockets[0].getsockname()[1], asked


def response(content: bytes, status: str = "200 OK", kind: str = "application/json", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n{more}\r\n"
    return head.encode() + content
