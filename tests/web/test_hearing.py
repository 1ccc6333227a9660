"""Gateways say up to where they have applied what they were told; what others say for them counts for nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from interlock.domain.codec import to_plain
from interlock.errors import Refusal
from interlock.identity.api_client import AsyncApiClient
from interlock.ports.control import SessionEnd
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from tests.services.world import ADMIN, DEV, LEAD, company
from tests.web.house import House, contracts_of_now, open_house, trust
from tests.web.test_gateways import connected, next_of
from tests.web.test_scim import SCIM, SECRET, Directory

WORKER = "0-feedfeed"
NAMED = f"gateway gw1 (worker {WORKER}), which has not said that it heard"


@pytest.fixture
async def house(state: PostgresState, state_database: StateAddress, tmp_path: Path) -> AsyncIterator[House]:
    configuration = company(contracts=contracts_of_now(), scim=SCIM)
    async with open_house(state, state_database, tmp_path, configuration=configuration, scim_secret=SECRET) as opened:
        yield opened


@pytest.fixture
async def directory(house: House) -> AsyncIterator[Directory]:
    async with httpx2.AsyncClient(verify=trust(house.authority), trust_env=False) as http:
        yield Directory(house, http)


@asynccontextmanager
async def _following(gateway: AsyncApiClient, **query: str) -> AsyncIterator[AsyncIterator[Mapping[str, Any]]]:
    async with gateway.streaming("/v1/gateway/feed", **query) as messages:
        await next_of(messages, "snapshot")
        yield messages


async def _end_told(messages: AsyncIterator[Mapping[str, Any]]) -> int:
    """The version with which the end of DEV was told."""
    while True:
        change = await next_of(messages, "change")
        if DEV in change["drop"].get("people", ()):
            return int(change["version"])


async def _say(gateway: AsyncApiClient, version: object, worker: object = WORKER) -> None:
    await gateway.post("/v1/gateway/sessions", {"applied": {"worker": worker, "version": version}})


async def _remains(admin: AsyncApiClient) -> list[str]:
    report = (await admin.get(f"/v1/people/{DEV}/offboarding"))["report"]
    return [str(one) for one in report["remains"]]


async def test_the_report_names_a_gateway_until_it_has_applied_the_end(house: House) -> None:
    gateway, other, admin = await house.gateway("gw1"), await house.gateway("gw2"), await house.signed_in(ADMIN)
    async with _following(gateway, worker=WORKER) as messages:
        await admin.post(f"/v1/people/{DEV}/offboard", {"reason": "left"})
        assert await _remains(admin) == [NAMED]
        version = await _end_told(messages)
        for said, by in ((version - 1, gateway), (version + 1000, gateway), (version, other)):
            await _say(by, said)
            assert await _remains(admin) == [NAMED]
        await _say(gateway, version, "1-feedfeed")
        assert await _remains(admin) == [NAMED]
        await _say(gateway, version)
        assert await _remains(admin) == []


async def test_a_gateway_that_is_cut_off_remains_until_its_lease_is_over(house: House) -> None:
    """Its connection is gone, which says nothing about its sessions."""
    gateway, admin = await house.gateway("gw1"), await house.signed_in(ADMIN)
    async with _following(gateway, worker=WORKER):
        pass
    await admin.post(f"/v1/people/{DEV}/offboard", {"reason": "left"})
    assert await _remains(admin) == [NAMED]
    said = await admin.get(f"/v1/people/{DEV}/offboarding")
    assert said["report"]["made_at"] < said["report"]["certain_from"]
    (then,) = said["report"]["gateways"]
    assert (then["gateway"], then["worker"], then["heard"]) == ("gw1", WORKER, False)


async def test_a_gateway_that_does_not_name_its_worker_speaks_for_nobody(house: House) -> None:
    gateway, admin = await house.gateway("gw1"), await house.signed_in(ADMIN)
    async with _following(gateway) as messages:
        await admin.post(f"/v1/people/{DEV}/offboard", {"reason": "left"})
        await _say(gateway, await _end_told(messages))
        (named,) = await _remains(admin)
        assert named.startswith("gateway gw1 (worker nameless-")


async def test_a_refused_report_applies_nothing(house: House) -> None:
    """What a worker opened is known before its word is taken."""
    gateway, other, admin = await house.gateway("gw1"), await house.gateway("gw2"), await house.signed_in(ADMIN)
    start = await connected(house, other, await house.signed_in(DEV))
    async with _following(gateway, worker=WORKER) as messages:
        await admin.post(f"/v1/people/{DEV}/offboard", {"reason": "left"})
        version = await _end_told(messages)
        end = to_plain(SessionEnd(start.id, house.clock.now(), "the person left", 0, ""))
        with pytest.raises(Refusal):
            await gateway.post(
                "/v1/gateway/sessions", {"ends": [end], "applied": {"worker": WORKER, "version": version}}
            )
        assert NAMED in await _remains(admin)


@pytest.mark.parametrize(
    ("worker", "version"),
    [
        (WORKER, "1"),
        (WORKER, -1),
        (WORKER, True),
        (WORKER, 1.0),
        (WORKER, 2**63),
        (WORKER, None),
        ("", 1),
        ("\0" * 8, 1),
        ("a" * 65, 1),
        (None, 1),
        ([WORKER], 1),
    ],
)
async def test_what_cannot_be_read_is_refused(house: House, worker: object, version: object) -> None:
    gateway = await house.gateway("gw1")
    with pytest.raises(Refusal) as refusal:
        await _say(gateway, version, worker)
    assert refusal.value.code == "bad-input"


@pytest.mark.parametrize("worker", ["short", "with space", "nul\0nul\0", "é" * 8])
async def test_a_name_that_cannot_be_one_follows_nothing(house: House, worker: str) -> None:
    gateway = await house.gateway("gw1")
    with pytest.raises(Refusal):
        async with _following(gateway, worker=worker):
            pytest.fail("the feed began")


async def test_the_directory_is_answered_when_gateways_have_heard_or_a_moment_later(
    house: House, directory: Directory
) -> None:
    gateway, admin = await house.gateway("gw1"), await house.signed_in(ADMIN)
    user = await directory.add(DEV)
    async with _following(gateway, worker=WORKER) as messages:
        ending = asyncio.create_task(directory.patch(user["id"], active=False))
        version = await _end_told(messages)
        assert not ending.done()
        await _say(gateway, version)
        assert (await ending).status_code == 204
        assert await _remains(admin) == []


async def test_the_directory_does_not_wait_for_a_gateway_that_is_deaf(house: House, directory: Directory) -> None:
    gateway, admin = await house.gateway("gw1"), await house.signed_in(ADMIN)
    user = await directory.add(DEV)
    async with _following(gateway, worker=WORKER):
        answer = await directory.patch(user["id"], active=False)
        assert answer.status_code == 204
        assert await _remains(admin) == [NAMED]
        # ends nothing, so it waits for nobody
        assert (await directory.patch(user["id"], displayName="Gone")).status_code == 204


async def test_a_worker_that_leaves_is_named_no_more_and_nobody_leaves_for_it(house: House) -> None:
    gateway, other, admin = await house.gateway("gw1"), await house.gateway("gw2"), await house.signed_in(ADMIN)
    async with _following(gateway, worker=WORKER):
        pass
    await admin.post(f"/v1/people/{DEV}/offboard", {"reason": "left"})
    await other.post("/v1/gateway/leave", {"worker": WORKER})
    for person in (admin, await house.signed_in(LEAD)):
        with pytest.raises(Refusal):
            await person.post("/v1/gateway/leave", {"worker": WORKER})
    for wrong in ({}, {"worker": ""}, {"worker": ["0-feedfeed"]}, {"worker": "0-feedfeed\0"}):
        with pytest.raises(Refusal):
            await gateway.post("/v1/gateway/leave", wrong)
    await gateway.post("/v1/gateway/leave", {"worker": "1-feedfeed"})
    assert await _remains(admin) == [NAMED]
    await gateway.post("/v1/gateway/leave", {"worker": WORKER})
    assert await _remains(admin) == []
