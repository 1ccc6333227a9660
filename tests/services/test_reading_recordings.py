"""Reading a recording rests on a grant of a role that allows replay; attacks on that first."""

from dataclasses import replace
from datetime import timedelta

import pytest

from interlock.errors import Refusal
from interlock.policy.configuration import Configuration
from interlock.services.desk import Desk
from interlock.services.end_grant import end_grant
from interlock.services.list_sessions import (
    check_may_read_recording,
    list_sessions,
    read_recording,
    show_session,
)
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
    World,
    company,
    refused,
    with_auditor,
)

FORBID = {"night.cedar": 'forbid (principal, action == Action::"replay", resource) when { principal.name == "ops" };'}
WIDE = {"wide.cedar": 'permit (principal, action, resource) when { context.roles.contains("reader") };'}


def policy(**changes: object) -> Configuration:
    return company(roles=with_auditor("orders", mfa=True), **changes)


@pytest.fixture
async def world(state: PostgresState) -> World:
    world = World(state, configuration=policy())
    await world.apply()
    return world


def under(world: World, **changes: object) -> Desk:
    """The same desk under the same policy but for ``changes``, as it is when they were activated."""
    return replace(world.desk, configuration=replace(world.desk.configuration, **changes))  # type: ignore[arg-type]


async def test_those_who_answer_for_the_person_read_nothing_without_the_role(world: World) -> None:
    session, _, _ = await world.session_with()
    for person in (LEAD, ADMIN):
        assert (await show_session(world.desk, person=person, session_id=session)).id == session
        login = await world.sign_in(person)
        with pytest.raises(Refusal, match="interlock request orders --role auditor") as caught:
            await read_recording(world.desk, person=person, session_id=session, login=login)
        assert caught.value.code == "no-replay"
    for person in (OPS, DBA2, MATE):
        with refused("not-found"):
            await read_recording(world.desk, person=person, session_id=session, login=await world.sign_in(person))
    assert await world.events("recording.read") == []


async def test_where_no_role_allows_it_nobody_reads_whoever_they_are(world: World) -> None:
    await world.apply(company())
    session, _, _ = await world.session_with()
    for person in (LEAD, ADMIN):
        login = await world.sign_in(person)
        with pytest.raises(Refusal, match="No role of the policy allows replay on orders") as caught:
            await read_recording(world.desk, person=person, session_id=session, login=login)
        assert caught.value.code == "no-replay"
        assert "allow: [replay]" in caught.value.remedy
        assert "interlock policy propose" in caught.value.remedy
    await read_recording(world.desk, person=DEV, session_id=session)
    assert [event["by"] for event in await world.events("recording.read")] == [DEV]


async def test_a_role_of_another_resource_is_none_here(world: World) -> None:
    await world.apply(company(roles=with_auditor("stock")))
    session, _, _ = await world.session_with()
    with pytest.raises(Refusal, match="No role of the policy allows replay on orders"):
        await read_recording(world.desk, person=ADMIN, session_id=session, login=await world.sign_in(ADMIN))


async def test_who_holds_the_role_reads_and_the_ledger_says_by_which_grant(world: World) -> None:
    session, _, _ = await world.session_with()
    login = await world.sign_in(OPS)
    grant = await world.lend("auditor", DBA, person=OPS, login=login)
    assert [one.id for one in await list_sessions(world.desk, person=OPS)] == [session]
    await read_recording(world.desk, person=OPS, session_id=session, login=login)
    assert await world.events("recording.read") == [{"session": session, "by": OPS, "grant": grant.id}]


async def test_nobody_gives_themself_the_role(world: World) -> None:
    request = await world.ask("auditor", person=DBA)
    with refused("self-approval"):
        await world.approve(DBA, request)


async def test_the_role_of_one_resource_reads_no_other(world: World) -> None:
    login = await world.sign_in(OPS)
    await world.lend("auditor", DBA, person=OPS, login=login)
    theirs = await world.sign_in(BOTH)
    request = await world.ask("reader", person=BOTH, login=theirs, resource="stock")
    approved = await world.approve(DBA, request)
    assert approved.grant is not None
    other = await world.connect(approved.grant, theirs)
    with refused("not-found"):
        await read_recording(world.desk, person=OPS, session_id=other, login=login)


async def test_the_right_ends_with_the_window_and_with_an_earlier_end(world: World) -> None:
    session, _, _ = await world.session_with()
    login = await world.sign_in(OPS)
    grant = await world.lend("auditor", DBA, person=OPS, login=login)
    world.clock.advance(HOUR - timedelta(seconds=1))
    await check_may_read_recording(world.desk, person=OPS, session_id=session, login=login)
    world.clock.advance(timedelta(seconds=1))
    with refused("not-found"):
        await check_may_read_recording(world.desk, person=OPS, session_id=session, login=login)
    grant = await world.lend("auditor", DBA, person=OPS, login=login)
    await check_may_read_recording(world.desk, person=OPS, session_id=session, login=login)
    await end_grant(world.desk, by=DBA, grant_id=grant.id, reason="seen enough")
    with refused("not-found"):
        await read_recording(world.desk, person=OPS, session_id=session, login=login)


async def test_a_grant_is_of_use_to_its_key_alone_and_needs_the_proof_of_presence(world: World) -> None:
    session, _, _ = await world.session_with()
    login = await world.sign_in(ADMIN)
    await world.lend("auditor", DBA, person=ADMIN, login=login)
    for other in (await world.sign_in(ADMIN), None):
        with refused("other-key"):
            await read_recording(world.desk, person=ADMIN, session_id=session, login=other)
    absent = await world.sign_in(ADMIN, key=login.key, absent=True)
    with pytest.raises(Refusal, match="proof of your presence"):
        await read_recording(world.desk, person=ADMIN, session_id=session, login=absent)


async def test_the_recorded_person_reads_nothing_of_their_own_whatever_they_hold(world: World) -> None:
    login = await world.sign_in(BOTH)
    reading = await world.lend("reader", DBA, person=BOTH, login=login)
    session = await world.connect(reading, login)
    elsewhere = await world.sign_in(BOTH)
    await world.lend("auditor", DBA, person=BOTH, login=elsewhere)
    await read_recording(world.desk, person=BOTH, session_id=session, login=elsewhere)
    strict = under(world, own_recordings=False)
    for one in (login, elsewhere):
        with refused("own-recording"):
            await read_recording(strict, person=BOTH, session_id=session, login=one)
    assert [event["grant"] for event in await world.events("recording.read")] == [""]


async def test_cedar_takes_the_reading_away_and_never_gives_it(world: World) -> None:
    session, _, _ = await world.session_with()
    login = await world.sign_in(OPS)
    await world.lend("auditor", DBA, person=OPS, login=login)
    with refused("no-replay"):
        await read_recording(under(world, cedar=FORBID), person=OPS, session_id=session, login=login)
    as_reader = await world.sign_in(ADMIN)
    await world.lend("reader", DBA, person=ADMIN, login=as_reader)
    with refused("no-replay"):
        await read_recording(under(world, cedar=WIDE), person=ADMIN, session_id=session, login=as_reader)


async def test_a_resource_that_the_policy_no_longer_has_opens_nothing(world: World) -> None:
    session, _, _ = await world.session_with()
    without = {"stock": world.desk.configuration.resources["stock"]}
    with refused("no-replay"):
        await read_recording(
            under(world, resources=without), person=ADMIN, session_id=session, login=await world.sign_in(ADMIN)
        )
