"""The attacks first: one person, however many logins, groups and friends, never gives themself anything."""

from dataclasses import replace
from datetime import timedelta

from interlock.domain.grants import RequestState
from interlock.domain.people import Person
from interlock.domain.roles import ApprovalRule, Lending
from interlock.services.deny_request import deny_request
from interlock.services.end_contract import end_contract
from interlock.services.give_approval import give_approval
from interlock.services.offboard_person import offboard_person
from interlock.services.withdraw_request import withdraw_request
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
    refused,
    with_contract,
    with_person,
    with_role,
)


async def test_the_requester_does_not_approve_in_any_login(world: World) -> None:
    request = await world.ask(person=DBA)
    other_login = await world.sign_in(DBA)
    with refused("self-approval"):
        await world.approve(DBA, request, login=other_login)
    assert (await world.request(request.id)).state is RequestState.OPEN


async def test_another_person_with_the_requesters_own_key_is_no_other_person(world: World) -> None:
    login = await world.sign_in(DEV, key="one-laptop")
    request = await world.ask(login=login)
    with refused("same-key"):
        await world.approve(DBA, request, login=await world.sign_in(DBA, key="one-laptop"))


async def test_a_person_in_two_groups_fills_one_rule_only(world: World) -> None:
    request = await world.ask("pair")
    assert (await world.approve(BOTH, request)).grant is None
    with refused("already-approved"):
        await world.approve(BOTH, request)
    assert (await world.approve(OPS, request)).grant is not None


async def test_a_person_in_two_groups_makes_room_for_the_other(world: World) -> None:
    request = await world.ask("pair")
    await world.approve(BOTH, request)
    assert (await world.approve(DBA, request)).grant is not None


async def test_two_of_one_group_are_two_persons(world: World) -> None:
    request = await world.ask("two")
    assert (await world.approve(DBA, request)).tally.missing == 1
    with refused("already-approved"):
        await world.approve(DBA, request)
    assert (await world.approve(DBA2, request)).grant is not None


async def test_the_same_vendor_approves_only_where_the_rule_says_so(world: World) -> None:
    with refused("same-vendor"):
        await world.approve(MATE, await world.ask("reader"))
    assert (await world.approve(MATE, await world.ask("friendly"))).grant is not None


async def test_another_vendors_person_approves_while_under_contract(world: World) -> None:
    request = await world.ask("reader")
    await end_contract(world.desk, by=LEAD, contract_name="globex-ops", reason="over")
    with refused("contract-ended"):
        await world.approve(RIVAL, request)


async def test_who_is_described_by_no_rule_does_not_approve(world: World) -> None:
    request = await world.ask("reader")
    with refused("not-in-group"):
        await world.approve(OPS, request)
    with refused("not-in-group"):
        await world.approve(ADMIN, request)


async def test_a_sponsor_does_not_sponsor_their_own_request(world: World) -> None:
    request = await world.ask("pair", person=LEAD)
    with refused("self-approval"):
        await world.approve(LEAD, request)


async def test_an_approver_who_left_does_not_count(world: World) -> None:
    request = await world.ask("two")
    await world.approve(DBA, request)
    report = await offboard_person(world.desk, by=ADMIN, name=DBA, reason="left")
    assert ("approval", request.id) in {(item.what, item.id) for item in report.ended}
    assert (await world.approve(DBA2, request)).grant is None
    assert (await world.request(request.id)).state is RequestState.OPEN
    assert (await world.approve(RIVAL, request)).grant is not None


async def test_an_approver_who_lost_the_group_does_not_count(world: World) -> None:
    request = await world.ask("two")
    await world.approve(DBA, request)
    await world.apply(with_person(world.configuration, Person(DBA, groups=frozenset({"ops"}))))
    approved = await world.approve(DBA2, request)
    assert approved.grant is None
    assert approved.tally.missing == 1


async def test_an_approver_who_came_over_to_the_vendor_does_not_count(world: World) -> None:
    request = await world.ask("two")
    await world.approve(DBA, request)
    await world.apply(with_person(world.configuration, Person(DBA, vendor="acme", groups=frozenset({"dba"}))))
    assert (await world.approve(DBA2, request)).grant is None


async def test_a_stale_digest_is_no_yes(world: World) -> None:
    request = await world.ask("reader")
    other = await world.ask("reader", resource="stock")
    with refused("stale-digest"):
        await world.approve(DBA, replace(request, digest=other.digest))
    assert await world.events("approval.given") == []


async def test_a_request_is_approved_until_its_last_moment_and_not_at_its_end(world: World) -> None:
    late, later = await world.ask("reader"), await world.ask("reader", resource="stock")
    world.clock.at = late.expires_at - TICK
    assert (await world.approve(DBA, late)).grant is not None
    world.clock.at = later.expires_at
    with refused("expired"):
        await world.approve(DBA, later)


async def test_presence_is_fresh_until_its_last_moment(world: World) -> None:
    first, second = await world.ask("reader"), await world.ask("reader", resource="stock")
    login = await world.sign_in(DBA)
    world.clock.advance(timedelta(minutes=5) - TICK)
    assert (await world.approve(DBA, first, login=login)).grant is not None
    world.clock.advance(TICK)
    with refused("presence-needed"):
        await world.approve(DBA, second, login=login)
    with refused("presence-needed"):
        await world.approve(DBA2, second, login=await world.sign_in(DBA2, absent=True))


