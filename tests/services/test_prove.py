"""Every counterexample of the prover is played in the engine, step by step, and without any one step it fails."""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from interlock.domain.actions import Action, Need
from interlock.domain.decisions import Effect
from interlock.domain.durations import parse_duration
from interlock.domain.grants import Grant, Request
from interlock.domain.people import Contract
from interlock.domain.roles import ApprovalRule, BreakGlass, Hold
from interlock.errors import Refusal
from interlock.policy.configuration import Chain, Claims, Separation, SeparationKind
from interlock.policy.decide import Decider, Question
from interlock.proof.check import check_certificate
from interlock.proof.model import OURS, THE_POLICY, Goal, Model
from interlock.proof.prove import Prover
from interlock.proof.steps import Step
from interlock.proof.verdicts import Claim, Counted, Outcome, assumptions_of
from interlock.services.break_glass import break_glass
from interlock.services.contract_life import take_contract
from interlock.services.duties import do_duty, take_duty
from interlock.services.end_grant import end_grant
from interlock.services.give_approval import Approved
from interlock.services.hold_statement import hold_statement
from interlock.services.offboard_person import offboard_person
from interlock.services.proof_model import LiveState, build_model
from interlock.services.prove_state import prove_state, read_live, who_acts_alone
from interlock.services.take_hold import take_hold
from interlock.services.withdraw_request import withdraw_request
from interlock.services.workloads import Acting
from tests.services.test_model_of_the_engine import AT, make_company
from tests.services.world import (
    ADMIN,
    BOTH,
    DBA,
    DBA2,
    DEV,
    GATEWAY,
    HOUR,
    LEAD,
    MATE,
    OPS,
    RIVAL,
    World,
    company,
    opening_of,
    refused,
)

DUTIES = ("develop", "review", "deploy")
BIND = Separation(SeparationKind.BIND, ("develop", "deploy"))
DESTROY = Goal("destroy", "orders")
SIZES = {
    "reader": 2,
    "pair": 3,
    "two": 3,
    "friendly": 2,
    "watched": 3,
    "writer": 3,
    "maker": 2,
}
"""How many persons it takes to destroy by each role: the asker and those whose yes is needed."""


async def _smallest(world: World) -> tuple[tuple[str, ...], tuple[Step, ...]]:
    async with world.state.reading() as reading:
        model = build_model(await read_live(world.desk, reading))
    prover = Prover(model)
    team = prover.smallest(DESTROY).team
    assert team is not None
    steps = prover.reach.plan(team, DESTROY)
    assert steps is not None
    return tuple(prover.reach.members(team)), steps


class _Replay:
    def __init__(self, world: World) -> None:
        self.world = world
        self.request: Request | None = None
        self.grant: Grant | None = None

    async def play(self, steps: Sequence[Step]) -> bool:
        """Whether the deed was allowed by the engine."""
        asker = next(step.person for step in steps if step.what == "run")
        login = await self.world.sign_in(asker)
        yeses = [step.person for step in steps if step.what == "approve-statement"]
        for step in steps:
            if step.what == "ask":
                role = step.target.partition(" on ")[0]
                self.request = await self.world.ask(role, person=asker, login=login)
            elif step.what == "approve" and self.request is not None:
                approved: Approved = await self.world.approve(step.person, self.request)
                self.grant = approved.grant or self.grant
            elif step.what == "break-glass":
                role = step.target.partition(" on ")[0]
                broken = await break_glass(
                    self.world.desk,
                    login_id=login.id,
                    resource="orders",
                    role=role,
                    duration=parse_duration(step.length),
                    reason="it burns",
                )
                self.grant = broken.grant
            elif step.what == "run":
                return await self._run(asker, login.id, yeses, Action(step.target.partition(" on ")[0]))
        return False

    async def _run(self, asker: str, login_id: str, yeses: Sequence[str], action: Action) -> bool:
        world, grant = self.world, self.grant
        if grant is None:
            return False
        decider = Decider(world.configuration)
        question = Question(
            person=world.configuration.people[asker],
            resource=world.configuration.resources["orders"],
            roles=frozenset({grant.role}),
            needs=(Need(action),),
            at=world.clock.now(),
            present_at=world.clock.now(),
        )
        effect = decider.decide(question).effect
        if effect is not Effect.HOLD:
            return effect is Effect.ALLOW
        session = await world.connect(grant, await world.login(login_id))
        opening = replace(opening_of(session, grant.role), person=asker)
        held = await hold_statement(world.desk, gateway=GATEWAY, opening=opening)
        complete = False
        for name in yeses:
            complete = (await world.approve(name, await world.request(held.request))).tally.complete
        if complete:
            await take_hold(world.desk, gateway=GATEWAY, request_id=held.request, digest=held.digest)
        return complete


