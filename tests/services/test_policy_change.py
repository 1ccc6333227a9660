"""Interlock guards itself: one person changes the policy in no way, whoever they are, whatever they propose."""

import asyncio
from datetime import timedelta

import pytest

from interlock.domain.grants import RequestState
from interlock.errors import Failure, Refusal
from interlock.services.activate_policy import activate_policy
from interlock.services.deny_request import deny_request
from interlock.services.give_approval import give_approval
from interlock.services.join_gateway import join_gateway
from interlock.services.offboard_person import offboard_person
from interlock.services.propose_policy import propose_policy
from interlock.store.state import PostgresState
from tests.services.guarded import CHIEF, CLERK, DEPUTY, FELLOW, HAND, KEEPER, POLICY, Guarded
from tests.services.world import HOUR, refused

SHORTER = POLICY.replace("longest: 2h", "longest: 1h")
LONGER = POLICY.replace("longest: 2h", "longest: 3h")
ALONE = POLICY.replace("    separate: all\n", "")
"""Without its separations one person carries the whole chain."""


@pytest.fixture
async def company(state: PostgresState) -> Guarded:
    """Two administrators, both of whom have signed in."""
    company = Guarded(state)
    await company.start()
    await company.sign_in(CHIEF)
    await company.sign_in(DEPUTY)
    return company


async def test_a_change_is_proposed_proved_approved_and_activated(company: Guarded) -> None:
    request = await company.propose(SHORTER)
    assert request.content["changes"] == ["The role writer is lent for 1h at most (was 2h)."]
    assert company.desk.configuration.roles["writer"].lending.longest == 2 * HOUR
    assert (await company.approve(DEPUTY, request)).request.state is RequestState.APPROVED
    assert company.desk.configuration.roles["writer"].lending.longest == 2 * HOUR
    activated = await company.activate(request)
    assert activated.applied.policy.version == 2
    assert company.desk.configuration.roles["writer"].lending.longest == HOUR
    (_, last) = await company.events("policy.activated")
    assert (last["request"], last["by"], last["alone"]) == (request.id, CHIEF, False)
    assert (await company.events("policy.proposed"))[0]["digest"] == request.content["policy"]
    with refused("base-changed"):
        await company.activate(request)


async def test_another_control_plane_works_with_it_at_its_next_decision(company: Guarded) -> None:
    other = company.another_desk()
    await company.change(SHORTER)
    async with other.deciding(CHIEF):
        assert other.configuration.roles["writer"].lending.longest == HOUR
    deaf = company.another_desk()
    deaf.read_policy = None
    with pytest.raises(Failure, match="active policy"):
        async with deaf.deciding(CHIEF):
            pass


async def test_a_policy_whose_text_is_not_what_its_digest_says_is_not_adopted(company: Guarded) -> None:
    await company.change(SHORTER)
    other = company.another_desk()
    other.read_policy = lambda policy: company.another_desk(LONGER).configuration
    with pytest.raises(Failure, match="digest"):
        async with other.deciding(CHIEF):
            pass


