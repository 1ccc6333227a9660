"""HTTP: events as Splunk's HTTP Event Collector takes them, a batch a request."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2

from interlock.errors import Failure

_WAIT_S = 10.0


class Poster:
    """Posts batches to one address."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url = url
        self._client = httpx2.AsyncClient(headers=dict(headers), timeout=_WAIT_S, trust_env=False)

    async def post(self, content: bytes, kind: str) -> bytes:
        """What was answered to a batch that was taken. Raises Failure."""
        try:
            answer = await self._client.post(self.url, content=content, headers={"Content-Type": kind})
        except (httpx2.HTTPError, OSError) as error:
            raise Failure(f"Events cannot be sent to {self.url}: {error}.", "Mend that server.") from error
        if not answer.is_success:
            raise Failure(f"{self.url} refuses events: {answer.status_code} {answer.text[:200]}", "Check its token.")
        return answer.content

    async def close(self) -> None:
        await self._client.aclose()


class EventCollector:
    """Implements :class:`interlock.ports.sink.OpenSink`."""

    def __init__(self, url: str, token: str | None) -> None:
        self._poster = Poster(url, {} if token is None else {"Authorization": f"Splunk {token}"})

    async def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        content = "\n".join(
            json.dumps({"time": event["time"] / 1000, "source": "interlock", "sourcetype": "ocsf", "event": event})
            for event in events
        )
        await self._poster.post(content.encode(), "application/json")

    async def close(self) -> None:
        await self._poster.close()


def check_address(to: str, what: str, right: str) -> None:
    """Raises Failure for what is no address of HTTP, or would go over a network in clear text."""
    parts = urlsplit(to)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise Failure(f"{to} is not the address of {what}.", f"Write to: {right}")
    if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise Failure(f"{to} would send events in clear text.", "Write https://.")


class Http:
    name = "http"
    here = False

    def open(self, to: str, secret: str | None) -> EventCollector:
        check_address(to, "an event collector", "https://HOST/services/collector")
        return EventCollector(to, secret)


SINK = Http()
