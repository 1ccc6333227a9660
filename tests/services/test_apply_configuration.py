import asyncio
from dataclasses import replace

from interlock.domain.people import Contract, Identity, Person, Vendor
from interlock.domain.resources import Selector
from interlock.services.apply_configuration import Applied
from interlock.services.offboard_person import offboard_person
from interlock.store.state import PostgresState
from tests.services.world import (
    ADMIN,
    DBA,
    DEV,
    HOUR,
    LEAD,
    MATE,
    RIVAL,
    World,
    company,
    refused,
    with_contract,
    with_person,
    with_role,
    without_person,
)


async def head(world: World) -> int:
    async with world.state.reading() as reading:
        return await reading.ledger_head()


async def test_an_empty_state_takes_the_whole_configuration(state: PostgresState) -> None:
    world = World(state, configuration=company(identities=(Identity("e-mail", "dev@mail", DEV),)))
    applied = await world.apply()
    assert applied.changed
    assert (applied.policy.version, applied.policy.digest) == (1, world.configuration.digest)
    assert (applied.ended, applied.not_revived) == ((), ())
    async with state.reading() as reading:
        assert {person.name: person for person in await reading.people()} == world.configuration.people
        assert {contract.name: contract for contract in await reading.contracts()} == world.configuration.contracts
        assert set(await reading.vendors()) == set(world.configuration.vendors.values())
        assert await reading.identity("e-mail", "dev@mail") == Identity("e-mail", "dev@mail", DEV, True)
        policy = await reading.policy()
    assert policy is not None
    assert policy.yaml == world.configuration.text


async def test_an_identity_that_is_named_no_more_ends_and_still_says_whose_it_was(world: World) -> None:
    subject = "https://idp.example u1"
    await world.apply(company(identities=(Identity("oidc", subject, DEV), Identity("ssh", "SHA256:abc", DEV))))
    login = await world.sign_in(DEV)
    await world.apply(company(identities=(Identity("ssh", "SHA256:abc", DEV),)))
    async with world.state.reading() as reading:
        ended, kept = await reading.identity("oidc", subject), await reading.identity("ssh", "SHA256:abc")
    assert ended is not None
    assert kept is not None
    assert (ended.person, ended.ended_at, kept.ended_at) == (DEV, world.clock.now(), None)
    assert (await world.login(login.id)).ended_at is not None
    assert [one["subject"] for one in await world.events("identity.ended")] == [subject]
    # Named again, it is what it was.
    await world.apply(company(identities=(Identity("oidc", subject, DEV), Identity("ssh", "SHA256:abc", DEV))))
    async with world.state.reading() as reading:
        again = await reading.identity("oidc", subject)
    assert again is not None
    assert again.ended_at is None


async def test_the_same_again_writes_nothing(world: World) -> None:
    before = await head(world)
    for _ in range(3):
        assert not (await world.apply()).changed
    assert await head(world) == before


async def test_two_control_planes_starting_at_once_write_it_once(state: PostgresState) -> None:
    worlds = [World(state) for _ in range(4)]
    results = await asyncio.gather(*(world.apply() for world in worlds))
    assert sorted(applied.changed for applied in results) == [False, False, False, True]
    assert len(await worlds[0].events("policy.activated")) == 1
    assert len(await worlds[0].events("person.added")) == len(worlds[0].configuration.people)


async def test_changes_are_written_as_changes(world: World) -> None:
    people = {**world.configuration.people, "new": Person("new"), DBA: Person(DBA, groups=frozenset({"dba", "x"}))}
    contract = replace(world.configuration.contracts["acme-orders"], sponsor=DBA)
    vendors = {**world.configuration.vendors, "third": Vendor("third")}
    contracts = {**world.configuration.contracts, contract.name: contract}
    applied = await world.apply(company(people=people, contracts=contracts, vendors=vendors))
    assert applied.policy.version == 2
    assert await world.events("person.changed") == [{"person": DBA, "vendor": None, "groups": ["dba", "x"]}]
    assert (await world.events("contract.changed"))[0]["sponsor"] == DBA
    assert (await world.events("person.added"))[-1]["person"] == "new"
    assert (await world.events("vendor.added"))[-1]["vendor"] == "third"


