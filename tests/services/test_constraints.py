"""Every constraint at every point where it is checked: refused for one person, with a twin that passes for another.

The table says for each constraint what was done before; the points say how somebody comes to the second act.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from interlock.domain.actions import Action
from interlock.domain.grants import RequestState
from interlock.domain.roles import ApprovalRule, BreakGlass, Hold
from interlock.errors import ConfigurationError, Refusal
from interlock.policy.configuration import Chain, Configuration, ConflictKind, Separation, SeparationKind
from interlock.policy.load import load_configuration
from interlock.ports.control import SessionEnd, SessionStart
from interlock.services.break_glass import break_glass
from interlock.services.duties import do_duty, take_duty
from interlock.services.hold_statement import hold_statement
from interlock.services.report_sessions import report_sessions
from interlock.services.take_hold import take_hold
from interlock.services.workloads import Acting
from interlock.store.state import PostgresState
from tests.services.world import (
    BOTH,
    DBA,
    DBA2,
    DEV,
    GATEWAY,
    HOUR,
    MATE,
    OPS,
    RIVAL,
    World,
    company,
    opening_of,
)

SUBJECT = "change:CH-1"
CONTENT = "sha256:" + "ab" * 32
HELD = Hold(frozenset({Action.DESTROY}))
_SEPARATE, _BIND, _AT_LEAST = SeparationKind.SEPARATE, SeparationKind.BIND, SeparationKind.AT_LEAST
_AT_MOST, _INDEPENDENT, _CONFLICT = SeparationKind.AT_MOST, SeparationKind.INDEPENDENT, SeparationKind.CONFLICT


def _chain(*separations: Separation) -> dict[str, Any]:
    return {
        "chains": {
            "change": Chain("change", ("make", "check"), separations, roles={"make": "maker", "check": "checker"})
        }
    }


@dataclass(frozen=True)
class Rule:
    """A constraint: ``first`` made the change, ``wrong`` may not check it, ``right`` may. ``code`` is the refusal's."""

    parts: dict[str, Any]
    first: str
    wrong: str
    right: str
    code: str
    says: str


def _conflict(kind: ConflictKind) -> dict[str, Any]:
    return {"separations": (Separation(_CONFLICT, ("maker", "checker"), conflict=kind),)}


DUTIES = {
    "separate": Rule(
        _chain(Separation(_SEPARATE, ("make", "check"))), DBA, DBA, DBA2, "separated", "make, check are separate"
    ),
    "bind": Rule(_chain(Separation(_BIND, ("make", "check"))), DBA, DBA2, DBA, "separated", "bound to one person"),
    "independent by vendor": Rule(
        _chain(Separation(_INDEPENDENT, ("check",), by="vendor")), DEV, MATE, DBA, "separated", "independent by vendor"
    ),
    "independent by team": Rule(
        _chain(Separation(_INDEPENDENT, ("check",), by="team")), DBA, DBA2, OPS, "separated", "independent by team"
    ),
    "at least two": Rule(
        _chain(Separation(_AT_LEAST, ("make", "check"), 2)), DBA, DBA, DBA2, "separated", "at least 2"
    ),
    "at most one": Rule(_chain(Separation(_AT_MOST, ("make", "check"), 1)), DBA, DBA2, DBA, "separated", "at most 1"),
    "historic conflict": Rule(
        _chain() | _conflict(ConflictKind.HISTORIC), DBA, DBA, DBA2, "conflict", "acted under maker on"
    ),
}
"""What is known from what was done over the artifact, also when nothing of it is held any more."""


async def _world(state: PostgresState, parts: dict[str, Any]) -> World:
    configuration: Configuration = company(**{"separations": (), **parts})
    roles = {
        name: replace(role, hold=HELD) if name == "checker" else role for name, role in configuration.roles.items()
    }
    world = World(state)
    await world.apply(company(**{"separations": (), **parts, "roles": roles}))
    return world


