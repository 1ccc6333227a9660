"""Ends: who may, what goes with them, and that nothing comes back."""

import pytest

from interlock.domain.grants import RequestState
from interlock.errors import Refusal
from interlock.services.end_contract import end_contract
from interlock.services.end_grant import end_grant
from interlock.services.offboard_person import offboard_person
from tests.services.world import (
    ADMIN,
    BOTH,
    DBA,
    DEV,
    HOUR,
    LEAD,
    MATE,
    OPS,
    RIVAL,
    World,
    refused,
    with_contract,
)


async def test_a_grant_is_ended_by_who_answers_for_it(world: World) -> None:
    for person in (DEV, LEAD, DBA, ADMIN):
        grant = await world.lend("reader")
        ended = await end_grant(world.desk, by=person, grant_id=grant.id, reason="enough")
        assert ended == await world.grant(grant.id)
        assert (ended.ended_at, ended.ended_by, ended.ended_reason) == (world.clock.now(), person, "enough")
        assert (ended.starts_at, ended.ends_at) == (grant.starts_at, grant.ends_at)
        with refused("over"):
            await end_grant(world.desk, by=person, grant_id=grant.id, reason="enough")
    assert [event["by"] for event in await world.events("grant.ended")] == [DEV, LEAD, DBA, ADMIN]


async def test_a_grant_is_not_ended_by_strangers(world: World) -> None:
    grant = await world.lend("reader")
    for person in (OPS, MATE):
        with refused("not-yours"):
            await end_grant(world.desk, by=person, grant_id=grant.id, reason="why not")
    with refused("not-found"):
        await end_grant(world.desk, by=ADMIN, grant_id="g-none", reason="enough")
    world.clock.at = grant.ends_at
    with refused("over"):
        await end_grant(world.desk, by=ADMIN, grant_id=grant.id, reason="enough")


async def test_a_contract_ends_with_all_that_rests_on_it(world: World) -> None:
    login, other = await world.sign_in(DEV), await world.sign_in(RIVAL)
    grant = await world.lend("reader", login=login)
    foreign = await world.lend("reader", person=RIVAL, login=other)
    waiting = await world.ask("writer", login=login)
    ended = await end_contract(world.desk, by=LEAD, contract_name="acme-orders", reason="done")
    what = {(item.what, item.id) for item in ended}
    assert {("contract", "acme-orders"), ("grant", grant.id), ("request", waiting.id), ("login", login.id)} <= what
    assert foreign.id not in {item.id for item in ended}
    assert other.id not in {item.id for item in ended}
    assert (await world.grant(grant.id)).ended_by == LEAD
    assert (await world.login(login.id)).ended_at == world.clock.now()
    assert (await world.request(waiting.id)).state is RequestState.WITHDRAWN
    assert (await world.grant(foreign.id)).active(world.clock.now())
    await _at_their_places(world, [(item.what, item.position) for item in ended])


async def _at_their_places(world: World, found: list[tuple[str, int]]) -> None:
    async with world.state.reading() as reading:
        entries = {entry.position: entry.kind for entry in await reading.ledger()}
    for what, position in found:
        assert entries[position].startswith(what), (what, entries[position])
    assert len({position for _, position in found}) == len(found)


async def test_an_ended_contract_never_comes_back(world: World) -> None:
    await end_contract(world.desk, by=ADMIN, contract_name="acme-orders", reason="done")
    with refused("over"):
        await end_contract(world.desk, by=ADMIN, contract_name="acme-orders", reason="done")
    assert "acme-orders" in (await world.apply()).not_revived
    longer = with_contract(world.configuration, "acme-orders", end=world.clock.now() + 9000 * HOUR)
    assert "acme-orders" in (await world.apply(longer)).not_revived
    with refused("outside-contract"):
        await world.ask("reader")


async def test_a_contract_is_ended_by_its_sponsor_or_administrators(world: World) -> None:
    for person in (DBA, DEV, MATE, RIVAL):
        with refused("not-yours"):
            await end_contract(world.desk, by=person, contract_name="acme-orders", reason="done")
    with refused("not-found"):
        await end_contract(world.desk, by=ADMIN, contract_name="none", reason="done")


async def test_a_second_contract_keeps_the_login(world: World) -> None:
    second = world.configuration.contracts["acme-orders"]
    await world.apply(with_contract(world.configuration, "globex-ops", vendor="acme", roles=second.roles))
    login = await world.sign_in(DEV)
    await end_contract(world.desk, by=LEAD, contract_name="acme-orders", reason="done")
    assert (await world.login(login.id)).active(world.clock.now())


async def test_a_person_leaves_with_all_that_is_theirs(world: World) -> None:
    login = await world.sign_in(DBA)
    own, waiting = await world.lend("outside", BOTH, person=DBA, login=login), await world.ask("two")
    await world.approve(DBA, waiting)
    asked = await world.ask("reader", person=DBA, login=login)
    report = await offboard_person(world.desk, by=ADMIN, name=DBA, reason="left the company")
    assert {(item.what, item.id) for item in report.ended if item.what != "login"} == {
        ("person", DBA),
        ("grant", own.id),
        ("request", asked.id),
        ("approval", waiting.id),
    }
    assert login.id in {item.id for item in report.ended}
    assert all(item.person == DBA for item in report.ended)
    await _at_their_places(world, [(item.what, item.position) for item in report.ended])
    assert not (await world.grant(own.id)).active(world.clock.now())
    assert (await world.request(waiting.id)).state is RequestState.OPEN
    assert DBA in (await world.apply()).not_revived
    with refused("over"):
        await offboard_person(world.desk, by=ADMIN, name=DBA, reason="again")


async def test_a_sponsor_offboards_their_contractors_and_nobody_else(world: World) -> None:
    for name in (DBA, ADMIN):
        with refused("not-yours"):
            await offboard_person(world.desk, by=LEAD, name=name, reason="no")
    with refused("not-yours"):
        await offboard_person(world.desk, by=MATE, name=DEV, reason="no")
    await offboard_person(world.desk, by=LEAD, name=DEV, reason="not needed any more")
    with refused("person-ended"):
        await offboard_person(world.desk, by=DEV, name=MATE, reason="revenge")


async def test_nobody_offboards_themself(world: World) -> None:
    for name in (ADMIN, DEV):
        with refused("self-offboard"):
            await offboard_person(world.desk, by=name, name=name, reason="bye")
    with refused("not-found"):
        await offboard_person(world.desk, by=ADMIN, name="nobody", reason="bye")


async def test_a_sponsor_who_leaves_is_missed(world: World) -> None:
    report = await offboard_person(world.desk, by=ADMIN, name=LEAD, reason="left")
    assert report.without_sponsor == ("acme-orders", "globex-ops")
    paused = {item.id for item in report.ended if item.what == "contract"}
    assert paused == {"acme-orders", "globex-ops"}
    login = await world.sign_in(DEV)
    for role in ("writer", "reader"):
        with pytest.raises(Refusal, match="no contract that runs now"):
            await world.ask(role, login=login)
