"""What the prover says before somebody decides: about a grant, and about a change of the policy."""

import pytest

from interlock.errors import NotFound, Refusal
from interlock.services.effect_of_change import effect_of_proposal, effect_of_text
from interlock.services.effect_of_grant import effect_of_grant
from interlock.store.state import PostgresState
from tests.services.guarded import CHIEF, CLERK, DEPUTY, FELLOW, HAND, KEEPER, POLICY, Guarded
from tests.services.world import refused


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
