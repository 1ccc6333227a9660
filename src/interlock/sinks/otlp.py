"""OpenTelemetry: events as log records, by OTLP over HTTP in its JSON form (OTLP 1.10, section OTLP/HTTP).

The body of a record is the OCSF event; ``event_name`` is the kind of the ledger's entry. Bytes and 64-bit numbers are
written as the specification's JSON mapping says, numbers of 64 bits as text.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from interlock.errors import Failure
from interlock.sinks.http import Poster, check_address

_SEVERITIES = {1: (9, "INFO"), 2: (10, "INFO2"), 3: (13, "WARN"), 4: (17, "ERROR"), 5: (18, "ERROR2"), 6: (21, "FATAL")}
"""OCSF's severity_id to OpenTelemetry's severity number and text (logs data model, section Severity Fields)."""


class OtlpReceiver:
    """Implements :class:`interlock.ports.sink.OpenSink`."""

    def __init__(self, url: str, token: str | None) -> None:
        self._poster = Poster(url, {} if token is None else {"Authorization": f"Bearer {token}"})

    async def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        answer = await self._poster.post(json.dumps(request_of(events)).encode(), "application/json")
        rejected = _rejected(answer)
        if rejected:
            raise Failure(f"{self._poster.url} refuses events: {rejected}.", "Mend that receiver.")

    async def close(self) -> None:
        await self._poster.close()


def request_of(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An ExportLogsServiceRequest."""
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": [_attribute("service.name", "interlock")]},
                "scopeLogs": [{"scope": {"name": "interlock.ledger"}, "logRecords": [_record(e) for e in events]}],
            }
        ]
    }


def _record(event: Mapping[str, Any]) -> dict[str, Any]:
    number, text = _SEVERITIES.get(event.get("severity_id", 1), (9, "INFO"))
    at_ns = str(event["time"] * 1_000_000)
    return {
        "timeUnixNano": at_ns,
        "observedTimeUnixNano": at_ns,
        "severityNumber": number,
        "severityText": text,
        "eventName": event["metadata"]["event_code"],
        "attributes": [_attribute("interlock.sequence", event["metadata"]["sequence"])],
        "body": _value(event),
    }


def _attribute(key: str, value: object) -> dict[str, Any]:
    return {"key": key, "value": _value(value)}


def _value(value: object) -> dict[str, Any]:
    """An AnyValue."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case Mapping():
            return {"kvlistValue": {"values": [_attribute(str(key), item) for key, item in value.items()]}}
        case list() | tuple():
            return {"arrayValue": {"values": [_value(item) for item in value]}}
        case None:
            return {}
        case _:
            return {"stringValue": str(value)}


def _rejected(answer: bytes) -> str:
    """What a receiver says of records that it did not take; empty when it took them all."""
    try:
        partial = json.loads(answer or b"{}").get("partialSuccess") or {}
        count = int(partial.get("rejectedLogRecords") or 0)
    except (ValueError, AttributeError, TypeError):
        return ""
    return f"{count} of them ({str(partial.get('errorMessage') or 'no reason given')[:200]})" if count else ""


class Otlp:
    name = "otlp"
    here = False

    def open(self, to: str, secret: str | None) -> OtlpReceiver:
        check_address(to, "an OpenTelemetry receiver", "https://HOST:4318/v1/logs")
        return OtlpReceiver(to, secret)


SINK = Otlp()
