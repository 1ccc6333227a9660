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

from interlock.app.discovery import find_sinks
from interlock.app.sinking import Cursor, feed_sink
from interlock.domain.people import Vendor
from interlock.domain.rights_events import VendorAdded
from interlock.errors import Failure
from interlock.identity.authority import Authority
from interlock.policy.configuration import SinkSource
from interlock.ports.sink import OpenSink
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
async def feeding(state: PostgresState, sink: OpenSink, cursor: Cursor) -> AsyncIterator[None]:
    task = asyncio.create_task(feed_sink(state, SinkSource("s", "any", "any"), sink, cursor))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await sink.close()


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
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(files.certificate, files.key)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "keys" / "authority.pem"))
    for number, (theirs, ours) in enumerate(((None, None), (serving, trusting))):
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

    listener = socket.create_server(("127.0.0.1", 0))
    server = Quiet(uvicorn.Config(api, log_config=None, ws="none"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/services/collector"
    async with feeding(state, find_sinks()["http"].open(url, "token"), Cursor(tmp_path / "cursor.json")):
        await until(lambda: len(got) >= 3)
    server.should_exit = True
    await serving
    assert [one["event"]["metadata"]["sequence"] for one in got] == [1, 2, 3]
    assert {one["sourcetype"] for one in got} == {"ocsf"}


def test_every_kind_refuses_what_is_no_place_of_its_own() -> None:
    found = find_sinks()
    assert set(found) == {"jsonl", "syslog", "http"}
    for kind, to in (
        ("jsonl", "events.jsonl"),
        ("syslog", "udp://host:514"),
        ("syslog", "tls://"),
        ("http", "ftp://host"),
        ("http", "http://splunk.example/services/collector"),
    ):
        with pytest.raises(Failure, match=r"[.]"):
            found[kind].open(to, None)


def test_a_damaged_cursor_is_said(tmp_path: Path) -> None:
    (tmp_path / "cursor.json").write_text("{")
    with pytest.raises(Failure, match="how far its sink was told"):
        Cursor(tmp_path / "cursor.json").read()
