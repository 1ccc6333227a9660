"""Duties over an artifact: order, separations, look-ahead, content; each refusal with its reason and who could."""

import asyncio

import pytest

from interlock.domain.duties import read_artifact
from interlock.domain.roles import ApprovalRule
from interlock.errors import NotFound, Refusal
from interlock.policy.configuration import Chain, Separation, SeparationKind
from interlock.services.duties import Taken, do_duty, list_duties, take_duty
from interlock.services.end_contract import end_contract
from interlock.services.offboard_person import offboard_person
from interlock.services.workloads import Acting
from tests.services.world import ADMIN, BOTH, DBA, DBA2, DEV, LEAD, MATE, OPS, RIVAL, World, company, refused

DUTIES = ("develop", "review", "deploy")
SEPARATE = Separation(SeparationKind.SEPARATE, DUTIES)
ARTIFACT = "change:CH-17"


async def _started(world: World, *separations: Separation, dead_ends: bool = False, **by: ApprovalRule) -> None:
    chain = Chain("release", DUTIES, separations or (SEPARATE,), None, by, dead_ends)
    await world.apply(company(chains={"release": chain}))


async def _take(world: World, person: str, duty: str, artifact: str = ARTIFACT) -> Taken:
    login = await world.sign_in(person)
    return await take_duty(world.desk, acting=Acting(login=login.id), chain="release", duty=duty, artifact=artifact)


async def _do(world: World, person: str, duty: str, content: str = "sha256:a") -> list[str]:
    """The duties voided by it."""
    login = await world.sign_in(person)
    own, *voided = await do_duty(
        world.desk, acting=Acting(login=login.id), chain="release", duty=duty, artifact=ARTIFACT, content=content
    )
    assert own.done
    return [duty.duty for duty in voided]


async def _carry(world: World, person: str, duty: str, content: str = "sha256:a") -> None:
    await _take(world, person, duty)
    await _do(world, person, duty, content)


async def test_a_chain_goes_through_three_persons_and_all_of_it_is_in_the_ledger(world: World) -> None:
    await _started(world)
    for person, duty in zip((DEV, DBA, OPS), DUTIES, strict=True):
        await _carry(world, person, duty)
    assert [event["person"] for event in await world.events("duty.taken")] == [DEV, DBA, OPS]
    assert [event["duty"] for event in await world.events("duty.done")] == list(DUTIES)
    history = await list_duties(world.desk, person=LEAD, chain="release", artifact=ARTIFACT)
    assert [past.duty for past in history] == list(DUTIES)


async def test_a_refusal_names_the_rule_the_earlier_act_and_who_could(world: World) -> None:
    await _started(world, SEPARATE, review=ApprovalRule(1, "dba"))
    await _carry(world, DBA, "develop")
    with pytest.raises(Refusal) as caught:
        await _take(world, DBA, "review")
    assert caught.value.code == "separated"
    assert "develop, review, deploy are separate" in caught.value.sentence
    assert f"{DBA} did develop on 2026-" in caught.value.sentence
    assert DBA2 in caught.value.remedy
    assert f" {DBA}," not in caught.value.remedy
    assert OPS not in caught.value.remedy


async def test_duties_are_taken_in_their_order_and_by_one_person(world: World) -> None:
    await _started(world)
    with refused("out-of-order"):
        await _take(world, DBA, "review")
    await _take(world, DEV, "develop")
    with refused("out-of-order"):  # taken is not done
        await _take(world, DBA, "review")
    with refused("taken"):
        await _take(world, OPS, "develop")
    with refused("taken"):
        await _take(world, DEV, "develop")
    with refused("not-taken"):
        await _do(world, OPS, "develop")


async def test_of_two_at_once_one_gets_it(world: World) -> None:
    await _started(world)
    outcomes = await asyncio.gather(
        *(_take(world, person, "develop") for person in (DEV, OPS, DBA)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Taken) for outcome in outcomes) == 1


