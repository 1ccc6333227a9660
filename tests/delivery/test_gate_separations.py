"""Every separation at the gate: shut for one, who is told the rule, the act and who could, and open for another."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from interlock.errors import Refusal
from interlock.policy.configuration import ConflictKind, Separation, SeparationKind
from interlock.services.workloads import Acting
from tests.delivery.shop import Shop, login
from tests.delivery.test_lending import HALF_AN_HOUR, lend
from tests.services.world import BOTH, DBA, DBA2, DEV, LEAD, MATE, OPS, World
from tests.support.forges import ForgeDouble

DUTIES = ("develop", "review", "test", "deploy")


@dataclass(frozen=True)
class Rule:
    """With ``separation`` the gate stays shut to ``wrong`` and opens to ``right``; each is who writes, reviews, tests
    and deploys. ``act`` is the earlier one."""

    separation: Separation
    wrong: tuple[str, str, str, str]
    right: tuple[str, str, str, str]
    says: str
    act: str


RULES = {
    "separate": Rule(
        Separation(SeparationKind.SEPARATE, ("review", "deploy")),
        (DEV, DBA, DBA2, DBA),
        (DEV, DBA, DBA2, OPS),
        "review, deploy are separate: no person carries two of them",
        "dba carries review and deploy",
    ),
    "bind": Rule(
        Separation(SeparationKind.BIND, ("test", "deploy")),
        (DEV, DBA, DBA2, OPS),
        (DEV, DBA, DBA2, DBA2),
        "test, deploy are bound to one person",
        "dba2 carries test and ops deploy",
    ),
    "independent by vendor": Rule(
        Separation(SeparationKind.INDEPENDENT, ("review",), by="vendor"),
        (DEV, MATE, DBA2, OPS),
        (DEV, DBA, DBA2, OPS),
        "review is independent by vendor of the duty before it",
        f"{DEV} carries develop and {MATE} review",
    ),
    "independent by team": Rule(
        Separation(SeparationKind.INDEPENDENT, ("deploy",), by="team"),
        (DEV, LEAD, DBA2, DBA),
        (DEV, LEAD, DBA2, OPS),
        "deploy is independent by team of the duty before it",
        "dba2 carries test and dba deploy",
    ),
    "at least three": Rule(
        Separation(SeparationKind.AT_LEAST, ("review", "test", "deploy"), 3),
        (DEV, DBA, DBA2, DBA),
        (DEV, DBA, DBA2, OPS),
        "review, test, deploy take at least 3 persons",
        "dba carries review; dba2 carries test; dba carries deploy",
    ),
    "at most two": Rule(
        Separation(SeparationKind.AT_MOST, ("review", "test", "deploy"), 2),
        (DEV, DBA, DBA2, OPS),
        (DEV, DBA, DBA2, DBA),
        "review, test, deploy take at most 2 persons",
        "dba carries review; dba2 carries test; ops carries deploy",
    ),
}
OpenShop = Callable[..., Awaitable[Shop]]


@pytest.fixture
async def open_shop(world: World, tmp_path: Path, forge: ForgeDouble) -> AsyncIterator[OpenShop]:
    opened: list[Shop] = []

    async def open_one(**changes: object) -> Shop:
        opened.append(await Shop.open(world, tmp_path, forge, **changes))
        return opened[-1]

    yield open_one
    for shop in opened:
        await shop.close()


async def _merged(shop: Shop, writes: str, reviews: str, tests: str) -> str:
    head = await shop.write(writes)
    pull = shop.forge.open(head, login(writes))
    await shop.approve(pull, reviews)
    merged = await shop.merge(pull, LEAD)
    with suppress(Refusal):
        # Where the review is the wrong one, nothing after it is let in either.
        await shop.done(tests, "test", merged)
    return merged


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
async def test_it_stays_shut_for_one(open_shop: OpenShop, rule: Rule) -> None:
    shop = await open_shop(separations=(rule.separation,))
    merged = await _merged(shop, *rule.wrong[:3])
    (missing,) = [one for one in (await shop.gate(merged, rule.wrong[3])).missing if one.code == "separated"]
    assert rule.says in missing.sentence
    assert rule.act in missing.sentence
    assert set(rule.right) & set(missing.who)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
async def test_and_opens_for_another(open_shop: OpenShop, rule: Rule) -> None:
    shop = await open_shop(separations=(rule.separation,))
    merged = await _merged(shop, *rule.right[:3])
    assert (await shop.gate(merged, rule.right[3])).missing == ()


@pytest.mark.parametrize("kind", [ConflictKind.STATIC, ConflictKind.DYNAMIC, ConflictKind.HISTORIC])
async def test_what_the_gate_lends_conflicts_as_any_role_does(open_shop: OpenShop, kind: ConflictKind) -> None:
    """Static: not beside the other. Dynamic: lent, and not used beside it. Historic: such a role is lent for an
    artifact that duties are taken over, and no gate lends it."""
    conflict = Separation(SeparationKind.CONFLICT, ("reader", "maker"), conflict=kind)
    shop = await open_shop(lend=HALF_AN_HOUR, conflicts=(conflict,), separations=(RULES["separate"].separation,))
    merged = await _merged(shop, DEV, LEAD, DBA2)
    if kind is not ConflictKind.HISTORIC:
        await shop.world.lend("maker", person=OPS)
    held, free = [Acting(login=(await shop.world.sign_in(name)).id) for name in (OPS, BOTH)]
    if kind is ConflictKind.DYNAMIC:
        assert (await lend(shop, held, merged)).grant is not None
        return
    with pytest.raises(Refusal) as caught:
        await lend(shop, held, merged)
    if kind is ConflictKind.HISTORIC:
        assert caught.value.code == "artifact-needed"
        return
    assert caught.value.code == "conflict"
    assert "The role reader conflicts with maker, which ops holds until 2026-" in caught.value.sentence
    assert f"Who could: {BOTH}" in caught.value.remedy or BOTH in caught.value.remedy
    assert (await lend(shop, free, merged)).grant is not None
