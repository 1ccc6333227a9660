"""The delivery chain as people type it: real pushes through the hook, evidence, the gate, a bundle, a cluster."""

import base64
import json
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from interlock.errors import Refusal
from interlock.identity.bundles import Asked, check_bundle
from interlock.identity.envelopes import read_spki, seal
from interlock.identity.keys import PublicKey, new_key
from tests.support.forges import PROJECT, SECRET, ForgeDouble, serving
from tests.support.repositories import Origin, git
from tests.support.stack import INTERLOCK, Member, Stack, running_stack

DEV, LEAD, QA, OPS = "dev@acme.example", "lead@example.com", "qa@example.com", "ops@example.com"
BUILDER = new_key()
DIGEST = "ab" * 32
CONFIGURATION = """
listen: {{console: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
resources:
  orders: {{kind: postgres, address: "127.0.0.1:1", credential: {{user: app}}, labels: {{environment: production}}}}
vendors: {{acme: {{}}}}
people:
  lead@example.com: {{groups: [dba, administrators], identities: {{plain: [lead], hub: [lead]}}}}
  qa@example.com: {{groups: [dba], identities: {{plain: [qa], hub: [qa]}}}}
  ops@example.com: {{groups: [dba], identities: {{plain: [ops], hub: [ops]}}}}
  dev@acme.example: {{vendor: acme, identities: {{plain: [dev], hub: [dev]}}}}
contracts:
  acme-orders: {{vendor: acme, sponsor: lead@example.com, start: 2020-01-01, end: 2090-01-01, roles: [deployer]}}
roles:
  deployer:
    on: {{kind: postgres, environment: production}}
    allow: [connect, read, write]
    lend: {{longest: 30m, approvals: [{{from: {{group: dba}}, count: 1}}]}}
chains:
  release: {{duties: [develop, review, test, deploy], separate: all}}
forges:
  plain: {{kind: git, webhook: "env:HOOK_SECRET"}}
  hub: {{kind: github, url: "{hub}", webhook: "env:HOOK_SECRET"}}
repositories:
  shop:
    from: {shop}
    forge: plain
    project: acme/plain
    since: {first}
    chain: release
    builders: {{ci: {{key: "{builder}", owner: ops@example.com}}}}
    environments: {{production: {{resource: orders, role: deployer}}}}
  web: {{from: {shop}, forge: hub, project: {project}, since: {first}, chain: release}}
"""


