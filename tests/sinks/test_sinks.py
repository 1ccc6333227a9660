"""The sinks against real servers: files, sockets, TLS, HTTP; cursors that survive, servers that come and go."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from interlock.app.discovery import find_sinks
from interlock.app.sinking import Cursor, feed_sink
from interlock.domain.people import Vendor
from interlock.domain.rights_events import VendorAdded
from interlock.domain.sensitivity import Sensitivity
from interlock.errors import Failure
from interlock.identity.authority import Authority
from interlock.ledger.entries import read_body
from interlock.ledger.ocsf import as_ocsf
from interlock.policy.configuration import SinkSource
from interlock.ports.sink import OpenSink
from interlock.services.outflow import Outflow
from interlock.sinks.jsonl import SINK as JSONL
from interlock.sinks.syslog import SyslogConnection
from interlock.store.state import PostgresState
from tests.store.test_sequencer import append, until


class Quiet(uvicorn.Server):
    """Uvicorn that leaves the test's signals alone."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def feeding(
    state: PostgresState, sink: OpenSink, cursor: Cursor, outflow: Outflow | None = None
) -> AsyncIterator[None]:
    source = SinkSource("s", "any", "any", enforced=outflow is not None)
    task = asyncio.create_task(feed_sink(state, source, sink, cursor, outflow))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await sink.close()


@asynccontextmanager
async def serving(api: FastAPI) -> AsyncIterator[str]:
    """The address of ``api``, served over HTTP."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Quiet(uvicorn.Config(api, log_config=None, ws="none"))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


def _reached(file: Path, sequence: int) -> bool:
    return file.exists() and f'"sequence":{sequence},' in file.read_text()


def _holds(content: bytearray, count: int) -> bool:
    return content.count(b" vendor.added - ") >= count


def sequences(text: str) -> list[int]:
    return [json.loads(line)["metadata"]["sequence"] for line in text.splitlines()]


async def test_a_file_gets_every_entry_over_restarts(state: PostgresState, tmp_path: Path) -> None:
    file, cursor = tmp_path / "events.jsonl", Cursor(tmp_path / "cursor.json")
    for turn in range(3):
        await append(state, 400, f"before{turn}-")
        async with feeding(state, JSONL.open(str(file), None), cursor):
            await append(state, 5, f"within{turn}-")
            await until(partial(_reached, file, 405 * (turn + 1)))
    # at least once: what was sent in the moment of the stop may come again
    assert list(dict.fromkeys(sequences(file.read_text()))) == list(range(1, 1216))


async def test_a_sink_that_is_down_misses_nothing_and_stops_nobody(state: PostgresState, tmp_path: Path) -> None:
    file, cursor = tmp_path / "folder" / "events.jsonl", Cursor(tmp_path / "cursor.json")
    async with feeding(state, JSONL.open(str(file), None), cursor):
        await append(state, 3)
        async with state.changing("system") as work:
            await work.save(Vendor("more"))
            work.record(VendorAdded(vendor="more"))
        file.parent.mkdir()
        await until(lambda: file.exists() and file.read_text().count("\n") >= 4)
    assert sequences(file.read_text()) == [1, 2, 3, 4]


async def test_syslog_by_octet_counting_over_tls_and_tcp(state: PostgresState, tmp_path: Path) -> None:
    await append(state, 3)
    authority = Authority.open(tmp_path / "keys", datetime.now(UTC))
    files = authority.ensure_server(tmp_path / "keys", ["localhost"], datetime.now(UTC))
    ours_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours_tls.load_cert_chain(files.certificate, files.key)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "keys" / "authority.pem"))
    for number, (theirs, ours) in enumerate(((None, None), (ours_tls, trusting))):
        got = bytearray()

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, got: bytearray = got) -> None:
            while part := await reader.read(4096):
                got.extend(part)
            writer.close()

        server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=theirs)
        sink = SyslogConnection("localhost", server.sockets[0].getsockname()[1], ours)
        async with server, feeding(state, sink, Cursor(tmp_path / f"cursor{number}.json")):
            await until(partial(_holds, got, 3))
        rest, seen = bytes(got), []
        while rest:
            count, _, rest = rest.partition(b" ")
            one, rest = rest[: int(count)], rest[int(count) :]
            assert one.startswith(b"<110>1 20")
            seen.append(json.loads(one.partition(b"\xef\xbb\xbf")[2])["metadata"]["sequence"])
        assert seen == [1, 2, 3]


async def test_an_event_collector_that_refuses_at_first(state: PostgresState, tmp_path: Path) -> None:
    await append(state, 3)
    got: list[Mapping[str, Any]] = []
    api = FastAPI()
    asked = 0

    @api.post("/services/collector")
    async def collect(request: Request) -> Response:
        nonlocal asked
        asked += 1
        if request.headers.get("authorization") != "Splunk token" or asked == 1:
            return Response("{}", 503)
        got.extend(json.loads(line) for line in (await request.body()).splitlines())
        return Response("{}")

    async with serving(api) as address:
        sink = find_sinks()["http"].open(f"{address}/services/collector", "token")
        async with feeding(state, sink, Cursor(tmp_path / "cursor.json")):
            await until(lambda: len(got) >= 3)
    assert [one["event"]["metadata"]["sequence"] for one in got] == [1, 2, 3]
    assert {one["sourcetype"] for one in got} == {"ocsf"}


class Receiver:
    """A receiver of OpenTelemetry logs, which reads what it gets as the published definition says."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.resources: set[str] = set()
        self.tokens: set[str | None] = set()
        self.rejecting = 0
        self.down = False
        self.api = FastAPI()
        self.api.post("/v1/logs")(self.take)

    async def take(self, request: Request) -> Response:
        if self.down:
            return Response("", 503)
        exported = Parse(await request.body(), ExportLogsServiceRequest())
        self.tokens.add(request.headers.get("authorization"))
        if self.rejecting:
            self.rejecting -= 1
            partial = {"rejectedLogRecords": "2", "errorMessage": "too large"}
            return Response(json.dumps({"partialSuccess": partial}), media_type="application/json")
        for resource in exported.resource_logs:
            self.resources |= {attribute.value.string_value for attribute in resource.resource.attributes}
            for scope in resource.scope_logs:
                self.records.extend(scope.log_records)
        return Response("{}", media_type="application/json")

    def sequences(self) -> list[int]:
        return [plain_value(record.body)["metadata"]["sequence"] for record in self.records]


