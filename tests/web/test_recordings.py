"""Replaying sealed recordings and watching live ones."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import zstandard

from interlock.domain.codec import to_plain
from interlock.errors import Failure, NotFound
from interlock.gateway.sealing import Kept, RecordingStore, keep_records
from interlock.identity.api_client import AsyncApiClient
from interlock.ports.control import KeptSegment, SegmentReport, SessionEnd, SessionStart
from interlock.services.cut_session import cut_session
from interlock.services.recording_keys import open_recording_key
from interlock.web import watching
from interlock.web.recordings import fetch_segment, lines_of
from interlock.wire.segments import LARGEST_BYTES, LONGEST_BYTES, Header, seal_segment, segment_path
from tests.services.world import ADMIN, DBA, DEV, LEAD, RIVAL, refused
from tests.web.house import House, sha256

SESSION = "s-0000000000001"
RECORDS = [{"session": SESSION, "n": n, "type": "statement", "text": f"select {n}"} for n in range(1, 20_001)]


async def open_session(house: House, gateway: AsyncApiClient) -> None:
    login = await house.world.sign_in(DEV)
    grant = await house.world.lend("writer", DBA, LEAD, login=login)
    now = house.clock.now()
    start = SessionStart(SESSION, DEV, "orders", login.id, (grant.id,), "10.0.0.9", "psql", now)
    await gateway.post("/v1/gateway/sessions", {"starts": [to_plain(start)], "ends": []})


async def close_session(house: House, gateway: AsyncApiClient, recording: str, segments: int = 0) -> None:
    end = SessionEnd(SESSION, house.clock.now(), "the client left", 2, recording, segments=segments)
    await gateway.post("/v1/gateway/sessions", {"starts": [], "ends": [to_plain(end)]})


async def seal(house: House, gateway: AsyncApiClient) -> list[str]:
    """Store RECORDS in segments and report them, as a gateway does; their hashes."""
    key = await open_recording_key(house.world.desk, house.world.master, SESSION)
    lines = (json.dumps(record, separators=(",", ":")).encode() for record in RECORDS)
    _, stored = keep_records(RecordingStore(str(house.recordings)), SESSION, key, Kept(), lines)
    report = SegmentReport(SESSION, 1, "", stored)
    await gateway.post("/v1/gateway/sessions", {"starts": [], "ends": [], "kept": [to_plain(report)]})
    return [segment.digest for segment in stored]


def seal_whole(house: House) -> bytes:
    """A recording of the time when they were one object; what lies in the store."""
    lines = [json.dumps(record).encode() + b"\n" for record in RECORDS]
    sealed = b"".join(zstandard.compress(b"".join(lines[n : n + 3000])) for n in range(0, len(lines), 3000))
    (house.recordings / f"{SESSION}.jsonl.zst").write_bytes(sealed)
    return sealed


async def records_of(client: AsyncApiClient, what: str = "records") -> list[Mapping[str, Any]]:
    async with client.streaming(f"/v1/sessions/{SESSION}/{what}") as records:
        return [record async for record in records]


async def test_a_recording_is_replayed_whole_and_the_reading_is_written(house: House) -> None:
    gateway = await house.gateway()
    await open_session(house, gateway)
    digests = await seal(house, gateway)
    assert len(digests) > 1
    await close_session(house, gateway, digests[-1], len(digests))
    admin = await house.reader(ADMIN)
    assert await records_of(admin) == RECORDS
    (event,) = await house.world.events("recording.read")
    assert (event["session"], event["by"]) == (SESSION, ADMIN)
    assert event["grant"].startswith("g-")
    assert await records_of(await house.signed_in(DEV)) == RECORDS


async def test_others_learn_nothing_of_it(house: House) -> None:
    gateway = await house.gateway()
    await open_session(house, gateway)
    digests = await seal(house, gateway)
    await close_session(house, gateway, digests[-1], len(digests))
    rival = await house.signed_in(RIVAL)
    for what in ("records", "watch"):
        with pytest.raises(NotFound):
            await records_of(rival, what)
    assert await house.world.events("recording.read") == []


async def test_a_recording_that_was_changed_is_not_shown(house: House) -> None:
    gateway = await house.gateway()
    await open_session(house, gateway)
    digests = await seal(house, gateway)
    await close_session(house, gateway, digests[-1], len(digests))
    admin = await house.reader(ADMIN)
    path = house.recordings / segment_path(digests[1])
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(Failure, match=r"Segment 2 .* changed or damaged"):
        await records_of(admin)
    path.write_bytes((house.recordings / segment_path(digests[0])).read_bytes())
    with pytest.raises(Failure, match="changed or damaged"):
        await records_of(admin)
    with path.open("wb") as endless:
        endless.truncate(LONGEST_BYTES + 1)
    with pytest.raises(Failure, match=r"Segment 2 .* changed or damaged"):
        await records_of(admin)
    path.unlink()
    with pytest.raises(Failure, match=r"Segment 2 .* not in the object store"):
        await records_of(admin)
    assert await house.world.events("recording.read") == []


async def test_a_segment_that_unpacks_to_more_than_one_holds_is_named_and_not_unpacked(house: House) -> None:
    """A gateway has the recording's key, and the ledger the hash of whatever it sealed."""
    gateway = await house.gateway()
    await open_session(house, gateway)
    key = await open_recording_key(house.world.desk, house.world.master, SESSION)
    lines = json.dumps({**RECORDS[0], "text": " " * (64 * LARGEST_BYTES)}).encode()
    bomb = seal_segment(key, Header(SESSION, 1, "", 1, 2), [lines])
    assert len(bomb.content) < 20_000
    RecordingStore(str(house.recordings)).create(bomb)
    report = SegmentReport(SESSION, 1, "", (KeptSegment(bomb.digest, 2),))
    await gateway.post("/v1/gateway/sessions", {"starts": [], "ends": [], "kept": [to_plain(report)]})
    await close_session(house, gateway, bomb.digest, 1)
    async with house.world.state.reading() as reading:
        (segment,) = await reading.segments(SESSION)
    with pytest.raises(Failure, match=f"Segment 1 of the recording of {SESSION} cannot be opened: it would unpack"):
        lines_of(key, segment, await fetch_segment(house.services.recordings, segment))
    with pytest.raises(Failure):
        await records_of(await house.reader(ADMIN))


