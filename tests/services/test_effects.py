"""What the prover says before somebody decides: about a grant, and about a change of the policy."""

from dataclasses import replace

import pytest

from interlock.domain.actions import Action, Need
from interlock.errors import NotFound, Refusal
from interlock.services.effect_of_change import effect_of_proposal, effect_of_text
from interlock.services.effect_of_grant import effect_of_grant
from interlock.services.effect_of_statement import effect_of_statement
from interlock.services.hold_statement import hold_statement
from interlock.store.state import PostgresState
from tests.services.guarded import CHIEF, CLERK, DEPUTY, FELLOW, HAND, KEEPER, POLICY, Guarded
from tests.services.world import GATEWAY, opening_of, refused


@pytest.fixture
async def world(state: PostgresState) -> Guarded:
    guarded = Guarded(state)
    await guarded.start()
    for person in (CHIEF, DEPUTY):
        await guarded.sign_in(person)
    return guarded


async def test_a_grant_that_leaves_nobody_alone(world: Guarded) -> None:
    request = await world.ask("writer", person=HAND)
    effect = await effect_of_grant(world.desk, reader=CHIEF, request_id=request.id)
    assert effect.known
    assert {"connect", "read", "write"} == set(effect.alone)
    assert {one.action: one.persons for one in effect.together} == {"alter": 2, "destroy": 2}
    assert effect.guarded_alone == ()
    (alter,) = [one for one in effect.reached if one.action == "alter"]
    assert alter.others
    assert alter.before == 2


async def test_who_could_help_is_told_to_administrators_alone(world: Guarded) -> None:
    request = await world.ask("writer", person=HAND)
    effect = await effect_of_grant(world.desk, reader=KEEPER, request_id=request.id)
    assert {one.action: one.persons for one in effect.together} == {"alter": 2, "destroy": 2}
    assert all(one.others == () for one in effect.reached)
    with pytest.raises(NotFound):
        await effect_of_grant(world.desk, reader=FELLOW, request_id=request.id)


async def test_one_more_person(world: Guarded) -> None:
    more = POLICY.replace("vendors: {acme: {}}", "vendors: {acme: {}, bolt: {}}")
    more = more.replace("  fellow@acme", "  new@bolt.example: {vendor: bolt}\n  fellow@acme")
    more = more.replace(
        "contracts:\n",
        "contracts:\n"
        "  bolt-orders:\n"
        "    {vendor: bolt, sponsor: chief@example.com, start: 2026-01-01, end: 2027-12-31, roles: [writer]}\n",
    )
    request = await world.propose(more)
    effect = await effect_of_proposal(world.desk, reader=DEPUTY, request_id=request.id)
    assert effect.complete
    (difference,) = effect.differences
    assert difference.word == "more"
    assert difference.sentence == (
        "One more person could come to connect, read, write, alter, destroy on orders: new@bolt.example."
    )
    with pytest.raises(NotFound):
        await effect_of_proposal(world.desk, reader=CLERK, request_id=request.id)


async def test_fewer_persons_and_a_change_that_breaks_a_claim(world: Guarded) -> None:
    fewer = POLICY.replace("  hand@acme.example: {vendor: acme}\n", "")
    effect = await effect_of_text(world.desk, person=CLERK, yaml=fewer, cedar={})
    assert [one.word for one in effect.differences] == ["fewer"]
    assert HAND in effect.differences[0].sentence
    broken = POLICY.replace("    separate: all\n", "")
    effect = await effect_of_text(world.desk, person=CLERK, yaml=broken, cedar={})
    assert effect.refusal is not None
    assert effect.refusal.code == "breaks-claim"
    with refused("not-employee"):
        await effect_of_text(world.desk, person=HAND, yaml=fewer, cedar={})
    with pytest.raises(Refusal, match="resources is not a mapping"):
        await effect_of_text(world.desk, person=CLERK, yaml="resources: 1", cedar={})


async def held(world: Guarded, *actions: Action) -> str:
    login = await world.sign_in(HAND)
    grant = await world.lend("writer", KEEPER, person=HAND, login=login)
    opening = opening_of(await world.connect(grant, login))
    opening = replace(opening, person=HAND, needs=tuple(map(Need, actions)))
    return (await hold_statement(world.desk, gateway=GATEWAY, opening=opening)).request


async def test_a_held_statement_takes_its_person_and_another(world: Guarded) -> None:
    request = await held(world, Action.DESTROY, Action.READ)
    effect = await effect_of_statement(world.desk, reader=CHIEF, request_id=request)
    assert effect.known
    found = {one.action: (one.persons, one.guarded) for one in effect.reached}
    assert found == {"read": (1, False), "destroy": (2, True)}
    assert effect.guarded_alone == ()
    (destroy,) = effect.together
    assert destroy.others, "who could be the other is told to an administrator"
    kept = await effect_of_statement(world.desk, reader=KEEPER, request_id=request)
    assert all(one.others == () for one in kept.reached)
    for nobody in (FELLOW, CLERK):
        with pytest.raises(NotFound):
            await effect_of_statement(world.desk, reader=nobody, request_id=request)


async def test_what_its_person_could_do_alone_as_well_is_said(state: PostgresState) -> None:
    """Held for another reason, such as an alarm, while no role holds it: an approval is not what stands between."""
    world = Guarded(state)
    await world.start(POLICY.replace("hold: [alter, destroy]", "hold: [alter]"))
    effect = await effect_of_statement(world.desk, reader=KEEPER, request_id=await held(world, Action.DESTROY))
    assert effect.guarded_alone == ("destroy",)