async def _made(world: World, person: str) -> None:
    """The first act, long ago: a grant of ``maker`` for the change, which is over."""
    await _lend(world, "maker", person)
    world.clock.advance(timedelta(hours=9))


async def _lend(world: World, role: str, person: str, artifact: str = SUBJECT) -> tuple[Any, Any]:
    login = await world.sign_in(person)
    request = await world.ask(role, person=person, login=login, artifact=artifact)
    approver = next(name for name in (BOTH, RIVAL) if name != person)
    approved = await world.approve(approver, request)
    assert approved.grant is not None
    return approved.grant, login


Point = Callable[[World, Rule, str], Awaitable[None]]


async def at_request(world: World, rule: Rule, person: str) -> None:
    await _made(world, rule.first)
    await world.ask("checker", person=person, artifact=SUBJECT)


async def at_breaking_the_glass(world: World, rule: Rule, person: str) -> None:
    """In an emergency the rule stands as it does: only approvals are left out."""
    await _made(world, rule.first)
    who, group = ApprovalRule(1, people=frozenset({person})), ApprovalRule(2, group="dba")
    glass = replace(world.configuration.roles["checker"], break_glass=BreakGlass(HOUR, who, group, group))
    await world.apply(replace_roles(world, {"checker": glass}))
    login = await world.sign_in(person)
    on = {"resource": "orders", "role": "checker", "artifact": SUBJECT}
    await break_glass(world.desk, login_id=login.id, duration=HOUR / 4, reason="it burns", **on)


async def at_approval(world: World, rule: Rule, person: str) -> None:
    """Asked for when nothing stood against it; the first act comes between."""
    login = await world.sign_in(person)
    request = await world.ask("checker", person=person, login=login, artifact=SUBJECT)
    await _lend(world, "maker", rule.first)
    await world.approve(BOTH, request)


async def at_activation(world: World, rule: Rule, person: str) -> None:
    """One of two yeses was given before the first act; the grant would begin with the second."""
    checker = world.configuration.roles["checker"]
    two = replace(
        checker, lending=replace(checker.lending, approvals=(replace(checker.lending.approvals[0], count=2),))
    )
    await world.apply(replace_roles(world, {"checker": two}))
    request = await world.ask("checker", person=person, artifact=SUBJECT)
    await world.approve(RIVAL, request)
    await _lend(world, "maker", rule.first)
    await world.approve(BOTH, request)


async def at_hold(world: World, rule: Rule, person: str) -> None:
    """The grant began first; the policy came to know the rule, and the first act, later."""
    parts = {"chains": world.configuration.chains, "separations": world.configuration.separations}
    await world.apply(replace_roles(world, {}, chains={}, separations=()))
    grant, login = await _lend(world, "checker", person)
    await _lend(world, "maker", rule.first)
    await world.apply(replace_roles(world, {}, **parts))
    session = await world.connect(grant, login)
    await hold_statement(world.desk, gateway="gw1", opening=replace(opening_of(session, "checker"), person=person))


async def at_use_of_a_hold(world: World, rule: Rule, person: str) -> None:
    parts = {"chains": world.configuration.chains, "separations": world.configuration.separations}
    await world.apply(replace_roles(world, {}, chains={}, separations=()))
    grant, login = await _lend(world, "checker", person)
    session = await world.connect(grant, login)
    held = await hold_statement(
        world.desk, gateway="gw1", opening=replace(opening_of(session, "checker"), person=person)
    )
    await world.approve(BOTH, await world.request(held.request))
    await _lend(world, "maker", rule.first)
    await world.apply(replace_roles(world, {}, **parts))
    await take_hold(world.desk, gateway="gw1", request_id=held.request, digest=held.digest)


async def at_duty_take(world: World, rule: Rule, person: str) -> None:
    await _made(world, rule.first)
    login = await world.sign_in(person)
    await take_duty(world.desk, acting=Acting(login.id), chain="change", duty="check", artifact=SUBJECT)


