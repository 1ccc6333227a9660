"""What is run is what was built from a whole chain: attacks on the way from the commit to the image."""

import base64
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from interlock.identity.envelopes import seal
from interlock.identity.keys import new_key
from interlock.policy.repositories import Builder
from interlock.services.admit_images import admit_images, images_of
from interlock.services.evidence import take_provenance
from tests.delivery.shop import Shop, login
from tests.services.world import DBA, DBA2, DEV, LEAD, OPS, World, refused
from tests.support.forges import ForgeDouble

KEY, OTHER = new_key(), new_key()
BUILT, EVIL = "ab" * 32, "cd" * 32


def _public(key: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()


@pytest.fixture
async def shop(world: World, tmp_path: Path, forge: ForgeDouble) -> AsyncIterator[Shop]:
    builders = {"ci": Builder("ci", _public(KEY), OPS), "nightly": Builder("nightly", _public(OTHER), OPS)}
    opened = await Shop.open(world, tmp_path, forge, builders=builders)
    yield opened
    await opened.close()


def provenance(commit: str, digest: str = BUILT, *, key: Any = KEY) -> str:
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "shop", "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {"buildDefinition": {"resolvedDependencies": [{"uri": "git+x", "digest": {"gitCommit": commit}}]}},
    }
    return seal(statement, key).text()


async def built(shop: Shop, commit: str, digest: str = BUILT, *, key: Any = KEY) -> None:
    await take_provenance(shop.delivery, by=OPS, repository="shop", envelope=provenance(commit, digest, key=key))


async def admitted(shop: Shop, digest: str = BUILT, more: Mapping[str, Any] | None = None) -> list[str]:
    thing = {
        "kind": "Pod",
        "spec": {"containers": [{"image": f"registry.example/shop@sha256:{digest}"}], **(more or {})},
    }
    return await admit_images(shop.delivery, repository="shop", environment="production", thing=thing)


async def test_an_artifact_uploaded_around_the_pipeline(shop: Shop) -> None:
    sha = await shop.change()
    await built(shop, sha)
    (why,) = await admitted(shop, EVIL)
    assert "no builder of its repository says what it was built from" in why
    # By hand beside the honest one: in any place of the pod where something runs.
    other = {"image": f"registry.example/shop@sha256:{EVIL}"}
    for place in ("initContainers", "ephemeralContainers"):
        assert len(await admitted(shop, more={place: [other]})) == 1
    assert await admitted(shop) == []


async def test_a_release_that_differs_from_the_repository(shop: Shop) -> None:
    """Built from a commit that was never merged, and said to be the release; twin: built from what was merged."""
    merged = await shop.change()
    aside = await shop.write(DEV, {"app.py": "evil"}, onto=merged, branch="aside")
    await built(shop, aside, EVIL)
    (why,) = await admitted(shop, EVIL)
    assert "is not a commit of main itself" in why
    await built(shop, merged)
    assert await admitted(shop) == []


async def test_provenance_of_somebody_else(shop: Shop) -> None:
    sha = await shop.change()
    with refused("unknown-builder"):
        await take_provenance(shop.delivery, by=DEV, repository="shop", envelope=provenance(sha, key=new_key()))
    assert len(await admitted(shop)) == 1
    await built(shop, sha)
    assert await admitted(shop) == []


async def test_one_digest_that_two_builders_say_comes_from_two_commits(shop: Shop) -> None:
    one = await shop.change()
    two = await shop.change(author=LEAD, reviewer=DBA, tester=DBA2)
    await built(shop, one)
    assert await admitted(shop) == []
    await built(shop, two, key=OTHER)
    (why,) = await admitted(shop)
    assert "is said to come from two" in why


def test_every_place_of_a_pod_that_names_an_image_is_looked_at() -> None:
    """Shapes as the API server sends them: a Deployment, a CronJob, a Pod with its volumes, and what is strange."""
    pod = {"containers": [{"name": "a", "image": "a@x"}], "initContainers": [{"name": "b", "image": "b@x"}]}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 2, "template": {"spec": pod}}}
    cron = {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}}
    for thing in (deployment, cron, {"kind": "Pod", "spec": pod}):
        assert list(images_of(thing)) == ["a@x", "b@x"]
    volumes = [{"name": "v", "image": {"reference": "v@x", "pullPolicy": "Always"}}, {"name": "e", "emptyDir": {}}]
    more = {"ephemeralContainers": [{"name": "d", "image": "d@x"}], "volumes": volumes}
    assert list(images_of({"kind": "Pod", "spec": {**pod, **more}})) == ["a@x", "b@x", "d@x", "v@x"]
    assert (
        list(images_of({"spec": {"containers": ["x", {"name": "no image"}], "volumes": [{"image": "x"}]}})) == [""] * 3
    )
    deep: dict[str, Any] = pod
    for _ in range(20):
        deep = {"spec": deep}
    assert list(images_of(deep)) == [""]


async def test_what_was_built_from_an_unreviewed_commit(shop: Shop) -> None:
    head = await shop.write(DEV)
    sha = await shop.merge(shop.forge.open(head, login(DEV)), LEAD)
    await built(shop, sha)
    (why,) = await admitted(shop)
    assert "Nobody has done review" in why