class Site:
    """The running whole, its plain git server, and a forge."""

    def __init__(self, stack: Stack, origin: Origin, first: str, forge: ForgeDouble) -> None:
        self.stack, self.origin, self.first, self.forge = stack, origin, first, forge
        self.authority = stack.folder / "authority.pem"
        trust = ssl.create_default_context()
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        self.web = httpx2.Client(base_url=stack.server, verify=trust, timeout=30)
        self.authority.write_text(self.web.get("/v1/authority").text)

    def member(self, name: str) -> Member:
        return self.stack.member(name)

    def install_hooks(self) -> None:
        secret = self.stack.folder / "hook-secret"
        secret.write_text(SECRET)
        for hook, more in (("pre-receive", ""), ("post-receive", " --after")):
            path = self.origin.folder / "hooks" / hook
            path.parent.mkdir(exist_ok=True)
            path.write_text(
                f"#!/bin/sh\nexec {INTERLOCK} git-hook --forge plain --project acme/plain --server {self.stack.server} "
                f"--authority {self.authority} --secret {secret}{more}\n"
            )
            path.chmod(0o755)

    def push(self, login: str, *refs: str) -> "subprocess.CompletedProcess[str]":
        """`git push` of what stands in the clone, as an account of the server."""
        return subprocess.run(
            ["git", "-C", str(self.clone), "push", "--quiet", str(self.origin.folder), *refs],
            env={"PATH": "/usr/bin:/bin", "INTERLOCK_PUSHER": login, "HOME": str(self.stack.folder), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def clone(self) -> Path:
        return self.stack.folder / "clone.git"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("delivery")
    origin = Origin.create(folder / "shop.git")
    first = origin.commit({"app.py": "print(1)\n"}, author=LEAD)
    origin.move("main", first)
    key = BUILDER.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    with serving(ForgeDouble()) as forge:
        text = CONFIGURATION.format(
            shop=origin.folder, first=first, builder=base64.b64encode(key).decode(), hub=forge.url, project=PROJECT
        )
        with running_stack(text, {"HOOK_SECRET": SECRET}) as stack:
            made = Site(stack, origin, first, forge)
            made.install_hooks()
            git(folder, "clone", "--quiet", "--bare", str(origin.folder), str(made.clone))
            yield made
            made.web.close()


@pytest.fixture(scope="module")
def released(site: Site) -> str:
    """A change that was pushed, reviewed, put on main and tested, each by another person."""
    clone = Origin(site.clone, 500)
    head = clone.commit({"app.py": "print(2)\n"}, site.first, author=DEV)
    clone.move("topic", head)
    refused = site.push("dev", f"{head}:refs/heads/main")
    assert refused.returncode == 1
    assert "Push it to a branch of its own first" in refused.stderr
    assert site.origin.head() == site.first
    assert site.push("dev", "refs/heads/topic").returncode == 0
    refused = site.push("dev", f"{head}:refs/heads/main")
    assert refused.returncode == 1
    assert "Nobody has done review on" in refused.stderr
    artifact = f"git:shop@{head}"
    own = site.stack.run(site.member(DEV), "duty", "done", "release", "review", "--artifact", artifact, check=False)
    assert own.returncode == 1
    assert "no person carries two of them" in own.stderr
    site.stack.run(site.member(LEAD), "duty", "done", "release", "review", "--artifact", artifact)
    assert site.push("dev", f"{head}:refs/heads/main").returncode == 0
    assert site.origin.head() == head
    site.stack.run(site.member(QA), "duty", "done", "release", "test", "--artifact", artifact)
    return head


def test_a_push_that_loses_commits_or_moves_a_tag_is_refused_with_a_sentence(site: Site, released: str) -> None:
    clone = Origin(site.clone, 900)
    other = clone.commit({"app.py": "evil"}, site.first, author=DEV)
    clone.move("evil", other)
    forced = site.push("dev", f"+{other}:refs/heads/main")
    assert forced.returncode == 1
    assert "main would lose commits (a force push)" in forced.stderr
    assert site.push("dev", ":refs/heads/main").returncode == 1
    assert site.push("dev", f"{released}:refs/tags/v1").returncode == 0
    moved = site.push("dev", f"+{other}:refs/tags/v1")
    assert moved.returncode == 1
    assert "v1 is there already: a tag is neither moved nor deleted" in moved.stderr
    assert site.push("dev", ":refs/tags/v1").returncode == 1
    stranger = site.push("stranger", f"{other}:refs/heads/elsewhere")
    assert stranger.returncode == 1
    assert "stranger is no person's account here" in stranger.stderr
    assert git(site.origin.folder, "rev-parse", "refs/tags/v1") == released


def test_the_gate_says_who_could_and_opens_to_another_person(site: Site, released: str, tmp_path: Path) -> None:
    asked = ("gate", "release", "deploy", "--artifact", f"git:shop@{released}", "--environment", "production")
    shut = site.stack.run(site.member(QA), *asked, check=False)
    assert shut.returncode == 1
    assert "Shut: deploy of" in shut.stdout
    assert "qa@example.com carries test and deploy" in shut.stderr
    assert "ops@example.com" in shut.stderr
    bundle, key = tmp_path / "bundle.json", tmp_path / "key.pem"
    opened = site.stack.run(site.member(OPS), *asked, "--write-bundle", str(bundle))
    assert "review: lead@example.com" in opened.stdout
    key.write_text(site.stack.run(site.member(OPS), "evidence", "key").stdout)
    offline = (*asked, "--bundle", str(bundle), "--key", str(key))
    assert "Open: deploy of" in site.stack.run(None, *offline).stdout
    elsewhere = (*asked[:-1], "staging", "--bundle", str(bundle), "--key", str(key))
    assert "it is about deploy of release" in site.stack.run(None, *elsewhere, check=False).stderr
    good = json.loads(bundle.read_text())
    public, about = read_spki(key.read_text()), Asked("release", "deploy", f"git:shop@{released}", "production")
    now = datetime.now(UTC)
    assert check_bundle(json.dumps(good), public, about, now)["answer"] == "allow"
    _refused(good, public, about, now + timedelta(hours=2), "it was good until")
    _refused(good, read_spki(_pem(new_key())), about, now, "the verdict is not signed with that key")
    for name in [*good["evidence"], "verdict"]:
        forged = json.loads(json.dumps(good))
        holder = forged if name == "verdict" else forged["evidence"]
        envelope = json.loads(holder[name])
        said = base64.b64decode(envelope["payload"])
        for person, other in ((b"lead@", b"boss@"), (b"dev@acme", b"off@acme"), (b"qa@", b"qb@")):
            said = said.replace(person, other)
        holder[name] = json.dumps({**envelope, "payload": base64.b64encode(said).decode()})
        _refused(forged, public, about, now, "is not signed with that key")
    for name in good["evidence"]:
        kept = {other: one for other, one in good["evidence"].items() if other != name}
        _refused({**good, "evidence": kept}, public, about, now, "is not in it")


def _refused(bundle: object, key: PublicKey, about: Asked, now: datetime, why: str) -> None:
    with pytest.raises(Refusal, match=why):
        check_bundle(json.dumps(bundle), key, about, now)


def _pem(key: EllipticCurvePrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form).decode()


def test_a_cluster_runs_only_what_was_built_from_a_whole_chain(site: Site, released: str, tmp_path: Path) -> None:
    image = f"registry.example/shop@sha256:{DIGEST}"

    def ask(*images: str) -> tuple[bool, str]:
        spec = {"containers": [{"name": "one", "image": one} for one in images]}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        request: dict[str, object] = {"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE"}
        request |= {"object": {"kind": "Deployment", "spec": {"template": {"spec": spec}}}}
        answer = site.web.post("/v1/admission/shop/production", json={**review, "request": request})
        said = answer.json()["response"]
        assert said["uid"] == request["uid"]
        return said["allowed"], said.get("status", {}).get("message", "")

    assert ask(image) == (False, f"{image}: no builder of its repository says what it was built from.")
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "shop", "digest": {"sha256": DIGEST}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "resolvedDependencies": [{"uri": "git+https://example.com/shop", "digest": {"gitCommit": released}}]
            },
            "runDetails": {"builder": {"id": "https://example.com/ci"}},
        },
    }
    path = tmp_path / "provenance.json"
    path.write_text(seal(statement, new_key()).text())
    refused = site.stack.run(site.member(QA), "evidence", "build", "shop", str(path), check=False)
    assert "signed by none of the repository's builders" in refused.stderr
    path.write_text(seal(statement, BUILDER).text())
    site.stack.run(site.member(QA), "evidence", "build", "shop", str(path))
    assert ask(image) == (True, "")
    assert ask("registry.example/shop:latest")[0] is False
    assert ask(image, f"registry.example/other@sha256:{'cd' * 32}")[0] is False
    assert ask()[0] is False


