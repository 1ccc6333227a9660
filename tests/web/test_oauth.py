"""The authorization server as clients use it, and as attackers do."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from interlock.errors import Refusal
from interlock.identity.dpop import LEEWAY
from interlock.identity.jose import Signer
from interlock.identity.keys import new_key, public_jwk, thumbprint
from interlock.identity.oauth_clients import OWN_ID
from interlock.services.delegations import CODE_LIFETIME
from interlock.services.offboard_person import offboard_person
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from interlock.store.waiting import MOST_OF_ONE_NETWORK
from tests.services.world import ADMIN, DBA, DEV, HOUR
from tests.support.site import HOST, response, site
from tests.web.house import House, open_house, trust
from tests.web.oauth_client import REDIRECT, VERIFIER, Client, error, fields_in, say, tampered

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"


async def test_the_metadata_names_what_there_is(house: House, http: httpx2.AsyncClient) -> None:
    said = (await http.get(house.server + "/.well-known/oauth-authorization-server")).json()
    assert said["issuer"] == house.services.oauth.issuer
    assert said["authorization_response_iss_parameter_supported"] is True
    assert said["dpop_signing_alg_values_supported"] == ["ES256", "Ed25519"]
    assert said["code_challenge_methods_supported"] == ["S256"]
    resource = (await http.get(house.server + "/.well-known/oauth-protected-resource")).json()
    assert resource["authorization_servers"] == [said["issuer"]]
    assert resource["dpop_bound_access_tokens_required"] is True
    keys = (await http.get(house.server + "/oauth/jwks")).json()["keys"]
    assert [key["alg"] for key in keys] == ["ES256"]
    assert not any("d" in key for key in keys)


async def test_a_client_reads_for_a_person_and_does_nothing_else(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    got = await tool.tokens(person)
    assert (got["token_type"], got["scope"]) == ("DPoP", "read")
    api = tool.api(got["access_token"])
    assert (await api.get("/v1/whoami"))["person"] == DEV
    assert await api.get("/v1/resources")
    body = {"resource": "orders", "role": "reader", "duration_s": 60, "reason": "x"}
    for path, sent in (
        ("/v1/requests", body),
        ("/v1/sign-out", {}),
        ("/v1/passwords", {"resource": "orders"}),
        ("/v1/consents/look", {"request": "x"}),
        ("/v1/certificate", {"csr": "x"}),
        ("/v1/contracts/acme-orders/end", {"reason": "x"}),
    ):
        with pytest.raises(Refusal) as caught:
            await api.post(path, sent)
        assert caught.value.code == "wrong-scope", path
        assert "interlock connect RESOURCE" in caught.value.remedy
    with pytest.raises(Refusal) as caught:
        await api.get("/v1/ledger")
    assert caught.value.code == "wrong-scope"


async def test_the_answer_names_its_server_and_keeps_the_state(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    answered = await tool.answered(person, state="a b&c=1")
    assert (answered["iss"], answered["state"]) == (house.services.oauth.issuer, "a b&c=1")
    went = await tool.authorize()
    refused = await say(person, fields_in(went.headers["location"])["request"], allow=False)
    assert refused.startswith(REDIRECT + "?")
    assert fields_in(refused)["error"] == "access_denied"
    assert fields_in(refused)["iss"] == house.services.oauth.issuer


async def test_a_client_of_no_good_is_told_to_the_person_and_never_redirected_to(house: House, tool: Client) -> None:
    for changes in (
        {"client_id": "c-unknown"},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": REDIRECT + "/.."},
        {"redirect_uri": REDIRECT + "?x=1"},
        {"redirect_uri": "https://client.example@evil.example/callback"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": ""},
        {"request_uri": "https://evil.example/request"},
    ):
        answer = await tool.authorize(**changes)
        assert answer.status_code == 400, changes
        assert "location" not in answer.headers
        assert "evil" not in answer.text
        assert "script-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"scope": "login"}, "invalid_scope"),
        ({"scope": "read login"}, "invalid_scope"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"dpop_jkt": "x"}, "invalid_request"),
    ],
)
async def test_a_wrong_question_goes_back_to_the_client(tool: Client, changes: dict[str, str], code: str) -> None:
    went = await tool.authorize(**changes)
    assert went.status_code == 303
    assert went.headers["location"].startswith(REDIRECT + "?")
    assert fields_in(went.headers["location"])["error"] == code
    assert fields_in(went.headers["location"])["state"] == "xyz"


async def test_a_parameter_that_comes_twice(house: House, tool: Client) -> None:
    doubled = f"{house.server}/oauth/authorize?client_id={tool.id}&client_id=other&redirect_uri={REDIRECT}"
    assert (await tool.http.get(doubled)).status_code == 400
    body = "grant_type=refresh_token&grant_type=authorization_code"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "DPoP": tool.proof("/oauth/token")}
    answer = await tool.http.post(house.server + "/oauth/token", content=body, headers=headers)
    assert error(answer) == "invalid_request"


async def test_a_pushed_request_is_used_once_and_by_its_client(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    pushed = await tool.post("/oauth/par", tool.asking())
    assert pushed.status_code == 201
    uri = pushed.json()["request_uri"]
    other = await Client(house, tool.http).register()
    with_pushed = {"response_type": "", "redirect_uri": "", "code_challenge": "", "request_uri": uri}
    assert (await other.authorize(**with_pushed)).status_code == 400
    uri = (await tool.post("/oauth/par", tool.asking())).json()["request_uri"]
    # What stands beside the pushed request in the browser's address is not looked at.
    went = await tool.authorize(request_uri=uri, redirect_uri="https://evil.example/", scope="login")
    number = fields_in(went.headers["location"])["request"]
    code = fields_in(await say(person, number, allow=True))["code"]
    assert (await tool.authorize(request_uri=uri)).status_code == 400
    # The push was proved with a key: the code is good for that key alone.
    thief = tool.proof("/oauth/token", key=new_key())
    assert error(await tool.token(tool.exchange(code), proof=thief)) == "invalid_grant"
    assert (await tool.token(tool.exchange(code))).status_code == 200


async def test_a_pushed_request_waits_ninety_seconds(house: House, tool: Client) -> None:
    uri = (await tool.post("/oauth/par", tool.asking())).json()["request_uri"]
    house.clock.advance(timedelta(seconds=90))
    assert (await tool.authorize(request_uri=uri)).status_code == 400
    assert error(await tool.post("/oauth/par", tool.asking(redirect_uri="https://evil.example/"))) == "invalid_request"


async def test_a_code_that_is_used_twice_ends_what_it_gave(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    code = await tool.code(person)
    got = (await tool.token(tool.exchange(code))).json()
    api = tool.api(got["access_token"])
    assert (await api.get("/v1/whoami"))["person"] == DEV
    assert error(await tool.token(tool.exchange(code))) == "invalid_grant"
    with pytest.raises(Refusal) as caught:
        await api.get("/v1/whoami")
    assert caught.value.code == "delegation-ended"
    again = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}
    assert error(await tool.token(again)) == "invalid_grant"
    (event,) = await house.world.events("delegation.ended")
    assert event["reason"] == "its code was shown twice"


async def test_two_who_exchange_one_code_at_once(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    code = await tool.code(person)
    answers = await asyncio.gather(*(tool.token(tool.exchange(code)) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400, 400]
    api = tool.api(next(a for a in answers if a.status_code == 200).json()["access_token"])
    with pytest.raises(Refusal):
        await api.get("/v1/whoami")


@pytest.mark.parametrize("verifier", ["w" * 43, "", VERIFIER + "=", VERIFIER.upper()])
async def test_a_stolen_code_without_its_verifier(house: House, tool: Client, verifier: str) -> None:
    person = await house.signed_in(DEV)
    code = await tool.code(person)
    refused = error(await tool.token(tool.exchange(code, code_verifier=verifier)))
    assert refused == ("invalid_grant" if verifier else "invalid_request")
    # A wrong verifier is a thief's: the code is burnt. None at all was no try.
    after = await tool.token(tool.exchange(code))
    assert after.status_code == (400 if verifier else 200)


async def test_a_stolen_code_in_another_clients_hands(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    code = await tool.code(person)
    thief = await Client(house, tool.http).register()
    assert error(await thief.token(thief.exchange(code))) == "invalid_grant"
    assert error(await tool.token(tool.exchange(code, redirect_uri="https://client.example/other"))) == "invalid_grant"
    assert (await tool.token(tool.exchange(code))).status_code == 200


async def test_a_code_lives_a_minute(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    code = await tool.code(person)
    house.clock.advance(CODE_LIFETIME)
    assert error(await tool.token(tool.exchange(code))) == "invalid_grant"


async def test_refresh_tokens_take_turns_and_an_old_one_ends_all(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    first = await tool.tokens(person)
    second = (await tool.token({"grant_type": "refresh_token", "refresh_token": first["refresh_token"]})).json()
    third = (await tool.token({"grant_type": "refresh_token", "refresh_token": second["refresh_token"]})).json()
    assert (await tool.api(third["access_token"]).get("/v1/whoami"))["person"] == DEV
    # A thief comes with a copy of the first, or the owner does after the thief: nobody knows which. All ends.
    stolen = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    assert error(await tool.token(stolen)) == "invalid_grant"
    with pytest.raises(Refusal):
        await tool.api(third["access_token"]).get("/v1/whoami")
    last = {"grant_type": "refresh_token", "refresh_token": third["refresh_token"]}
    assert error(await tool.token(last)) == "invalid_grant"


async def test_a_stolen_refresh_token_without_its_key(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    got = await tool.tokens(person)
    form = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}
    assert error(await tool.token(form, proof=tool.proof("/oauth/token", key=new_key()))) == "invalid_grant"
    other = await Client(house, tool.http).register()
    other.key = tool.key
    assert error(await other.token(form)) == "invalid_grant"
    more = {**form, "scope": "read login"}
    assert error(await tool.token(more)) == "invalid_scope"
    as_access = {"grant_type": "refresh_token", "refresh_token": got["access_token"]}
    assert error(await tool.token(as_access)) == "invalid_grant"
    with pytest.raises(Refusal):
        await tool.api(got["refresh_token"]).get("/v1/whoami")
    assert (await tool.token(form)).status_code == 200


async def test_every_token_needs_a_fresh_proof(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    code = await tool.code(person)
    assert error(await tool.token(tool.exchange(code), proof=None)) == "invalid_dpop_proof"
    without = await tool.token(tool.exchange(code), proof=tool.proof("/oauth/token", nonce="old"))
    assert error(without) == "use_dpop_nonce"
    assert without.headers["dpop-nonce"]
    elsewhere = tool.proof("/oauth/par")
    assert error(await tool.token(tool.exchange(code), proof=elsewhere)) == "invalid_dpop_proof"
    used = tool.proof("/oauth/token")
    assert error(await tool.token({"grant_type": "unheard-of"}, proof=used)) == "unsupported_grant_type"
    assert error(await tool.token(tool.exchange(code), proof=used)) == "invalid_dpop_proof"
    assert (await tool.token(tool.exchange(code))).status_code == 200


@pytest.mark.parametrize(("off_s", "passes"), [(90, True), (-90, True), (600, False), (-600, False)])
async def test_clocks_that_differ(house: House, tool: Client, off_s: int, passes: bool) -> None:
    person = await house.signed_in(DEV)
    code = await tool.code(person)
    here = house.clock.now()
    nonce = house.services.proofs.nonces.current()
    house.clock.at = here + timedelta(seconds=off_s)
    proof = tool.proof("/oauth/token", nonce=nonce)
    house.clock.at = here
    answer = await tool.token(tool.exchange(code), proof=proof)
    assert answer.status_code == (200 if passes else 400), answer.text
    assert timedelta(seconds=90) < LEEWAY < timedelta(minutes=10)


async def test_only_who_looked_may_answer(house: House, tool: Client) -> None:
    """Consent fixation, and one person finishing what another began."""
    person, other = await house.signed_in(DEV), await house.signed_in(DBA)
    number = fields_in((await tool.authorize()).headers["location"])["request"]
    with pytest.raises(Refusal) as caught:
        await person.post("/v1/consents", {"request": number, "allow": True})
    assert caught.value.code == "not-looked"
    seen = await other.post("/v1/consents/look", {"request": number})
    assert (seen["client"], seen["known_by"], seen["answer_goes_to"]) == ("A tool", "registered", "client.example")
    for path, body in (("/v1/consents/look", {}), ("/v1/consents", {"allow": True})):
        with pytest.raises(Refusal) as caught:
            await person.post(path, {"request": number, **body})
        assert caught.value.code == "another-browser"
    redirect = (await other.post("/v1/consents", {"request": number, "allow": True}))["redirect"]
    with pytest.raises(Refusal):
        await other.post("/v1/consents", {"request": number, "allow": True})
    got = (await tool.token(tool.exchange(fields_in(redirect)["code"]))).json()
    assert (await tool.api(got["access_token"]).get("/v1/whoami"))["person"] == DBA


async def test_the_end_of_the_login_or_the_person_ends_the_client(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    got = await tool.tokens(person)
    await person.post("/v1/sign-out")
    with pytest.raises(Refusal):
        await tool.api(got["access_token"]).get("/v1/whoami")
    form = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}
    assert error(await tool.token(form)) == "invalid_grant"
    person = await house.signed_in(DEV)
    code = await tool.code(person)
    got = await tool.tokens(person)
    ended = await offboard_person(house.world.desk, by=ADMIN, name=DEV, reason="left")
    assert sorted(one.what for one in ended.ended if one.what == "delegation") == ["delegation"] * 2
    with pytest.raises(Refusal):
        await tool.api(got["access_token"]).get("/v1/whoami")
    assert error(await tool.token(tool.exchange(code))) == "invalid_grant"


async def test_a_clients_token_is_short_and_its_refresh_ends_with_the_login(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    got = await tool.tokens(person)
    house.clock.advance(timedelta(minutes=10))
    with pytest.raises(Refusal) as caught:
        await tool.api(got["access_token"]).get("/v1/whoami")
    assert caught.value.code == "token-over"
    form = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}
    got = (await tool.token(form)).json()
    house.clock.advance(8 * HOUR)
    form = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}
    assert error(await tool.token(form)) == "invalid_grant"


async def test_revocation_ends_everything_and_is_only_for_its_client(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    got = await tool.tokens(person)
    other = await Client(house, tool.http).register()
    assert error(await other.post("/oauth/revoke", {"token": got["refresh_token"]})) == "invalid_grant"
    assert error(await other.post("/oauth/revoke", {"token": got["access_token"]})) == "invalid_grant"
    assert (await tool.api(got["access_token"]).get("/v1/whoami"))["person"] == DEV
    assert (await tool.post("/oauth/revoke", {"token": "nonsense"})).status_code == 200
    assert (await tool.post("/oauth/revoke", {"token": got["access_token"]})).status_code == 200
    with pytest.raises(Refusal):
        await tool.api(got["access_token"]).get("/v1/whoami")


async def test_tampered_and_foreign_tokens(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    token = (await tool.tokens(person))["access_token"]
    header, payload, signature = token.split(".")
    for forged in (
        tampered(token, alg="none", typ="at+jwt"),
        tampered(token, alg="HS256", typ="at+jwt"),
        tampered(token, alg="ES256", typ="at+jwt", b64=False, crit=["b64"]),
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature}=",
        f"{header}.{payload}=.{signature}",
        f"{header}.{payload}.{signature}.",
        f" {token}",
        Signer(new_key()).sign({"typ": "at+jwt"}, {"iss": "urn:interlock:control", "aud": "urn:interlock:api"}),
    ):
        with pytest.raises(Refusal) as caught:
            await tool.api(forged).get("/v1/whoami")
        assert caught.value.code in ("bad-token", "not-signed-in"), forged


async def test_the_command_lines_device_is_signed_in_with_a_code(house: House, http: httpx2.AsyncClient) -> None:
    cli = Client(house, http, OWN_ID)
    person = await house.signed_in(DEV)
    begun = (await cli.post("/oauth/device", {"scope": "login"})).json()
    poll = {"grant_type": DEVICE, "device_code": begun["device_code"]}
    assert error(await cli.token(poll)) == "authorization_pending"
    assert error(await cli.token(poll)) == "slow_down"
    house.clock.advance(timedelta(seconds=6))
    assert error(await cli.token(poll)) == "authorization_pending"
    typed = begun["user_code"].lower().replace("-", " ")
    seen = await person.post("/v1/consents/look", {"request": typed})
    assert seen["from_address"] == "127.0.0.1"
    assert "signed in as you" in seen["scopes"][0]
    assert (await person.post("/v1/consents", {"request": typed, "allow": True})) == {"redirect": ""}
    thief = cli.proof("/oauth/token", key=new_key())
    assert error(await cli.token(poll, proof=thief)) == "invalid_grant"
    got = (await cli.token(poll)).json()
    assert got["person"] == DEV
    api = cli.api(got["access_token"])
    who = await api.get("/v1/whoami")
    assert (who["login"], who["key"]) == (got["login"], thumbprint(cli.key))
    # It is a whole login: it asks for grants.
    await api.post("/v1/requests", {"resource": "orders", "role": "reader", "duration_s": 60, "reason": "x"})
    assert error(await cli.token(poll)) == "invalid_grant"


async def test_a_device_that_is_refused_unknown_or_late(house: House, http: httpx2.AsyncClient) -> None:
    cli = Client(house, http, OWN_ID)
    person = await house.signed_in(DEV)
    begun = (await cli.post("/oauth/device", {"scope": "login"})).json()
    await say(person, begun["user_code"], allow=False)
    poll = {"grant_type": DEVICE, "device_code": begun["device_code"]}
    assert error(await cli.token(poll)) == "access_denied"
    assert error(await cli.token({"grant_type": DEVICE, "device_code": "made up"})) == "expired_token"
    begun = (await cli.post("/oauth/device", {})).json()
    house.clock.advance(timedelta(minutes=10))
    assert error(await cli.token({"grant_type": DEVICE, "device_code": begun["device_code"]})) == "expired_token"
    with pytest.raises(Refusal):
        await person.post("/v1/consents/look", {"request": begun["user_code"]})


async def test_a_key_of_somebody_elses_makes_no_second_person(house: House, http: httpx2.AsyncClient) -> None:
    key = new_key()
    await house.signed_in(DBA, key=key)
    cli = Client(house, http, OWN_ID, key)
    begun = (await cli.post("/oauth/device", {"scope": "login"})).json()
    await say(await house.signed_in(DEV), begun["user_code"], allow=True)
    answer = await cli.token({"grant_type": DEVICE, "device_code": begun["device_code"]})
    assert error(answer) == "access_denied"
    assert "one key is one person" in answer.json()["error_description"]


async def test_the_command_line_listens_on_any_loopback_port(house: House, http: httpx2.AsyncClient) -> None:
    cli = Client(house, http, OWN_ID)
    for uri, good in (
        ("http://127.0.0.1:40123/callback", True),
        ("http://[::1]:40123/callback", True),
        ("http://127.0.0.1:40123/other", False),
        ("http://localhost:40123/callback", False),
        ("http://127.0.0.1:40123/callback?x=1", False),
        ("http://127.0.0.1.evil.example/callback", False),
        ("http://x@127.0.0.1/callback", False),
    ):
        answer = await cli.authorize(redirect_uri=uri, scope="login")
        assert answer.status_code == (303 if good else 400), uri


async def _agent(house: House, http: httpx2.AsyncClient, owner: str = DEV) -> Client:
    key = new_key()
    signer = Signer(key)
    person = await house.signed_in(owner)
    made = await person.post("/v1/agents", {"name": "helper", "jwk": public_jwk(key)})
    return Client(house, http, made["client"], signer=signer)


async def test_an_agent_is_itself_and_acts_for_its_owner(house: House, http: httpx2.AsyncClient, tool: Client) -> None:
    agent = await _agent(house, http)
    itself = (await agent.token({"grant_type": "client_credentials"})).json()
    with pytest.raises(Refusal) as caught:
        await agent.api(itself["access_token"]).get("/v1/whoami")
    assert caught.value.code == "wrong-scope"
    subject = await tool.tokens(await house.signed_in(DEV))
    form = {
        "grant_type": EXCHANGE,
        "subject_token": subject["access_token"],
        "subject_token_type": ACCESS,
    }
    got = (await agent.token(form)).json()
    assert "refresh_token" not in got
    assert (await agent.api(got["access_token"]).get("/v1/whoami"))["person"] == DEV
    said = (await agent.post("/oauth/introspect", {"token": got["access_token"]}, proof=None)).json()
    assert said["active"] is True
    assert (said["sub"], said["act"]) == (DEV, {"sub": agent.id})
    assert error(await agent.token({**form, "subject_token": got["access_token"]})) == "invalid_grant"
    assert error(await agent.token({**form, "subject_token": itself["access_token"]})) == "invalid_grant"
    # Somebody else's agent does not, and neither does a client without a key.
    others = await tool.tokens(await house.signed_in(DBA))
    assert error(await agent.token({**form, "subject_token": others["access_token"]})) == "invalid_grant"
    assert error(await tool.token(form)) == "unauthorized_client"
    assert error(await tool.token({"grant_type": "client_credentials"})) == "unauthorized_client"
    ended = await offboard_person(house.world.desk, by=ADMIN, name=DEV, reason="left")
    assert [one.id for one in ended.ended if one.what == "agent"] == [agent.id]
    assert error(await agent.token({"grant_type": "client_credentials"})) == "invalid_client"


async def test_assertions_that_prove_nothing(house: House, http: httpx2.AsyncClient) -> None:
    agent = await _agent(house, http)
    now = int(house.clock.now().timestamp())
    form = {"grant_type": "client_credentials"}
    good = agent.assertion()
    assert (await agent.token({**form, **good})).status_code == 200
    wrong = [
        good,
        agent.assertion(aud="https://other.example"),
        agent.assertion(aud=[house.services.oauth.issuer, "https://other.example"]),
        agent.assertion(exp=now - 121),
        agent.assertion(exp=now + 3600),
        agent.assertion(iat=now + 600),
        agent.assertion(jti=""),
        agent.assertion(iss="somebody"),
    ]
    forger = Client(house, http, agent.id, signer=Signer(new_key()))
    wrong.append(forger.assertion())
    text = good["client_assertion"]
    wrong.append({**good, "client_assertion": tampered(text, alg="none")})
    wrong.append({**good, "client_assertion": tampered(text, alg="HS256")})
    wrong.append({**good, "client_assertion_type": "urn:x"})
    for one in wrong:
        answer = await agent.token({**form, **one})
        assert (answer.status_code, error(answer)) == (401, "invalid_client"), one
    nobody = Client(house, http, agent.id)
    assert error(await nobody.token(form)) == "invalid_client"
    assert error(await nobody.token({**form, "client_secret": "x"})) == "invalid_client"


async def test_what_a_client_may_not_say_of_itself(house: House, http: httpx2.AsyncClient) -> None:
    for metadata, code in (
        ({}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://client.example/"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://client.example/#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://u:p@client.example/"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["data:text/html,x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_basic"}, "invalid_client_metadata"),
        ({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
    ):
        answer = await http.post(house.server + "/oauth/register", json=metadata)
        assert (answer.status_code, error(answer)) == (400, code), metadata


async def test_a_client_that_is_known_by_its_document(
    state: PostgresState, state_database: StateAddress, tmp_path: Path
) -> None:
    document: dict[str, Any] = {"client_name": "Tool", "redirect_uris": [REDIRECT]}
    (tmp_path / "site").mkdir()
    async with (
        site(tmp_path / "site", lambda: response(json.dumps(document).encode())) as (fetch, port, _),
        open_house(state, state_database, tmp_path, fetch=fetch) as house,
        httpx2.AsyncClient(verify=trust(house.authority), trust_env=False) as http,
    ):
        address = f"https://{HOST}:{port}/tool.json"
        document["client_id"] = address
        tool = Client(house, http, address)
        person = await house.signed_in(DEV)
        number = fields_in((await tool.authorize()).headers["location"])["request"]
        seen = await person.post("/v1/consents/look", {"request": number})
        assert (seen["client"], seen["known_by"]) == ("Tool", "client.example")
        assert (await tool.tokens(person))["scope"] == "read"
        (event,) = await house.world.events("client.registered")
        assert (event["client"], event["client_kind"]) == (address, "document")
        stranger = Client(house, http, f"https://{HOST}:{port}/other.json")
        assert (await stranger.authorize()).status_code == 400
        document["redirect_uris"] = ["https://client.example/moved"]
        assert (await tool.authorize()).status_code == 400


async def test_what_strangers_begin_is_bounded(house: House, tool: Client) -> None:
    for number in range(MOST_OF_ONE_NETWORK):
        until = house.clock.now() + HOUR
        await house.services.oauth.waiting.put(f"x {number}", {}, until=until, origin="consent 127.0.0.1")
    went = await tool.authorize()
    assert fields_in(went.headers["location"])["error"] == "temporarily_unavailable"
    house.clock.advance(HOUR)
    went = await tool.authorize()
    assert "request" in fields_in(went.headers["location"])