async def test_who_may_carry_a_duty(world: World) -> None:
    await _started(world, SEPARATE, develop=ApprovalRule(1, "ops"), review=ApprovalRule(1, people=frozenset({DBA})))
    with refused("not-your-duty"):
        await _take(world, DBA, "develop")
    await _carry(world, OPS, "develop")
    with refused("not-your-duty"):
        await _take(world, DBA2, "review")
    await _carry(world, DBA, "review")


async def test_a_duty_is_not_done_by_who_may_not_carry_it_any_more(world: World) -> None:
    await _started(world, Separation(SeparationKind.SEPARATE, ("develop", "deploy")))
    await _carry(world, DBA, "develop")
    await _take(world, DBA, "review")
    await _started(world, SEPARATE)
    with refused("separated"):
        await _do(world, DBA, "review")
    await _started(world, Separation(SeparationKind.SEPARATE, ("develop", "deploy")), review=ApprovalRule(1, "ops"))
    with refused("not-your-duty"):
        await _do(world, DBA, "review")


async def test_being_an_administrator_gives_nothing(world: World) -> None:
    await _started(world, SEPARATE, develop=ApprovalRule(1, "ops"))
    with refused("not-your-duty"):
        await _take(world, ADMIN, "develop")


async def test_a_contractor_without_a_running_contract_carries_nothing(world: World) -> None:
    await _started(world)
    login = await world.sign_in(RIVAL)
    await end_contract(world.desk, by=LEAD, contract_name="globex-ops", reason="over")
    with pytest.raises(Refusal):
        await take_duty(world.desk, acting=Acting(login=login.id), chain="release", duty="develop", artifact=ARTIFACT)


async def test_independent_by_vendor_and_by_team(world: World) -> None:
    await _started(world, Separation(SeparationKind.INDEPENDENT, ("review",), by="vendor"))
    await _carry(world, DEV, "develop")
    with refused("separated"):
        await _take(world, MATE, "review")
    await _carry(world, RIVAL, "review")
    await _started(world, Separation(SeparationKind.INDEPENDENT, ("review",), by="team"))
    login = await world.sign_in(BOTH)
    await take_duty(world.desk, acting=Acting(login=login.id), chain="release", duty="develop", artifact="change:2")
    await do_duty(
        world.desk,
        acting=Acting(login=login.id),
        chain="release",
        duty="develop",
        artifact="change:2",
        content="sha256:b",
    )
    for person in (OPS, DBA, BOTH):
        with refused("separated"):
            await _take(world, person, "review", "change:2")
    await _take(world, LEAD, "review", "change:2")


@pytest.mark.parametrize(("by", "first", "wrong", "right"), [("vendor", DEV, MATE, RIVAL), ("team", DBA, DBA2, OPS)])
async def test_who_has_left_is_still_of_their_vendor_and_their_teams(
    world: World, by: str, first: str, wrong: str, right: str
) -> None:
    await _started(world, Separation(SeparationKind.INDEPENDENT, ("review",), by=by), dead_ends=True)
    await _carry(world, first, "develop")
    await offboard_person(world.desk, by=ADMIN, name=first, reason="left")
    with refused("separated"):
        await _take(world, wrong, "review")
    assert (await _take(world, right, "review")).warning == ""
    await _do(world, right, "review")


async def test_what_somebody_took_and_left_undone_is_taken_by_another(world: World) -> None:
    await _started(world)
    await _carry(world, DEV, "develop")
    await _take(world, DBA, "review")
    with refused("taken"):
        await _take(world, DBA2, "review")
    await offboard_person(world.desk, by=ADMIN, name=DBA, reason="left")
    with refused("separated"):
        await _take(world, DEV, "review")
    assert await world.events("duty.voided") == []
    await _carry(world, DBA2, "review")
    (voided,) = await world.events("duty.voided")
    assert (voided["person"], voided["duty"], voided["reason"]) == (DBA, "review", "dba has left")
    await offboard_person(world.desk, by=ADMIN, name=DBA2, reason="left")
    with refused("taken"):  # what is done is done, whoever did it
        await _take(world, BOTH, "review")
    await _carry(world, OPS, "deploy")


