"""A yes is to what a role lent when it was asked for: a role that is widened carries neither approvals nor grants."""

from dataclasses import replace

import pytest

from interlock.domain.actions import Action
from interlock.domain.resources import Selector
from interlock.domain.roles import ApprovalRule, Hold, Lending, Role
from interlock.services.lends import lends_of, why_wider
from tests.services.world import DBA, DBA2, HOUR, World, company, refused, with_role

ROLE = Role(
    "writer",
    Selector(kind="postgres"),
    frozenset({Action.CONNECT, Action.READ, Action.WRITE}),
    Lending(HOUR, (ApprovalRule(1, group="dba"),)),
    Hold(frozenset({Action.WRITE})),
    100,
    masks=("public.people.email",),
)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (replace(ROLE, allow=ROLE.allow | {Action.DESTROY}), "now allows destroy"),
        (replace(ROLE, hold=None), "no longer holds write"),
        (replace(ROLE, fence_rows=101), "wider fence"),
        (replace(ROLE, fence_rows=None), "wider fence"),
        (replace(ROLE, masks=("*.*.salary",)), "no longer masks public.people.email"),
    ],
)
def test_what_lends_more_is_wider(now: Role, said: str) -> None:
    assert said in (why_wider(now, lends_of(ROLE)) or "")
    assert "now allows" in (why_wider(ROLE, None) or "")


def test_what_lends_the_same_or_less_is_not() -> None:
    narrower = replace(ROLE, allow=ROLE.allow - {Action.WRITE}, fence_rows=10)
    for now in (
        ROLE,
        narrower,
        replace(ROLE, masks=("*.*.salary", *ROLE.masks)),
        replace(ROLE, hold=Hold(frozenset({Action.WRITE, Action.READ}))),
    ):
        assert why_wider(now, lends_of(ROLE)) is None
    assert why_wider(replace(narrower, hold=None), lends_of(ROLE)) is None


async def test_a_widened_role_ends_its_grants_and_a_narrowed_one_does_not(world: World) -> None:
    grant = await world.lend("reader")
    role = world.configuration.roles["reader"]
    narrowed = replace(role, allow=role.allow - {Action.DESTROY})
    await world.apply(with_role(world.configuration, narrowed))
    assert (await world.grant(grant.id)).ended_at is None
    await world.apply(with_role(world.configuration, replace(role, allow=role.allow | {Action.EXECUTE})))
    ended = await world.grant(grant.id)
    assert ended.ended_at is not None
    assert "now allows execute" in ended.ended_reason


async def test_an_approval_of_a_role_that_has_changed_since_is_refused(world: World) -> None:
    request = await world.ask("two")
    role = world.configuration.roles["two"]
    await world.approve(DBA, request)
    await world.apply(with_role(world.configuration, replace(role, allow=role.allow | {Action.EXPORT})))
    with refused("role-changed"):
        await world.approve(DBA2, request)
    await world.apply(with_role(world.configuration, role))
    assert (await world.approve(DBA2, request)).grant is not None


CEDAR = 'permit (principal, action == Action::"execute", resource) when { context.roles.contains("two") };\n'


def test_what_was_held_and_a_file_now_permits_without_a_hold_is_more() -> None:
    less = replace(ROLE, allow=frozenset({Action.CONNECT}), hold=None, fence_rows=None)
    assert "now permits write" in (why_wider(less, lends_of(ROLE), frozenset({Action.WRITE})) or "")
    assert why_wider(replace(less, fence_rows=100), lends_of(ROLE), frozenset({Action.READ})) is None


async def test_what_a_cedar_file_adds_to_a_role_was_not_approved_either(world: World) -> None:
    """It ends grants, and yeses that were given to what the role lent before; one who is asked for more sees it."""
    before = world.configuration
    held, request = await world.lend("two", DBA, DBA2), await world.ask("two", resource="stock")
    await world.approve(DBA, request)
    await world.apply(company(cedar={"more.cedar": CEDAR}))
    assert "a Cedar file now permits execute to the role two" in (await world.grant(held.id)).ended_reason
    with refused("role-changed"):
        await world.approve(DBA2, request)
    wider = await world.ask("two")
    assert isinstance(lends := wider.content["lends"], dict)
    assert lends["cedar"] == ["execute"]
    assert (await world.approve(DBA, wider)).grant is None
    grant = (await world.approve(DBA2, wider)).grant
    assert grant is not None
    await world.apply(before)
    assert (await world.grant(grant.id)).ended_at is None, "less is no more"
