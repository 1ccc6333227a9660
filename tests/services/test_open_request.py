import hashlib
import json
from datetime import timedelta

import pytest

from interlock.domain.grants import RequestState
from interlock.domain.people import Person
from interlock.errors import Failure
from interlock.services.end_contract import end_contract
from interlock.services.offboard_person import offboard_person
from interlock.services.open_request import OPEN_AT_MOST, open_request
from interlock.services.requests import REASON_LIMIT
from tests.services.world import (
    ADMIN,
    DBA,
    DEV,
    HOUR,
    LEAD,
    OPS,
    RIVAL,
    SECOND,
    TICK,
    World,
    company,
    refused,
    with_contract,
    with_person,
)


async def test_a_request_is_bound_to_its_content_and_key(world: World) -> None:
    login = await world.sign_in(DEV, key="thumbprint")
    request = await world.ask("writer", login=login, duration=2 * HOUR)
    assert request.state is RequestState.OPEN
    assert request.key == "thumbprint"
    assert request.expires_at == world.clock.now() + timedelta(hours=24)
    assert request.content == {
        "person": DEV,
        "role": "writer",
        "resource": "orders",
        "duration_s": 7200,
        "reason": "a task",
        "key": "thumbprint",
        "contract": "acme-orders",
        "lends": {"allow": ["connect", "destroy", "read"], "hold": ["destroy"], "fence_rows": None, "masks": []},
        "rules": [
            {"count": 1, "group": "dba", "sponsor": False, "people": [], "same_vendor": False, "any_of": []},
            {"count": 1, "group": None, "sponsor": True, "people": [], "same_vendor": False, "any_of": []},
        ],
    }
    canonical = json.dumps(request.content, sort_keys=True, separators=(",", ":")).encode()
    assert request.digest == hashlib.sha256(canonical).hexdigest()
    assert await world.request(request.id) == request
    (event,) = await world.events("request.opened")
    assert (event["digest"], event["content"]) == (request.digest, request.content)


async def test_what_no_approval_could_make_right_is_refused_at_once(world: World) -> None:
    with refused("too-long"):
        await world.ask("reader", duration=8 * HOUR + SECOND)
    with refused("no-time"):
        await world.ask("reader", duration=timedelta(0))
    with refused("outside-scope"):
        await world.ask("outside")
    with refused("outside-scope"):
        await world.ask("writer", person=RIVAL)
    with refused("unknown-role"):
        await world.ask("none")
    with refused("unknown-resource"):
        await world.ask("reader", resource="none")
    with refused("nobody-to-approve"):
        await world.ask("writer", person=OPS)
    with refused("bad-duration"):
        await world.ask("reader", duration=TICK)
    assert await world.events("request.opened") == []


async def test_a_request_ends_inside_the_contract(world: World) -> None:
    end = world.clock.now() + HOUR
    await world.apply(with_contract(world.configuration, "acme-orders", end=end))
    login = await world.sign_in(DEV)
    with refused("past-contract"):
        await world.ask("reader", login=login, duration=HOUR + SECOND)
    await world.ask("reader", login=login, duration=HOUR)


async def test_a_request_is_not_made_before_or_after_the_contract(world: World) -> None:
    start, end = world.clock.now() + HOUR, world.clock.now() + 4 * HOUR
    await world.apply(with_contract(world.configuration, "acme-orders", start=start, end=end))
    login = await world.sign_in(DEV)
    for moment in (start - TICK, end):
        world.clock.at = moment
        with refused("outside-contract"):
            await world.ask("reader", login=login)
    world.clock.at = start
    await world.ask("reader", login=login)


async def test_no_request_under_an_ended_contract_or_by_an_ended_person(world: World) -> None:
    login, other = await world.sign_in(DEV), await world.sign_in(RIVAL)
    await end_contract(world.desk, by=LEAD, contract_name="acme-orders", reason="done")
    with refused("login-ended"):
        await world.ask("reader", login=login)
    with refused("outside-contract"):
        await world.ask("reader", person=DEV)
    await offboard_person(world.desk, by=ADMIN, name=RIVAL, reason="left")
    with refused("login-ended"):
        await world.ask("reader", login=other)
    with refused("person-ended"):
        await world.ask("reader", person=RIVAL)


async def test_a_sponsor_who_asks_is_not_their_own_sponsor(world: World) -> None:
    with refused("nobody-to-approve"):
        await world.ask("writer", person=LEAD)


async def test_a_conflicting_role_is_refused_while_the_other_is_held(world: World) -> None:
    grant = await world.lend("maker", duration=HOUR)
    with refused("conflict"):
        await world.ask("checker")
    world.clock.at = grant.ends_at
    await world.ask("checker")


async def test_nobody_waits_twice_for_the_same(world: World) -> None:
    login = await world.sign_in(DEV)
    request = await world.ask("reader", login=login)
    with refused("already-open"):
        await world.ask("reader", login=login)
    await world.ask("reader")
    world.clock.at = request.expires_at - HOUR * 17
    assert (await world.request(request.id)).state is RequestState.OPEN


async def test_nobody_hides_one_request_among_many(world: World) -> None:
    for _ in range(OPEN_AT_MOST):
        await world.ask("reader")
    with refused("too-many"):
        await world.ask("reader")
    await world.ask("reader", person=RIVAL)


async def test_a_reason_is_a_line_that_can_be_read(world: World) -> None:
    login = await world.sign_in(DEV)
    for code, reason in {
        "reason-needed": "  ",
        "reason-too-long": "x" * (REASON_LIMIT + 1),
        "bad-text": "fix \x1b[2J",
    }.items():
        with refused(code):
            await open_request(
                world.desk, login_id=login.id, resource="orders", role="reader", duration=HOUR, reason=reason
            )
    with refused("bad-text"):
        await open_request(
            world.desk, login_id=login.id, resource="orders", role="reader", duration=HOUR, reason="to \u202etfel"
        )


async def test_employees_need_no_contract(world: World) -> None:
    await world.apply(with_person(world.configuration, Person("new")))
    request = await world.ask("outside", person="new")
    assert request.content["contract"] is None
    grant = (await world.approve(DBA, request)).grant
    assert grant is not None
    assert grant.contract is None


async def test_a_control_plane_with_an_older_policy_gives_nothing(world: World) -> None:
    request, old = await world.ask("reader"), world.configuration
    login = await world.sign_in(DEV)
    await world.apply(company(people={**old.people, "new": Person("new")}))
    world.configuration = old
    for attempt in (world.ask("reader", login=login), world.approve(DBA, request)):
        with pytest.raises(Failure, match="active policy"):
            await attempt
    assert (await world.request(request.id)).state is RequestState.OPEN
