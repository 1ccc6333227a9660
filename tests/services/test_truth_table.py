"""The approval truth table: for each way in which a yes must not count, the yes is refused, or does not count, and an
honest twin, which differs in nothing else, passes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from interlock.domain.approving import Ask, No, Yes, may_approve
from interlock.domain.people import ADMINISTRATORS, Person
from interlock.domain.roles import ApprovalRule, Lending
from interlock.errors import Refusal
from interlock.policy.configuration import Control, Mitigation, Risk, Separation, SeparationKind
from interlock.services.contract_life import take_contract
from interlock.services.end_contract import end_contract
from interlock.services.give_approval import Approved, give_approval
from interlock.services.offboard_person import offboard_person
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
    with_contract,
    with_person,
    with_role,
)

Play = Callable[[World], Awaitable[Approved]]


@dataclass(frozen=True)
class Row:
    """``bad`` is refused with ``code``, or (``code`` empty) keeps the request open; ``good`` starts the grant."""

    code: str
    bad: Play
    good: Play


async def _by(world: World, role: str, *approvers: str, person: str = DEV) -> Approved:
    request = await world.ask(role, person=person)
    approved = [await world.approve(name, request) for name in approvers]
    return approved[-1]


async def _requester(world: World) -> Approved:
    return await _by(world, "reader", DBA, person=DBA)


async def _another_requests(world: World) -> Approved:
    return await _by(world, "reader", DBA, person=DBA2)


async def _two_groups_one_person(world: World) -> Approved:
    return await _by(world, "pair", BOTH)


async def _two_groups_two_persons(world: World) -> Approved:
    return await _by(world, "pair", BOTH, OPS)


async def _nested_group(world: World) -> Approved:
    """In a group of a like name, which the one that is asked for does not contain (``test_nested_groups`` has those
    that it does): membership is the group's own."""
    await world.apply(with_person(world.configuration, Person("nested", groups=frozenset({"dba.juniors"}))))
    return await _by(world, "reader", "nested")


async def _member_of_the_group(world: World) -> Approved:
    await world.apply(with_person(world.configuration, Person("nested", groups=frozenset({"dba"}))))
    return await _by(world, "reader", "nested")


async def _same_vendor(world: World) -> Approved:
    return await _by(world, "reader", MATE)


async def _other_vendor(world: World) -> Approved:
    return await _by(world, "reader", RIVAL)


async def _sole(world: World, *members: str) -> Approved:
    """The role is approved by one group; the requester is of it, with these others."""
    people = dict(world.configuration.people)
    for name in ("solo", *members):
        people[name] = Person(name, groups=frozenset({"solos"}))
    reader = world.configuration.roles["reader"]
    role = replace(reader, lending=Lending(HOUR * 8, (ApprovalRule(1, "solos"),)))
    changed = with_role(world.configuration, role)
    for name in ("solo", *members):
        changed = replace(changed, people={**changed.people, name: people[name]})
    await world.apply(replace(changed, digest=f"solo {members}"))
    return await _by(world, "reader", *(members or ("solo",)), person="solo")


async def _sole_reviewer(world: World) -> Approved:
    return await _sole(world)


async def _second_reviewer(world: World) -> Approved:
    return await _sole(world, "second")


async def _lost(world: World, *, back: bool) -> Approved:
    """One of two has said yes, and is then no longer in the group."""
    before = world.configuration
    request = await world.ask("two")
    await world.approve(DBA, request)
    await world.apply(with_person(before, Person(DBA)))
    if back:
        await world.apply(before)
    return await world.approve(DBA2, request)


async def _lost_the_right(world: World) -> Approved:
    return await _lost(world, back=False)


async def _kept_the_right(world: World) -> Approved:
    return await _lost(world, back=True)


