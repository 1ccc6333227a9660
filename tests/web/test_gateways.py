"""What gateways call, as a gateway would."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from interlock.domain.codec import from_plain, to_plain
from interlock.domain.grants import Grant
from interlock.domain.snapshot import Snapshot
from interlock.domain.work_events import GatewayJoined
from interlock.errors import Failure, NotFound, Refusal
from interlock.identity.api_client import AsyncApiClient
from interlock.identity.keys import new_key, thumbprint
from interlock.ports.control import HoldOpened, PasswordHolder, SessionEnd, SessionStart
from interlock.services.apply_configuration import apply_configuration
from tests.services.world import ADMIN, DBA, DEV, LEAD, company, opening_of, refused
from tests.web.house import House, contracts_of_now


async def lend(house: House, dev: AsyncApiClient, role: str = "reader") -> Grant:
    login = await house.world.login((await dev.get("/v1/whoami"))["login"])
    return await house.world.lend(role, *((DBA,) if role == "reader" else (DBA, LEAD)), login=login)


async def connected(house: House, gateway: AsyncApiClient, dev: AsyncApiClient, role: str = "writer") -> SessionStart:
    """A session that the gateway reported."""
    grant = await lend(house, dev, role)
    login = (await dev.get("/v1/whoami"))["login"]
    now = house.clock.now()
    start = SessionStart("s-0000000000001", DEV, "orders", login, (grant.id,), "10.0.0.9", "psql", now)
    await gateway.post("/v1/gateway/sessions", {"starts": [to_plain(start)], "ends": []})
    return start


async def next_of(messages: AsyncIterator[Mapping[str, Any]], kind: str) -> Mapping[str, Any]:
    async with asyncio.timeout(15):
        async for message in messages:
            if message["type"] == kind:
                return message
    pytest.fail(f"no {kind} came")


async def test_the_feed_begins_with_everything_and_goes_on_with_changes(house: House) -> None:
    gateway = await house.gateway()
    dev = await house.signed_in(DEV)
    async with gateway.streaming("/v1/gateway/feed") as messages:
        first = await anext(messages)
        assert (first["type"], first["lease_s"]) == ("snapshot", 10)
        snapshot = from_plain(Snapshot, first["snapshot"])
        assert DEV in snapshot.people
        assert snapshot.policy.digest == house.world.configuration.digest
        grant = await lend(house, dev)
        while True:
            change = await next_of(messages, "change")
            if "grants" in change["put"]:
                break
        assert change["put"]["grants"][grant.id]["person"] == DEV
        await dev.post(f"/v1/grants/{grant.id}/end", {"reason": "done"})
        change = await next_of(messages, "change")
        assert change["drop"]["grants"] == [grant.id]
        beat = await next_of(messages, "beat")
        assert beat["version"] >= change["version"]


async def test_many_feeds_each_hear_everything(house: House) -> None:
    gateways = [await house.gateway(f"gw{n}") for n in range(4)]
    dev = await house.signed_in(DEV)

    async def hear(gateway: AsyncApiClient) -> str:
        async with gateway.streaming("/v1/gateway/feed") as messages:
            await next_of(messages, "snapshot")
            ready.release()
            while True:
                change = await next_of(messages, "change")
                if "grants" in change["put"]:
                    return str(*change["put"]["grants"])

    ready = asyncio.Semaphore(0)
    hearing = [asyncio.create_task(hear(gateway)) for gateway in gateways]
    for _ in gateways:
        await ready.acquire()
    grant = await lend(house, dev)
    assert await asyncio.gather(*hearing) == [grant.id] * 4


async def test_a_gateway_that_the_policy_names_no_more_hears_no_more(house: House) -> None:
    """It is cut off at the next beat, and gets no token; the one that is named goes on."""
    named = new_key()
    gateway, kept = await house.gateway(), await house.gateway("edge", key=named)
    async with gateway.streaming("/v1/gateway/feed") as messages:
        await next_of(messages, "snapshot")
        desk = house.services.desk
        desk.configuration = replace(desk.configuration, gateways={"edge": thumbprint(named)})
        async with asyncio.timeout(15):
            assert "snapshot" not in [message["type"] async for message in messages]
    with refused("no-gateway"):
        await gateway.post("/v1/gateway/token", {})
    async with kept.streaming("/v1/gateway/feed") as messages:
        await next_of(messages, "snapshot")


async def test_a_gateway_that_was_ended_hears_no_more(house: House) -> None:
    key = new_key()
    gateway = await house.gateway(key=key)
    async with gateway.streaming("/v1/gateway/feed") as messages:
        await next_of(messages, "snapshot")
        async with house.world.state.reading() as reading:
            known = await reading.gateway(thumbprint(key))
        assert known is not None
        async with house.world.state.changing("system") as work:
            await work.save(replace(known, ended_at=house.clock.now()))
            work.record(GatewayJoined(gateway=known.name, key=known.key))
        async with asyncio.timeout(15):
            assert "snapshot" not in [message["type"] async for message in messages]
    with refused("no-gateway"):
        await gateway.post("/v1/gateway/sessions", {})
    with refused("no-gateway"):
        await gateway.post("/v1/gateway/token")


async def test_the_feed_of_a_policy_that_is_not_ours_is_a_failure(house: House) -> None:
    gateway = await house.gateway()
    other = company(contracts=contracts_of_now(), roles={})
    await apply_configuration(replace(house.world.desk, configuration=other))
    with pytest.raises(Failure, match="active policy"):
        async with gateway.streaming("/v1/gateway/feed"):
            pytest.fail("the feed began")
    with pytest.raises(Failure):
        await gateway.get("/v1/health")


async def test_the_streams_end_when_the_server_stops(house: House) -> None:
    gateway = await house.gateway()
    async with gateway.streaming("/v1/gateway/feed") as messages:
        await next_of(messages, "snapshot")
        house.services.streams.close()
        async with asyncio.timeout(5):
            assert [message async for message in messages if message["type"] == "change"] == []


async def test_a_password_is_taken_once_for_its_resource(house: House) -> None:
    gateway, dev = await house.gateway(), await house.signed_in(DEV)
    await lend(house, dev)
    issued = await dev.post("/v1/passwords", {"resource": "orders"})
    assert (issued["connections"], issued["clear_text"]) == (1, False)
    presented = {"password": issued["password"], "resource": "orders", "address": "127.0.0.1"}
    with refused("bad-password"):
        await gateway.post("/v1/gateway/passwords/take", presented | {"resource": "stock"})
    answer = await gateway.post("/v1/gateway/passwords/take", presented)
    assert from_plain(PasswordHolder, answer).person == DEV
    with refused("bad-password"):
        await gateway.post("/v1/gateway/passwords/take", presented)


@pytest.mark.parametrize("connections", [0, -1, 101, 10**9])
async def test_a_password_is_for_a_bounded_number_of_connections(house: House, connections: int) -> None:
    dev = await house.signed_in(DEV)
    await lend(house, dev)
    with refused("too-many"):
        await dev.post("/v1/passwords", {"resource": "orders", "connections": connections})


async def test_sessions_are_reported_seen_and_cut(house: House) -> None:
    gateway, dev = await house.gateway(), await house.signed_in(DEV)
    start = await connected(house, gateway, dev)
    await gateway.post("/v1/gateway/sessions", {"starts": [to_plain(start)], "ends": []})
    (seen,) = await dev.get("/v1/sessions", live="true")
    assert (seen["id"], seen["gateway"], seen["closed_at"]) == (start.id, "gw1", None)
    admin = await house.signed_in(ADMIN)
    assert (await admin.post(f"/v1/sessions/{start.id}/cut", {"reason": "look"}))["cut_why"].endswith("look")
    end = SessionEnd(start.id, house.clock.now(), "cut", 3, "f" * 64)
    other = await house.gateway("gw2")
    with pytest.raises(Refusal, match="belongs to the gateway gw1"):
        await other.post("/v1/gateway/sessions", {"starts": [], "ends": [to_plain(end)]})
    await gateway.post("/v1/gateway/sessions", {"starts": [], "ends": [to_plain(end)]})
    assert await dev.get("/v1/sessions", live="true") == []
    assert (await dev.get(f"/v1/sessions/{start.id}"))["statements"] == 3
    with pytest.raises(NotFound):
        await (await house.signed_in("ops")).get(f"/v1/sessions/{start.id}")


async def test_a_hold_from_opening_to_use(house: House) -> None:
    gateway, dev = await house.gateway(), await house.signed_in(DEV)
    start = await connected(house, gateway, dev)
    opening = to_plain(opening_of(start.id))
    opened = from_plain(HoldOpened, await gateway.post("/v1/gateway/holds", opening))
    take = f"/v1/gateway/holds/{opened.request}/take"
    with refused("not-approved"):
        await gateway.post(take, {"digest": opened.digest})
    dba = await house.signed_in(DBA, present=True)
    shown = await dba.get(f"/v1/requests/{opened.request}")
    assert shown["content"]["text"] == "delete from orders"
    assert shown["content"]["impact"]["parts"][0]["deleted"] == 10_000
    await dba.post(f"/v1/requests/{opened.request}/approve", {"digest": shown["digest"]})
    lead = await house.signed_in(LEAD, present=True)
    with pytest.raises(Refusal):
        await lead.post(f"/v1/requests/{opened.request}/approve", {"digest": shown["digest"]})
    await gateway.post(take, {"digest": opened.digest})
    with refused("used"):
        await gateway.post(take, {"digest": opened.digest})


async def test_a_withdrawn_hold_and_a_very_long_statement(house: House) -> None:
    gateway, dev = await house.gateway(), await house.signed_in(DEV)
    start = await connected(house, gateway, dev)
    text = "delete from orders -- " + "x" * 3_000_000
    opened = await gateway.post("/v1/gateway/holds", to_plain(opening_of(start.id, text=text)), timeout_s=60)
    dba = await house.signed_in(DBA)
    assert (await dba.get(f"/v1/requests/{opened['request']}"))["content"]["text"] == text
    (listed,) = await dba.get("/v1/requests", scope="to-decide")
    assert listed["content"]["text_cut"]
    assert len(listed["content"]["text"]) == 2000
    await gateway.post(f"/v1/gateway/holds/{opened['request']}/withdraw", {"reason": "cancelled"})
    assert (await dev.get(f"/v1/requests/{opened['request']}"))["state"] == "withdrawn"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("passwords/take", {}),
        ("passwords/take", {"password": 5, "resource": "orders", "address": "127.0.0.1"}),
        ("passwords/take", {"password": "a\0b", "resource": "orders", "address": "127.0.0.1"}),
        ("passwords/take", {"password": "a", "resource": "orders"}),
        ("sessions", {"starts": [{}], "ends": []}),
        ("sessions", {"starts": 5}),
        ("sessions", {"starts": [{"id": "s-1", "opened_at": "yesterday"}]}),
        ("holds", {"session": "s-1"}),
        ("holds/r-1/take", {}),
        ("holds/r-1/withdraw", {"reason": None}),
        ("watch/ticket", {"records": 5}),
        ("watch/ticket", {"records": ["x"]}),
    ],
)
async def test_what_a_gateway_sends_must_fit(house: House, path: str, body: Mapping[str, Any]) -> None:
    gateway = await house.gateway()
    with refused("bad-input"):
        await gateway.post(f"/v1/gateway/{path}", body)
