"""Two that come in the same moment: exactly one thing happens, as if one had come before the other."""

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from interlock.domain.grants import RequestState
from interlock.errors import Refusal
from interlock.ports.control import HoldOpened
from interlock.services.deny_request import deny_request
from interlock.services.end_contract import end_contract
from interlock.services.give_approval import Approved
from interlock.services.offboard_person import offboard_person
from interlock.services.take_hold import take_hold
from interlock.services.withdraw_request import withdraw_request
from tests.services.world import ADMIN, BOTH, DBA, DBA2, DEV, GATEWAY, LEAD, RIVAL, World

ROUNDS = 250
"""Four approvals race in each: a thousand last approvals."""


async def race(*attempts: Awaitable[object]) -> tuple[Sequence[object], Sequence[Refusal]]:
    """What was done and what was refused; anything else that came out is raised."""
    results = await asyncio.gather(*attempts, return_exceptions=True)
    refusals = [result for result in results if isinstance(result, Refusal)]
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, Refusal):
            raise result
    return [result for result in results if not isinstance(result, Refusal)], refusals


async def test_of_many_last_approvals_one_starts_the_grant(world: World) -> None:
    logins = {person: await world.sign_in(person) for person in (DBA, DBA2, BOTH, RIVAL)}
    asking = [await world.sign_in(DEV) for _ in range(10)]
    for number in range(ROUNDS):
        request = await world.ask("reader", login=asking[number % len(asking)])
        done, refusals = await race(*(world.approve(person, request, login=logins[person]) for person in logins))
        assert [approved.grant is not None for approved in done if isinstance(approved, Approved)] == [True]
        assert {refusal.code for refusal in refusals} == {"not-open"}
    started = await world.events("grant.started")
    assert len(started) == ROUNDS
    assert len({event["request"] for event in started}) == ROUNDS


async def test_of_two_last_approvals_of_one_person_none_counts_twice(world: World) -> None:
    login, other = await world.sign_in(DBA), await world.sign_in(DBA)
    for _ in range(10):
        request = await world.ask("two")
        done, refusals = await race(
            world.approve(DBA, request, login=login),
            world.approve(DBA, request, login=other),
            world.approve(DBA, request, login=login),
        )
        assert len(done) == 1
        assert {refusal.code for refusal in refusals} == {"already-approved"}
        assert (await world.request(request.id)).state is RequestState.OPEN


async def test_the_two_that_are_needed_come_at_once(world: World) -> None:
    for _ in range(20):
        request = await world.ask("two")
        done, _ = await race(world.approve(DBA, request), world.approve(DBA2, request))
        assert sum(approved.grant is not None for approved in done if isinstance(approved, Approved)) == 1


async def test_an_approval_of_a_held_statement_is_used_once(world: World) -> None:
    session, _, _ = await world.session_with()
    for number in range(20):
        hold = await world.hold(session, text=f"drop table t{number}")
        await world.approve(DBA, await world.request(hold.request))
        done, refusals = await race(*(_take(world, hold) for _ in range(5)))
        assert len(done) == 1
        assert {refusal.code for refusal in refusals} == {"used"}
    used = [event for event in await world.events("request.ended") if event["state"] == "used"]
    assert len(used) == 20


async def _take(world: World, hold: HoldOpened) -> object:
    return await take_hold(world.desk, gateway=GATEWAY, request_id=hold.request, digest=hold.digest)


@pytest.mark.parametrize("end", ["deny", "withdraw", "contract"])
async def test_a_yes_and_an_end_at_once(world: World, end: str) -> None:
    """Whichever comes first: afterwards no grant is alive that the end should have ended."""
    rounds = 1 if end == "contract" else 10
    for _ in range(rounds):
        request = await world.ask("reader")
        await race(world.approve(DBA, request), _end(world, end, request.id))
        state = (await world.request(request.id)).state
        started = [event["grant"] for event in await world.events("grant.started") if event["request"] == request.id]
        assert len(started) == (state is RequestState.APPROVED)
        if end == "contract" and started:
            assert not (await world.grant(started[0])).active(world.clock.now())


async def _end(world: World, end: str, request_id: str) -> object:
    if end == "deny":
        return await deny_request(world.desk, by=DBA2, request_id=request_id, reason="no")
    if end == "withdraw":
        return await withdraw_request(world.desk, person=DEV, request_id=request_id)
    return await end_contract(world.desk, by=LEAD, contract_name="acme-orders", reason="done")


async def test_an_approver_who_leaves_in_the_moment_of_the_last_approval(world: World) -> None:
    request = await world.ask("two")
    await world.approve(DBA, request)
    done, _ = await race(world.approve(DBA2, request), offboard_person(world.desk, by=ADMIN, name=DBA, reason="left"))
    (approved,) = (result for result in done if isinstance(result, Approved))
    async with world.state.reading() as reading:
        kinds = [entry.kind for entry in await reading.ledger() if entry.kind in {"person.ended", "grant.started"}]
    assert kinds == (["person.ended"] if approved.grant is None else ["grant.started", "person.ended"])
