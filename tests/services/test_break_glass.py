"""Breaking glass: attacks first. It is one person's, short, and looked at by two others before it can happen again."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from interlock.domain.actions import Action
from interlock.domain.grants import RequestState
from interlock.domain.people import Person
from interlock.domain.roles import ApprovalRule, BreakGlass, Lending, Role
from interlock.policy.configuration import Chain
from interlock.policy.repositories import Environment, Repository
from interlock.proof.model import Goal
from interlock.proof.prove import Prover
from interlock.services.break_glass import Broken, break_glass
from interlock.services.deny_request import deny_request
from interlock.services.end_grant import end_grant
from interlock.services.expire import expire
from interlock.services.hold_statement import hold_statement
from interlock.services.list_requests import Scope, list_requests
from interlock.services.offboard_person import offboard_person
from interlock.services.proof_model import build_model
from interlock.services.prove_state import read_live
from interlock.services.withdraw_request import withdraw_request
from interlock.store.state import PostgresState
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
    TICK,
    World,
    company,
    opening_of,
    refused,
    with_person,
    with_role,
)

MINUTES = timedelta(minutes=30)


def glassy(name: str = "watched", **changes: object) -> Role:
    """A role that ops may take at once; ops and dba may review, the lead is told."""
    glass = BreakGlass(
        longest=MINUTES,
        by=ApprovalRule(1, "ops"),
        tell=ApprovalRule(1, people=frozenset({LEAD, ADMIN})),
        review=ApprovalRule(2, "dba"),
    )
    return replace(company().roles[name], break_glass=replace(glass, **changes))  # type: ignore[arg-type]


@pytest.fixture
async def house(state: PostgresState) -> World:
    world = World(state)
    await world.apply(with_role(company(), glassy()))
    return world


async def smash(
    world: World, person: str = OPS, role: str = "watched", duration: timedelta = MINUTES, **login: object
) -> Broken:
    signed = await world.sign_in(person, **login)  # type: ignore[arg-type]
    return await break_glass(
        world.desk, login_id=signed.id, resource="orders", role=role, duration=duration, reason="it burns"
    )


async def over(world: World, broken: Broken) -> None:
    world.clock.at = broken.grant.ends_at


async def close(world: World, broken: Broken) -> None:
    await over(world, broken)
    await world.approve(DBA, broken.review)
    await world.approve(DBA2, broken.review)


async def test_it_starts_at_once_tells_and_opens_a_review(house: World) -> None:
    broken = await smash(house)
    assert broken.grant.active(house.clock.now())
    assert broken.grant.ends_at - broken.grant.starts_at == MINUTES
    (event,) = await house.events("glass.broken")
    assert event["told"] == [ADMIN, LEAD]
    assert (event["person"], event["reason"], event["request"]) == (OPS, "it burns", broken.review.id)
    for reader in (DBA, DBA2, BOTH):
        (view,) = await list_requests(house.desk, person=reader, scope=Scope.TO_DECIDE)
        assert view.request.id == broken.review.id
    (seen,) = await list_requests(house.desk, person=LEAD, scope=Scope.ALL)
    assert seen.request.id == broken.review.id


async def test_two_others_close_it_and_then_it_may_happen_again(house: World) -> None:
    broken = await smash(house)
    await close(house, broken)
    assert (await house.request(broken.review.id)).state is RequestState.APPROVED
    await smash(house)


class TestTheReview:
    async def test_one_reviewer_counts_once(self, house: World) -> None:
        broken = await smash(house)
        await over(house, broken)
        await house.approve(DBA, broken.review)
        with refused("already-approved"):
            await house.approve(DBA, broken.review, login=await house.sign_in(DBA, key="second account"))
        with refused("review-open"):
            await smash(house)

    async def test_the_breaker_closes_it_in_no_login(self, house: World) -> None:
        broken = await smash(house, BOTH)
        await over(house, broken)
        with refused("self-approval"):
            await house.approve(BOTH, broken.review, login=await house.sign_in(BOTH, key="second account"))

    async def test_from_the_breakers_own_machine_nobody_closes_it(self, house: World) -> None:
        broken = await smash(house, key="one laptop")
        await over(house, broken)
        with refused("same-key"):
            await house.approve(DBA, broken.review, login=await house.sign_in(DBA, key="one laptop"))

    async def test_a_colleague_of_the_breakers_vendor_does_not_close_it(self, state: PostgresState) -> None:
        house = World(state)
        await house.apply(with_role(company(), glassy(by=ApprovalRule(1, people=frozenset({DEV})))))
        broken = await smash(house, DEV)
        await over(house, broken)
        with refused("same-vendor"):
            await house.approve(MATE, broken.review)
        await house.approve(RIVAL, broken.review)
        await house.approve(DBA, broken.review)

    async def test_not_while_it_goes_on_but_as_soon_as_it_was_ended(self, house: World) -> None:
        broken = await smash(house)
        with refused("not-over"):
            await house.approve(DBA, broken.review)
        await end_grant(house.desk, by=OPS, grant_id=broken.grant.id, reason="done")
        await house.approve(DBA, broken.review)

    async def test_without_fresh_presence_it_is_not_closed(self, house: World) -> None:
        broken = await smash(house)
        await over(house, broken)
        stale = await house.sign_in(DBA, present_at=house.clock.now() - timedelta(minutes=5))
        with refused("presence-needed"):
            await house.approve(DBA, broken.review, login=stale)

    async def test_it_is_neither_denied_nor_withdrawn_and_never_expires(self, house: World) -> None:
        broken = await smash(house)
        with refused("review-stays"):
            await deny_request(house.desk, by=DBA, request_id=broken.review.id, reason="no")
        with refused("review-stays"):
            await withdraw_request(house.desk, person=OPS, request_id=broken.review.id)
        house.clock.advance(timedelta(days=300))
        await expire(house.desk)
        assert (await house.request(broken.review.id)).state is RequestState.OPEN
        with refused("review-open"):
            await smash(house)

    async def test_a_policy_without_the_role_leaves_it_to_the_rule_it_was_opened_with(self, house: World) -> None:
        broken = await smash(house)
        await over(house, broken)
        await house.apply(with_role(company(), replace(glassy(), break_glass=None)))
        with refused("not-in-group"):
            await house.approve(LEAD, broken.review)
        await house.approve(DBA, broken.review)
        await house.approve(DBA2, broken.review)

    async def test_leaving_does_not_close_it(self, house: World) -> None:
        broken = await smash(house)
        await offboard_person(house.desk, by=ADMIN, name=OPS, reason="left")
        assert not (await house.grant(broken.grant.id)).active(house.clock.now())
        assert (await house.request(broken.review.id)).state is RequestState.OPEN
        await house.approve(DBA, broken.review)


class TestTheBreaker:
    async def test_not_again_while_it_is_open_of_no_role_and_after_no_restart(self, state: PostgresState) -> None:
        house = World(state)
        first = with_role(company(), glassy())
        await house.apply(with_role(first, glassy("reader")))
        await smash(house)
        with refused("review-open"):
            await smash(house, role="reader")
        restarted = World(state, clock=house.clock, configuration=house.configuration)
        restarted.clock.advance(HOUR)
        with refused("review-open"):
            await smash(restarted)
        await smash(restarted, BOTH)

    async def test_only_with_fresh_presence(self, house: World) -> None:
        with refused("presence-needed"):
            await smash(house, absent=True)
        with refused("presence-needed"):
            await smash(house, present_at=house.clock.now() - timedelta(minutes=5))
        assert await house.events("grant.started") == []

    async def test_for_no_longer_than_is_declared(self, house: World) -> None:
        with refused("too-long"):
            await smash(house, duration=MINUTES + timedelta(seconds=1))
        with refused("no-time"):
            await smash(house, duration=timedelta(0))

    async def test_only_whom_the_role_names_and_only_a_role_that_says_so(self, house: World) -> None:
        for person in (DBA, LEAD, ADMIN, DEV):
            with refused("not-your-glass"):
                await smash(house, person)
        with refused("no-glass"):
            await smash(house, role="pair")

    async def test_a_conflict_stands(self, state: PostgresState) -> None:
        house = World(state)
        await house.apply(with_role(company(), glassy("maker")))
        login = await house.sign_in(OPS)
        await house.lend("checker", person=OPS, login=login)
        with refused("conflict"):
            await smash(house, role="maker")

    async def test_a_contract_stands(self, state: PostgresState) -> None:
        house = World(state)
        await house.apply(with_role(company(), glassy("outside", by=ApprovalRule(1, people=frozenset({DEV})))))
        with refused("outside-scope"):
            await smash(house, DEV, "outside")

    async def test_a_hold_stands(self, house: World) -> None:
        login = await house.sign_in(OPS)
        broken = await break_glass(
            house.desk, login_id=login.id, resource="orders", role="watched", duration=MINUTES, reason="it burns"
        )
        session = await house.connect(broken.grant, login)
        opening = replace(opening_of(session, "watched"), person=OPS)
        held = await hold_statement(house.desk, gateway="gw1", opening=opening)
        request = await house.request(held.request)
        with refused("self-approval"):
            await house.approve(OPS, request)

    async def test_not_when_nobody_could_review(self, state: PostgresState) -> None:
        house = World(state)
        await house.apply(with_role(company(), glassy(review=ApprovalRule(2, "ops"))))
        with refused("nobody-to-review"):
            await smash(house)
        third = with_person(house.configuration, Person("ops3", groups=frozenset({"ops"})))
        await house.apply(with_role(third, glassy(review=ApprovalRule(2, "ops"))))
        await smash(house)

    async def test_half_of_it_is_none_of_it(self, house: World) -> None:
        """The review and the grant are one unit of work: nobody has the one without the other."""
        with refused("reason-needed"):
            login = await house.sign_in(OPS)
            await break_glass(
                house.desk, login_id=login.id, resource="orders", role="watched", duration=MINUTES, reason=" "
            )
        broken = await smash(house)
        kinds: dict[str, datetime] = {}
        async with house.state.reading() as reading:
            for entry in await reading.ledger(limit=10_000):
                kinds.setdefault(entry.kind, entry.at)
        assert kinds["request.opened"] == kinds["grant.started"] == kinds["glass.broken"]
        assert broken.grant.request == broken.review.id
        house.clock.advance(MINUTES - TICK)
        assert broken.grant.active(house.clock.now())
        house.clock.advance(TICK)
        assert not broken.grant.active(house.clock.now())


async def test_the_prover_counts_an_emergency_past_a_gate_as_a_way_of_two(state: PostgresState) -> None:
    """What a gate lends, two who may break the glass deploy past it; one alone does not, nor two without the glass."""
    house = World(state)
    await house.apply(company(separations=(), contracts={}))
    async with house.state.reading() as reading:
        live = await read_live(house.desk, reading)
    lending = Lending(HOUR, (ApprovalRule(3, "dba"),))
    broken = replace(glassy("reader"), allow=frozenset({Action.CONNECT, Action.ALTER}), hold=None, lending=lending)
    chain = Chain("release", ("develop", "deploy"))
    production = Environment("production", resource="orders", role="reader")
    shop = Repository("shop", "/shop", "main", "", "release", "develop", environments={"production": production})
    for role, gated, least in (
        (broken, True, 2),
        (broken, False, 1),
        (replace(broken, break_glass=None), True, 4),
    ):
        configuration = replace(
            live.configuration,
            roles={"reader": role},
            chains={"release": chain},
            repositories={"shop": shop} if gated else {},
            policy_approvals=(ApprovalRule(4, "dba"),),
        )
        prover = Prover(build_model(replace(live, configuration=configuration, alone=frozenset())))
        found = prover.smallest(Goal("alter", "orders"))
        assert (found.never or found.least >= least) if least > 2 else found.least == least
        if least == 2:
            assert found.team is not None
            team = set(prover.reach.members(found.team))
            assert team & {OPS, BOTH}, "one of the two may break it"


async def test_the_prover_counts_it_as_a_way_of_the_breaker_alone(state: PostgresState) -> None:
    house = World(state)
    unheld = replace(glassy("reader"), allow=frozenset({Action.CONNECT, Action.ALTER}))
    await house.apply(with_role(with_role(company(), glassy()), unheld))
    async with house.state.reading() as reading:
        prover = Prover(build_model(await read_live(house.desk, reading)))
    team = prover.smallest(Goal("alter", "orders")).team
    assert team is not None
    assert set(prover.reach.members(team)) in ({OPS}, {BOTH})
    assert prover.smallest(Goal("destroy", "orders")).least > 1, "the role holds it for two others"