async def test_bound_duties_and_numbers_of_persons(world: World) -> None:
    await _started(
        world,
        Separation(SeparationKind.BIND, ("develop", "deploy")),
        Separation(SeparationKind.AT_LEAST, DUTIES, count=2),
    )
    await _carry(world, DEV, "develop")
    # All three by one person would be one person: that shows with the last two open already.
    taken = await _take(world, DEV, "review")
    assert "could be finished" in taken.warning
    await _do(world, DEV, "review")
    with refused("separated"):
        await _take(world, DEV, "deploy")
    with refused("separated"):
        await _take(world, OPS, "deploy")


async def test_the_look_ahead_warns_or_refuses_and_names_who_could(world: World) -> None:
    only = ApprovalRule(1, people=frozenset({DBA}))
    await _started(world, deploy=only)
    taken = await _take(world, DBA, "develop")
    assert "could be finished" in taken.warning
    assert LEAD in taken.warning or "and" in taken.warning
    await _started(world, dead_ends=True, deploy=only)
    with refused("dead-end"):
        await _take(world, DBA, "develop", "change:3")
    assert (await _take(world, DEV, "develop", "change:3")).warning == ""


async def test_a_change_of_content_voids_what_came_after(world: World) -> None:
    await _started(world)
    await _carry(world, DEV, "develop")
    await _take(world, DBA, "review")
    with refused("other-content"):
        await _do(world, DBA, "review", "sha256:b")
    await _do(world, DBA, "review")
    assert await _do(world, DEV, "develop") == []
    assert await _do(world, DEV, "develop", "sha256:b") == ["review"]
    with refused("out-of-order"):
        await _take(world, OPS, "deploy")
    assert [event["person"] for event in await world.events("duty.voided")] == [DBA]
    # Who reviews now is asked anew, and the developer still may not.
    with refused("separated"):
        await _take(world, DEV, "review")
    await _carry(world, DBA, "review", "sha256:b")
    await _carry(world, OPS, "deploy", "sha256:b")


async def test_history_is_of_one_artifact_alone(world: World) -> None:
    await _started(world)
    await _carry(world, DEV, "develop")
    with refused("out-of-order"):
        await _take(world, DBA, "review", "change:CH-18")
    assert (await _take(world, DBA, "develop", "change:CH-18")).duty.person == DBA


async def test_another_spelling_is_no_other_artifact(world: World) -> None:
    await _started(world)
    for text in ("CH-17", "Change:CH-17", "change: CH-17", "change:CH-17\n", "commit:abc", "change:", "ticket:1"):
        assert read_artifact(text) is None, text
        with refused("bad-artifact"):
            await _take(world, DEV, "develop", text)
    assert str(read_artifact("commit:" + "0a" * 20)) == "commit:" + "0a" * 20
    assert read_artifact("commit:" + "0A" * 20) is None


async def test_what_is_not_there_says_so(world: World) -> None:
    await _started(world)
    login = await world.sign_in(DEV)
    for chain, duty in (("other", "develop"), ("release", "sleep")):
        with pytest.raises(NotFound):
            await take_duty(world.desk, acting=Acting(login=login.id), chain=chain, duty=duty, artifact=ARTIFACT)
    with pytest.raises(NotFound, match="There is no chain relaese"):
        await list_duties(world.desk, person=LEAD, chain="relaese", artifact=ARTIFACT)
    await _take(world, DEV, "develop")
    await world.apply(company(chains={}))
    assert len(await list_duties(world.desk, person=LEAD, chain="release", artifact=ARTIFACT)) == 1, "history stays"


async def test_a_contractor_sees_the_history_of_what_they_took_part_in(world: World) -> None:
    await _started(world)
    await _carry(world, DEV, "develop")
    assert await list_duties(world.desk, person=RIVAL, chain="release", artifact=ARTIFACT) == ()
    assert len(await list_duties(world.desk, person=DEV, chain="release", artifact=ARTIFACT)) == 1