def plain_value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case "kvlist_value":
            return {one.key: plain_value(one.value) for one in value.kvlist_value.values}
        case "array_value":
            return [plain_value(one) for one in value.array_value.values]
        case None:
            return None
        case name:
            return getattr(value, name)


async def test_opentelemetry_logs_are_ocsf_events_with_their_kind(state: PostgresState, tmp_path: Path) -> None:
    await append(state, 3)
    receiver = Receiver()
    receiver.rejecting = 1
    async with serving(receiver.api) as address:
        sink = find_sinks()["otlp"].open(f"{address}/v1/logs", "token")
        async with feeding(state, sink, Cursor(tmp_path / "cursor.json")):
            await until(lambda: len(receiver.records) >= 3)
    assert receiver.sequences() == [1, 2, 3]
    assert receiver.tokens == {"Bearer token"}
    assert receiver.resources == {"interlock"}
    async with state.reading() as reading:
        (entry,) = await reading.ledger(after=0, limit=1)
    wanted = as_ocsf(read_body(entry.body), Sensitivity.SENSITIVE)
    record = receiver.records[0]
    assert plain_value(record.body) == json.loads(json.dumps(wanted))
    assert record.event_name == "vendor.added"
    assert record.time_unix_nano == wanted["time"] * 1_000_000
    assert (record.severity_number, record.severity_text) == (9, "INFO")


async def test_opentelemetry_gets_all_of_it_over_restarts(state: PostgresState, tmp_path: Path) -> None:
    receiver, cursor = Receiver(), Cursor(tmp_path / "cursor.json")
    async with serving(receiver.api) as address:
        for turn in range(3):
            await append(state, 300, f"before{turn}-")
            sink = find_sinks()["otlp"].open(f"{address}/v1/logs", None)
            async with feeding(state, sink, cursor):
                await append(state, 5, f"within{turn}-")
                await until(partial(_got, receiver, 305 * (turn + 1)))
    assert list(dict.fromkeys(receiver.sequences())) == list(range(1, 916))


def _got(receiver: Receiver, sequence: int) -> bool:
    return sequence in receiver.sequences()


async def test_an_enforced_sink_that_is_down_stops_and_one_that_is_back_does_not(
    state: PostgresState, tmp_path: Path
) -> None:
    await append(state, 2)
    receiver, outflow = Receiver(), Outflow(["s"])
    assert outflow.why_stopped == "the sink s cannot be told what happens, and must be"
    async with serving(receiver.api) as address:
        sink = find_sinks()["otlp"].open(f"{address}/v1/logs", None)
        async with feeding(state, sink, Cursor(tmp_path / "cursor.json"), outflow):
            await until(lambda: not outflow.why_stopped)
            receiver.down = True
            await append(state, 1, "unheard")
            await until(lambda: bool(outflow.why_stopped))
            receiver.down = False
            await until(lambda: not outflow.why_stopped)
    assert receiver.sequences()[-1] == 3


async def test_an_enforced_sink_that_is_down_at_the_start_lets_nothing_begin(
    state: PostgresState, tmp_path: Path
) -> None:
    await append(state, 1)
    file, outflow = tmp_path / "folder" / "events.jsonl", Outflow(["s"])
    async with feeding(state, JSONL.open(str(file), None), Cursor(tmp_path / "cursor.json"), outflow):
        await asyncio.sleep(0.3)
        assert outflow.why_stopped
        file.parent.mkdir()
        await until(lambda: not outflow.why_stopped)


def test_every_kind_refuses_what_is_no_place_of_its_own() -> None:
    found = find_sinks()
    assert set(found) == {"jsonl", "syslog", "http", "otlp"}
    for kind, to in (
        ("jsonl", "events.jsonl"),
        ("syslog", "udp://host:514"),
        ("syslog", "tls://"),
        ("http", "ftp://host"),
        ("otlp", "grpc://collector:4317"),
        ("otlp", "http://collector.example:4318/v1/logs"),
        ("http", "http://splunk.example/services/collector"),
    ):
        with pytest.raises(Failure, match=r"[.]"):
            found[kind].open(to, None)


def test_a_damaged_cursor_is_said(tmp_path: Path) -> None:
    (tmp_path / "cursor.json").write_text("{")
    with pytest.raises(Failure, match="how far its sink was told"):
        Cursor(tmp_path / "cursor.json").read()
