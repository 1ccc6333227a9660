"""Fetches a public https document that a stranger named, and nothing that only this machine can reach.

A stranger who names an address makes us call it (server-side request forgery). So: https only; the name is resolved
once, here, and every address that it has must be a public one; the connection goes to that very address, so that a
second answer of the name server changes nothing; no redirect is followed; size and time are bounded, and so is how many
run at once: in all, for whoever asks from one network, and towards one host; no proxy and no credential of ours is
used. TLS is verified for the name as always.
"""

import asyncio
import ipaddress
import json
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from interlock.domain.addresses import Address, is_public
from interlock.errors import Refusal

LIMIT_BYTES = 16 * 1024
TIMEOUT_S = 5.0
AT_ONCE, AT_ONCE_TO_HOST, AT_ONCE_FOR_ASKER = 64, 16, 4
"""An asker has fewer than a host takes: nobody alone keeps others from a client that they share."""
Resolve = Callable[[str, int], Awaitable[list[str]]]


async def resolve(host: str, port: int) -> list[str]:
    """Every address of a name, as this machine's resolver says."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted({str(item[4][0]) for item in found})


@dataclass(frozen=True, slots=True)
class PublicFetch:
    """``resolves`` and ``trust`` are the machine's own; ``allows`` says which addresses may be called."""

    resolves: Resolve = resolve
    allows: Callable[[Address], bool] = is_public
    trust: ssl.SSLContext | None = None
    _running: Counter[str] = field(default_factory=Counter)

    async def fetch_json(self, url: str, asker: str) -> Mapping[str, Any]:
        """The JSON object at ``url``, for whoever asks from the network ``asker``. Raises Refusal (``unfetchable``),
        which says no more than it must."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or 443
        except ValueError as error:
            raise _unfetchable("it is no plain https address") from error
        if parts.scheme != "https" or not host or "@" in parts.netloc or parts.fragment:
            raise _unfetchable("it is no plain https address")
        with self._one_of_few(
            {f"asker {asker}": AT_ONCE_FOR_ASKER, f"host {host.rstrip('.').lower()}": AT_ONCE_TO_HOST}
        ):
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    return await self._get(await self._address(host, port), host, port, parts.path or "/", parts.query)
            except (httpx2.HTTPError, OSError, TimeoutError) as error:
                raise _unfetchable("it did not answer as it must") from error

    @contextmanager
    def _one_of_few(self, bounds: Mapping[str, int]) -> Iterator[None]:
        bounds = {"": AT_ONCE, **bounds}
        if any(self._running[name] >= most for name, most in bounds.items()):
            raise Refusal("unfetchable", "Too many addresses are being asked at this moment.", "Try again in a moment.")
        self._running.update(bounds.keys())
        try:
            yield
        finally:
            self._running.subtract(bounds.keys())
            for name in bounds:
                if not self._running[name]:
                    del self._running[name]

    async def _address(self, host: str, port: int) -> Address:
        try:
            addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in await self.resolves(host, port)]
        except (OSError, ValueError, UnicodeError) as error:
            raise _unfetchable("its name cannot be resolved") from error
        if not addresses or not all(self.allows(address) for address in addresses):
            raise _unfetchable("it does not lie on the public internet")
        return addresses[0]

    async def _get(self, address: Address, host: str, port: int, path: str, query: str) -> Mapping[str, Any]:
        shown = f"[{address}]" if address.version == 6 else str(address)
        target = f"https://{shown}:{port}{path}" + (f"?{query}" if query else "")
        name = f"[{host}]" if ":" in host else host
        headers = {"Host": name if port == 443 else f"{name}:{port}", "Accept": "application/json"}
        async with (
            httpx2.AsyncClient(verify=self.trust or True, trust_env=False, follow_redirects=False) as http,
            http.stream("GET", target, headers=headers, extensions={"sni_hostname": host}) as response,
        ):
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if response.status_code != 200 or not (kind == "application/json" or kind.endswith("+json")):
                raise _unfetchable("it is not answered with a JSON document")
            content = b""
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > LIMIT_BYTES:
                    raise _unfetchable(f"the document has more than {LIMIT_BYTES // 1024} KiB")
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise _unfetchable("the document is not JSON") from error
        if not isinstance(document, Mapping):
            raise _unfetchable("the document is no JSON object")
        return document


def _unfetchable(why: str) -> Refusal:
    return Refusal("unfetchable", f"The address that was named cannot be used: {why}.", "Name a public https address.")