async def test_who_is_gone_from_the_file_has_left(world: World) -> None:
    login = await world.sign_in(DEV)
    grant = await world.lend("reader", login=login)
    before = world.configuration
    applied = await world.apply(without_person(before, DEV))
    assert {item.id for item in applied.ended} == {DEV, grant.id, login.id}
    again = await world.apply(before)
    assert again.not_revived == (DEV,)
    assert not (await world.grant(grant.id)).active(world.clock.now())
    with refused("person-ended"):
        await world.ask("reader")


async def test_an_offboarded_person_is_not_revived(world: World) -> None:
    await offboard_person(world.desk, by=ADMIN, name=DEV, reason="left")
    assert (await world.apply()).not_revived == (DEV,)
    changed = await world.apply(with_person(world.configuration, Person(DEV, groups=frozenset({"dba"}))))
    assert changed.not_revived == (DEV,)
    assert await world.events("person.changed") == []
    with refused("person-ended"):
        await world.ask("reader")


async def test_a_contract_that_is_gone_has_ended(world: World) -> None:
    grant, kept = await world.lend("reader"), await world.lend("reader", person=RIVAL)
    before = world.configuration
    contracts = {name: contract for name, contract in before.contracts.items() if name != "acme-orders"}
    applied = await world.apply(company(contracts=contracts))
    assert {"acme-orders", grant.id} <= {item.id for item in applied.ended}
    assert kept.id not in {item.id for item in applied.ended}
    assert (await world.apply(before)).not_revived == ("acme-orders",)


async def _fallen(world: World, applied: Applied, grant_id: str) -> str:
    assert grant_id in {item.id for item in applied.ended}
    return (await world.grant(grant_id)).ended_reason


async def test_a_grant_falls_with_what_it_was_given_under(world: World) -> None:
    first = world.configuration
    narrow = with_contract(first, "acme-orders", roles=frozenset({"two"}))
    grant = await world.lend("reader")
    assert "not in the scope" in await _fallen(world, await world.apply(narrow), grant.id)

    await world.apply(first)
    grant = await world.lend("reader")
    others = with_contract(first, "acme-orders", people=frozenset({MATE}))
    assert "does not cover" in await _fallen(world, await world.apply(others), grant.id)

    await world.apply(first)
    grant = await world.lend("reader")
    elsewhere = with_role(first, replace(first.roles["reader"], on=Selector(names=frozenset({"stock"}))))
    assert "no longer lends" in await _fallen(world, await world.apply(elsewhere), grant.id)

    await world.apply(first)
    grant = await world.lend("reader")
    later = with_contract(first, "acme-orders", start=world.clock.now() + HOUR)
    assert "does not run" in await _fallen(world, await world.apply(later), grant.id)


async def test_an_employee_who_becomes_a_contractor_loses_what_had_no_contract(world: World) -> None:
    grant = await world.lend("reader", person=LEAD)
    changed = with_person(world.configuration, Person(LEAD, vendor="acme"))
    assert "had no contract" in await _fallen(world, await world.apply(changed), grant.id)


async def test_a_wider_configuration_ends_nothing(world: World) -> None:
    grant = await world.lend("reader")
    login = await world.sign_in(DEV)
    third = Contract("third", "acme", LEAD, world.clock.now(), world.clock.now() + HOUR, frozenset({"reader"}))
    applied = await world.apply(company(contracts={**world.configuration.contracts, "third": third}))
    assert applied.ended == ()
    assert await world.grant(grant.id) == grant
    assert await world.login(login.id) == login


async def test_an_identity_follows_the_file(world: World) -> None:
    for person in (DBA, DEV):
        await world.apply(company(identities=(Identity("e-mail", "x@mail", person),)))
    assert [event["person"] for event in await world.events("identity.linked")] == [DBA, DEV]
