"""A no, a withdrawal, and the passing of time."""

import asyncio

from interlock.domain.grants import RequestState
from interlock.services.deny_request import deny_request
from interlock.services.expire import expire
from interlock.services.withdraw_request import withdraw_request
from tests.services.world import ADMIN, DBA, DBA2, DEV, HOUR, LEAD, MATE, OPS, TICK, World, refused, with_contract


async def test_one_no_ends_it_also_from_who_said_yes(world: World) -> None:
    request = await world.ask("two")
    await world.approve(DBA, request)
    denied = await deny_request(world.desk, by=DBA, request_id=request.id, reason="looked again")
    assert (denied.state, denied.decided_by, denied.decided_reason) == (RequestState.DENIED, DBA, "looked again")
    with refused("not-open"):
        await world.approve(DBA2, request)
    assert await world.events("grant.started") == []


async def test_a_no_after_the_last_yes_is_too_late(world: World) -> None:
    request = await world.ask("reader")
    await world.approve(DBA, request)
    with refused("not-open"):
        await deny_request(world.desk, by=DBA2, request_id=request.id, reason="no")


async def test_only_who_could_say_yes_says_no(world: World) -> None:
    request = await world.ask("reader")
    for person, code in {OPS: "not-in-group", ADMIN: "not-in-group", MATE: "same-vendor", DEV: "self-denial"}.items():
        with refused(code):
            await deny_request(world.desk, by=person, request_id=request.id, reason="no")
    with refused("not-found"):
        await deny_request(world.desk, by=DBA, request_id="r-none", reason="no")
    with refused("not-found"):
        await deny_request(world.desk, by="nobody", request_id=request.id, reason="no")
    with refused("reason-needed"):
        await deny_request(world.desk, by=DBA, request_id=request.id, reason="")


async def test_only_the_requester_withdraws_and_only_once(world: World) -> None:
    request = await world.ask("reader")
    for person in (DBA, ADMIN, LEAD, MATE):
        with refused("not-yours"):
            await withdraw_request(world.desk, person=person, request_id=request.id)
    withdrawn = await withdraw_request(world.desk, person=DEV, request_id=request.id)
    assert withdrawn.state is RequestState.WITHDRAWN
    with refused("not-open"):
        await withdraw_request(world.desk, person=DEV, request_id=request.id)


async def test_an_expired_request_is_neither_denied_nor_withdrawn(world: World) -> None:
    request = await world.ask("reader")
    world.clock.at = request.expires_at
    with refused("expired"):
        await withdraw_request(world.desk, person=DEV, request_id=request.id)
    with refused("expired"):
        await deny_request(world.desk, by=DBA, request_id=request.id, reason="no")


async def test_the_sweep_writes_each_end_once(world: World) -> None:
    request = await world.ask("reader")
    world.clock.at = request.expires_at - TICK
    assert await expire(world.desk) == ()
    world.clock.at = request.expires_at
    swept = await asyncio.gather(*(expire(world.desk) for _ in range(5)))
    assert [item.id for ended in swept for item in ended] == [request.id]
    assert (await world.request(request.id)).state is RequestState.EXPIRED
    assert [event["state"] for event in await world.events("request.ended")] == ["expired"]
    assert await expire(world.desk) == ()


async def test_the_sweep_ends_contracts_and_what_still_rests_on_them(world: World) -> None:
    end = world.clock.now() + HOUR
    grant = await world.lend("reader", duration=2 * HOUR)
    login = await world.sign_in(DEV)
    await world.apply(with_contract(world.configuration, "acme-orders", end=end))
    world.clock.at = end
    await asyncio.gather(*(expire(world.desk) for _ in range(3)))
    assert [event["contract"] for event in await world.events("contract.ended")] == ["acme-orders"]
    assert not (await world.grant(grant.id)).active(end)
    assert not (await world.login(login.id)).active(end)
    await world.apply(with_contract(world.configuration, "acme-orders", end=end + HOUR))
    with refused("outside-contract"):
        await world.ask("reader")