async def at_duty_done(world: World, rule: Rule, person: str) -> None:
    """Taken under a policy without the rule, done under one with it."""
    parts = {"chains": world.configuration.chains, "separations": world.configuration.separations}
    free = Chain("change", ("make", "check"), (), roles={"make": "maker", "check": "checker"})
    await world.apply(replace_roles(world, {}, chains={"change": free}, separations=()))
    await _made(world, rule.first)
    login = await world.sign_in(person)
    on = {"chain": "change", "duty": "check", "artifact": SUBJECT}
    await take_duty(world.desk, acting=Acting(login.id), **on)
    await world.apply(replace_roles(world, {}, **parts))
    await do_duty(world.desk, acting=Acting(login.id), content=CONTENT, **on)


async def _duty(world: World, duty: str, person: str) -> None:
    login = await world.sign_in(person)
    on = {"chain": "change", "duty": duty, "artifact": SUBJECT}
    await take_duty(world.desk, acting=Acting(login.id), **on)
    await do_duty(world.desk, acting=Acting(login.id), content=CONTENT, **on)


def replace_roles(world: World, roles: dict[str, Any], **parts: Any) -> Configuration:
    before = world.configuration
    kept = {"chains": before.chains, "separations": before.separations, "people": before.people}
    return company(**{**kept, **parts, "roles": {**before.roles, **roles}})


POINTS = (
    at_request,
    at_breaking_the_glass,
    at_approval,
    at_activation,
    at_hold,
    at_use_of_a_hold,
    at_duty_take,
    at_duty_done,
)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.__name__)
@pytest.mark.parametrize("rule", DUTIES.values(), ids=DUTIES)
class TestOverAnArtifact:
    async def test_the_wrong_person_is_refused_with_the_rule_the_act_and_who_could(
        self, state: PostgresState, rule: Rule, point: Point
    ) -> None:
        world = await _world(state, rule.parts)
        with pytest.raises(Refusal) as caught:
            await point(world, rule, rule.wrong)
        assert caught.value.code == rule.code, caught.value
        assert rule.says in caught.value.sentence
        assert f"{rule.first} " in caught.value.sentence
        assert "2026-" in caught.value.sentence, "the earlier act has its day"
        assert "Who " in caught.value.remedy

    async def test_the_right_person_passes(self, state: PostgresState, rule: Rule, point: Point) -> None:
        await point(await _world(state, rule.parts), rule, rule.right)


