"""A deployment past a shut gate: by two who had no part in it, and looked at afterwards by two others."""

from datetime import timedelta

from interlock.domain.grants import Request, RequestKind, RequestState
from interlock.services.emergency_deployment import Emergency, ask_in_emergency
from tests.delivery.shop import Shop, login
from tests.services.world import BOTH, DBA, DBA2, DEV, LEAD, OPS, refused
from tests.support.repositories import git

QUARTER = timedelta(minutes=15)


async def unreviewed(shop: Shop, author: str = DEV) -> str:
    """A change that somebody put onto the branch without any review or test."""
    head = await shop.write(author, onto=shop.origin.head(), branch="hotfix")
    return await shop.merge(shop.forge.open(head, login(author)), LEAD)


async def ask(
    shop: Shop, sha: str, person: str = OPS, *, reason: str = "orders are lost", absent: bool = False
) -> Request:
    signed_in = await shop.world.sign_in(person, absent=absent)
    wish = Emergency(signed_in.id, "release", f"git:shop@{sha}", "production", QUARTER, reason)
    return await ask_in_emergency(shop.delivery, wish)


async def test_one_asks_another_confirms_two_others_look_at_it(shop: Shop) -> None:
    sha = await unreviewed(shop)
    request = await ask(shop, sha)
    assert await shop.world.events("grant.started") == []
    lacks = request.content["gate_lacks"]
    assert isinstance(lacks, list)
    assert any("Nobody has done review" in sentence for sentence in lacks)
    assert request.content["involved"] == [DEV]
    grant = (await shop.world.approve(BOTH, request)).grant
    assert grant is not None
    assert grant.ends_at - grant.starts_at == QUARTER
    (broken,) = await shop.world.events("glass.broken")
    assert (broken["person"], broken["confirmed_by"], broken["told"]) == (OPS, BOTH, [LEAD])
    assert broken["deploys"] == f"git:shop@{sha}"
    review = await shop.world.request(broken["request"])
    assert review.kind is RequestKind.REVIEW
    # Not while it goes on, and by none of the two; then by two others.
    with refused("not-over"):
        await shop.world.approve(DBA, review)
    shop.world.clock.advance(QUARTER)
    for person in (OPS, BOTH):
        with refused("self-approval" if person == OPS else "part-of-it"):
            await shop.world.approve(person, review)
    # Until then neither of them does it again, in either part.
    with refused("review-open"):
        await ask(shop, sha)
    with refused("review-open"):
        await ask(shop, sha, BOTH)
    await shop.world.approve(DBA, review)
    assert (await shop.world.approve(DBA2, review)).request.state is RequestState.APPROVED
    # Nothing of it was taken for deployed: the gate looks at all of it again.
    assert (await shop.gate(sha)).base == shop.first
    assert "no-review" in await shop.codes(sha)
    await ask(shop, sha)


async def test_nobody_alone_and_nobody_who_wrote_it(shop: Shop) -> None:
    sha = await unreviewed(shop, author=OPS)
    with refused("wrote-it"):
        await ask(shop, sha, OPS)
    request = await ask(shop, sha, BOTH)
    for person, code in ((BOTH, "self-approval"), (OPS, "part-of-it"), (DBA, "not-named")):
        with refused(code):
            await shop.world.approve(person, request)


async def test_without_presence_reason_or_a_shut_gate_there_is_none(shop: Shop) -> None:
    sha = await unreviewed(shop)
    with refused("presence-needed"):
        await ask(shop, sha, absent=True)
    with refused("reason-needed"):
        await ask(shop, sha, reason="  ")
    with refused("not-your-glass"):
        await ask(shop, sha, DBA)


async def test_where_the_gate_is_open_it_is_no_emergency(shop: Shop) -> None:
    sha = await shop.change()
    with refused("gate-open"):
        await ask(shop, sha)


async def test_what_nobody_is_known_to_have_written_is_not_deployed(shop: Shop) -> None:
    """Attack: an address that is nobody's here, so that the writer can ask or confirm."""
    head = shop.origin.commit({"app.py": "evil"}, shop.first, author="me@nowhere.example")
    shop.origin.move("main", head)
    await shop.delivery.repositories.refresh("shop", at_once=True)
    with refused("unknown-author"):
        await ask(shop, head)


async def test_a_writer_who_is_found_out_meanwhile_ends_it(shop: Shop) -> None:
    """Attack: confirm before the message comes that says who pushed it."""
    sha = shop.origin.commit({"app.py": "x"}, shop.first, author="lead@mail.example", signed_by="")
    before = shop.origin.move("main", sha)
    await shop.tell(shop.forge.push("lead", before, sha, "main"))
    request = await ask(shop, sha)
    await shop.done(BOTH, "develop", sha)
    with refused("changed"):
        await shop.world.approve(BOTH, request)


async def test_going_back_is_an_emergency_too(shop: Shop) -> None:
    """To what was there before; who wrote what is taken away has no say."""
    old = await shop.change(author=DEV)
    new = await shop.change(author=BOTH, reviewer=DBA, tester=DBA2)
    await shop.done(OPS, "deploy", new, "production")
    request = await ask(shop, old)
    with refused("part-of-it"):
        await shop.world.approve(BOTH, request)
    assert git(shop.origin.folder, "rev-parse", "main") == new