@pytest.mark.parametrize("role", SIZES)
async def test_a_counterexample_replays_in_the_engine(world: World, role: str) -> None:
    await world.apply(company(roles={role: company().roles[role]}, separations=(), contracts=_scoped(role)))
    team, steps = await _smallest(world)
    assert len(team) == SIZES[role]
    assert await _Replay(world).play(steps)


@pytest.mark.parametrize("role", SIZES)
async def test_no_yes_of_a_counterexample_can_be_left_out(world: World, role: str) -> None:
    await world.apply(company(roles={role: company().roles[role]}, separations=(), contracts=_scoped(role)))
    _, steps = await _smallest(world)
    for place, step in enumerate(steps):
        if step.what not in ("approve", "approve-statement"):
            continue
        replay = _Replay(world)
        assert not await replay.play([*steps[:place], *steps[place + 1 :]])
        if replay.grant is None and replay.request is not None:
            await _withdraw(world, replay.request)


def _by_chance() -> list[int]:
    """Companies by chance in which somebody can destroy by a role; a change of the policy is played elsewhere."""
    found = []
    for seed in range(1000, 1060):
        configuration = make_company(random.Random(seed))
        people, contracts = tuple(configuration.people.values()), tuple(configuration.contracts.values())
        state = LiveState(configuration, people, contracts, AT, come_in=frozenset(configuration.people))
        if Prover(_by_roles(build_model(state))).smallest(DESTROY).team is not None:
            found.append(seed)
    return found[:18]


def _by_roles(model: Model) -> Model:
    return replace(model, lends=tuple(one for one in model.lends if one.role != THE_POLICY), invitations=())


@pytest.mark.parametrize("seed", _by_chance())
async def test_a_counterexample_of_a_company_by_chance_replays_in_the_engine(world: World, seed: int) -> None:
    """Whatever roles, rules, holds, glass and contracts it has; and without any one yes it does not."""
    await world.apply(make_company(random.Random(seed)))
    for name in world.configuration.people:
        with suppress(Refusal):  # a contractor without a contract
            await world.sign_in(name)
    async with world.state.reading() as reading:
        prover = Prover(_by_roles(build_model(await read_live(world.desk, reading))))
    team = prover.smallest(DESTROY).team
    assert team is not None
    steps = prover.reach.plan(team, DESTROY) or ()
    replay = _Replay(world)
    assert await replay.play(steps), steps
    if any(step.what == "break-glass" for step in steps):
        return  # again only after a review
    for place in [place for place, step in enumerate(steps) if step.what in ("approve", "approve-statement")]:
        if replay.grant is not None:
            await end_grant(world.desk, by=replay.grant.person, grant_id=replay.grant.id, reason="again")
        elif replay.request is not None:
            await _withdraw(world, replay.request)
        replay = _Replay(world)
        assert not await replay.play([*steps[:place], *steps[place + 1 :]])


async def test_what_is_held_now_is_part_of_the_proof(world: World) -> None:
    await world.apply(company(roles={"maker": company().roles["maker"]}, separations=(), contracts={}))
    assert len((await _smallest(world))[0]) == 2
    await world.lend("maker", DBA, person=OPS)
    team, steps = await _smallest(world)
    assert team == (OPS,)
    assert [step.what for step in steps] == ["run"]


async def test_a_yes_that_was_given_already_counts(world: World) -> None:
    await world.apply(company(roles={"pair": company().roles["pair"]}, separations=(), contracts={}))
    request = await world.ask("pair", person=LEAD)
    await world.approve(DBA, request)
    team, steps = await _smallest(world)
    assert len(team) == 2
    assert LEAD in team
    assert "ask" not in {step.what for step in steps}