def test_a_forge_speaks_over_real_http(site: Site, released: str) -> None:
    """The same repository as a project of the forge: a push, an approval, and the message that nobody signed."""
    sha = site.origin.commit({"app.py": "print(3)\n"}, released, author=DEV)
    site.origin.move("hub-topic", sha)
    headers, body = site.forge.push("dev", "0" * 40, sha, "hub-topic")
    forged = {**headers, "x-hub-signature-256": "sha256=" + "0" * 64}
    assert site.web.post("/v1/forges/hub/hooks", content=body, headers=forged).status_code == 403
    assert site.web.post("/v1/forges/nowhere/hooks", content=body, headers=headers).status_code == 404
    assert site.web.post("/v1/forges/hub/hooks", content=body, headers=headers).json() == {"given": 1, "voided": 0}
    pull = site.forge.open(sha, "dev")
    site.forge.review(pull, "lead")
    headers, body = site.forge.reviewed(pull)
    assert site.web.post("/v1/forges/hub/hooks", content=body, headers=headers).json() == {"given": 1, "voided": 0}
    shown = site.stack.ask(site.member(LEAD), "evidence", "show", f"git:web@{sha}")
    assert [(one["duty"], one["person"], one["how"]) for one in shown] == [
        ("develop", DEV, "push"),
        ("review", LEAD, "forge-review"),
    ]
