"""Recordings over the API where a role lets them be read; and what is being sent when the grant ends."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from interlock.identity.keys import new_key, thumbprint
from interlock.services.end_grant import end_grant
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from interlock.web.authentication import active_caller
from interlock.web.recordings import open_recording
from interlock.web.routers import sessions
from tests.services.world import ADMIN, DBA, LEAD, OPS, refused
from tests.web.house import House, open_house
from tests.web.test_recordings import (
    RECORDS,
    SESSION,
    close_session,
    open_session,
    post,
    records_of,
    seal,
    ticket_of,
)


@pytest.fixture
async def house(state: PostgresState, state_database: StateAddress, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(state, state_database, tmp_path) as house:
        yield house


async def test_who_holds_the_role_replays_searches_and_lists(house: House) -> None:
    gateway = await house.gateway()
    await open_session(house, gateway)
    digests = await seal(house, gateway)
    await close_session(house, gateway, digests[-1], len(digests))
    for other in (ADMIN, LEAD):
        with refused("no-replay"):
            await records_of(await house.signed_in(other, present=True))
    key = new_key()
    reader = await house.signed_in(OPS, key=key, present=True)
    async with house.world.state.reading() as reading:
        (login,) = await reading.logins(key=thumbprint(key))
    with refused("not-found"):
        await records_of(reader)
    grant = await house.world.lend("auditor", DBA, person=OPS, login=login)
    assert [one["id"] for one in await reader.get("/v1/sessions")] == [SESSION]
    assert await records_of(reader) == RECORDS
    assert await house.world.events("recording.read") == [{"session": SESSION, "by": OPS, "grant": grant.id}]
    with refused("other-key"):
        await records_of(await house.signed_in(OPS, present=True))


async def test_what_is_being_sent_breaks_off_with_the_grant(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = await house.gateway()
    await open_session(house, gateway)
    key = new_key()
    reader = await house.signed_in(OPS, key=key, present=True)
    async with house.world.state.reading() as reading:
        (login,) = await reading.logins(key=thumbprint(key))
    first = await house.world.lend("auditor", DBA, person=OPS, login=login)
    async with gateway.streaming("/v1/gateway/feed") as feed:
        await anext(feed)
        watching = asyncio.create_task(records_of(reader, "watch"))
        await post(gateway, await ticket_of(feed), RECORDS[0])
        await end_grant(house.world.desk, by=DBA, grant_id=first.id, reason="seen enough")
        async with asyncio.timeout(15):
            assert await watching == RECORDS[:1]
    digests = await seal(house, gateway)
    await close_session(house, gateway, digests[-1], len(digests))
    second = await house.world.lend("auditor", DBA, person=OPS, login=login)
    services, caller = house.services, await active_caller(house.services, login.id)
    assert caller is not None
    monkeypatch.setattr(sessions, "LOOK_AGAIN_S", 0.0)
    async with house.world.state.reading() as reading:
        activity = await reading.activity(SESSION)
    assert activity is not None
    chunks = await open_recording(services.desk, services.master_key, services.recordings, activity)
    sent = sessions.replayed(services, caller, activity, chunks)
    assert await anext(sent)
    await end_grant(house.world.desk, by=DBA, grant_id=second.id, reason="seen enough")
    with pytest.raises(ConnectionAbortedError):
        await anext(sent)