async def test_what_is_held_and_what_was_given_replay_in_the_engine(world: World) -> None:
    """The maker's grant is there: one runs it alone. A yes is there: what is missing of the pair's is said besides."""
    maker, pair = company().roles["maker"], company().roles["pair"]
    await world.apply(company(roles={"maker": maker}, separations=(), contracts={}))
    grant = await world.lend("maker", DBA, person=OPS)
    _, steps = await _smallest(world)
    replay = _Replay(world)
    replay.grant = grant
    assert await replay.play(steps)
    await world.apply(company(roles={"pair": pair}, separations=(), contracts={}))
    request = await world.ask("pair", person=LEAD)
    await world.approve(DBA, request)
    _, steps = await _smallest(world)
    again = _Replay(world)
    again.request = request
    assert await again.play(steps)


SEPARATE = Separation(SeparationKind.SEPARATE, DUTIES)
DBAS, OPERATORS = ApprovalRule(1, "dba"), ApprovalRule(1, "ops")
CHAINS: dict[str, tuple[int, tuple[Separation, ...], dict[str, ApprovalRule]]] = {
    "separate": (3, (SEPARATE,), {}),
    "pairs": (2, (Separation(SeparationKind.SEPARATE, ("develop", "review")),), {}),
    "bound": (2, (Separation(SeparationKind.SEPARATE, ("develop", "review")), BIND), {}),
    "at least": (2, (Separation(SeparationKind.AT_LEAST, DUTIES, 2),), {}),
    "at most": (1, (Separation(SeparationKind.AT_MOST, DUTIES, 2),), {"develop": DBAS, "review": OPERATORS}),
    "vendor": (2, (Separation(SeparationKind.INDEPENDENT, ("review",), by="vendor"),), {}),
    "team": (2, (Separation(SeparationKind.INDEPENDENT, ("review",), by="team"),), {"develop": DBAS}),
    "by": (3, (SEPARATE,), {"develop": DBAS, "deploy": OPERATORS}),
}
"""How many persons each chain takes at least; one is of both groups, and carries the chain "at most" alone."""


@pytest.mark.parametrize("kind", CHAINS)
async def test_a_counterexample_of_a_chain_replays_in_the_engine_and_fewer_persons_are_refused(
    world: World, kind: str
) -> None:
    least, separations, takers = CHAINS[kind]
    await world.apply(company(chains={"release": Chain("release", DUTIES, separations, None, takers)}))
    async with world.state.reading() as reading:
        model = build_model(await read_live(world.desk, reading))
    prover = Prover(model)
    found = prover.smallest(Goal(chain="release"))
    assert found.team is not None
    steps = prover.reach.plan(found.team, Goal(chain="release"))
    assert steps is not None
    assert len({step.person for step in steps}) == least
    people = [step.person for step in steps]
    assert await _carry_out(world, people, "change:CH-1")
    # One person for another of the team, wherever both have a duty: a person less, and never let through.
    for number, (one, other) in enumerate(permutations(dict.fromkeys(people), 2)):
        fewer = [other if name == one else name for name in people]
        assert not await _carry_out(world, fewer, f"change:LESS-{number}")


async def _carry_out(world: World, people: Sequence[str], artifact: str) -> bool:
    """Whether the engine lets these persons carry the duties in their order."""
    for person, duty in zip(people, DUTIES, strict=True):
        acting = Acting(login=(await world.sign_in(person)).id)
        try:
            await take_duty(world.desk, acting=acting, chain="release", duty=duty, artifact=artifact)
        except Refusal:
            return False
        await do_duty(
            world.desk, acting=acting, chain="release", duty=duty, artifact=artifact, content="sha256:" + "ab" * 32
        )
    return True


async def test_the_whole_answer_is_certified(world: World) -> None:
    duties = ("develop", "review", "deploy")
    chain = Chain(
        "release",
        duties,
        (Separation(SeparationKind.SEPARATE, duties),),
        Claims(min_persons=3, survives_absences=1),
        {"deploy": ApprovalRule(1, "ops")},
    )
    await world.apply(company(chains={"release": chain}, contracts={}))
    for name in (ADMIN, DBA):
        await world.sign_in(name)
    proved = await prove_state(world.desk, by=ADMIN)
    assert proved.proof.holds
    assert all(proven for _, proven, _ in check_certificate(proved.certificate).claims)
    away = await prove_state(world.desk, by=ADMIN, chain="release", absent=(OPS,))
    assert [v.outcome for v in away.proof.verdicts] == [Outcome.PROVEN, Outcome.REFUTED]
    assert away.proof.bottlenecks["release"] == (BOTH,)