class TestStatic:
    """Of two roles in static conflict one is held at a time."""

    async def test_at_assignment_a_contract_has_not_both_in_its_scope(self) -> None:
        text = """
resources: {orders: {kind: postgres, address: "127.0.0.1:1", labels: {environment: test}}}
vendors: {acme: {}}
people: {lead@example.com: {groups: [dba]}, two@example.com: {groups: [dba]}, dev@acme.example: {vendor: acme}}
contracts: {c: {vendor: acme, sponsor: lead@example.com, start: 2026-01-01, end: 2027-01-01, roles: [maker, checker]}}
roles:
  maker: {on: {kind: postgres}, allow: [connect], lend: {longest: 1h, approvals: [{from: {group: dba}}]}}
  checker: {on: {kind: postgres}, allow: [connect], lend: {longest: 1h, approvals: [{from: {group: dba}}]}}
separations:
  - {conflict: [maker, checker]KIND}
"""
        with pytest.raises(ConfigurationError, match="has checker and maker in its scope, which conflict"):
            load_configuration(text.replace("KIND", ""), "interlock.yaml")
        for kind in ("dynamic", "historic"):
            load_configuration(text.replace("KIND", f", kind: {kind}"), "interlock.yaml")
        with pytest.raises(ConfigurationError, match="kind of separation 1 is sometimes"):
            load_configuration(text.replace("KIND", ", kind: sometimes"), "interlock.yaml")

    @pytest.fixture
    async def world(self, state: PostgresState) -> World:
        return await _world(state, _conflict(ConflictKind.STATIC))

    async def test_at_request_approval_and_activation(self, world: World) -> None:
        waiting = await world.ask("checker", person=DBA)
        other = await world.ask("checker", person=DBA2)
        await world.lend("maker", BOTH, person=DBA)
        for refused_at in (world.ask("checker", person=DBA, resource="stock"), world.approve(BOTH, waiting)):
            with pytest.raises(Refusal, match="conflicts with maker, which dba holds until") as caught:
                await refused_at
            assert caught.value.code == "conflict"
            assert "Who could: admin, both, dba2" in caught.value.remedy
            assert "interlock end g-" in caught.value.remedy
        assert (await world.approve(BOTH, other)).grant is not None
        world.clock.advance(HOUR)
        assert (await world.approve(BOTH, waiting)).grant is not None

    async def test_at_a_hold_and_at_its_use(self, state: PostgresState) -> None:
        world = await _world(state, {"separations": ()})
        login = await world.sign_in(DEV)
        checker = await world.lend("checker", person=DEV, login=login)
        session = await world.connect(checker, login)
        held = await world.hold(session, "checker")
        await world.approve(DBA, await world.request(held.request))
        await world.lend("maker", person=DEV)
        await world.apply(replace_roles(world, {}, **_conflict(ConflictKind.STATIC)))
        with pytest.raises(Refusal, match="conflicts with maker"):
            await world.hold(session, "checker", text="delete from stock")
        with pytest.raises(Refusal, match="conflicts with maker"):
            await take_hold(world.desk, gateway="gw1", request_id=held.request, digest=held.digest)

    async def test_at_a_duty_that_the_role_stands_for(self, state: PostgresState) -> None:
        world = await _world(state, _chain() | _conflict(ConflictKind.STATIC))
        await _duty(world, "make", DBA2)
        login = await world.sign_in(DBA)
        request = await world.ask("maker", person=DBA, login=login, artifact="change:OTHER")
        await world.approve(BOTH, request)
        with pytest.raises(Refusal, match="The role checker conflicts with maker"):
            await take_duty(world.desk, acting=Acting(login.id), chain="change", duty="check", artifact=SUBJECT)
        other = await world.sign_in(OPS)
        await take_duty(world.desk, acting=Acting(other.id), chain="change", duty="check", artifact=SUBJECT)


class TestDynamic:
    """Both may be held; no session rests on one while another of the same person rests on the other."""

    @pytest.fixture
    async def world(self, state: PostgresState) -> World:
        return await _world(state, _chain() | _conflict(ConflictKind.DYNAMIC))

    async def test_both_are_held_and_the_later_session_is_cut(self, world: World) -> None:
        maker, login = await _lend(world, "maker", DEV)
        checker, second = await _lend(world, "checker", DEV)
        first, later = await world.connect(maker, login), await world.connect(checker, second)
        assert (await world.activity(first)).cut_why == ""
        assert "checker is not used beside maker" in (await world.activity(later)).cut_why

    async def test_a_session_that_came_and_went_in_one_report_is_cut_all_the_same(self, world: World) -> None:
        maker, login = await _lend(world, "maker", DEV)
        checker, second = await _lend(world, "checker", DEV)
        await world.connect(maker, login)
        now = world.clock.now()
        start = SessionStart("s-1", DEV, "orders", second.id, (checker.id,), "10.0.0.1", "psql", now)
        end = SessionEnd("s-1", now, "the client left", 3, "c0ffee")
        await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(start,), ends=(end,))
        later = await world.activity("s-1")
        assert "checker is not used beside maker" in later.cut_why
        assert later.closed_at == now

    async def test_at_a_hold_and_at_a_duty(self, world: World) -> None:
        checker, second = await _lend(world, "checker", DEV)
        session = await world.connect(checker, second)
        await world.hold(session, "checker")
        maker, login = await _lend(world, "maker", DEV)
        await world.connect(maker, login, gateway="gw2")
        await world.apply(replace_roles(world, {}, separations=()))
        third = await world.connect(maker, login, gateway="gw2")
        await world.apply(replace_roles(world, {}, **_conflict(ConflictKind.DYNAMIC)))
        with pytest.raises(Refusal, match=f"checker is not used while maker is, and {DEV}'s session {third}") as caught:
            await world.hold(session, "checker", text="delete from stock")
        assert "Who could: admin, both" in caught.value.remedy
        with pytest.raises(Refusal, match="is not used while"):
            await take_duty(world.desk, acting=Acting(login.id), chain="change", duty="make", artifact="change:NEW")
        other = await world.sign_in(DBA)
        await take_duty(world.desk, acting=Acting(other.id), chain="change", duty="make", artifact="change:NEW")


