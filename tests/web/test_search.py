"""Statements searched in recordings: found where they are, shown to who may read them, and nowhere else at rest."""

import json
from collections.abc import AsyncIterator
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
from interlock.ports.control import SegmentReport, SessionEnd, SessionStart
from interlock.services.recording_keys import open_recording_key
from interlock.store.connecting import driver_url
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from tests.services.world import ADMIN, BOTH, DBA, DBA2, DEV, LEAD, MATE, OPS, RIVAL, company, refused
from tests.web.house import House, contracts_of_now, open_house

ONE, TWO = "s-0000000000001", "s-0000000000002"
TEXTS = {
    ONE: ("SELECT * FROM orders WHERE customer = $1", "DELETE FROM orders WHERE id = 4711"),
    TWO: ("SELECT 'Zanzibar' FROM stock", "UPDATE stock SET amount = 4711"),
}


@pytest.fixture
async def house(state: PostgresState, state_database: StateAddress, tmp_path: Path) -> AsyncIterator[House]:
    configuration = company(
        contracts=contracts_of_now(),
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


async def search(house: House, reader: str, text: str, **more: Any) -> list[str]:
    """The sessions and numbers of what was found."""
    client = await house.signed_in(reader)
    found: dict[str, Any] = await client.get("/v1/recordings/search", q=text, **more)
    assert found["unread"] == []
    return [f"{hit['session'][-1]}#{hit['number']}" for hit in found["hits"]]


async def test_all_words_in_one_statement_or_its_values(house: House) -> None:
    assert sorted(await search(house, ADMIN, "4711")) == ["1#2", "2#2"]
    assert await search(house, ADMIN, "delete ORDERS 4711") == ["1#2"]
    assert await search(house, ADMIN, "zanzibar") == ["2#1"]
    assert await search(house, ADMIN, "quillfeather") == ["1#1"]
    assert await search(house, ADMIN, "zanzibar delete") == []
    assert await search(house, ADMIN, "471") == []
    assert await search(house, ADMIN, "4711", resource="stock") == ["2#2"]
    assert await search(house, ADMIN, "4711", person=MATE) == []
    assert await search(house, ADMIN, "4711", since="2990-01-01T00:00:00+00:00") == []
    with refused("no-words"):
        await search(house, ADMIN, " ;-- ")
    with refused("bad-time"):
        await search(house, ADMIN, "4711", since="yesterday")


async def test_each_search_is_in_the_ledger_with_what_it_showed(house: House) -> None:
    await search(house, LEAD, "4711")
    await search(house, LEAD, "nowhere")
    assert await house.world.events("recordings.searched") == [
        {"by": LEAD, "content": "4711", "sessions": [ONE, TWO]},
        {"by": LEAD, "content": "nowhere", "sessions": []},
    ]


async def test_nobody_finds_what_they_may_not_read(house: House) -> None:
    assert len(await search(house, LEAD, "4711")) == 2, "the sponsor"
    for person in (MATE, RIVAL, OPS, DBA):
        assert await search(house, person, "4711") == []
        assert await search(house, person, "4711", person=DEV) == []
    assert await search(house, DEV, "4711") == [], "recordings are kept from those who are recorded"


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
                for word in ("zanzibar", "quillfeather", "customer", "4711"):
                    assert word not in said, (table["relname"], word)
                    assert word.encode().hex() not in said, (table["relname"], word)
    finally:
        await connection.close()


async def test_the_index_is_made_anew_from_the_recordings(house: House) -> None:
    await house.services.segment_words.clear()
    assert await search(house, ADMIN, "zanzibar") == []
    while await index_more(keeper(house)):
        continue
    assert await search(house, ADMIN, "zanzibar") == ["2#1"]


async def test_a_deleted_recording_is_found_no_more_and_its_segments_are_gone(house: House) -> None:
    client = await house.signed_in(BOTH)
    request = await client.post("/v1/recordings/deletions", {"sessions": [TWO], "reason": "asked to"})
    for person in (DBA, DBA2):
        await house.world.approve(person, await house.world.request(request["id"]))
    before = sum(path.is_file() for path in house.recordings.rglob("*"))
    assert await erase_deleted(keeper(house)) == 1
    assert await erase_deleted(keeper(house)) == 0
    assert sum(path.is_file() for path in house.recordings.rglob("*")) == before - 1
    assert await search(house, ADMIN, "4711") == ["1#2"]
    (erased,) = await house.world.events("recording.erased")
    assert erased == {"session": TWO}
    admin = await house.signed_in(ADMIN)
    with pytest.raises(Failure, match="was deleted at"):
        async with admin.streaming(f"/v1/sessions/{TWO}/records") as records:
            assert [record async for record in records] == []