async def test_who_may_break_glass_is_alone_and_does_it_in_the_engine(world: World) -> None:
    glass = BreakGlass(HOUR / 4, OPERATORS, DBAS, replace(DBAS, count=2))
    role = replace(company().roles["pair"], break_glass=glass)
    await world.apply(company(roles={"pair": role}, separations=(), contracts={}))
    team, steps = await _smallest(world)
    assert [(step.what, step.length) for step in steps] == [("break-glass", "15m"), ("run", "")]
    assert len(team) == 1
    assert await _Replay(world).play(steps)


async def test_the_first_administrator_alone_is_seen_until_a_second_person_has_signed_in(world: World) -> None:
    await world.apply(company(policy_approvals=()))
    await world.sign_in(ADMIN)
    policy = [v for v in (await prove_state(world.desk, by=ADMIN)).proof.verdicts if v.claim.goal.resource == OURS]
    assert [v.outcome for v in policy] == [Outcome.REFUTED]
    assert policy[0].team == (ADMIN,)
    # Nobody at all has signed in: whoever could be the first.
    async with world.state.reading() as reading:
        assert await who_acts_alone(reading) == {ADMIN}
    await world.sign_in(DBA)
    policy = [v for v in (await prove_state(world.desk, by=ADMIN)).proof.verdicts if v.claim.goal.resource == OURS]
    assert [v.outcome for v in policy] == [Outcome.PROVEN]


async def test_two_who_let_others_in_again_can_be_anybody(world: World) -> None:
    """They could come in as the third and the fourth: a claim of three is refuted, with how, and so is one of vendors;
    one of two is proven, and who may be absent is another question."""
    duties = ("develop", "review", "deploy")
    chain = Chain(
        "release",
        duties,
        (Separation(SeparationKind.SEPARATE, duties), Separation(SeparationKind.INDEPENDENT, ("review",), by="vendor")),
        Claims(min_persons=3, min_vendors=2, survives_absences=1),
    )
    for name in (ADMIN, DBA, DEV, MATE, RIVAL):
        await world.sign_in(name)
    for group, outcomes in (
        ("", [Outcome.PROVEN] * 3),
        ("ops", [Outcome.REFUTED, Outcome.REFUTED, Outcome.PROVEN]),
        ("administrators", [Outcome.PROVEN] * 3),
    ):
        await world.apply(company(chains={"release": chain}, contracts=_named(), recovery=group))
        proved = await prove_state(world.desk, by=ADMIN, chain="release")
        assert [v.outcome for v in proved.proof.verdicts] == outcomes, group
        told = any("recovery" in sentence for sentence in proved.proof.assumptions)
        assert told == bool(group)
        accepted = [proven for _, proven, _ in check_certificate(proved.certificate).claims]
        assert accepted == [outcome is Outcome.PROVEN for outcome in outcomes]
        if group == "ops":
            first = proved.proof.verdicts[0]
            assert first.team == (BOTH, OPS)
            assert [step.what for step in first.steps[:3]] == ["help", "help", "come-in"]
    await world.apply(company(chains={"release": chain}, contracts=_named(), recovery="ops", passwords=False))
    assert (await prove_state(world.desk, by=ADMIN, chain="release")).proof.holds


