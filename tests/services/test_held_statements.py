"""A held statement: asked once, approved by others, run once, and never after its approval stopped being one."""

from datetime import timedelta

import pytest

from interlock.domain.codec import from_plain
from interlock.domain.grants import RequestKind, RequestState
from interlock.domain.people import Person
from interlock.ports.control import HoldOpened, SessionEnd
from interlock.ports.protocol import Impact
from interlock.services.cut_session import cut_session
from interlock.services.deny_request import deny_request
from interlock.services.end_contract import end_contract
from interlock.services.end_grant import end_grant
from interlock.services.hold_statement import hold_statement
from interlock.services.offboard_person import offboard_person
from interlock.services.report_sessions import report_sessions
from interlock.services.take_hold import take_hold
from interlock.services.withdraw_hold import withdraw_hold
from tests.services.world import (
    ADMIN,
    DBA,
    DBA2,
    DEV,
    GATEWAY,
    LEAD,
    MATE,
    OPS,
    RIVAL,
    TICK,
    World,
    opening_of,
    refused,
    with_contract,
    with_person,
)


async def take(world: World, hold: HoldOpened, *, digest: str = "", gateway: str = GATEWAY) -> None:
    await take_hold(world.desk, gateway=gateway, request_id=hold.request, digest=digest or hold.digest)


async def approve(world: World, hold: HoldOpened, *people: str) -> None:
    request = await world.request(hold.request)
    for person in people:
        await world.approve(person, request)


async def test_an_approved_statement_runs_once(world: World) -> None:
    session, _, login = await world.session_with()
    hold = await world.hold(session)
    assert hold.who == "one of both, dba, dba2, lead, rival@globex"
    assert hold.expires_at == world.clock.now() + timedelta(minutes=10)
    request = await world.request(hold.request)
    assert (request.kind, request.person, request.key) == (RequestKind.STATEMENT, DEV, login.key)
    assert request.content["text"] == "delete from orders"
    assert request.content["parameters"] == ["1", None]
    assert from_plain(Impact, request.content["impact"]).touched == 10_000
    with refused("not-approved"):
        await take(world, hold)
    await approve(world, hold, DBA)
    assert (await world.request(hold.request)).state is RequestState.APPROVED
    await take(world, hold)
    with refused("used"):
        await take(world, hold)
    assert [event["state"] for event in await world.events("request.ended")][-2:] == ["approved", "used"]


async def test_the_requester_and_their_vendor_do_not_approve_it(world: World) -> None:
    session, _, _ = await world.session_with()
    hold = await world.hold(session)
    for person, code in {DEV: "self-approval", MATE: "same-vendor", OPS: "not-in-group", ADMIN: "not-in-group"}.items():
        with refused(code):
            await approve(world, hold, person)


async def test_the_rules_of_the_hold_itself(world: World) -> None:
    session, _, _ = await world.session_with("watched", DBA)
    hold = await world.hold(session, "watched")
    assert hold.who == "2 of both, dba, dba2, rival@globex"
    with refused("not-in-group"):
        await approve(world, hold, LEAD)
    await approve(world, hold, DBA)
    with refused("not-approved"):
        await take(world, hold)
    await approve(world, hold, RIVAL)
    await take(world, hold)


async def test_another_text_was_not_approved(world: World) -> None:
    session, _, _ = await world.session_with()
    one, other = await world.hold(session), await world.hold(session, text="drop table orders")
    assert one.digest != other.digest
    await approve(world, one, DBA)
    with refused("stale-digest"):
        await take(world, one, digest=other.digest)
    with refused("not-approved"):
        await take(world, other)
    await take(world, one)


async def test_an_approval_is_worth_nothing_from_the_hold_s_end_on(world: World) -> None:
    session, _, _ = await world.session_with()
    late, later = await world.hold(session), await world.hold(session, text="drop table orders")
    await approve(world, late, DBA)
    await approve(world, later, DBA)
    world.clock.at = late.expires_at - TICK
    await take(world, late)
    world.clock.at = later.expires_at
    with refused("expired"):
        await take(world, later)


async def test_an_approver_who_left_or_lost_the_group_does_not_count_any_more(world: World) -> None:
    session, _, _ = await world.session_with()
    first, second = await world.hold(session), await world.hold(session, text="drop table orders")
    await approve(world, first, DBA)
    await approve(world, second, DBA2)
    await offboard_person(world.desk, by=ADMIN, name=DBA, reason="left")
    with refused("approval-void"):
        await take(world, first)
    await world.apply(with_person(world.configuration, Person(DBA2)))
    with refused("approval-void"):
        await take(world, second)


