"""A store for recordings over HTTP that answers late or not at all, tears what it stores, and is away for a while."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response

from interlock.app.kept_recordings import KeptRecordings
from interlock.domain.event import Event
from interlock.domain.work_events import RecordingKept, SessionClosed, SessionOpened
from interlock.gateway import archive
from interlock.ledger.entries import Recorded, body_of
from interlock.wire import objects
from interlock.wire.objects import Place
from interlock.wire.segments import open_segment, segment_path
from tests.gateway.world import Gate, surroundings, until
from tests.sinks.test_sinks import serving

_PATIENCE_S = 0.5


@dataclass
class PoorBucket:
    """As much of S3 as a gateway and a verifier ask for. What becomes of the uploads stands in ``moods``, one for each,
    and all is well after the last of them: it is ``lost`` (stored, and its answer an error), ``late`` (stored, and
    answered when nobody waits any more), ``behind`` (refused now, and stored after who sent it has sent it again),
    ``torn`` (half of it stored, and its answer an error) or ``away`` (nothing, and an error)."""

    moods: list[str] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    away: bool = False
    later: list["asyncio.Task[None]"] = field(default_factory=list)

    @property
    def api(self) -> FastAPI:
        api = FastAPI()
        api.api_route("/bucket/kept/{path:path}", methods=["GET", "PUT"])(self.answer)
        return api

    async def answer(self, path: str, request: Request) -> Response:
        if self.away:
            return Response(status_code=503)
        found = self.objects.get(path)
        if request.method != "PUT":
            return Response(status_code=404) if found is None else Response(found, headers=_headers(found))
        content = await request.body()
        self.asked[path] += 1
        if "if-none-match" in request.headers and found is not None:
            self.told["again"] += 1
            return Response(status_code=412)
        mood = self.moods.pop(0) if self.moods else "well"
        self.told[mood] += 1
        return await self._store(path, content, mood)

    async def _store(self, path: str, content: bytes, mood: str) -> Response:
        if mood == "behind":
            self.later.append(asyncio.create_task(self._store_later(path, content)))
        elif mood != "away":
            self.objects[path] = content[: len(content) // 2] if mood == "torn" else content
        if mood == "late":
            await asyncio.sleep(3 * _PATIENCE_S)
        return Response(status_code=200 if mood in {"well", "late"} else 503, headers=_headers(content))

    async def _store_later(self, path: str, content: bytes) -> None:
        await asyncio.sleep(3 * _PATIENCE_S)
        self.objects[path] = content


def _headers(content: bytes) -> dict[str, str]:
    return {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Last-Modified": "Sat, 28 Nov 2026 12:00:00 GMT"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_EVERY_S", 0.05)
    monkeypatch.setattr(archive, "_RETRY_S", 0.1)
    monkeypatch.setattr(objects, "_TIMEOUT", f"{_PATIENCE_S}s")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@asynccontextmanager
async def recording_into(gate: Gate, bucket: PoorBucket, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """A worker that records there; who verifies finds the same place."""
    async with serving(bucket.api) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        settings = replace(gate.settings(), recordings=Place("s3://bucket/kept", endpoint=address))
        async with gate.working(settings) as worker:
            gate.address = worker.addresses["toy"]
            yield
            for work in bucket.later:
                await work


async def verdict(gate: Gate, sessions: Sequence[str]) -> str:
    """Of the ledger's entries, as the control plane would write them; empty when all of it holds."""
    events: list[Event] = []
    for session in sessions:
        start, end, kept = gate.desk.starts[session], gate.desk.ends[session], gate.desk.kept[session]
        events += [
            SessionOpened(
                session=session,
                person=start.person,
                resource=start.resource,
                login=start.login,
                grants=start.grants,
                gateway="here",
                address=start.address,
                client=start.client,
                opened_at=start.opened_at,
            ),
            RecordingKept(
                session=session,
                first=1,
                previous="",
                digests=tuple(one.digest for one in kept),
                records=kept[-1].records,
            ),
            SessionClosed(
                session=session,
                person=start.person,
                resource=start.resource,
                closed_at=end.closed_at,
                why=end.why,
                statements=end.statements,
                recording=end.recording,
                segments=end.segments,
            ),
        ]
    recordings = KeptRecordings("s3://bucket/kept")
    for position, event in enumerate(events, 1):
        if reason := await recordings.check(position, body_of(Recorded(position, gate.desk.now(), "gateway", event))):
            return reason
    broken = recordings.finish()
    assert recordings.count == len(sessions)
    return "" if broken is None else broken.reason


def recorded(gate: Gate, bucket: PoorBucket, session: str) -> list[dict[str, Any]]:
    lines = []
    for kept in gate.desk.kept[session]:
        lines += open_segment(gate.desk.keys[session], bucket.objects[segment_path(kept.digest)])[1].splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("mood", ["lost", "late", "behind", "torn", "away"])
async def test_an_upload_that_goes_wrong_leaves_nothing_double_and_nothing_out(
    mood: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = PoorBucket(moods=["well", mood, mood, "well", mood])
    async with surroundings(tmp_path) as gate:
        gate.lend("writer")
        async with recording_into(gate, bucket, monkeypatch):
            client = await gate.enter()
            await until(lambda: gate.desk.starts)
            (session,) = gate.desk.starts
            said: list[str] = []
            async with asyncio.timeout(30):
                while bucket.moods:
                    said.append(f"set k{len(said)} 1")
                    # none of it is waited for
                    assert await client.ask(said[-1], within_s=5) == "+set 1"
                    await asyncio.sleep(0.1)
            client.close()
            await until(lambda: session in gate.desk.ends, within_s=30)
            for work in bucket.later:
                await work
            assert await verdict(gate, [session]) == ""
    assert bucket.told[mood] == 3
    records = recorded(gate, bucket, session)
    assert [record["n"] for record in records] == list(range(1, len(records) + 1))
    assert [record["text"] for record in records if record["type"] == "statement"] == said
    assert records[-1]["type"] == "close"
    digests = [one.digest for one in gate.desk.kept[session]]
    assert len(set(digests)) == len(digests)


async def test_a_store_that_is_away_for_a_while_holds_nobody_up_and_gets_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = PoorBucket()
    async with surroundings(tmp_path) as gate:
        gate.lend("writer")
        async with recording_into(gate, bucket, monkeypatch):
            first = await gate.enter()
            assert await first.ask("set a 1") == "+set 1"
            await until(lambda: bucket.objects)
            bucket.away = True
            second = await gate.enter()
            for number in range(3):
                assert await first.ask(f"set a{number} 1", within_s=5) == "+set 1"
                assert await second.ask(f"set b{number} 1", within_s=5) == "+set 1"
            first.close()
            await asyncio.sleep(1)
            assert not gate.desk.ends, "an end is told of when the recording lies there whole"
            bucket.away = False
            assert await second.ask("set b 1", within_s=5) == "+set 1"
            second.close()
            await until(lambda: len(gate.desk.ends) == 2, within_s=30)
            assert await verdict(gate, sorted(gate.desk.ends)) == ""
    for session in gate.desk.ends:
        records = recorded(gate, bucket, session)
        assert [record["n"] for record in records] == list(range(1, len(records) + 1))
        assert sum(record["type"] == "statement" for record in records) == 4