async def test_two_bring_in_a_third_where_a_contract_lets_them(world: World) -> None:
    """Three persons are proven where the contracts name all whom they cover; where not, their sponsor and any other
    employee are three, or two vendors. Two persons stay proven, absences too, and where a duty takes a group a guest is
    of no use."""
    chain = Chain("release", DUTIES, (SEPARATE,), Claims(min_persons=3, survives_absences=1))
    vendors = (SEPARATE, Separation(SeparationKind.INDEPENDENT, ("review",), by="vendor"))
    for name in (ADMIN, DBA, DEV, MATE, RIVAL):
        await world.sign_in(name)
    three, two, apart, grouped = (
        chain,
        replace(chain, claims=Claims(min_persons=2)),
        replace(chain, separations=vendors, claims=Claims(min_persons=2, min_vendors=2)),
        replace(chain, takers={"develop": DBAS, "review": DBAS, "deploy": OPERATORS}),
    )
    proven, refuted = Outcome.PROVEN, Outcome.REFUTED
    for one, contracts, outcomes in (
        (three, _named(), [proven, proven]),
        (three, company().contracts, [refuted, proven]),
        (two, company().contracts, [proven, proven]),
        (apart, _named(), [proven, proven, proven]),
        (apart, company().contracts, [proven, refuted, proven]),
        (grouped, company().contracts, [proven, proven]),
    ):
        await world.apply(company(chains={"release": one}, contracts=contracts))
        proved = await prove_state(world.desk, by=ADMIN, chain="release")
        assert [v.outcome for v in proved.proof.verdicts] == outcomes, one
        accepted = [proven for _, proven, _ in check_certificate(proved.certificate).claims]
        assert accepted == [outcome is Outcome.PROVEN for outcome in outcomes]
        # No stronger claim is believed of the same model.
        forged = proved.certificate.replace('"outcome": "refuted"', '"outcome": "proven"')
        assert [proven for _, proven, _ in check_certificate(forged).claims] == accepted
        told = [sentence for sentence in proved.proof.assumptions if "(invitation)" in sentence]
        assert all("acme-orders, globex-ops" in sentence for sentence in told)
        assert bool(told) == (contracts == company().contracts)
        if outcomes[0] is refuted:
            verdict = proved.proof.verdicts[0]
            assert verdict.least == 2
            assert LEAD in verdict.team
            assert {step.person for step in verdict.steps if step.what == "admit"} == {LEAD}
            assert [step.what for step in verdict.steps[:4]] == ["invite", "arrive", "admit", "stay"]


async def test_a_contractor_who_has_not_come_in_yet_is_one_whom_two_can_be(world: World) -> None:
    """The contracts name all whom they cover. Two employees can come in as each of them who has not come in; not as who
    has, nor under a contract that lets nobody be invited."""
    chain = Chain("release", DUTIES, (SEPARATE,), Claims(min_persons=3), {"deploy": ApprovalRule(1, "dba")})
    people = {name: one for name, one in company().people.items() if one.is_employee or name == RIVAL}
    contracts = {"globex-ops": replace(company().contracts["globex-ops"], people=frozenset({RIVAL}))}
    refuted, proven = Outcome.REFUTED, Outcome.PROVEN
    parts: dict[str, Any] = {"chains": {"release": chain}, "people": people, "contracts": contracts}
    for name in (ADMIN, DBA):
        await world.sign_in(name)
    for uninvited, outcome in ((frozenset[str](), refuted), (frozenset({"globex-ops"}), proven)):
        await world.apply(company(**parts, uninvited=uninvited))
        proved = await prove_state(world.desk, by=ADMIN, chain="release")
        assert proved.proof.verdicts[0].outcome is outcome
        assert check_certificate(proved.certificate).claims[0][1] == (outcome is proven)
        forged = proved.certificate.replace('"outcome": "refuted"', '"outcome": "proven"')
        assert check_certificate(forged).claims[0][1] == (outcome is proven)
    await world.apply(company(**parts))
    verdict = (await prove_state(world.desk, by=ADMIN, chain="release")).proof.verdicts[0]
    assert RIVAL not in verdict.team
    assert [(step.what, step.target) for step in verdict.steps if step.what == "invite"] == [
        ("invite", f"{RIVAL} on globex-ops")
    ]
    # It is so as well where nothing is known of who has come in, and is said.
    async with world.state.reading() as reading:
        live = await read_live(world.desk, reading)
    unknown = build_model(replace(live, come_in=None))
    assert any("globex-ops" in one for one in assumptions_of(unknown))
    await world.sign_in(RIVAL)
    assert (await prove_state(world.desk, by=ADMIN, chain="release")).proof.verdicts[0].outcome is proven