async def test_a_recording_without_its_tail_is_not_shown(house: House) -> None:
    gateway = await house.gateway()
    await open_session(house, gateway)
    digests = await seal(house, gateway)
    await close_session(house, gateway, "e" * 64, len(digests) + 1)
    with pytest.raises(Failure, match="its last segment is missing"):
        await records_of(await house.reader(ADMIN))


async def test_a_recording_of_the_time_when_they_were_one_object_is_replayed(house: House) -> None:
    gateway = await house.gateway()
    await open_session(house, gateway)
    sealed = bytearray(seal_whole(house))
    await close_session(house, gateway, sha256(bytes(sealed)))
    admin = await house.reader(ADMIN)
    assert await records_of(admin) == RECORDS
    path = house.recordings / f"{SESSION}.jsonl.zst"
    sealed[len(sealed) // 2] ^= 1
    path.write_bytes(sealed)
    with pytest.raises(Failure, match="changed or damaged"):
        await records_of(admin)
    path.unlink()
    with pytest.raises(Failure, match="not in the object store"):
        await records_of(admin)


async def test_a_live_session_is_watched_not_replayed_and_a_closed_one_the_other_way(house: House) -> None:
    gateway = await house.gateway()
    await open_session(house, gateway)
    admin = await house.reader(ADMIN)
    with refused("still-live"):
        await records_of(admin)
    await close_session(house, gateway, "")
    with refused("over"):
        await records_of(admin, "watch")


async def post(gateway: AsyncApiClient, ticket: str, *records: Mapping[str, Any], ended: bool = False) -> bool:
    answer = await gateway.post(f"/v1/gateway/watch/{ticket}", {"records": list(records), "ended": ended})
    watching: bool = answer["watching"]
    return watching


async def ticket_of(feed: AsyncIterator[Mapping[str, Any]]) -> str:
    async with asyncio.timeout(15):
        async for message in feed:
            if message["type"] == "watch":
                assert message["session"] == SESSION
                return str(message["ticket"])
    pytest.fail("no ticket came")


async def test_a_watcher_gets_the_records_as_they_come(house: House) -> None:
    gateway, stranger = await house.gateway(), await house.gateway("gw2")
    await open_session(house, gateway)
    admin = await house.reader(ADMIN)
    async with gateway.streaming("/v1/gateway/feed") as feed:
        await anext(feed)
        reading = asyncio.create_task(records_of(admin, "watch"))
        ticket = await ticket_of(feed)
        (event,) = await house.world.events("recording.read")
        assert event["by"] == ADMIN
        assert not await post(stranger, ticket, RECORDS[0]), "another gateway's records are not this session's"
        assert not await post(gateway, "no such ticket", RECORDS[0])
        assert await post(gateway, ticket, RECORDS[0], RECORDS[1])
        assert await post(gateway, ticket)
        assert not await post(gateway, ticket, RECORDS[2], ended=True)
        async with asyncio.timeout(10):
            assert await reading == RECORDS[:3]
        assert not await post(gateway, ticket, RECORDS[3])


async def test_a_gateway_is_told_when_the_watcher_has_gone(house: House) -> None:
    gateway = await house.gateway()
    await open_session(house, gateway)
    admin = await house.reader(ADMIN)
    async with gateway.streaming("/v1/gateway/feed") as feed:
        await anext(feed)
        reading = asyncio.create_task(records_of(admin, "watch"))
        ticket = await ticket_of(feed)
        await post(gateway, ticket, RECORDS[0])
        reading.cancel()
        for _ in range(100):
            if not await post(gateway, ticket, RECORDS[1]):
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail("the gateway was never told")


async def test_watching_ends_with_the_right_to_watch(house: House) -> None:
    gateway = await house.gateway()
    await open_session(house, gateway)
    admin = await house.reader(ADMIN)
    async with gateway.streaming("/v1/gateway/feed") as feed:
        await anext(feed)
        reading = asyncio.create_task(records_of(admin, "watch"))
        ticket = await ticket_of(feed)
        await post(gateway, ticket, RECORDS[0])
        await admin.post("/v1/sign-out")
        async with asyncio.timeout(15):
            assert await reading == RECORDS[:1]


async def test_watching_ends_when_the_session_is_over_and_the_gateway_silent(house: House) -> None:
    gateway = await house.gateway()
    await open_session(house, gateway)
    admin = await house.reader(ADMIN)
    async with gateway.streaming("/v1/gateway/feed") as feed:
        await anext(feed)
        reading = asyncio.create_task(records_of(admin, "watch"))
        await ticket_of(feed)
    await cut_session(house.world.desk, by=ADMIN, session_id=SESSION, reason="x")
    await close_session(house, gateway, "")
    async with asyncio.timeout(15):
        assert await reading == []


async def test_a_slow_watcher_is_waited_for_and_then_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE_S", 0.2)
    watches = watching.Watches()
    with watches.watching(SESSION, "gw1") as watch:
        assert await watches.deliver(watch.ticket, "gw1", RECORDS[:1], ended=False)
        assert await watches.deliver(watch.ticket, "gw1", RECORDS[:1], ended=False)
        later = asyncio.create_task(watches.deliver(watch.ticket, "gw1", RECORDS[:1], ended=False))
        await asyncio.sleep(0)
        assert not later.done(), "there is no room, so the gateway waits"
        watch.batches.get_nowait()
        assert await later
        assert not await watches.deliver(watch.ticket, "gw1", RECORDS[:1], ended=False)
        assert watch.too_slow
        assert not await watches.deliver(watch.ticket, "gw1", (), ended=False)


async def test_a_gateway_that_waits_for_a_watcher_who_leaves_is_told() -> None:
    watches = watching.Watches()
    with watches.watching(SESSION, "gw1") as watch:
        for _ in range(2):
            await watches.deliver(watch.ticket, "gw1", RECORDS[:1], ended=False)
        waiting = asyncio.create_task(watches.deliver(watch.ticket, "gw1", RECORDS[:1], ended=False))
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert not await waiting


async def test_a_long_session_is_watched_whole(house: House) -> None:
    """Many more records than are kept for a watcher."""
    gateway = await house.gateway()
    await open_session(house, gateway)
    admin = await house.reader(ADMIN)
    async with gateway.streaming("/v1/gateway/feed") as feed:
        await anext(feed)
        reading = asyncio.create_task(records_of(admin, "watch"))
        ticket = await ticket_of(feed)
        for n in range(0, 4000, 200):
            await post(gateway, ticket, *RECORDS[n : n + 200], ended=n == 3800)
        async with asyncio.timeout(20):
            assert await reading == RECORDS[:4000]
