"""Groups within groups: who is in the inner one counts as of the outer one, and as one person."""

import pytest

from interlock.errors import ConfigurationError
from interlock.policy.load import load_configuration
from interlock.proof.model import Goal
from interlock.proof.prove import Prover
from interlock.services.proof_model import build_model
from interlock.services.prove_state import read_live
from interlock.store.state import PostgresState
from tests.services.guarded import CHIEF, CLERK, DEPUTY, HAND, KEEPER, POLICY, Guarded
from tests.services.world import refused

GROUPS = "groups: {dba: {contains: [juniors]}, owners: {contains: [dba]}}\n"
NESTED = POLICY.replace("clerk@example.com: {}", "clerk@example.com: {groups: [juniors]}") + GROUPS
TWO_RULES = NESTED.replace(
    "approvals: [{from: {group: dba}, count: 1}]",
    "approvals: [{from: {group: dba}, count: 1}, {from: {group: owners}, count: 1}]",
)


@pytest.fixture
async def nested(state: PostgresState) -> Guarded:
    guarded = Guarded(state)
    await guarded.start(NESTED)
    for person in (CHIEF, DEPUTY):
        await guarded.sign_in(person)
    return guarded


def test_all_that_contain_a_group_have_its_members() -> None:
    people = load_configuration(NESTED, "interlock.yaml").people
    assert people[CLERK].groups == {"juniors", "dba", "owners"}
    assert people[KEEPER].groups == {"dba", "owners"}


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ("groups: {dba: {contains: [owners]}, owners: {contains: [dba]}}", "the group dba contains itself"),
        ("groups: {dba: {contains: [dba]}}", "the group dba contains itself"),
        ("groups: {dba: {contains: [administrators]}}", "administrators is neither in a group nor contains one"),
        ("groups: {administrators: {contains: [dba]}}", "administrators is neither in a group nor contains one"),
        ("groups: {dba: {contains: [nobodies]}}", "nobody is in the group nobodies"),
        ("groups: {dba: {contain: [juniors]}}", "has an unknown key"),
        (
            "groups: {dba: {contains: [juniors]}}\nscim: {secret: env:SCIM, groups: [juniors]}",
            "the directory fills juniors",
        ),
    ],
)
def test_what_is_no_nesting_is_refused(groups: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        load_configuration(NESTED.replace(GROUPS, groups + "\n"), "interlock.yaml", schemes=("env",))


async def test_a_nested_approver_is_an_approver_and_never_of_what_they_asked(nested: Guarded) -> None:
    """By nesting the requester is of the group that approves: that makes nobody their own approver."""
    own = await nested.ask("writer", person=CLERK)
    with refused("self-approval"):
        await nested.approve(CLERK, own)
    other = await nested.ask("writer", person=HAND)
    assert (await nested.approve(CLERK, other)).grant is not None


async def test_one_person_in_two_groups_by_nesting_is_one(nested: Guarded) -> None:
    await nested.change(TWO_RULES)
    request = await nested.ask("writer", person=HAND)
    approved = await nested.approve(CLERK, request)
    assert approved.grant is None
    assert approved.tally.missing == 1
    assert (await nested.approve(KEEPER, request)).grant is not None


async def test_the_proof_counts_who_is_nested_and_a_change_of_nesting_is_told(nested: Guarded) -> None:
    async with nested.state.reading() as reading:
        prover = Prover(build_model(await read_live(nested.desk, reading)))
    assert prover.reach.works(prover.reach.mask([HAND, CLERK, KEEPER]), Goal("alter", "orders"))
    request = await nested.propose(NESTED.replace(GROUPS, ""))
    told = request.content["changes"]
    assert isinstance(told, list)
    assert any(CLERK in sentence and "dba" in sentence for sentence in told)
    await nested.approve(DEPUTY, request)
    await nested.activate(request)
    async with nested.state.reading() as reading:
        prover = Prover(build_model(await read_live(nested.desk, reading)))
    assert not prover.reach.works(prover.reach.mask([HAND, CLERK]), Goal("alter", "orders"))