async def test_a_guest_asks_and_two_say_yes(world: World) -> None:
    """A role that takes two besides the asker takes two persons where a contract of one of them has it, and none where
    the contract names all whom it covers, who have come in."""
    for name in (DEV, MATE, RIVAL):
        await world.sign_in(name)
    roles = {name: company().roles[name] for name in ("two", "reader")}
    (mine,) = _scoped("two").values()
    mine = replace(mine, sponsor=DBA)
    other = replace(mine, roles=frozenset({"reader"}))
    for contract, least in ((None, 3), (mine, 2), (other, 3), (replace(mine, people=frozenset({DEV})), 3)):
        contracts = {} if contract is None else {"acme": contract}
        policy = (ApprovalRule(3, "dba"),)
        await world.apply(company(roles=roles, separations=(), contracts=contracts, policy_approvals=policy))
        async with world.state.reading() as reading:
            live = replace(await read_live(world.desk, reading), alone=frozenset())
        role = replace(roles["two"], hold=None)
        model = build_model(replace(live, configuration=replace(live.configuration, roles={"two": role})))
        verdict = Prover(model).judge(Claim(DESTROY, Counted.PERSONS, 3), most=6)
        assert verdict.most == least, contract
        assert set(verdict.team) <= set(company().people)
        assert {step.person for step in verdict.steps} - set(verdict.team) <= {"guest-1@acme"}


async def test_a_contract_whose_sponsor_has_left_is_anybodys_to_take(world: World) -> None:
    """With the sponsor gone nobody sponsors it, until somebody takes it: three persons can, so four is not claimed.
    That the sponsor could be made to go is said as long as there is one."""
    writer = company().roles["writer"]
    await world.apply(company(roles={"writer": writer}, separations=(), contracts=_scoped("writer")))
    async with world.state.reading() as reading:
        said = assumptions_of(build_model(await read_live(world.desk, reading)))
    assert any("Who sponsors acme goes on doing so: that an administrator offboards" in one for one in said)
    await offboard_person(world.desk, by=ADMIN, name=LEAD, reason="left")
    async with world.state.reading() as reading:
        model = build_model(replace(await read_live(world.desk, reading), alone=frozenset()))
    assert ("contract", ("acme",)) in [(one.kind, one.names) for one in model.outsiders]
    way = next(lend for lend in model.lends if lend.role == "writer")
    assert {OPS, ADMIN, DBA} <= {name for rule in way.rules for name in (rule.sponsors or {}).get(DEV, ())}
    # It is so in the engine: the role is asked for, and the one who takes the contract says yes.
    await take_contract(world.desk, by=OPS, name="acme")
    request = await world.ask("writer")
    await world.approve(DBA, request)
    assert (await world.approve(OPS, request)).grant is not None


async def test_a_role_that_writes_without_a_fence_is_named(world: World) -> None:
    """A write of all rows is no ``destroy``: a claim on that says nothing of who is lent such a role, and says so."""
    reader = company().roles["reader"]
    clerk = replace(reader, name="clerk", allow=frozenset({Action.CONNECT, Action.WRITE}))
    held = replace(clerk, name="held", hold=Hold(frozenset({Action.WRITE})))
    roles = {"clerk": clerk, "fenced": replace(clerk, name="fenced", fence_rows=10), "held": held, "reader": reader}
    await world.apply(company(roles=roles, separations=(), contracts={}))
    async with world.state.reading() as reading:
        said = assumptions_of(build_model(await read_live(world.desk, reading)))
    assert [one for one in said if one.startswith("What the roles clerk write is `write`")]


async def test_administrators_ask_and_nobody_else(world: World) -> None:
    for name in (DEV, DBA2, LEAD):
        with refused("not-yours"):
            await prove_state(world.desk, by=name)


def _scoped(role: str) -> dict[str, Contract]:
    start, end = datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 2, 28, tzinfo=UTC)
    return {"acme": Contract("acme", "acme", LEAD, start, end, frozenset({role}))}


def _named() -> dict[str, Contract]:
    """The contracts, each with the names of all whom it covers: nobody else can be brought in."""
    people = company().people.values()
    return {
        name: replace(contract, people=frozenset(one.name for one in people if contract.covers(one)))
        for name, contract in company().contracts.items()
    }


async def _withdraw(world: World, request: Request) -> None:
    await withdraw_request(world.desk, person=request.person, request_id=request.id)
