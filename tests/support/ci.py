"""A CI system's identity provider over HTTPS: discovery, keys that rotate, tokens about jobs as GitHub signs them."""

import asyncio
import json
import secrets
import ssl
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.jwk import RSAKey

from interlock.identity.authority import Authority
from interlock.identity.keys import load_or_create_key


@dataclass
class CiSystem:
    """``keys`` are published, the last of them signs; ``asked`` counts how often the keys were fetched."""

    issuer: str
    ca: Path
    keys: list[RSAKey] = field(default_factory=list)
    asked: int = 0
    describes_itself_as: str = ""

    def rotate(self) -> None:
        self.keys = [RSAKey.generate_key(2048, {"kid": secrets.token_hex(4)}, private=True)]

    def claims(self, audience: str, now: datetime, **changes: Any) -> dict[str, Any]:
        """What GitHub says of a job that runs on main of acme/orders."""
        said = {
            "iss": self.issuer,
            "aud": audience,
            "sub": "repo:acme/orders:ref:refs/heads/main",
            "repository": "acme/orders",
            "repository_id": "7301",
            "ref": "refs/heads/main",
            "event_name": "push",
            "ref_protected": True,
            "run_attempt": 1,
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()) - 5,
            "exp": int(now.timestamp()) + 300,
            "jti": secrets.token_hex(8),
            **changes,
        }
        return {name: value for name, value in said.items() if value is not None}

    def sign(self, claims: Mapping[str, Any], *, key: RSAKey | None = None, **header: Any) -> str:
        key = key or self.keys[-1]
        protected = {"alg": "RS256", "typ": "JWT", "kid": key.kid, **header}
        return jws.serialize_compact(protected, json.dumps(claims).encode(), key, algorithms=["RS256", "PS256"])

    def document(self, path: str) -> Mapping[str, Any] | None:
        if path == "/.well-known/openid-configuration":
            name = self.describes_itself_as or self.issuer
            return {"issuer": name, "jwks_uri": f"{self.issuer}/.well-known/jwks"}
        if path == "/.well-known/jwks":
            self.asked += 1
            return {"keys": [key.as_dict(private=False) for key in self.keys]}
        return None


@asynccontextmanager
async def running_ci(folder: Path) -> AsyncIterator[CiSystem]:
    authority = Authority.open(folder, datetime.now(UTC))
    key = load_or_create_key(folder / "ci.key")
    certificate = folder / "ci.pem"
    certificate.write_bytes(authority.issue_server(key.public_key(), ["localhost"], datetime.now(UTC)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, folder / "ci.key")
    system = CiSystem("", folder / "authority.pem")
    system.rotate()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        found = system.document(head.split(b" ")[1].decode())
        body = json.dumps(found or {}).encode()
        status = b"404 Not Found" if found is None else b"200 OK"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\n")
        writer.write(b"Connection: close\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    system.issuer = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield system


@contextmanager
def ci_in_a_thread(folder: Path) -> Iterator[CiSystem]:
    """The same, for tests that are not asynchronous."""
    folder.mkdir(exist_ok=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running = running_ci(folder)
    try:
        yield asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(30)
    finally:
        asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