class TestArtifacts:
    async def test_a_role_that_stands_for_a_duty_is_lent_for_something(self, state: PostgresState) -> None:
        world = await _world(state, _chain(Separation(_SEPARATE, ("make", "check"))))
        for artifact, code in (("", "artifact-needed"), ("CH-1", "bad-artifact"), ("commit:abc", "bad-artifact")):
            with pytest.raises(Refusal) as caught:
                await world.ask("checker", person=DBA, artifact=artifact)
            assert caught.value.code == code
        await world.ask("checker", person=DBA, artifact=SUBJECT)
        await world.ask("reader", person=DBA)

    async def test_another_artifact_is_another_history(self, state: PostgresState) -> None:
        world = await _world(state, _chain(Separation(_SEPARATE, ("make", "check"))))
        await _made(world, DBA)
        await world.ask("checker", person=DBA, artifact="change:CH-2")

    async def test_who_was_lent_the_role_carries_the_duty(self, state: PostgresState) -> None:
        world = await _world(state, _chain())
        await _made(world, DBA)
        with pytest.raises(Refusal, match="dba carries make of change over change:CH-1 since"):
            await world.ask("maker", person=DBA2, artifact=SUBJECT)
        await world.ask("maker", person=DBA, artifact=SUBJECT)

    async def test_what_is_lent_for_a_later_duty_ends_when_the_content_changes(self, state: PostgresState) -> None:
        """The yes to it was to what was there then. What is lent for another artifact, and another role, goes on."""
        world = await _world(state, _chain(Separation(_SEPARATE, ("make", "check"))))
        await _duty(world, "make", DBA)
        lent, _ = await _lend(world, "checker", DBA2)
        elsewhere, _ = await _lend(world, "checker", DBA2, "change:CH-2")
        maker, _ = await _lend(world, "maker", DBA)
        waiting = await world.ask("checker", person=DBA2, resource="stock", artifact=SUBJECT)
        login = await world.sign_in(DBA)
        on = {"chain": "change", "duty": "make", "artifact": SUBJECT}
        await do_duty(world.desk, acting=Acting(login.id), content=CONTENT, **on)
        assert (await world.grant(lent.id)).ended_at is None, "the same content is no change"
        await do_duty(world.desk, acting=Acting(login.id), content="sha256:other", **on)
        ended = await world.grant(lent.id)
        assert (ended.ended_by, ended.ended_reason) == (DBA, "make was done anew on sha256:other")
        assert (await world.request(waiting.id)).state is RequestState.WITHDRAWN
        with pytest.raises(Refusal):
            await world.approve(BOTH, waiting)
        for other in (elsewhere, maker):
            assert (await world.grant(other.id)).ended_at is None
        again, _ = await _lend(world, "checker", DBA2)
        assert again.id != lent.id


async def test_it_counts_persons_and_not_accounts(state: PostgresState) -> None:
    """A second login with another key, of the same person, is the same person."""
    world = await _world(state, _chain(Separation(_SEPARATE, ("make", "check"))))
    await _made(world, DBA)
    login = await world.sign_in(DBA, key="another account")
    with pytest.raises(Refusal, match="make, check are separate"):
        await world.ask("checker", person=DBA, login=login, artifact=SUBJECT)
