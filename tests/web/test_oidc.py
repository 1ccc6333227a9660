"""Signing in through an outside identity provider: npm's oidc-provider."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from interlock.domain.codec import from_plain
from interlock.domain.people import Identity
from interlock.errors import Failure, Refusal
from interlock.identity.api_client import AsyncApiClient
from interlock.identity.authority import Authority
from interlock.identity.keys import load_or_create_key, new_key
from interlock.identity.oidc import Asked, OidcProvider
from interlock.policy.configuration import Configuration, Provider
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from tests.services.world import ADMIN, company
from tests.support import peers
from tests.web.house import House, contracts_of_now, open_house
from tests.web.oauth_client import fields_in

PERSON = "ann@corp.example"


@pytest.fixture
async def house(state: PostgresState, state_database: StateAddress, tmp_path: Path) -> AsyncIterator[House]:
    """A house in front of two providers, of which one is there."""
    authority = Authority.open(tmp_path / "idp", datetime.now(UTC))
    key = load_or_create_key(tmp_path / "idp" / "server.key")
    certificate = tmp_path / "idp" / "server.pem"
    certificate.write_bytes(authority.issue_server(key.public_key(), ["localhost"], datetime.now(UTC)))
    people = {**company().people, PERSON: replace(company().people[ADMIN], name=PERSON, groups=frozenset())}
    providers: dict[str, OidcProvider] = {}
    async with open_house(
        state,
        state_database,
        tmp_path,
        configuration=company(contracts=contracts_of_now(), people=people),
        providers=providers,
    ) as opened:
        arguments = (str(tmp_path / "idp" / "server.key"), str(certificate), f"{opened.services.oauth.issuer}/sign-in")
        with peers.running("idp.mjs", *arguments, environment={"NODE_NO_WARNINGS": "1"}) as node:
            assert node.stdout is not None
            issuer = (await asyncio.to_thread(node.stdout.readline)).strip()
            settings = Provider(
                issuer, "interlock", ca=str(tmp_path / "idp" / "authority.pem"), domains=frozenset({"corp.example"})
            )
            found: Any = opened.services.providers
            found["corp"] = OidcProvider("corp", settings, "a secret of the tests")
            found["other"] = OidcProvider("other", replace(settings, issuer=issuer + "/other"), "x")
            opened.clock.at = datetime.now(UTC).replace(microsecond=0)
            yield opened


async def _go(house: House, url: str, account: str, amr: str = "") -> dict[str, str]:
    """What the browser comes back with from the provider, signed in there as ``account``."""
    ca = house.services.providers["corp"].settings.ca
    async with httpx2.AsyncClient(verify=ssl.create_default_context(cafile=ca), trust_env=False) as browser:
        while not url.startswith(house.services.oauth.issuer):
            if "/interaction/" in url:
                fields = {"account": account} | ({"amr": amr} if amr else {})
                answer = await browser.get(url, params=fields)
            else:
                answer = await browser.get(url)
            assert answer.status_code in (302, 303), answer.text
            url = str(httpx2.URL(url).join(answer.headers["location"]))
    return fields_in(url)


async def _sign_in(house: House, account: str, client: AsyncApiClient | None = None, amr: str = "") -> AsyncApiClient:
    client = client or house.client(new_key())
    begun = await client.post("/v1/providers/corp/begin")
    answered = await _go(house, begun["redirect"], account, amr)
    got = await client.post("/v1/providers/answer", answered)
    client.auth.token = got["token"]
    return client


async def test_a_person_is_linked_by_a_verified_address_once_and_then_known_by_subject(house: House) -> None:
    client = await _sign_in(house, f"u1|{PERSON}|verified")
    who = await client.get("/v1/whoami")
    assert (who["person"], who["present_at"]) == (PERSON, None)
    (linked,) = await house.world.events("identity.linked")
    assert linked["subject"] == f"{house.services.providers['corp'].settings.issuer} u1"
    # The address may change there; the subject is who it was.
    again = await _sign_in(house, "u1|ann.new@corp.example|verified")
    assert (await again.get("/v1/whoami"))["person"] == PERSON


@pytest.mark.parametrize(
    "account",
    [
        f"u1|{PERSON}|no",
        "u1|ann@evil.example|verified",
        "u1|nobody@corp.example|verified",
        f"u1|{PERSON}.evil.example|verified",
        "u1||verified",
    ],
)
async def test_an_address_that_proves_nothing_links_nobody(house: House, account: str) -> None:
    with pytest.raises(Refusal) as caught:
        await _sign_in(house, account)
    assert caught.value.code == "not-linked"
    assert await house.world.events("identity.linked") == []


async def test_who_gets_an_old_address_gets_no_old_person(house: House) -> None:
    await _sign_in(house, f"u1|{PERSON}|verified")
    with pytest.raises(Refusal) as caught:
        await _sign_in(house, f"u2|{PERSON}|verified")
    assert caught.value.code == "not-linked"


async def _apply(house: House, configuration: Configuration) -> None:
    await house.world.apply(configuration)
    object.__setattr__(house.services.front, "desk", house.world.desk)


async def test_who_is_named_no_more_does_not_sign_in(house: House) -> None:
    before = house.world.configuration
    subject = f"{house.services.providers['corp'].settings.issuer} u1"
    await _apply(
        house,
        company(contracts=before.contracts, people=before.people, identities=(Identity("oidc", subject, PERSON),)),
    )
    client = await _sign_in(house, f"u1|{PERSON}|verified")
    await _apply(house, before)
    with pytest.raises(Refusal) as caught:
        await client.get("/v1/whoami")
    assert caught.value.code == "login-ended"
    # Not by the rule either: the file took it away on purpose.
    with pytest.raises(Refusal) as caught:
        await _sign_in(house, f"u1|{PERSON}|verified")
    assert caught.value.code == "not-linked"


async def test_two_factors_there_are_presence_here(house: House) -> None:
    client = await _sign_in(house, f"u1|{PERSON}|verified", amr="pwd mfa")
    who = await client.get("/v1/whoami")
    assert who["present_at"] is not None


async def test_an_answer_is_for_who_asked_and_once(house: House) -> None:
    """Login CSRF, and a code that is used again."""
    mine, victim = house.client(new_key()), house.client(new_key())
    begun = await mine.post("/v1/providers/corp/begin")
    answered = await _go(house, begun["redirect"], f"u1|{PERSON}|verified")
    with pytest.raises(Refusal) as caught:
        await victim.post("/v1/providers/answer", answered)
    assert caught.value.code == "bad-answer"
    # Whose state was shown to another is spent.
    with pytest.raises(Refusal):
        await mine.post("/v1/providers/answer", answered)
    begun = await mine.post("/v1/providers/corp/begin")
    answered = await _go(house, begun["redirect"], f"u1|{PERSON}|verified")
    await mine.post("/v1/providers/answer", answered)
    with pytest.raises(Refusal):
        await mine.post("/v1/providers/answer", answered)


async def test_a_mix_up_between_two_providers(house: House) -> None:
    mine = house.client(new_key())
    begun = await mine.post("/v1/providers/corp/begin")
    answered = await _go(house, begun["redirect"], f"u1|{PERSON}|verified")
    assert answered["iss"] == house.services.providers["corp"].settings.issuer
    for wrong in ({**answered, "iss": "https://evil.example"}, {k: v for k, v in answered.items() if k != "iss"}):
        begun = await mine.post("/v1/providers/corp/begin")
        fresh = {**wrong, "state": fields_in(begun["redirect"])["state"]}
        with pytest.raises(Refusal) as caught:
            await mine.post("/v1/providers/answer", fresh)
        assert caught.value.code == "bad-answer"
    # A provider that describes itself as another is none.
    with pytest.raises(Failure):
        await mine.post("/v1/providers/other/begin")


@asynccontextmanager
async def _second_provider(house: House, folder: Path) -> AsyncIterator[str]:
    """Another provider, ``second``, as real as the first; its issuer."""
    arguments = (str(folder / "idp" / "server.key"), str(folder / "idp" / "server.pem"))
    redirect = f"{house.services.oauth.issuer}/sign-in"
    with peers.running("idp.mjs", *arguments, redirect, environment={"NODE_NO_WARNINGS": "1"}) as node:
        assert node.stdout is not None
        issuer = (await asyncio.to_thread(node.stdout.readline)).strip()
        found: Any = house.services.providers
        found["second"] = OidcProvider(
            "second", replace(found["corp"].settings, issuer=issuer), "a secret of the tests"
        )
        yield issuer


async def test_two_providers_at_once_are_one_person_by_two_subjects_and_never_mixed_up(
    house: House, tmp_path: Path
) -> None:
    async with _second_provider(house, tmp_path) as issuer:
        assert await house.client(new_key()).get("/v1/providers") == ["corp", "other", "second"]

        # Each links its own subject to the one person, by its own rule; the same subject elsewhere is somebody else.
        for name, account in (("corp", f"u1|{PERSON}|verified"), ("second", f"z9|{PERSON}|verified")):
            client = house.client(new_key())
            begun = await client.post(f"/v1/providers/{name}/begin")
            got = await client.post("/v1/providers/answer", await _go(house, begun["redirect"], account))
            assert got["person"] == PERSON
        linked = [one["subject"] for one in await house.world.events("identity.linked")]
        assert linked == [f"{house.services.providers['corp'].settings.issuer} u1", f"{issuer} z9"]
        client = house.client(new_key())
        begun = await client.post("/v1/providers/second/begin")
        with pytest.raises(Refusal) as caught:
            await client.post("/v1/providers/answer", await _go(house, begun["redirect"], "u1|x@corp.example|verified"))
        assert caught.value.code == "not-linked"

        # A mix-up: the person chose the second, which sends them on to the first. The first's code must not get
        # to the second's token endpoint, nor be taken as the second's word.
        mine = house.client(new_key())
        chosen = await mine.post("/v1/providers/second/begin")
        honest = await mine.post("/v1/providers/corp/begin")
        answered = await _go(house, honest["redirect"], f"u1|{PERSON}|verified")
        asked_token = []
        post = OidcProvider._post

        async def watched(self: OidcProvider, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
            asked_token.append(self.name)
            return await post(self, url, form)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(OidcProvider, "_post", watched)
            mixed = {**answered, "state": fields_in(chosen["redirect"])["state"]}
            with pytest.raises(Refusal) as caught:
                await mine.post("/v1/providers/answer", mixed)
            assert (caught.value.code, asked_token) == ("bad-answer", [])
            # The honest twin: the same answer, to the question that it answers.
            assert (await mine.post("/v1/providers/answer", answered))["person"] == PERSON
            assert asked_token == ["corp"]


async def test_a_code_of_another_question_is_not_taken(house: House) -> None:
    mine = house.client(new_key())
    first = await mine.post("/v1/providers/corp/begin")
    answered = await _go(house, first["redirect"], f"u1|{PERSON}|verified")
    second = await mine.post("/v1/providers/corp/begin")
    mixed = {**answered, "state": fields_in(second["redirect"])["state"]}
    with pytest.raises(Refusal) as caught:
        await mine.post("/v1/providers/answer", mixed)
    assert caught.value.code == "bad-answer"


async def test_clocks_that_differ(house: House) -> None:
    here = house.clock.now()
    for off, passes in ((90, True), (-90, True), (600, False), (-600, False)):
        client = house.client(new_key())
        begun = await client.post("/v1/providers/corp/begin")
        answered = await _go(house, begun["redirect"], f"u1|{PERSON}|verified")
        provider = house.services.providers["corp"]
        kept = await house.services.oauth.waiting.take(f"oidc {answered['state']}")
        assert kept is not None
        taking = provider.take(
            from_plain(Asked, kept["asked"]), answered["code"], answered["iss"], here + timedelta(seconds=off)
        )
        if passes:
            assert (await taking).subject
        elif off < 0:
            with pytest.raises(Refusal, match="from the future"):
                await taking
        else:
            # An ID token lives for an hour; ten minutes later it is still one.
            assert (await taking).subject
