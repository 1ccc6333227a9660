"""HTTP: events as Splunk's HTTP Event Collector takes them, a batch a request."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2

from interlock.errors import Failure

_WAIT_S = 10.0


class EventCollector:
    """Implements :class:`interlock.ports.sink.OpenSink`."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        headers = {} if token is None else {"Authorization": f"Splunk {token}"}
        self._client = httpx2.AsyncClient(headers=headers, timeout=_WAIT_S, trust_env=False)

    async def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        content = "\n".join(
            json.dumps({"time": event["time"] / 1000, "source": "interlock", "sourcetype": "ocsf", "event": event})
            for event in events
        )
        try:
            answer = await self._client.post(self._url, content=content.encode())
        except (httpx2.HTTPError, OSError) as error:
            raise Failure(f"Events cannot be sent to {self._url}: {error}.", "Mend that server.") from error
        if answer.is_error:
            raise Failure(f"{self._url} refuses events: {answer.status_code} {answer.text[:200]}", "Check its token.")

    async def close(self) -> None:
        await self._client.aclose()


class Http:
    name = "http"

    def open(self, to: str, secret: str | None) -> EventCollector:
        parts = urlsplit(to)
        if parts.scheme not in {"https", "http"} or not parts.hostname:
            raise Failure(
                f"{to} is not the address of an event collector.", "Write to: https://HOST/services/collector"
            )
        if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
            raise Failure(f"{to} would send events in clear text.", "Write https://.")
        return EventCollector(to, secret)


SINK = Http()