async def test_a_presence_from_the_future_is_none(world: World) -> None:
    request = await world.ask("reader")
    login = await world.sign_in(DBA, present_at=world.clock.now() + HOUR)
    with refused("presence-needed"):
        await world.approve(DBA, request, login=login)


async def test_a_login_that_is_over_approves_nothing(world: World) -> None:
    request = await world.ask("reader")
    login = await world.sign_in(DBA)
    world.clock.at = login.ends_at
    with refused("login-ended"):
        await world.approve(DBA, request, login=login)
    with refused("login-ended"):
        await give_approval(world.desk, login_id="l-unknown", request_id=request.id, digest=request.digest)


async def test_what_was_decided_is_not_approved_again(world: World) -> None:
    approved, denied, withdrawn = [await world.ask(role) for role in ("reader", "friendly", "maker")]
    await world.approve(DBA, approved)
    await deny_request(world.desk, by=DBA, request_id=denied.id, reason="no")
    await withdraw_request(world.desk, person=DEV, request_id=withdrawn.id)
    for request in (approved, denied, withdrawn):
        with refused("not-open"):
            await world.approve(DBA2, request)


async def test_the_window_starts_with_the_last_approval_and_never_again(world: World) -> None:
    request = await world.ask("two", duration=2 * HOUR)
    await world.approve(DBA, request)
    world.clock.advance(HOUR)
    grant = (await world.approve(DBA2, request)).grant
    assert grant is not None
    assert (grant.starts_at, grant.ends_at) == (world.clock.now(), world.clock.now() + 2 * HOUR)
    world.clock.advance(HOUR)
    with refused("not-open"):
        await world.approve(RIVAL, request)
    login = await world.sign_in(DEV, key=grant.key)
    await world.connect(grant, login)
    await world.connect(grant, login)
    await world.apply()
    assert await world.grant(grant.id) == grant


async def test_the_window_ends_with_the_contract(world: World) -> None:
    request = await world.ask("reader", duration=2 * HOUR)
    end = world.clock.now() + timedelta(minutes=90)
    await world.apply(with_contract(world.configuration, "acme-orders", end=end))
    grant = (await world.approve(DBA, request)).grant
    assert grant is not None
    assert grant.ends_at == end
    assert grant.contract == "acme-orders"
    (event,) = await world.events("grant.started")
    assert event["contract"] == "acme-orders", "who reads the ledger alone knows it as well"


async def test_the_contract_and_the_requester_are_looked_at_again(world: World) -> None:
    request = await world.ask("reader")
    await world.apply(with_contract(world.configuration, "acme-orders", roles=frozenset({"two"})))
    with refused("outside-scope"):
        await world.approve(DBA, request)
    assert await world.events("approval.given") == []


async def test_a_conflict_that_arose_since_is_met_at_the_last_approval(world: World) -> None:
    maker, checker = await world.ask("maker"), await world.ask("checker")
    await world.approve(DBA, maker)
    with refused("conflict"):
        await world.approve(DBA, checker)


async def test_a_policy_that_became_stricter_counts(world: World) -> None:
    request = await world.ask("reader")
    strict = replace(world.configuration.roles["reader"], lending=Lending(HOUR, (ApprovalRule(count=2, group="dba"),)))
    await world.apply(with_role(world.configuration, strict))
    assert (await world.approve(DBA, request)).grant is None
    assert (await world.approve(DBA2, request)).grant is not None


async def test_a_policy_that_became_looser_does_not_help_an_older_request(world: World) -> None:
    request = await world.ask("two")
    loose = replace(world.configuration.roles["two"], lending=Lending(HOUR, (ApprovalRule(count=1, group="dba"),)))
    await world.apply(with_role(world.configuration, loose))
    assert (await world.approve(DBA, request)).grant is None


async def test_a_role_that_is_lent_for_less_since_is_not_lent_for_more(world: World) -> None:
    request = await world.ask("reader", duration=2 * HOUR)
    short = replace(world.configuration.roles["reader"], lending=Lending(HOUR, (ApprovalRule(count=1, group="dba"),)))
    await world.apply(with_role(world.configuration, short))
    with refused("too-long"):
        await world.approve(DBA, request)


async def test_the_sponsor_rule_is_met_by_the_sponsor_alone(world: World) -> None:
    request = await world.ask("writer")
    await world.approve(DBA, request)
    assert (await world.approve(DBA2, request)).grant is None
    grant = (await world.approve(LEAD, request)).grant
    assert grant is not None
    assert grant.key == request.key
    assert [event["grant"] for event in await world.events("grant.started")] == [grant.id]


async def test_the_judges_are_those_of_the_opening_and_of_now(world: World) -> None:
    request = await world.ask("reader")
    moved = replace(world.configuration.roles["reader"], lending=Lending(HOUR, (ApprovalRule(count=1, group="ops"),)))
    await world.apply(with_role(world.configuration, moved))
    for person in (DBA, OPS):
        with refused("not-in-group"):
            await world.approve(person, request)
    assert (await world.approve(BOTH, request)).grant is not None
