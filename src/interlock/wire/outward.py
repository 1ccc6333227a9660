"""Calls to addresses that the configuration names, and to nothing else that only this machine can reach.

Who writes an address into the policy makes us call it. So, unless the policy says that the place lies inside
(``inside: true``): https only, the name is resolved here, every address that it has must be a public one, and the
connection goes to that very address, so that a second answer of the name server changes nothing. Never is a redirect
followed, or whoever answers would choose who is told; no proxy and no credential of ours is used; TLS is verified for
the name; what is read of an answer is bounded.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

from interlock.domain.addresses import Address, is_public
from interlock.errors import Failure

_WAIT_S = 10.0
_READ_BYTES = 64 * 1024
_LONGEST_WAIT_S = 3600.0
_MOST_DIGITS = 8
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})
Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Answered:
    """``content`` is the answer's beginning, at most 64 KiB."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def wait_s(self) -> float:
        """How long the other side asks to be left alone (``Retry-After`` of a 429 or 503, RFC 9110 section 10.2.3).

        Only seconds are read, and an hour is the most.
        """
        said = self.headers.get("retry-after", "").strip()
        if self.status not in (429, 503):
            return 0.0
        if said.isascii() and said.isdigit() and len(said) < _MOST_DIGITS:
            return min(float(said), _LONGEST_WAIT_S)
        return 0.0


def check_address(url: str, what: str, *, inside: bool) -> str:
    """The host of ``url``. Raises Failure, which does not repeat the address: it may be a secret."""
    right = "Write https://HOST/…"
    try:
        parts = urlsplit(url)
        _ = parts.port
        httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL) as error:
        raise Failure(f"{what} has no address of HTTPS.", right) from error
    if parts.scheme not in {"https", "http"} or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise Failure(f"{what} has no address of HTTPS.", right)
    if parts.scheme == "http" and not (inside and parts.hostname in _HERE):
        raise Failure(
            f"{what} at {parts.hostname} would be told in clear text.",
            "Write https://; http:// goes to this machine alone, with inside: true.",
        )
    return parts.hostname


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted({str(item[4][0]) for item in found})


class Outward:
    """Posts. ``what`` is how people call the other side; ``inside``: the policy lets it stand in our own network."""

    def __init__(self, what: str, *, inside: bool, resolves: Resolve = _resolve) -> None:
        self._what = what
        self._inside = inside
        self._resolves = resolves
        self._client = httpx2.AsyncClient(timeout=_WAIT_S, trust_env=False, follow_redirects=False)

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answered:
        """Raises Failure when there is no answer, or the address is none that may be called."""
        host = check_address(url, self._what, inside=self._inside)
        try:
            async with asyncio.timeout(_WAIT_S):
                if self._inside:
                    return await self._post(url, content, {**headers}, {})
                return await self._pinned(url, host, content, headers)
        except (httpx2.HTTPError, OSError, TimeoutError) as error:
            raise Failure(f"{self._what} at {host} does not answer.", "Look whether it is up.") from error

    async def close(self) -> None:
        await self._client.aclose()

    async def _pinned(self, url: str, host: str, content: bytes, headers: Mapping[str, str]) -> Answered:
        parts = urlsplit(url)
        port = parts.port or 443
        try:
            addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in await self._resolves(host, port)]
        except (ValueError, UnicodeError) as error:
            raise Failure(f"{self._what} at {host} has no address.", "Look whether its name is right.") from error
        if not addresses or not all(is_public(address) for address in addresses):
            raise Failure(
                f"{self._what} at {host} does not lie on the public internet, and is not called.",
                "If it stands in your own network, say so in its entry: inside: true",
            )
        name = f"[{host}]" if ":" in host else host
        target = f"https://{_shown(addresses[0])}:{port}{parts.path or '/'}" + (
            f"?{parts.query}" if parts.query else ""
        )
        host_header = {"Host": name if port == 443 else f"{name}:{port}"}
        return await self._post(target, content, {**headers, **host_header}, {"sni_hostname": host})

    async def _post(self, url: str, content: bytes, headers: Mapping[str, str], extensions: dict[str, str]) -> Answered:
        async with self._client.stream(
            "POST", url, content=content, headers={**headers}, extensions=extensions
        ) as response:
            read = b""
            async for chunk in response.aiter_bytes():
                read += chunk
                if len(read) >= _READ_BYTES:
                    break
            return Answered(
                response.status_code, {k.lower(): v for k, v in response.headers.items()}, read[:_READ_BYTES]
            )


def _shown(address: Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)
