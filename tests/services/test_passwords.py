"""A short-lived password: as often as it is for, there, soon, from one address, and by who is still signed in."""

import asyncio
from datetime import timedelta

import pytest

from interlock.errors import Refusal
from interlock.ports.control import PasswordHolder
from interlock.services.end_contract import end_contract
from interlock.services.end_grant import end_grant
from interlock.services.issue_password import IssuedPassword, issue_password
from interlock.services.offboard_person import offboard_person
from interlock.services.take_password import take_password
from tests.services.world import ADMIN, DEV, GATEWAY, LEAD, SECOND, TICK, World, refused

HERE = "127.0.0.1"


async def issue(world: World, connections: int = 1) -> IssuedPassword:
    login = await world.sign_in(DEV)
    await world.lend("reader", login=login)
    return await issue_password(world.desk, login_id=login.id, resource="orders", connections=connections)


async def take(world: World, issued: IssuedPassword, resource: str = "orders", address: str = HERE) -> PasswordHolder:
    return await take_password(
        world.desk, gateway=GATEWAY, password=issued.password, resource=resource, address=address
    )


async def test_it_stands_for_the_login_it_was_issued_to(world: World) -> None:
    login = await world.sign_in(DEV)
    await world.lend("reader", login=login)
    issued = await issue_password(world.desk, login_id=login.id, resource="orders")
    assert issued.expires_at == world.clock.now() + timedelta(seconds=60)
    assert len(issued.password) >= 22
    assert issued.password not in repr(issued)
    assert await take(world, issued) == PasswordHolder(DEV, login.id)
    async with world.state.reading() as reading:
        bodies = b"".join(entry.body for entry in await reading.ledger())
    assert issued.password.encode() not in bodies


async def test_it_is_taken_once(world: World) -> None:
    issued = await issue(world)
    await take(world, issued)
    with refused("bad-password"):
        await take(world, issued)


async def test_of_many_at_once_one_gets_it(world: World) -> None:
    issued = await issue(world)
    results = await asyncio.gather(*(take(world, issued) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(result, PasswordHolder) for result in results) == 1
    assert sum(isinstance(result, Refusal) for result in results) == 19
    assert len(await world.events("password.used")) == 1


async def test_it_is_taken_as_often_as_it_is_for_and_each_time_is_told(world: World) -> None:
    issued = await issue(world, 3)
    for _ in range(3):
        await take(world, issued)
    with refused("bad-password"):
        await take(world, issued)
    told = await world.events("password.used")
    assert [(event["address"], event["left"]) for event in told] == [(HERE, 2), (HERE, 1), (HERE, 0)]
    assert [event["connections"] for event in await world.events("password.issued")] == [3]


async def test_of_many_at_once_exactly_as_many_get_in_as_it_is_for(world: World) -> None:
    issued = await issue(world, 7)
    results = await asyncio.gather(*(take(world, issued) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(result, PasswordHolder) for result in results) == 7
    assert sum(isinstance(result, Refusal) for result in results) == 13
    told = await world.events("password.used")
    assert sorted(event["left"] for event in told) == list(range(7))


async def test_all_of_its_connections_come_from_one_address(world: World) -> None:
    issued = await issue(world, 3)
    await take(world, issued)
    with refused("bad-password"):
        await take(world, issued, address="203.0.113.9")
    await take(world, issued)
    await take(world, issued)
    with refused("bad-password"):
        await take(world, issued)


@pytest.mark.parametrize("connections", [-1, 0, 101])
async def test_it_is_for_a_bounded_number(world: World, connections: int) -> None:
    with refused("too-many"):
        await issue(world, connections)


async def test_one_for_many_dies_with_its_minute_too(world: World) -> None:
    issued = await issue(world, 100)
    await take(world, issued)
    world.clock.at = issued.expires_at
    with refused("bad-password"):
        await take(world, issued)


async def test_one_for_many_dies_with_the_login(world: World) -> None:
    issued = await issue(world, 100)
    await take(world, issued)
    await end_contract(world.desk, by=LEAD, contract_name="acme-orders", reason="done")
    with refused("login-ended"):
        await take(world, issued)


async def test_it_opens_its_resource_only_and_a_mistake_does_not_spend_it(world: World) -> None:
    issued = await issue(world)
    with refused("bad-password"):
        await take(world, issued, "stock")
    await take(world, issued)


async def test_it_works_until_its_last_moment(world: World) -> None:
    first, second = await issue(world), await issue(world)
    world.clock.at = first.expires_at - TICK
    await take(world, first)
    world.clock.at = second.expires_at
    with refused("bad-password"):
        await take(world, second)


async def test_a_clock_that_went_back_does_not_help(world: World) -> None:
    issued = await issue(world)
    world.clock.advance(-SECOND)
    with refused("bad-password"):
        await take(world, issued)


async def test_it_dies_with_the_login_and_the_person(world: World) -> None:
    issued = await issue(world)
    await end_contract(world.desk, by=LEAD, contract_name="acme-orders", reason="done")
    with refused("login-ended"):
        await take(world, issued)


async def test_it_dies_with_the_person(world: World) -> None:
    issued = await issue(world)
    await offboard_person(world.desk, by=ADMIN, name=DEV, reason="left")
    with refused("login-ended"):
        await take(world, issued)


async def test_an_unknown_one_is_refused(world: World) -> None:
    with refused("bad-password"):
        await take_password(world.desk, gateway=GATEWAY, password="guess", resource="orders", address=HERE)


async def test_it_is_issued_only_to_whom_the_grant_is_bound(world: World) -> None:
    login = await world.sign_in(DEV)
    with refused("no-grant"):
        await issue_password(world.desk, login_id=login.id, resource="orders")
    grant = await world.lend("reader", login=login)
    with refused("no-grant"):
        await issue_password(world.desk, login_id=(await world.sign_in(DEV)).id, resource="orders")
    with refused("no-grant"):
        await issue_password(world.desk, login_id=login.id, resource="stock")
    with refused("not-found"):
        await issue_password(world.desk, login_id=login.id, resource="none")
    with refused("login-ended"):
        await issue_password(world.desk, login_id="l-none", resource="orders")
    await end_grant(world.desk, by=DEV, grant_id=grant.id, reason="enough")
    with refused("no-grant"):
        await issue_password(world.desk, login_id=login.id, resource="orders")
