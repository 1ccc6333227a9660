"""A store that has no room, and one over HTTP that answers late, twice, or with an error after it has stored."""

import asyncio
import hashlib
import os
import resource
import signal
from pathlib import Path

import pytest
from fastapi import FastAPI, Request, Response

from interlock.ledger.audit import Sound
from interlock.ledger.tiles import CHECKPOINT
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from interlock.store.tiles import ObjectTiles
from interlock.wire.objects import Place
from tests.sinks.test_sinks import serving
from tests.store.test_sequencer import append, published, sequencer_command, sequencing, until_size, verdict

_ROOM_BYTES = 16_384


async def test_without_room_nothing_is_torn_and_with_room_it_goes_on(
    state: PostgresState, state_database: StateAddress, tmp_path: Path
) -> None:
    tiles = ObjectTiles(str(tmp_path / "log"), create=True)
    process = await asyncio.create_subprocess_exec(
        *sequencer_command(state_database.url, tiles),
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=_little_room,
    )
    try:
        await append(state, 10)
        before = await until_size(tiles, 10)
        await append(state, 300, "more")
        assert process.stderr is not None
        async with asyncio.timeout(20):
            said = (await process.stderr.readline()).decode()
        assert "cannot be written to the ledger's store" in said
        assert await published(tiles) == before
        assert isinstance(await verdict(tiles, before), Sound)
        room = resource.RLIM_INFINITY
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, room))
        await until_size(tiles, 310)
        assert isinstance(await verdict(tiles, before), Sound)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()


def _little_room() -> None:
    """No file can become longer: what a full disk is to who writes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (_ROOM_BYTES, resource.RLIM_INFINITY))


def _headers(content: bytes) -> dict[str, str]:
    digest = hashlib.sha256(content).hexdigest()
    return {"ETag": f'"{digest}"', "Last-Modified": "Sat, 28 Nov 2026 12:00:00 GMT"}


class PoorStore:
    """A store of objects that speaks as much of S3 as the sequencer asks for. Every third time it stores and says that
    it failed, so that it is told again; every fifth time it answers late; and now and then an older checkpoint arrives
    once more, after the newer one."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.checkpoints: list[bytes] = []
        self.asked = self.failed = self.late = self.repeated = 0
        self.api = FastAPI()
        self.api.api_route("/bucket/log/{path:path}", methods=["GET", "HEAD", "PUT", "DELETE"])(self.answer)

    async def answer(self, path: str, request: Request) -> Response:
        found = self.objects.get(path)
        if request.method == "DELETE":
            self.objects.pop(path, None)
            return Response(status_code=204)
        if request.method != "PUT":
            return Response(status_code=404) if found is None else Response(found, headers=_headers(found))
        new, over = "if-none-match" in request.headers, request.headers.get("if-match")
        if (new and found is not None) or (over and (found is None or over != _headers(found)["ETag"])):
            return Response(status_code=412)
        content = await request.body()
        self.objects[path] = content
        self.asked += 1
        if path == CHECKPOINT:
            self._store_checkpoint(content)
        if self.asked % 3 == 0:
            self.failed += 1
            return Response(status_code=503)
        if self.asked % 5 == 0:
            self.late += 1
            await asyncio.sleep(0.3)
        return Response(status_code=200, headers=_headers(content))

    def _store_checkpoint(self, content: bytes) -> None:
        self.checkpoints.append(content)
        if len(self.checkpoints) in {3, 6, 12}:
            self.repeated += 1
            self.objects[CHECKPOINT] = self.checkpoints[-3]


async def test_answers_that_come_late_or_twice_make_no_gap_and_no_fork(
    state: PostgresState, state_database: StateAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = PoorStore()
    async with serving(poor.api) as address:
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
        tiles = ObjectTiles(Place("s3://bucket/log", endpoint=address))
        old = None
        async with sequencing(state_database.url, tiles):
            for turn in range(8):
                await append(state, 40, f"turn{turn}-")
                old = await until_size(tiles, 40 * (turn + 1)) if turn % 2 else old
            newest = await until_size(tiles, 320)
            assert isinstance(await verdict(tiles, newest), Sound)
            assert isinstance(await verdict(tiles, old), Sound)
    assert poor.failed >= 3
    assert poor.late >= 1
    assert poor.repeated >= 1
