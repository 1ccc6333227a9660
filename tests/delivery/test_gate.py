"""The gate on a real repository: what opens it, what keeps it shut, and what it says."""

from tests.delivery.shop import Shop, login, mail
from tests.services.world import DBA, DBA2, DEV, LEAD, OPS, refused


async def test_a_change_goes_from_a_contractors_commit_to_production(shop: Shop) -> None:
    merged = await shop.change()
    verdict = await shop.gate(merged)
    assert verdict.missing == ()
    assert verdict.carried == {"develop": (DEV,), "review": (DBA,), "test": (DBA2,), "deploy": (OPS,)}
    await shop.done(OPS, "deploy", merged, "production")
    kinds = [(event["duty"], event["person"], event["how"]) for event in await shop.world.events("evidence.given")]
    assert kinds == [
        ("develop", DEV, "push"),
        ("review", DBA, "forge-review"),
        ("develop", DBA, "push"),
        ("test", DBA2, "cli"),
        ("deploy", OPS, "cli"),
    ]
    assert verdict.base == shop.first
    # The next change begins where that one ended, and its writers may be last time's reviewers.
    second = await shop.change(author=DBA, reviewer=LEAD)
    assert (await shop.gate(second)).base == merged
    assert await shop.codes(second) == set()


async def test_what_is_missing_is_said_with_who_could_supply_it(shop: Shop) -> None:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    merged = await shop.merge(pull, LEAD)
    verdict = await shop.gate(merged)
    assert {one.code for one in verdict.missing} == {"no-review", "no-test"}
    missing = next(one for one in verdict.missing if one.code == "no-review")
    assert "Nobody has done review on" in missing.sentence
    assert DBA in missing.who
    assert DEV not in missing.who


async def test_two_changes_at_once_are_two_runs_of_the_chain(shop: Shop) -> None:
    """Who reviews the one may have written the other; only what is done on both is kept apart from both."""
    one = await shop.change(author=DEV, reviewer=DBA)
    two = await shop.change(author=DBA, reviewer=DEV, tester=DBA2)
    assert one != two
    assert await shop.codes(two) == set()
    assert await shop.codes(two, person=DEV) == {"separated"}
    assert await shop.codes(two, person=DBA2) == {"separated"}


async def test_a_duty_that_is_not_theirs_is_refused_when_it_is_done(shop: Shop) -> None:
    head = await shop.write(DEV)
    with refused("separated"):
        await shop.done(DEV, "review", head)
    await shop.done(DBA, "review", head)
    with refused("already-done"):
        await shop.done(DBA, "review", head)
    with refused("separated"):
        await shop.done(DBA, "test", head)
    with refused("not-on-branch"):
        await shop.done(OPS, "deploy", head, "production")


async def test_a_signed_commit_needs_no_push_that_is_told(shop: Shop) -> None:
    sha = shop.origin.commit({"app.py": "2"}, shop.first, author=mail(DEV), signed_by="dev")
    shop.origin.move("main", sha)
    assert "unknown-signer" in await shop.codes(sha)


async def test_evidence_is_signed_and_stored_with_its_statement(shop: Shop) -> None:
    await shop.change()
    for event in await shop.world.events("evidence.given"):
        assert '"payloadType":"application/vnd.in-toto+json"' in event["envelope"]