class TestNobodyAlone:
    async def test_the_proposer_approves_in_no_login(self, company: Guarded) -> None:
        request = await company.propose(SHORTER)
        with refused("self-approval"):
            await company.approve(CHIEF, request, login=await company.sign_in(CHIEF, key="second account"))
        with refused("not-approved"):
            await company.activate(request)

    async def test_the_others_key_is_the_same_machine(self, company: Guarded) -> None:
        request = await company.propose(SHORTER, login=await company.sign_in(CHIEF, key="one laptop"))
        with refused("same-key"):
            await company.approve(DEPUTY, request, login=await company.sign_in(DEPUTY, key="one laptop"))

    @pytest.mark.parametrize("person", [KEEPER, CLERK, HAND, FELLOW])
    async def test_who_is_no_administrator_approves_nothing(self, company: Guarded, person: str) -> None:
        request = await company.propose(SHORTER)
        with refused("not-named"):
            await company.approve(person, request)

    async def test_a_contractor_proposes_nothing(self, company: Guarded) -> None:
        with refused("not-employee"):
            await company.propose(SHORTER, person=FELLOW)

    async def test_an_old_proof_of_presence_approves_nothing(self, company: Guarded) -> None:
        request = await company.propose(SHORTER)
        stale = await company.sign_in(DEPUTY, present_at=company.clock.now() - timedelta(minutes=5))
        with refused("presence-needed"):
            await company.approve(DEPUTY, request, login=stale)

    async def test_an_approver_who_is_no_administrator_any_more_does_not_count(self, company: Guarded) -> None:
        third = POLICY.replace("clerk@example.com: {}", "clerk@example.com: {groups: [administrators]}")
        await company.change(third)
        request = await company.propose(third.replace("2h", "1h"))
        await company.approve(DEPUTY, request)
        await offboard_person(company.desk, by=CHIEF, name=DEPUTY, reason="left")
        with refused("approval-void"):
            await company.activate(request)
        assert [event["person"] for event in await company.events("approval.voided")] == [DEPUTY]

    async def test_a_proposer_who_left_changes_nothing(self, company: Guarded) -> None:
        request = await company.propose(SHORTER, person=CLERK)
        await company.approve(DEPUTY, request)
        await offboard_person(company.desk, by=CHIEF, name=CLERK, reason="left")
        with refused("person-ended"):
            await company.activate(request)

    async def test_a_no_ends_it(self, company: Guarded) -> None:
        request = await company.propose(SHORTER)
        await deny_request(company.desk, by=DEPUTY, request_id=request.id, reason="why?")
        with refused("not-approved"):
            await company.activate(request)

    async def test_a_bystander_does_not_activate(self, company: Guarded) -> None:
        request = await company.propose(SHORTER)
        await company.approve(DEPUTY, request)
        with refused("not-yours"):
            await company.activate(request, person=CLERK)

    async def test_the_rules_of_the_active_policy_decide_and_not_those_that_are_proposed(
        self, company: Guarded
    ) -> None:
        own = POLICY + "policy: {approvals: [{from: {people: [clerk@example.com, keeper@example.com]}}]}\n"
        request = await company.propose(own)
        with refused("not-named"):
            await company.approve(CLERK, request)
        await company.approve(DEPUTY, request)
        await company.activate(request)
        again = await company.propose(own.replace("2h", "1h"))
        with refused("not-named"):
            await company.approve(DEPUTY, again)
        await company.approve(CLERK, again)
        await company.activate(again)


class TestWhatWasApproved:
    async def test_the_approval_is_for_this_very_text(self, company: Guarded) -> None:
        seen, other = await company.propose(SHORTER), await company.propose(LONGER)
        login = await company.sign_in(DEPUTY)
        with refused("stale-digest"):
            await give_approval(company.desk, login_id=login.id, request_id=other.id, digest=seen.digest)
        await company.approve(DEPUTY, seen)
        with refused("not-approved"):
            await company.activate(other)

    async def test_on_another_base_it_is_worth_nothing(self, company: Guarded) -> None:
        first, second = await company.propose(SHORTER), await company.propose(LONGER)
        third = await company.propose(POLICY.replace("2h", "30m"))
        await company.approve(DEPUTY, first)
        await company.approve(DEPUTY, second)
        await company.activate(first)
        with refused("base-changed"):
            await company.activate(second)
        with refused("base-changed"):
            await company.approve(DEPUTY, third)

    async def test_back_to_the_old_base_does_not_revive_a_used_one(self, company: Guarded) -> None:
        first = await company.propose(SHORTER)
        await company.approve(DEPUTY, first)
        await company.activate(first)
        await company.change(POLICY)
        with refused("not-approved"):
            await company.activate(first)

    async def test_approved_and_not_activated_in_time_is_over(self, company: Guarded) -> None:
        request = await company.propose(SHORTER)
        await company.approve(DEPUTY, request)
        company.clock.at = request.expires_at
        with refused("expired"):
            await company.activate(request)

    async def test_one_of_two_activations_wins(self, company: Guarded) -> None:
        request = await company.propose(SHORTER)
        await company.approve(DEPUTY, request)
        logins = [await company.sign_in(CHIEF) for _ in range(4)]
        results = await asyncio.gather(
            *(activate_policy(company.desk, login_id=login.id, request_id=request.id) for login in logins),
            return_exceptions=True,
        )
        assert sum(not isinstance(result, BaseException) for result in results) == 1
        assert all(isinstance(result, Refusal) for result in results if isinstance(result, BaseException))
        assert len(await company.events("policy.activated")) == 2

    async def test_a_grant_request_is_no_policy(self, company: Guarded) -> None:
        request = await company.ask("writer", person=CLERK)
        with refused("not-a-policy"):
            await company.activate(request)


