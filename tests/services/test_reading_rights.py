from interlock.domain.grants import Request
from interlock.services.end_contract import end_contract
from interlock.services.list_people import list_contracts, list_grants, list_people, read_ledger, search_ledger
from interlock.services.list_requests import Scope, list_requests, show_request
from interlock.services.list_resources import list_resources
from interlock.services.offboard_person import offboard_person
from tests.services.world import (
    ADMIN,
    BOTH,
    DBA,
    DBA2,
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


async def seen(world: World, person: str, scope: Scope) -> list[str]:
    return [view.request.id for view in await list_requests(world.desk, person=person, scope=scope)]


async def test_a_request_is_seen_by_who_has_to_do_with_it(world: World) -> None:
    request = await world.ask("reader")
    for person in (DEV, DBA, RIVAL, LEAD, ADMIN):
        assert await seen(world, person, Scope.ALL) == [request.id]
        assert (await show_request(world.desk, person=person, request_id=request.id)).request == request
    for person in (OPS, MATE):
        assert await seen(world, person, Scope.ALL) == []
        with refused("not-found"):
            await show_request(world.desk, person=person, request_id=request.id)


async def _to_decide(world: World, request: Request) -> list[str]:
    people = (DEV, MATE, RIVAL, LEAD, DBA, DBA2, BOTH, OPS, ADMIN)
    return [person for person in people if request.id in await seen(world, person, Scope.TO_DECIDE)]


async def test_what_is_to_decide_is_what_a_yes_would_count_for(world: World) -> None:
    request = await world.ask("writer")
    assert await _to_decide(world, request) == [RIVAL, LEAD, DBA, DBA2, BOTH]
    await world.approve(DBA, request)
    assert await _to_decide(world, request) == [RIVAL, LEAD, DBA2, BOTH]
    view = await show_request(world.desk, person=DEV, request_id=request.id)
    assert ([approval.person for approval in view.approvals], view.missing, view.may_decide) == ([DBA], 1, False)
    world.clock.at = request.expires_at
    assert await _to_decide(world, request) == []


async def test_mine_are_mine(world: World) -> None:
    request = await world.ask("reader")
    await world.ask("reader", person=RIVAL)
    assert await seen(world, DEV, Scope.MINE) == [request.id]
    assert await seen(world, DBA, Scope.MINE) == []


async def test_grants_people_and_contracts(world: World) -> None:
    grant, other = await world.lend("reader"), await world.lend("reader", person=DBA2)
    assert [each.id for each in await list_grants(world.desk, person=DEV)] == [grant.id]
    assert [each.id for each in await list_grants(world.desk, person=LEAD)] == [grant.id]
    assert {each.id for each in await list_grants(world.desk, person=ADMIN)} == {grant.id, other.id}
    assert await list_grants(world.desk, person=OPS) == []
    assert {each.name for each in await list_people(world.desk, person=DEV)} == {DEV, MATE, LEAD}
    assert len(await list_people(world.desk, person=OPS)) == len(world.configuration.people)
    assert [each.name for each in await list_contracts(world.desk, person=RIVAL)] == ["globex-ops"]
    assert len(await list_contracts(world.desk, person=OPS)) == 2


async def test_the_ledger_is_the_administrators(world: World) -> None:
    assert len(await read_ledger(world.desk, person=ADMIN, limit=3)) == 3
    assert {entry.kind for entry in await search_ledger(world.desk, person=ADMIN, text=DEV)} == {"person.added"}
    for person in (DEV, LEAD, DBA):
        with refused("not-yours"):
            await read_ledger(world.desk, person=person)
        with refused("not-yours"):
            await search_ledger(world.desk, person=person, text="x")
    await offboard_person(world.desk, by=ADMIN, name=DBA, reason="left")
    with refused("person-ended"):
        await list_people(world.desk, person=DBA)


async def test_resources_say_what_may_be_asked_and_why_not(world: World) -> None:
    login = await world.sign_in(DEV)
    views = {view.resource.name: view for view in await list_resources(world.desk, login_id=login.id)}
    assert set(views) == {"orders", "stock"}
    offers = {offer.role.name: offer for offer in views["orders"].roles}
    assert offers["reader"].may_ask
    assert not offers["outside"].may_ask
    assert "not in the scope of acme-orders" in offers["outside"].why_not
    sponsor = {
        o.role.name: o for o in (await list_resources(world.desk, login_id=(await world.sign_in(LEAD)).id))[0].roles
    }
    assert "Nobody could approve" in sponsor["writer"].why_not


async def test_resources_show_the_grants_with_the_time_they_have_left(world: World) -> None:
    login, other = await world.sign_in(DEV), await world.sign_in(DEV)
    grant = await world.lend("reader", login=login, duration=2 * HOUR)
    world.clock.advance(HOUR)
    for each in (login, other):
        (at_work,) = (await list_resources(world.desk, login_id=each.id))[0].grants
        assert (at_work.grant, at_work.left, at_work.usable) == (grant, HOUR, each is login)
    world.clock.advance(HOUR)
    assert (await list_resources(world.desk, login_id=login.id))[0].grants == ()


async def test_a_contractor_sees_what_their_contracts_are_about(world: World) -> None:
    await world.apply(with_contract(world.configuration, "globex-ops", roles=frozenset({"unheard-of"})))
    login = await world.sign_in(RIVAL)
    assert await list_resources(world.desk, login_id=login.id) == ()
    await end_contract(world.desk, by=LEAD, contract_name="acme-orders", reason="done")
    assert await list_resources(world.desk, login_id=(await world.sign_in(DEV)).id) == ()
