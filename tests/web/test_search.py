"""Statements searched in recordings: found where they are, shown to who may read them, and nowhere else at rest."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from obstore.store import LocalStore

from interlock.app.keeping import Keeper, erase_deleted, index_more
from interlock.domain.codec import to_plain
from interlock.domain.retention import Retention
from interlock.domain.roles import ApprovalRule
from interlock.errors import Failure
from interlock.gateway.sealing import Kept, RecordingStore, keep_records
from interlock.identity.api_client import AsyncApiClient
from interlock.identity.keys import new_key, thumbprint
from interlock.ports.control import SegmentReport, SessionEnd, SessionStart
from interlock.ports.segment_words import IndexedPart
from interlock.services.recording_keys import open_recording_key
from interlock.services.search_recordings import MOST_SEGMENTS, index_key, index_segment
from interlock.store.connecting import driver_url
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from interlock.web.recordings import read_segment
from tests.services.world import ADMIN, BOTH, DBA, DBA2, DEV, LEAD, MATE, OPS, RIVAL, company, refused, with_auditor
from tests.web.house import House, contracts_of_now, open_house

_HASH = re.compile(r"[0-9a-f]{32,}")
ONE, TWO = "s-0000000000001", "s-0000000000002"
TEXTS = {
    ONE: ("SELECT * FROM orders WHERE customer = $1", "DELETE FROM orders WHERE id = 4711"),
    TWO: ("SELECT 'Zanzibar' FROM stock", "UPDATE stock SET amount = 4711"),
}


@pytest.fixture
async def house(state: PostgresState, state_database: StateAddress, tmp_path: Path) -> AsyncIterator[House]:
    configuration = company(
        contracts=contracts_of_now(),
        roles=with_auditor("orders", "stock"),
        retention=Retention((ApprovalRule(count=2, group="dba"),)),
        own_recordings=False,
    )
    async with open_house(state, state_database, tmp_path, configuration=configuration) as house:
        await record(house, ONE, "orders")
        await record(house, TWO, "stock")
        while await index_more(keeper(house)):
            continue
        yield house


def keeper(house: House) -> Keeper:
    services = house.services
    return Keeper(house.world.desk, services.master_key, LocalStore(house.recordings), services.segment_words)


async def record(house: House, session: str, resource: str) -> None:
    """A closed session of DEV with two statements."""
    gateway = await house.gateway()
    login = await house.world.sign_in(DEV)
    grant = await house.world.lend("writer", DBA, LEAD, login=login)
    now = house.clock.now()
    start = SessionStart(session, DEV, resource, login.id, (grant.id,), "10.0.0.9", "psql", now)
    await gateway.post("/v1/gateway/sessions", {"starts": [to_plain(start)], "ends": []})
    key = await open_recording_key(house.world.desk, house.world.master, session)
    lines = []
    for n, text in enumerate(TEXTS[session], 1):
        written = {"session": session, "n": n, "at": to_plain(now), "type": "statement", "number": n, "text": text}
        written |= {"parameters": ["Mrs. Quillfeather"] if "$1" in text else [], "effect": "allow"}
        lines.append(json.dumps(written, separators=(",", ":")).encode())
    kept, stored = keep_records(RecordingStore(str(house.recordings)), session, key, Kept(), lines)
    end = SessionEnd(session, now, "left", 2, kept.head, segments=kept.segments)
    report = SegmentReport(session, 1, "", stored)
    await gateway.post("/v1/gateway/sessions", {"starts": [], "ends": [to_plain(end)], "kept": [to_plain(report)]})


async def reader_of(house: House, person: str, *resources: str) -> AsyncApiClient:
    """A client that holds a grant to read the recordings of each of the resources."""
    key = new_key()
    client = await house.signed_in(person, key=key, present=True)
    async with house.world.state.reading() as reading:
        (login,) = await reading.logins(key=thumbprint(key))
    for resource in resources:
        await house.world.lend("auditor", DBA, person=person, login=login, resource=resource)
    return client


async def search(client: AsyncApiClient, text: str, **more: Any) -> list[str]:
    """The sessions and numbers of what was found."""
    found: dict[str, Any] = await client.get("/v1/recordings/search", q=text, **more)
    assert found["unread"] == []
    return [f"{hit['session'][-1]}#{hit['number']}" for hit in found["hits"]]


async def test_all_words_in_one_statement_or_its_values(house: House) -> None:
    admin = await reader_of(house, ADMIN, "orders", "stock")
    assert sorted(await search(admin, "4711")) == ["1#2", "2#2"]
    assert await search(admin, "delete ORDERS 4711") == ["1#2"]
    assert await search(admin, "zanzibar") == ["2#1"]
    assert await search(admin, "quillfeather") == ["1#1"]
    assert await search(admin, "zanzibar delete") == []
    assert await search(admin, "471") == []
    assert await search(admin, "4711", resource="stock") == ["2#2"]
    assert await search(admin, "4711", person=MATE) == []
    assert await search(admin, "4711", since="2990-01-01T00:00:00+00:00") == []
    assert await search(admin, "4711", until="2020-01-01T00:00:00+00:00") == []
    assert len(await search(admin, "4711", until="2990-01-01T00:00:00+00:00")) == 2
    with refused("no-words"):
        await search(admin, " ;-- ")
    with refused("bad-time"):
        await search(admin, "4711", since="yesterday")


async def test_each_search_is_in_the_ledger_with_what_it_showed(house: House) -> None:
    lead = await reader_of(house, LEAD, "orders", "stock")
    await search(lead, "4711")
    await search(lead, "nowhere")
    assert await house.world.events("recordings.searched") == [
        {"by": LEAD, "content": "4711", "sessions": [ONE, TWO]},
        {"by": LEAD, "content": "nowhere", "sessions": []},
    ]


async def test_nobody_finds_what_they_may_not_read(house: House) -> None:
    for person in (ADMIN, LEAD, MATE, RIVAL, OPS, DBA):
        other = await house.signed_in(person)
        assert await search(other, "4711") == [], "neither sponsors nor administrators, without a grant"
        assert await search(other, "4711", person=DEV) == []
    assert await search(await reader_of(house, OPS, "stock"), "4711") == ["2#2"], "of the grant's resource alone"
    assert await search(await house.signed_in(OPS), "4711") == [], "with the grant's key alone"
    assert await search(await house.signed_in(DEV), "4711") == [], "recordings are kept from those who are recorded"


async def test_what_one_may_not_read_takes_no_place_in_the_answer(house: House) -> None:
    """The newest that hold the words are many, and somebody else's to read: what one may read is older, and found."""
    (candidate,) = await index_of(house, TWO)
    later = candidate.kept_at + timedelta(minutes=1)
    crowd = [
        replace(candidate, session=ONE, resource="orders", number=1000 + n, kept_at=later) for n in range(MOST_SEGMENTS)
    ]
    more = [replace(candidate, session=f"s-{n:013}", person=OPS, kept_at=later) for n in range(100, 110)]
    words = house.services.segment_words
    await words.add([*crowd, *more], upto=await words.upto())
    client = await reader_of(house, OPS, "stock")
    found = await client.get("/v1/recordings/search", q="zanzibar")
    assert [hit["session"] for hit in found["hits"]] == [TWO]
    assert not found["more"]
    await words.add(
        [replace(candidate, number=2000 + n, kept_at=later) for n in range(MOST_SEGMENTS)], upto=await words.upto()
    )
    narrowed = await client.get("/v1/recordings/search", q="zanzibar")
    assert narrowed["more"], "there are older ones that were not looked at, and the answer says so"
    older = await client.get("/v1/recordings/search", q="zanzibar", until=later.isoformat())
    assert ([hit["session"] for hit in older["hits"]], older["more"]) == ([TWO], False)