class TestClaims:
    async def test_a_change_that_breaks_a_claim_is_refused_with_the_claim_and_the_way(self, company: Guarded) -> None:
        with pytest.raises(Refusal) as caught:
            await company.propose(ALONE)
        assert caught.value.code == "breaks-claim"
        assert "the chain release takes 2 persons, and" in caught.value.sentence
        assert "interlock duty take release develop" in caught.value.sentence
        assert await company.events("policy.proposed") == []

    async def test_nobody_breaks_a_claim_and_lowers_it_in_one_act(self, company: Guarded) -> None:
        both = ALONE.replace("min_persons: 2", "min_persons: 1")
        with refused("breaks-claim"):
            await company.propose(both)
        lowered = await company.propose(POLICY.replace("min_persons: 2", "min_persons: 1"))
        assert lowered.content["changes"] == [
            "The chain release has changed.",
            "The chain release claims fewer persons that it takes: 1 (was 2).",
        ]
        await company.approve(DEPUTY, lowered)
        await company.activate(lowered)
        await company.change(both)

    async def test_every_guarded_action_and_every_chain_is_looked_at(self, company: Guarded) -> None:
        request = await company.propose(SHORTER)
        assert isinstance(proved := request.content["proved"], dict)
        assert proved["claims"] == 6

    async def test_it_is_proved_again_when_it_takes_effect(self, company: Guarded) -> None:
        survives = POLICY.replace("min_persons: 2", "min_persons: 2, survives_absences: 3")
        request = await company.propose(survives)
        await company.approve(DEPUTY, request)
        await offboard_person(company.desk, by=CHIEF, name=KEEPER, reason="left")
        with refused("breaks-claim"):
            await company.activate(request)

    async def test_what_was_untrue_before_is_not_broken_by_a_change(self, state: PostgresState) -> None:
        company = Guarded(state)
        await company.start(ALONE)
        for person in (CHIEF, DEPUTY):
            await company.sign_in(person)
        await company.change(ALONE.replace("2h", "1h"))

    async def test_what_the_policy_itself_takes_is_not_lowered_and_broken_in_one_act(
        self, state: PostgresState
    ) -> None:
        """A chain claims three persons, so three change the policy. The claim goes first, for two others to see."""
        names = "chief@example.com, deputy@example.com, keeper@example.com"
        strict = POLICY.replace("min_persons: 2", "min_persons: 3").replace(
            "roles: [writer]}", "roles: [writer], invitations: false}"
        )
        strict += f"policy: {{approvals: [{{from: {{people: [{names}]}}, count: 2}}]}}\n"
        company = Guarded(state)
        await company.start(strict)
        for person in (CHIEF, DEPUTY, KEEPER):
            await company.sign_in(person)
        lower = strict.replace("min_persons: 3", "min_persons: 2")
        both = lower.replace("count: 2}]}", "count: 1}]}")
        gone = both[: both.index("chains:")] + both[both.index("policy:") :]
        for text in (both, gone):
            with pytest.raises(Refusal, match="alter on the policy takes 3 persons, and"):
                await company.propose(text)
        for text in (lower, both):
            request = await company.propose(text)
            for name in (DEPUTY, KEEPER):
                await company.approve(name, request)
            await company.activate(request)

    async def test_a_repository_does_not_leave_the_claims_of_its_chain_for_another(self, state: PostgresState) -> None:
        shop = f"repositories: {{shop: {{from: https://git.example/shop.git, since: {'ab' * 20}, chain: release}}}}\n"
        quick = "  quick: {duties: [develop, review, deploy], claims: {min_persons: 1}}\n"
        company = Guarded(state)
        await company.start(POLICY + quick + shop)
        for person in (CHIEF, DEPUTY):
            await company.sign_in(person)
        with pytest.raises(Refusal, match="the chain quick takes 2 persons, and"):
            await company.propose(POLICY + quick + shop.replace("chain: release", "chain: quick"))
        apart = quick.replace("deploy],", "deploy], separate: all,")
        await company.change(POLICY + apart + shop.replace("chain: release", "chain: quick"))

    async def test_what_is_lent_at_this_moment_makes_no_room_for_a_change(self, state: PostgresState) -> None:
        """Somebody holds what they can destroy with alone: true for an hour, and no leave to make it so for ever."""
        unheld = POLICY.replace("    hold: [alter, destroy]\n", "")
        company = Guarded(state)
        await company.start(unheld)
        for person in (CHIEF, DEPUTY):
            await company.sign_in(person)
        lent = await company.approve(KEEPER, await company.ask("writer", person=CLERK))
        assert lent.grant is not None
        glass = "    break_glass: {longest: 10m, by: {group: dba}, tell: {group: dba}, review: {group: dba}}\n"
        with pytest.raises(Refusal, match="destroy on orders takes 2 persons, and chief@") as caught:
            await company.propose(unheld.replace("chains:\n", f"{glass}chains:\n"))
        assert caught.value.code == "breaks-claim"
        await company.change(unheld.replace("2h", "1h"))

    async def test_a_claim_that_is_untrue_is_not_made_more_so(self, state: PostgresState) -> None:
        """Three are claimed and two could: a change with which one could is refused all the same."""
        two = ALONE.replace("min_persons: 2", "min_persons: 3").replace(
            "    duties: [develop, review, deploy]\n",
            "    duties: [develop, review, deploy]\n    separate: [[develop, review]]\n",
        )
        company = Guarded(state)
        await company.start(two)
        for person in (CHIEF, DEPUTY):
            await company.sign_in(person)
        one = two.replace("    separate: [[develop, review]]\n", "")
        with pytest.raises(Refusal, match="the chain release takes 3 persons, and chief@"):
            await company.propose(one)
        await company.change(two.replace("2h", "1h"))

    async def test_a_policy_that_nobody_could_change_again_is_refused(self, company: Guarded) -> None:
        with refused("locks-itself"):
            await company.propose(POLICY.replace("administrators", "former"))

    async def test_mistakes_are_told_with_their_lines(self, company: Guarded) -> None:
        with pytest.raises(Refusal, match=r"interlock\.yaml:\d+: the role writer has an unknown key"):
            await company.propose(POLICY.replace("    hold:", "    holt:"))
        with refused("no-change"):
            await company.propose(POLICY)
        await company.propose(SHORTER)
        with refused("already-open"):
            await company.propose(SHORTER)