@pytest.mark.parametrize("end", ["grant", "contract", "person", "cut", "closed"])
async def test_nothing_runs_when_what_it_rests_on_has_ended(world: World, end: str) -> None:
    session, grant, _ = await world.session_with()
    approved, waiting = await world.hold(session), await world.hold(session, text="drop table orders")
    await approve(world, approved, DBA)
    if end == "grant":
        await end_grant(world.desk, by=LEAD, grant_id=grant.id, reason="enough")
    elif end == "contract":
        await end_contract(world.desk, by=LEAD, contract_name="acme-orders", reason="done")
    elif end == "person":
        await offboard_person(world.desk, by=LEAD, name=DEV, reason="left")
    elif end == "cut":
        await cut_session(world.desk, by=LEAD, session_id=session, reason="stop")
    else:
        closing = SessionEnd(session, world.clock.now(), "the client left", 3, "")
        await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(), ends=(closing,))
    with refused("session-over"):
        await take(world, approved)
    with refused("session-over" if end in {"grant", "cut"} else "not-open"):
        await approve(world, waiting, DBA)
    assert "used" not in [event["state"] for event in await world.events("request.ended")]


async def test_nothing_runs_past_a_contract_that_became_shorter(world: World) -> None:
    session, grant, _ = await world.session_with()
    end = world.clock.now() + timedelta(minutes=5)
    await world.apply(with_contract(world.configuration, "acme-orders", end=end))
    hold = await world.hold(session)
    await approve(world, hold, DBA)
    world.clock.at = end
    assert (await world.grant(grant.id)).active(end)
    with refused("session-over"):
        await take(world, hold)


async def test_nobody_is_asked_for_a_session_that_is_over(world: World) -> None:
    session, grant, _ = await world.session_with()
    await end_grant(world.desk, by=LEAD, grant_id=grant.id, reason="enough")
    with refused("session-over"):
        await world.hold(session)


async def test_a_hold_asks_for_a_session_of_that_person_on_that_gateway(world: World) -> None:
    session, _, _ = await world.session_with()
    with refused("session-over"):
        await world.hold("s-unknown")
    with refused("not-yours"):
        await hold_statement(world.desk, gateway="gw2", opening=opening_of(session))
    with refused("unknown-role"):
        await world.hold(session, "none")
    with refused("bad-text"):
        await world.hold(session, text="select 1\0; drop table orders")
    with refused("bad-text"):
        await world.hold(session, text="select '\ud800'")


async def test_a_hold_whose_answer_was_lost_is_asked_again_and_is_the_same(world: World) -> None:
    session, _, _ = await world.session_with()
    hold = await world.hold(session)
    world.clock.advance(timedelta(seconds=2))
    assert await world.hold(session) == hold
    await approve(world, hold, DBA)
    assert await world.hold(session) == hold
    await take(world, hold)
    assert (await world.hold(session)).request != hold.request


async def test_a_hold_that_nobody_could_approve_is_refused_at_once(world: World) -> None:
    session, _, _ = await world.session_with("watched", DBA)
    for name in (DBA, DBA2, RIVAL):
        await offboard_person(world.desk, by=ADMIN, name=name, reason="left")
    with refused("nobody-to-approve"):
        await world.hold(session, "watched")


async def test_a_no_and_a_cancel_end_the_hold(world: World) -> None:
    session, _, _ = await world.session_with()
    denied, cancelled = await world.hold(session), await world.hold(session, text="drop table orders")
    await deny_request(world.desk, by=DBA, request_id=denied.request, reason="all of them?")
    with refused("not-approved"):
        await take(world, denied)
    with refused("not-yours"):
        await withdraw_hold(world.desk, gateway="gw2", request_id=cancelled.request, reason="cancelled")
    for _ in range(2):
        await withdraw_hold(world.desk, gateway=GATEWAY, request_id=cancelled.request, reason="cancelled")
    assert (await world.request(cancelled.request)).state is RequestState.WITHDRAWN
    with refused("not-open"):
        await approve(world, cancelled, DBA)


async def test_only_the_session_s_gateway_uses_it_and_only_a_hold(world: World) -> None:
    session, _, _ = await world.session_with()
    hold = await world.hold(session)
    await approve(world, hold, DBA)
    with refused("not-yours"):
        await take(world, hold, gateway="gw2")
    request = await world.ask("reader")
    await world.approve(DBA, request)
    with refused("not-held"):
        await take_hold(world.desk, gateway=GATEWAY, request_id=request.id, digest=request.digest)
    with refused("not-held"):
        await withdraw_hold(world.desk, gateway=GATEWAY, request_id=request.id, reason="")
    with refused("not-found"):
        await take_hold(world.desk, gateway=GATEWAY, request_id="r-none", digest="")


async def test_a_session_that_ends_takes_its_open_holds_with_it(world: World) -> None:
    session, _, _ = await world.session_with()
    hold = await world.hold(session)
    closing = SessionEnd(session, world.clock.now(), "the client left", 3, "ab")
    for _ in range(2):
        await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(), ends=(closing,))
    assert (await world.request(hold.request)).state is RequestState.WITHDRAWN
    assert len(await world.events("session.closed")) == 1
