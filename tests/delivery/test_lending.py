"""What a deployment is done with: lent through an open gate alone, and gone with what the gate rested on."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from interlock.domain.grants import RequestState
from interlock.errors import NotFound
from interlock.policy.configuration import Workload
from interlock.services.break_glass import break_glass
from interlock.services.lend_for_deployment import Deployment, Lent, find_lent, lend_for_deployment
from interlock.services.workloads import Acting
from tests.delivery.shop import Shop, login
from tests.services.world import DBA, DBA2, DEV, LEAD, OPS, World, refused
from tests.support.forges import ForgeDouble

HALF_AN_HOUR = timedelta(minutes=30)
JOB = Workload("deploy-shop", OPS, "https://ci.example", {"ref": frozenset({"refs/heads/main"})})
JOBS = {JOB.name: JOB, "of-dba2": replace(JOB, name="of-dba2", owner=DBA2)}


@pytest.fixture
async def quick(world: World, tmp_path: Path, forge: ForgeDouble) -> AsyncIterator[Shop]:
    """A shop whose gate lends by itself, to jobs too."""
    opened = await Shop.open(world, tmp_path, forge, lend=HALF_AN_HOUR, workloads=JOBS)
    yield opened
    await opened.close()


async def lend(shop: Shop, acting: Acting, sha: str, *, key: str = "", duration: timedelta = HALF_AN_HOUR) -> Lent:
    wish = Deployment(acting, key, "release", f"git:shop@{sha}", "production", duration, "10.0.0.9")
    return await lend_for_deployment(shop.delivery, wish)


async def take_back_the_review(shop: Shop) -> None:
    """On the forge, where it was given."""
    pull = next(iter(shop.forge.pulls.values()))
    pull.words[-1].dismissed = True
    await shop.tell(shop.forge.reviewed(pull))


async def test_what_a_deployment_is_done_with_is_lent_through_the_gate_alone(shop: Shop) -> None:
    sha = await shop.change()
    ops, dba2 = await shop.world.sign_in(OPS), await shop.world.sign_in(DBA2)
    with refused("needs-gate"):
        await shop.world.ask("reader", person=OPS, login=ops)
    with refused("needs-gate"):
        await break_glass(
            shop.world.desk,
            login_id=ops.id,
            resource="orders",
            role="reader",
            duration=HALF_AN_HOUR,
            reason="it burns",
        )
    with refused("separated"):
        await lend(shop, Acting(login=dba2.id), sha)
    head = await shop.write(DEV, onto=sha)
    with refused("not-on-branch"):
        await lend(shop, Acting(login=ops.id), head)
    lent = await lend(shop, Acting(login=ops.id), sha)
    assert lent.grant is None
    assert lent.request.content["deploys"] == f"git:shop@{sha}"
    grant = (await shop.world.approve(DBA, lent.request)).grant
    assert grant is not None
    assert grant.key == ops.key


async def test_the_gate_is_asked_anew_when_it_is_approved(shop: Shop) -> None:
    """Attack: ask while the gate is open, have it approved when it no longer is."""
    sha = await shop.change()
    lent = await lend(shop, Acting(login=(await shop.world.sign_in(OPS)).id), sha)
    # Another deployment of the same branch, further on: what was asked for is now older than what is there.
    later = await shop.change(author=DBA, reviewer=DBA2, tester=LEAD)
    await shop.done(OPS, "deploy", later, "production")
    with refused("older"):
        await shop.world.approve(DBA, lent.request)
    assert (await shop.world.request(lent.request.id)).state is RequestState.OPEN


async def test_nobody_approves_it_where_no_gate_can_be_asked(shop: Shop) -> None:
    sha = await shop.change()
    lent = await lend(shop, Acting(login=(await shop.world.sign_in(OPS)).id), sha)
    shop.world.look_again = None
    with refused("no-gate"):
        await shop.world.approve(DBA, lent.request)


async def test_evidence_taken_back_ends_what_waits_and_what_was_lent(shop: Shop) -> None:
    sha = await shop.change()
    first = await shop.world.sign_in(OPS)
    lent = await lend(shop, Acting(login=first.id), sha)
    grant = (await shop.world.approve(DBA, lent.request)).grant
    assert grant is not None
    session = await shop.world.connect(grant, first)
    waits = await lend(shop, Acting(login=(await shop.world.sign_in(OPS)).id), sha)
    await take_back_the_review(shop)
    ended = await shop.world.grant(grant.id)
    assert ended.ended_at is not None
    assert "was taken back, and the gate rested on it" in ended.ended_reason
    denied = await shop.world.request(waits.request.id)
    assert denied.state is RequestState.DENIED
    with refused("not-open"):
        await shop.world.approve(DBA, waits.request)
    assert session
    # The honest twin: the same with an evidence that the gate did not rest on.
    again = await shop.change(author=DEV, reviewer=DBA, tester=DBA2)
    assert again != sha


async def test_what_it_did_not_rest_on_ends_nothing(shop: Shop) -> None:
    sha = await shop.change()
    ops = await shop.world.sign_in(OPS)
    lent = await lend(shop, Acting(login=ops.id), sha)
    grant = (await shop.world.approve(DBA, lent.request)).grant
    assert grant is not None
    head = await shop.write(DEV, onto=sha, branch="later")
    pull = shop.forge.open(head, login(DEV))
    await shop.approve(pull, DBA)
    pull.words[-1].dismissed = True
    await shop.tell(shop.forge.reviewed(pull))
    assert (await shop.world.grant(grant.id)).ended_at is None


async def test_a_job_is_lent_it_with_its_own_key_as_soon_as_the_gate_is_open(quick: Shop) -> None:
    sha = await quick.change()
    lent = await lend(quick, Acting(workload=JOB.name), sha, key="key-of-the-job")
    assert lent.grant is not None
    assert (lent.grant.person, lent.grant.key, lent.grant.ends_at - lent.grant.starts_at) == (
        OPS,
        "key-of-the-job",
        HALF_AN_HOUR,
    )
    assert (lent.login.workload, lent.login.key) == (JOB.name, "key-of-the-job")
    assert lent.request.content["workload"] == JOB.name
    found = await find_lent(quick.delivery, request_id=lent.request.id, person=OPS, key="key-of-the-job")
    assert found.grant == lent.grant
    # The owner has nothing of it with a key of their own, and the job's key is nobody's to sign in with.
    with pytest.raises(NotFound):
        await find_lent(quick.delivery, request_id=lent.request.id, person=OPS, key="another")


@pytest.mark.parametrize("lent", [HALF_AN_HOUR, None])
async def test_a_job_is_lent_no_role_that_asks_for_somebody_who_is_there(
    world: World, tmp_path: Path, forge: ForgeDouble, lent: timedelta | None
) -> None:
    opened = await Shop.open(world, tmp_path, forge, lend=lent, workloads=JOBS)
    sha = await opened.change()
    reader = world.configuration.roles["reader"]
    roles = {**world.configuration.roles, "reader": replace(reader, lending=replace(reader.lending, mfa=True))}
    await world.apply(replace(world.configuration, roles=roles))
    delivery = replace(opened.delivery, desk=world.desk)
    wish = Deployment(Acting(workload=JOB.name), "k", "release", f"git:shop@{sha}", "production", HALF_AN_HOUR)
    with refused("job"):
        await lend_for_deployment(delivery, wish)
    async with world.state.reading() as reading:
        assert not [one for one in await reading.logins() if one.workload]
    # Its owner, who can be there, is lent the same.
    owner = await world.sign_in(OPS)
    assert (await lend_for_deployment(delivery, replace(wish, acting=Acting(login=owner.id), key=""))).request
    await opened.close()


async def test_the_gate_lends_by_itself_no_longer_than_it_says_and_to_nobody_it_is_shut_to(quick: Shop) -> None:
    sha = await quick.change()
    with refused("separated"):
        await lend(quick, Acting(workload="of-dba2"), sha, key="k")
    with refused("too-long"):
        await lend(quick, Acting(workload=JOB.name), sha, key="k", duration=timedelta(hours=1))
    head = await quick.write(DEV, onto=sha)
    with refused("not-on-branch"):
        await lend(quick, Acting(workload=JOB.name), head, key="k")
    assert await quick.world.events("grant.started") == []


async def test_what_a_job_was_lent_ends_with_its_evidence_and_with_its_workload(quick: Shop) -> None:
    sha = await quick.change()
    lent = await lend(quick, Acting(workload=JOB.name), sha, key="one")
    assert lent.grant is not None
    await take_back_the_review(quick)
    assert (await quick.world.grant(lent.grant.id)).ended_at is not None
    configuration = quick.world.desk.configuration
    changed = {**configuration.workloads, JOB.name: replace(JOB, claims={"ref": frozenset({"refs/heads/other"})})}
    await quick.world.apply(replace(configuration, workloads=changed, digest="0" * 64))
    async with quick.world.state.reading() as reading:
        kept = await reading.login(lent.login.id)
    assert kept is not None
    assert kept.ended_at is not None