async def index_of(house: House, session: str) -> list[IndexedPart]:
    """What the index has of a session, to be put there again as another's."""
    async with house.world.state.reading() as reading:
        activity = await reading.activity(session)
        segments = await reading.segments(session)
    assert activity is not None
    services = house.services
    key = await index_key(services.desk, services.master_key)
    lines = [await read_segment(services, segment) for segment in segments]
    return [
        part
        for segment, content in zip(segments, lines, strict=True)
        for part in index_segment(key, activity, segment, content)
    ]


async def test_nothing_of_a_statement_is_in_the_database(house: House, state_database: StateAddress) -> None:
    connection = await asyncpg.connect(driver_url(state_database.owner_url))
    try:
        rows = await connection.fetch("SELECT * FROM interlock.segment_words")
        assert len(rows) == 2
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'interlock'::regnamespace AND relkind = 'r'"
        )
        for table in tables:
            for row in await connection.fetch(f'SELECT t::text FROM interlock."{table["relname"]}" t'):
                said = row[0].lower()
                # four digits stand in a hash by chance
                read = _HASH.sub("", said)
                for word in ("zanzibar", "quillfeather", "customer", "4711"):
                    assert word not in read, (table["relname"], word)
                    assert word.encode().hex() not in said, (table["relname"], word)
    finally:
        await connection.close()


async def test_the_index_is_made_anew_from_the_recordings(house: House) -> None:
    await house.services.segment_words.clear()
    admin = await reader_of(house, ADMIN, "stock")
    assert await search(admin, "zanzibar") == []
    while await index_more(keeper(house)):
        continue
    assert await search(admin, "zanzibar") == ["2#1"]


async def test_a_deleted_recording_is_found_no_more_and_its_segments_are_gone(house: House) -> None:
    client = await house.signed_in(BOTH)
    request = await client.post("/v1/recordings/deletions", {"sessions": [TWO], "reason": "asked to"})
    for person in (DBA, DBA2):
        await house.world.approve(person, await house.world.request(request["id"]))
    before = sum(path.is_file() for path in house.recordings.rglob("*"))
    assert await erase_deleted(keeper(house)) == 1
    assert await erase_deleted(keeper(house)) == 0
    assert sum(path.is_file() for path in house.recordings.rglob("*")) == before - 1
    admin = await reader_of(house, ADMIN, "orders", "stock")
    assert await search(admin, "4711") == ["1#2"]
    (erased,) = await house.world.events("recording.erased")
    assert erased == {"session": TWO}
    with pytest.raises(Failure, match="was deleted at"):
        async with admin.streaming(f"/v1/sessions/{TWO}/records") as records:
            assert [record async for record in records] == []