async def _before_the_change(world: World) -> Approved:
    """The approver saw the request for an hour; it was withdrawn and asked for two."""
    login, approver = await world.sign_in(DEV), await world.sign_in(DBA)
    seen = await world.ask("reader", login=login)
    changed = await world.ask("reader", login=await world.sign_in(DEV), duration=2 * HOUR)
    return await give_approval(world.desk, login_id=approver.id, request_id=changed.id, digest=seen.digest)


async def _after_the_change(world: World) -> Approved:
    approver = await world.sign_in(DBA)
    changed = await world.ask("reader", duration=2 * HOUR)
    return await give_approval(world.desk, login_id=approver.id, request_id=changed.id, digest=changed.digest)


async def _agent_of_the_requester(world: World) -> Approved:
    """A program of the requester's signs in as its owner: it is a login of the owner."""
    request = await world.ask("reader", person=DBA)
    return await world.approve(DBA, request, login=await world.sign_in(DBA, key="the agent's key"))


async def _key_of_the_requester(world: World) -> Approved:
    request = await world.ask("reader", login=await world.sign_in(DEV, key="one machine"))
    return await world.approve(DBA, request, login=await world.sign_in(DBA, key="one machine"))


async def _own_key(world: World) -> Approved:
    request = await world.ask("reader", login=await world.sign_in(DEV, key="one machine"))
    return await world.approve(DBA, request, login=await world.sign_in(DBA, key="another machine"))


async def _second_account(world: World) -> Approved:
    """Two yeses from two logins of one person, for a role that asks for two persons."""
    request = await world.ask("two")
    await world.approve(DBA, request, login=await world.sign_in(DBA, key="first account"))
    return await world.approve(DBA, request, login=await world.sign_in(DBA, key="second account"))


async def _second_person(world: World) -> Approved:
    return await _by(world, "two", DBA, DBA2)


async def _administrator(world: World) -> Approved:
    return await _by(world, "reader", ADMIN)


async def _administrator_in_the_group(world: World) -> Approved:
    groups = frozenset({ADMINISTRATORS, "dba"})
    await world.apply(with_person(world.configuration, Person(ADMIN, groups=groups)))
    return await _by(world, "reader", ADMIN)


async def _stale_presence(world: World) -> Approved:
    request = await world.ask("reader")
    old = await world.sign_in(DBA, present_at=world.clock.now() - timedelta(minutes=5))
    return await world.approve(DBA, request, login=old)


async def _fresh_presence(world: World) -> Approved:
    request = await world.ask("reader")
    young = await world.sign_in(DBA, present_at=world.clock.now() - timedelta(minutes=5) + TICK)
    return await world.approve(DBA, request, login=young)


async def _overlapping(world: World, later: timedelta) -> Approved:
    """Two roles in conflict: the second is approved while the first is held, or when it is over."""
    waiting = await world.ask("checker", person=OPS)
    await world.lend("maker", person=OPS)
    world.clock.advance(later)
    return await world.approve(DBA, waiting)


async def _overlapping_grants(world: World) -> Approved:
    return await _overlapping(world, HOUR - TICK)


async def _grants_after_each_other(world: World) -> Approved:
    return await _overlapping(world, HOUR)


async def _mitigated(world: World, until: timedelta) -> Approved:
    """The conflict is mitigated for one person until a moment; the second role is approved then, or just before."""
    waiting_at = world.clock.now() + HOUR / 2
    mitigation = Mitigation("weekly report", Control.DETECTIVE, waiting_at + until, frozenset({OPS}))
    risk = Risk("one person pays themself", LEAD, mitigation)
    conflict = Separation(SeparationKind.CONFLICT, ("maker", "checker"), risk=risk)
    await world.apply(replace(world.configuration, separations=(conflict,), digest=f"mitigated {until}"))
    waiting = await world.ask("checker", person=OPS)
    await world.lend("maker", person=OPS)
    world.clock.at = waiting_at
    return await world.approve(DBA, waiting)


async def _expired_mitigation(world: World) -> Approved:
    return await _mitigated(world, timedelta(0))


async def _mitigation(world: World) -> Approved:
    return await _mitigated(world, TICK)


