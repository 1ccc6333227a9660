"""CI jobs that are let in by what their provider signs about them, and those that must not be."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from interlock.domain.roles import ApprovalRule
from interlock.errors import InterlockError, NotFound, Refusal
from interlock.identity.api_client import AsyncApiClient
from interlock.identity.jose import Signer
from interlock.identity.keys import new_key
from interlock.policy.configuration import Chain, Separation, SeparationKind, Workload
from interlock.services.apply_configuration import apply_configuration
from interlock.services.offboard_person import offboard_person
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from tests.services.world import ADMIN, DBA, DEV, OPS, company
from tests.support.ci import CiSystem, running_ci
from tests.web.house import House, contracts_of_now, open_house

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
NAME = "deploy-orders"
DUTIES = ("develop", "test", "deploy")
CLAIMS = {
    "repository": frozenset({"acme/orders"}),
    "ref": frozenset({"refs/heads/main", "refs/heads/release"}),
    "ref_protected": frozenset({"true"}),
    "run_attempt": frozenset({"1"}),
}


@dataclass
class Jobs:
    """The house, the CI system, and jobs that come from it."""

    house: House
    ci: CiSystem

    def token(self, **changes: Any) -> str:
        return self.ci.sign(self.ci.claims(self.house.services.oauth.issuer, self.house.clock.now(), **changes))

    async def come(self, token: str, *, name: str = NAME, client: AsyncApiClient | None = None) -> AsyncApiClient:
        client = client or self.house.client(new_key())
        form = {"grant_type": JWT_GRANT, "workload": name, "assertion": token}
        client.auth.token = (await _post_form(client, form))["access_token"]
        return client

    async def refused(self, token: str, **more: Any) -> str:
        with pytest.raises(Refusal) as caught:
            await self.come(token, **more)
        assert caught.value.code == "invalid_grant", caught.value
        return caught.value.sentence


async def _post_form(client: AsyncApiClient, form: dict[str, str]) -> Any:
    answer = await client._http.post("/oauth/token", data=form)
    said = answer.json()
    if answer.is_error:
        raise Refusal(said["error"], said["error_description"])
    return said


@pytest.fixture
async def jobs(state: PostgresState, state_database: StateAddress, tmp_path: Path) -> AsyncIterator[Jobs]:
    async with running_ci(tmp_path / "ci") as ci:
        chain = Chain(
            "release",
            DUTIES,
            (Separation(SeparationKind.SEPARATE, DUTIES),),
            None,
            {"deploy": ApprovalRule(1, None, people=frozenset({OPS, DBA}))},
        )
        workload = Workload(NAME, OPS, ci.issuer, CLAIMS, ca=str(ci.ca))
        configuration = company(
            contracts=contracts_of_now(),
            chains={"release": chain},
            workloads={
                NAME: workload,
                "of-dev": replace(workload, name="of-dev", owner=DEV),
                "elsewhere": replace(workload, name="elsewhere", audience="https://other.example"),
            },
        )
        async with open_house(state, state_database, tmp_path, configuration=configuration) as house:
            yield Jobs(house, ci)


async def _take(who: AsyncApiClient, duty: str, artifact: str = "change:1") -> Any:
    return await who.post("/v1/duties/take", {"chain": "release", "duty": duty, "artifact": artifact})


async def _done(who: AsyncApiClient, duty: str) -> None:
    body = {"chain": "release", "duty": duty, "artifact": "change:1", "content": "sha256:a"}
    await who.post("/v1/duties/done", body)


async def test_a_job_carries_a_duty_and_counts_as_its_owner(jobs: Jobs) -> None:
    for person, duty in ((DEV, "develop"), (DBA, "test")):
        client = await jobs.house.signed_in(person)
        await _take(client, duty)
        await _done(client, duty)
    job = await jobs.come(jobs.token())
    who = await job.get("/v1/workload")
    assert (who["workload"], who["owner"]) == (NAME, OPS)
    assert (await _take(job, "deploy"))["duty"]["person"] == OPS
    await _done(job, "deploy")
    assert len(await job.get("/v1/duties", chain="release", artifact="change:1")) == 3
    (admitted,) = await jobs.house.world.events("workload.admitted")
    assert (admitted["workload"], admitted["owner"]) == (NAME, OPS)
    assert admitted["subject"] == "repo:acme/orders:ref:refs/heads/main"


async def test_owner_and_job_are_one_person(jobs: Jobs) -> None:
    """Attack: somebody develops, and lets their own pipeline review or deploy."""
    owner = await jobs.house.signed_in(OPS)
    await _take(owner, "develop")
    await _done(owner, "develop")
    job = await jobs.come(jobs.token())
    with pytest.raises(Refusal) as caught:
        await _take(job, "test")
    assert caught.value.code == "separated"


async def test_a_job_opens_nothing_else(jobs: Jobs) -> None:
    job = await jobs.come(jobs.token())
    for path in ("whoami", "requests", "grants", "people", "resources", "sessions", "ledger/head"):
        with pytest.raises(Refusal) as caught:
            await job.get(f"/v1/{path}")
        assert caught.value.code == "wrong-scope"
    asks = {"resource": "orders", "role": "reader", "duration_s": 60, "reason": "x"}
    for path, body in (("requests", asks), ("step-up", {"totp": "000000"}), ("sign-out", None)):
        with pytest.raises(Refusal) as caught:
            await job.post(f"/v1/{path}", body)
        assert caught.value.code == "wrong-scope"
    person = await jobs.house.signed_in(OPS)
    with pytest.raises(NotFound):
        await person.get("/v1/workload")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"repository": "acme/orders-fork"}, "claim repository"),
        ({"repository": "ACME/orders"}, "claim repository"),
        ({"repository": ["acme/orders"]}, "claim repository"),
        ({"repository": None}, "claim repository"),
        ({"ref": "refs/heads/main/../x"}, "claim ref"),
        ({"ref": "refs/pull/1/merge"}, "claim ref"),
        ({"ref_protected": False}, "claim ref_protected"),
        ({"ref_protected": 1}, "claim ref_protected"),
        ({"run_attempt": 2}, "claim run_attempt"),
        ({"run_attempt": 1.0}, "claim run_attempt"),
        ({"iss": "https://token.actions.githubusercontent.com"}, "another issuer"),
        ({"aud": "https://other.example"}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"sub": ""}, "no subject"),
        ({"exp": None}, "when it"),
        ({"iat": None}, "when it"),
        ({"nbf": "soon"}, "when it"),
    ],
)
async def test_a_job_whose_token_says_something_else(jobs: Jobs, changes: dict[str, Any], says: str) -> None:
    assert says in await jobs.refused(jobs.token(**changes))


async def test_two_audiences_are_one_too_many(jobs: Jobs) -> None:
    ours = jobs.house.services.oauth.issuer
    assert "audience" in await jobs.refused(jobs.token(aud=[ours, "https://other.example"]))
    assert (await (await jobs.come(jobs.token(aud=[ours]))).get("/v1/workload"))["workload"] == NAME
    named = jobs.token(aud="https://other.example")
    assert (await (await jobs.come(named, name="elsewhere")).get("/v1/workload"))["workload"] == "elsewhere"


@pytest.mark.parametrize(("off_s", "passes"), [(90, True), (-90, True), (600, False), (-600, False)])
async def test_clocks_that_differ(jobs: Jobs, off_s: int, passes: bool) -> None:
    now = int(jobs.house.clock.now().timestamp()) + off_s
    token = jobs.token(iat=now, nbf=now, exp=now + 60)
    if passes:
        await jobs.come(token)
    else:
        assert await jobs.refused(token)


async def test_a_token_is_taken_once(jobs: Jobs) -> None:
    token = jobs.token()
    await jobs.come(token)
    assert "used before" in await jobs.refused(token)
    # An issuer that numbers nothing: what was signed is the number.
    unnumbered = jobs.token(jti=None)
    await jobs.come(unnumbered)
    assert "used before" in await jobs.refused(unnumbered)


async def test_forged_tokens(jobs: Jobs) -> None:
    claims = jobs.ci.claims(jobs.house.services.oauth.issuer, jobs.house.clock.now())
    stranger = RSAKey.generate_key(2048, {"kid": str(jobs.ci.keys[0].kid)}, private=True)
    head, payload, signature = jobs.token().split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    hs = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
    public = jobs.ci.keys[0].as_pem(private=False)
    mac = hmac.new(public, f"{hs}.{payload}".encode(), hashlib.sha256).digest()
    confused = f"{hs}.{payload}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    changed = base64.urlsafe_b64encode(json.dumps({**claims, "ref": "refs/heads/release"}).encode()).rstrip(b"=")
    for token in (
        jobs.ci.sign(claims, key=stranger),
        Signer(new_key()).sign({"typ": "JWT"}, claims),
        f"{none}.{payload}.",
        f"{none}.{payload}.{signature}",
        confused,
        f"{head}.{changed.decode()}.{signature}",
        f"{head}.{payload}.{signature}==",
        jobs.ci.sign(claims, typ="at+jwt"),
        jobs.ci.sign(claims, typ="secevent+jwt"),
        jobs.ci.sign(claims, typ="logout+jwt"),
        "a.b.c",
        "x" * 20_000,
    ):
        assert await jobs.refused(token)


async def test_the_access_token_is_the_keys(jobs: Jobs) -> None:
    """Attack: the token in a job's log, in somebody else's hands."""
    job = await jobs.come(jobs.token())
    thief = jobs.house.client(new_key(), job.auth.token)
    with pytest.raises(Refusal):
        await thief.get("/v1/workload")


async def test_a_key_of_a_person_is_no_jobs(jobs: Jobs) -> None:
    key = new_key()
    await jobs.house.signed_in(DEV, key=key)
    with pytest.raises(Refusal) as caught:
        await jobs.come(jobs.token(), client=jobs.house.client(key))
    assert "person" in caught.value.sentence


async def test_it_ends_with_its_time_its_rule_and_its_owner(jobs: Jobs) -> None:
    job, of_dev = await jobs.come(jobs.token()), await jobs.come(jobs.token(), name="of-dev")
    await offboard_person(jobs.house.world.desk, by=ADMIN, name=DEV, reason="left")
    with pytest.raises(Refusal) as caught:
        await of_dev.get("/v1/workload")
    assert caught.value.code == "no-owner"
    with pytest.raises(Refusal):
        await jobs.come(jobs.token(), name="of-dev")
    jobs.house.clock.advance(timedelta(seconds=301))
    with pytest.raises(Refusal) as caught:
        await job.get("/v1/workload")
    assert caught.value.code == "token-over"


async def test_a_changed_rule_ends_what_it_let_in(jobs: Jobs) -> None:
    job = await jobs.come(jobs.token())
    world = jobs.house.world
    old = world.desk.configuration.workloads[NAME]
    fresh = company(
        contracts=world.desk.configuration.contracts, workloads={NAME: replace(old, claims={"ref": frozenset({"x"})})}
    )
    object.__setattr__(jobs.house.services.desk, "configuration", fresh)
    await apply_configuration(jobs.house.services.desk)
    with pytest.raises(Refusal) as caught:
        await job.get("/v1/workload")
    assert caught.value.code == "workload-ended"


async def test_keys_that_rotate_are_fetched_and_not_too_often(jobs: Jobs) -> None:
    await jobs.come(jobs.token())
    assert jobs.ci.asked == 1
    stranger = RSAKey.generate_key(2048, {"kid": "evil"}, private=True)
    claims = jobs.ci.claims(jobs.house.services.oauth.issuer, jobs.house.clock.now())
    for _ in range(5):
        await jobs.refused(jobs.ci.sign(claims, key=stranger))
    assert jobs.ci.asked == 1
    jobs.ci.rotate()
    jobs.house.clock.advance(timedelta(seconds=11))
    await jobs.come(jobs.token())
    assert jobs.ci.asked == 2


async def test_an_issuer_that_describes_itself_as_another(jobs: Jobs) -> None:
    jobs.ci.describes_itself_as = "https://evil.example"
    with pytest.raises(InterlockError):
        await jobs.come(jobs.token())


async def test_the_command_line_in_a_job(jobs: Jobs, tmp_path: Path) -> None:
    """The real program, in a home that knows nothing, with the fingerprint and a token in a file or a variable."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INTERLOCK")}
    environment = {**kept, "INTERLOCK_HOME": str(tmp_path / "home"), "INTERLOCK_SERVER": jobs.house.server}

    async def interlock(*words: str, **more: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("interlock")),
            *words,
            env={**environment, **more},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 30)
        return process.returncode, out.decode(), err.decode()

    login = ("login", "--workload", NAME, "--authority", jobs.house.authority.fingerprint)
    status, _, err = await interlock(*login)
    assert status == 1
    assert "no token that says which job this is" in err
    (tmp_path / "token").write_text(jobs.token() + "\n")
    status, out, err = await interlock(*login, "--job-token", str(tmp_path / "token"))
    assert status == 0, err
    assert f"the workload {NAME}, which counts as {OPS}" in out
    status, out, _ = await interlock("whoami")
    assert (status, NAME in out, OPS in out) == (0, True, True)
    status, _, err = await interlock("duty", "take", "release", "develop", "--artifact", "change:7")
    assert status == 0, err
    status, _, err = await interlock("grants")
    assert status == 1
    assert "not for a workload's token" in err
    status, out, err = await interlock(*login, "--json", INTERLOCK_JOB_TOKEN=jobs.token())
    assert (status, json.loads(out)["workload"]) == (0, NAME), err


async def test_token_exchange_says_the_same(jobs: Jobs) -> None:
    client = jobs.house.client(new_key())
    form = {
        "grant_type": EXCHANGE,
        "workload": NAME,
        "subject_token": jobs.token(),
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
    }
    said = await _post_form(client, form)
    assert said["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    client.auth.token = said["access_token"]
    assert (await client.get("/v1/workload"))["owner"] == OPS
    for name in ("nobody", ""):
        with pytest.raises(Refusal):
            await _post_form(jobs.house.client(new_key()), {**form, "workload": name, "subject_token": jobs.token()})