WITNESS = "witness.example+0123abcd+BA" + "A" * 42
KINDS = {
    "the policy's own rule": "policy: {approvals: [{from: {people: [chief@example.com, deputy@example.com]}}]}\n",
    "people": POLICY.replace("clerk@example.com: {}", "clerk@example.com: {groups: [dba]}"),
    "contracts": POLICY.replace("end: 2027-12-31", "end: 2028-12-31"),
    "vendors": POLICY.replace("vendors: {acme: {}}", "vendors: {acme: {}, bolt: {}}"),
    "keys of persons": POLICY.replace('"SHA256:chief"', '"SHA256:other"'),
    "the key service": "openbao: {address: https://bao.example, token: file:/token, recordings: recordings}\n",
    "witnesses": f"witnesses: {{of: [{{url: https://witness.example, key: {WITNESS}}}], need: 1}}\n",
    "gateways": f"gateways: {{edge: {{key: {'k' * 43}}}}}\n",
    "sinks": "sinks: {archive: {kind: jsonl, to: /var/log/interlock.jsonl}}\n",
    "resources": POLICY.replace("127.0.0.1:5432", "127.0.0.1:5433"),
    "roles": SHORTER,
}
"""A change of each kind of thing that guards; a text that is none of the policy's is added to it."""


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKindOfChange:
    def text(self, kind: str) -> str:
        return KINDS[kind] if KINDS[kind].startswith("resources:") else POLICY + KINDS[kind]

    async def test_it_is_activated_by_nobody_alone_and_by_two(self, company: Guarded, kind: str) -> None:
        request = await company.propose(self.text(kind))
        assert request.content["changes"]
        with refused("not-approved"):
            await company.activate(request)
        with refused("self-approval"):
            await company.approve(CHIEF, request, login=await company.sign_in(CHIEF, key="second account"))
        assert company.desk.configuration.text == POLICY
        await company.approve(DEPUTY, request)
        await company.activate(request)
        assert company.desk.configuration.text == self.text(kind)

    async def test_it_is_not_activated_with_what_breaks_a_claim(self, company: Guarded, kind: str) -> None:
        """Neither when it is proposed so, nor when the claim came to break between the yes and the activation."""
        with refused("breaks-claim"):
            await company.propose(self.text(kind).replace("    separate: all\n", ""))
        survives = self.text(kind).replace("min_persons: 2", "min_persons: 2, survives_absences: 3")
        request = await company.propose(survives)
        await company.approve(DEPUTY, request)
        for name in (KEEPER, CLERK):
            await offboard_person(company.desk, by=CHIEF, name=name, reason="left")
        with refused("breaks-claim"):
            await company.activate(request)


