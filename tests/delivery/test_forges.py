"""The same story on each forge: an approval counts at its revision, and no longer when it is taken back."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from interlock.errors import Refusal
from interlock.services.forge_news import tell_commits
from tests.delivery.shop import Shop, login
from tests.services.world import DBA, DBA2, DEV, LEAD, OPS, World
from tests.support.forges import PROJECT, ForgeDouble, serving

KINDS = ("github", "gitlab", "gitea")


@pytest.fixture(params=KINDS)
def forge(request: pytest.FixtureRequest) -> Iterator[ForgeDouble]:
    with serving(ForgeDouble(request.param)) as double:
        yield double


@pytest.fixture
async def shop(world: World, tmp_path: Path, forge: ForgeDouble) -> AsyncIterator[Shop]:
    opened = await Shop.open(world, tmp_path, forge, checks=True)
    yield opened
    await opened.close()


async def test_from_a_push_to_an_open_gate_and_back(shop: Shop) -> None:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    await shop.approve(pull, DBA)
    later = await shop.write(DEV, onto=head)
    shop.forge.push_to(pull, later)
    await shop.tell(shop.forge.reviewed(pull))
    merged = await shop.merge(pull, LEAD)
    assert await shop.codes(merged) == {"stale", "no-test"}
    await shop.approve(pull, DBA)
    shop.forge.ran("ci", login(DEV), merged)
    await shop.tell(shop.forge.checked(merged))
    assert await shop.codes(merged) == {"no-test"}
    shop.forge.ran("ci", "runner[bot]", merged)
    await shop.tell(shop.forge.checked(merged))
    verdict = await shop.gate(merged)
    assert verdict.missing == ()
    assert verdict.carried["develop"] == (DEV,)
    pull.words[-1].dismissed = True
    await shop.tell(shop.forge.reviewed(pull))
    assert "stale" in await shop.codes(merged)


async def test_a_program_approves_nothing(shop: Shop) -> None:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    for account in ("agent-of-dba", "robot", "stranger"):
        shop.forge.review(pull, account)
    await shop.tell(shop.forge.reviewed(pull))
    assert [event["how"] for event in await shop.world.events("evidence.given")] == ["push"]


async def test_a_message_of_another_secret_is_refused(shop: Shop) -> None:
    with pytest.raises(Refusal) as refused:
        await shop.tell(shop.forge.message("push", {"ref": "x"}, secret="another secret, long enough"))
    assert refused.value.code == "bad-signature"


async def test_a_squash_counts_as_what_it_was_made_of(shop: Shop) -> None:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    await shop.approve(pull, DBA)
    squashed = shop.origin.squash(shop.first, head, author="dev@mail.example", committer="dev@mail.example")
    before = shop.origin.move("main", squashed)
    await shop.tell(shop.forge.push(login(LEAD), before, squashed, "main"))
    pull.merged = squashed
    await shop.tell(shop.forge.reviewed(pull))
    await shop.done(DBA2, "test", squashed)
    verdict = await shop.gate(squashed, OPS)
    assert verdict.missing == ()
    assert (verdict.carried["develop"], verdict.carried["review"]) == ((DEV,), (DBA,))


async def test_the_answer_is_put_on_a_commit_once(shop: Shop) -> None:
    merged = await shop.change()
    for _ in range(3):
        assert await tell_commits(shop.delivery, "hub", PROJECT, [merged]) == []
    assert len(shop.forge.answers) == 1
    assert "interlock/release" in shop.forge.answers[0].values()