async def _left(world: World) -> Approved:
    """One of two has said yes and left; what they said counts no more, and the other alone is one."""
    request = await world.ask("two")
    await world.approve(DBA, request)
    await offboard_person(world.desk, by=ADMIN, name=DBA, reason="left")
    return await world.approve(DBA2, request)


async def _two_who_stay(world: World) -> Approved:
    return await _by(world, "two", DBA, BOTH)


async def _contract_over(world: World) -> Approved:
    """A contractor approves after their own contract has ended."""
    request = await world.ask("reader")
    login = await world.sign_in(RIVAL)
    await end_contract(world.desk, by=LEAD, contract_name="globex-ops", reason="over")
    return await world.approve(RIVAL, request, login=login)


async def _former_sponsor(world: World) -> Approved:
    """Who sponsored the contract has said yes; by the last yes somebody else answers for it."""
    request = await world.ask("writer")
    await world.approve(LEAD, request)
    await world.apply(with_contract(world.configuration, "acme-orders", sponsor=OPS))
    return await world.approve(DBA, request)


async def _sponsor(world: World) -> Approved:
    return await _by(world, "writer", LEAD, DBA)


TABLE = {
    "requester": Row("self-approval", _requester, _another_requests),
    "two groups, one person": Row("", _two_groups_one_person, _two_groups_two_persons),
    "nested group": Row("not-in-group", _nested_group, _member_of_the_group),
    "same vendor": Row("same-vendor", _same_vendor, _other_vendor),
    "sole reviewer": Row("nobody-to-approve", _sole_reviewer, _second_reviewer),
    "lost the right": Row("", _lost_the_right, _kept_the_right),
    "before the content changed": Row("stale-digest", _before_the_change, _after_the_change),
    "agent of the requester": Row("self-approval", _agent_of_the_requester, _another_requests),
    "key of the requester": Row("same-key", _key_of_the_requester, _own_key),
    "second account": Row("already-approved", _second_account, _second_person),
    "administrator": Row("not-in-group", _administrator, _administrator_in_the_group),
    "expired presence": Row("presence-needed", _stale_presence, _fresh_presence),
    "expired mitigation": Row("conflict", _expired_mitigation, _mitigation),
    "overlapping grants": Row("conflict", _overlapping_grants, _grants_after_each_other),
    "left": Row("", _left, _two_who_stay),
    "contract over": Row("login-ended", _contract_over, _other_vendor),
    "former sponsor": Row("", _former_sponsor, _sponsor),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
async def test_the_yes_does_not_count(world: World, row: Row) -> None:
    if not row.code:
        approved = await row.bad(world)
        assert approved.grant is None
        assert approved.tally.missing > 0
        return
    with pytest.raises(Refusal) as caught:
        await row.bad(world)
    assert caught.value.code == row.code, caught.value
    assert caught.value.remedy


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
async def test_the_honest_twin_passes(world: World, row: Row) -> None:
    assert (await row.good(world)).grant is not None


def test_a_group_of_administrators_in_a_rule_describes_nobody(world: World) -> None:
    """No configuration can say it; the rule itself refuses it as well."""
    people, now = world.configuration.people, world.clock.now()
    ask = Ask(people[DEV], frozenset({"reader"}))
    answer = may_approve(ask, people[ADMIN], ApprovalRule(1, ADMINISTRATORS), (), now)
    assert isinstance(answer, No)
    assert answer.code == "administrators"
    assert isinstance(may_approve(ask, people[DBA], ApprovalRule(1, "dba"), (), now), Yes)


async def test_a_contract_that_was_taken_has_another_sponsor(world: World) -> None:
    """The twin in life: the sponsor leaves, another employee takes the contract, and is asked."""
    await offboard_person(world.desk, by=ADMIN, name=LEAD, reason="left")
    await take_contract(world.desk, by=OPS, name="acme-orders")
    approved = await _by(world, "writer", DBA, OPS)
    assert approved.grant is not None