async def test_a_gateway_that_the_policy_does_not_name_is_let_in_by_nobody(company: Guarded) -> None:
    await join_gateway(company.desk, name="local", key="l" * 43)
    await company.change(POLICY + f"gateways: {{edge: {{key: {'k' * 43}}}}}\n")
    with refused("gateway-unnamed"):
        await join_gateway(company.desk, name="local", key="l" * 43)
    await join_gateway(company.desk, name="edge", key="k" * 43)
    assert company.desk.configuration.admits_gateway("k" * 43)


class TestTheFirst:
    async def test_the_first_administrator_acts_alone_until_the_second_has_signed_in(
        self, state: PostgresState
    ) -> None:
        company = Guarded(state)
        await company.start()
        login = await company.sign_in(CHIEF)
        request = await company.propose(SHORTER, login=login)
        activated = await company.activate(request, login=login)
        assert activated.request.state is RequestState.USED
        assert [event["alone"] for event in await company.events("policy.activated")] == [False, True]
        waiting = await company.propose(LONGER, login=login)
        await company.sign_in(CLERK)
        with refused("not-approved"):
            await company.activate(waiting, login=login)

    async def test_alone_means_present(self, state: PostgresState) -> None:
        company = Guarded(state)
        await company.start()
        login = await company.sign_in(CHIEF, absent=True)
        request = await company.propose(SHORTER, login=login)
        with refused("presence-needed"):
            await company.activate(request, login=login)

    async def test_the_first_who_signs_in_and_is_no_administrator_does_nothing_alone(
        self, state: PostgresState
    ) -> None:
        company = Guarded(state)
        await company.start()
        login = await company.sign_in(CLERK)
        request = await company.propose(SHORTER, login=login)
        with refused("not-approved"):
            await company.activate(request, login=login)

    async def test_a_changed_file_is_applied_only_while_nobody_else_has_signed_in(self, state: PostgresState) -> None:
        company = Guarded(state)
        await company.start()
        await company.sign_in(CHIEF)
        assert not (await company.start(SHORTER)).differs
        await company.sign_in(DEPUTY)
        started = await company.start(LONGER)
        assert started.differs
        assert company.desk.configuration.roles["writer"].lending.longest == HOUR
        assert started.applied.policy.version == 2
        assert not (await company.start(SHORTER)).differs

    async def test_a_person_taken_out_of_the_file_stays_until_the_change_is_activated(self, company: Guarded) -> None:
        smaller = POLICY.replace("  clerk@example.com: {}\n", "")
        assert (await company.start(smaller)).differs
        assert await company.events("person.ended") == []
        await company.change(smaller)
        assert [event["person"] for event in await company.events("person.ended")] == [CLERK]


async def test_a_proposal_is_tried_and_leaves_nothing_when_it_is_refused(company: Guarded) -> None:
    async with company.state.reading() as reading:
        before = await reading.ledger_head()
    login = await company.sign_in(CHIEF)
    with refused("breaks-claim"):
        await propose_policy(company.desk, login_id=login.id, yaml=ALONE, cedar={}, reason="x")
    async with company.state.reading() as reading:
        assert await reading.ledger_head() == before + 1
