"""What the RFCs oblige an authorization server to, clause by clause, where no other test has it already."""

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from interlock.errors import Refusal
from interlock.identity.dpop import ProofMaker
from interlock.identity.jose import Signer
from interlock.identity.keys import new_key, public_jwk, thumbprint
from interlock.identity.oauth_clients import OWN_ID
from tests.services.world import DBA, DEV
from tests.web.house import Attacker, House
from tests.web.oauth_client import REDIRECT, VERIFIER, Client, challenge_of, error, fields_in, say

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"


async def agent_of(house: House, http: httpx2.AsyncClient, owner: str = DEV, key: Any = None) -> Client:
    key = key or new_key()
    made = await (await house.signed_in(owner)).post("/v1/agents", {"name": "helper", "jwk": public_jwk(key)})
    return Client(house, http, made["client"], signer=Signer(key))


# --- OAuth 2.1, RFC 6749, RFC 7636


async def test_the_token_call_may_leave_the_redirect_uri_out_and_is_held_to_one_that_it_names(
    house: House, tool: Client
) -> None:
    """OAuth 2.1 section 10.2: a client of it sends none; who does, is held to RFC 6749 section 4.1.3."""
    person = await house.signed_in(DEV)
    code = await tool.code(person)
    assert error(await tool.token(tool.exchange(code, redirect_uri=REDIRECT + "x"))) == "invalid_grant"
    assert (await tool.token(tool.exchange(code, redirect_uri=""))).status_code == 200


@pytest.mark.parametrize("verifier", ["a", "v" * 42, "v" * 129, "v" * 42 + "+", "v" * 42 + "é"])
async def test_a_verifier_that_is_none_is_wrong_whatever_its_challenge(
    house: House, tool: Client, verifier: str
) -> None:
    person = await house.signed_in(DEV)
    code = await tool.code(person, code_challenge=challenge_of(verifier))
    assert error(await tool.token(tool.exchange(code, code_verifier=verifier))) == "invalid_grant"


async def test_a_verifier_of_the_shortest_and_the_longest_kind(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    for verifier in ("-._~" + "v" * 39, "A0" * 64):
        code = await tool.code(person, code_challenge=challenge_of(verifier))
        assert (await tool.token(tool.exchange(code, code_verifier=verifier))).status_code == 200


async def test_who_authenticates_by_a_password_is_answered_in_its_scheme(house: House, tool: Client) -> None:
    """RFC 6749 section 5.2."""
    answer = await tool.token({"grant_type": "refresh_token"}, headers={"Authorization": "Basic YTpi"})
    assert (answer.status_code, error(answer)) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith('Basic realm="')
    with_secret = await tool.token({"grant_type": "refresh_token", "client_secret": "x"})
    assert (with_secret.status_code, error(with_secret)) == (401, "invalid_client")
    for method in ("GET", "PUT", "DELETE"):
        assert (await tool.http.request(method, house.server + "/oauth/token")).status_code == 405


# --- RFC 8414, RFC 9728


async def test_what_the_metadata_must_say_beside_private_key_jwt(house: House, http: httpx2.AsyncClient) -> None:
    """RFC 8414 section 2: with it as a method, its algorithms MUST be named, and ``none`` MUST NOT be one."""
    answer = await http.get(house.server + "/.well-known/oauth-authorization-server")
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    for endpoint in ("token", "revocation", "introspection"):
        assert "private_key_jwt" in said[f"{endpoint}_endpoint_auth_methods_supported"]
        assert said[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] == ["ES256", "Ed25519"]
    for name, value in said.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert value.startswith(said["issuer"] + "/"), name
    assert not any(value in (None, [], "") for value in said.values())


async def test_who_is_not_signed_in_learns_where_to_ask(house: House, attacker: Attacker) -> None:
    """RFC 9728 section 5.1."""
    answer = await attacker.send("GET", "/v1/whoami")
    assert answer.status_code == 401
    where = f"{house.services.oauth.issuer}/.well-known/oauth-protected-resource"
    assert f'resource_metadata="{where}"' in answer.headers["www-authenticate"]
    said = (await attacker.http.get(where.replace("localhost", "127.0.0.1"))).json()
    assert said["resource"] == house.services.oauth.issuer


# --- RFC 9126, RFC 8707, RFC 9449 section 10


@pytest.mark.parametrize("path", ["", "/oauth/token", "/oauth/par"])
async def test_an_assertion_may_be_addressed_to_the_server_or_its_endpoint(
    house: House, http: httpx2.AsyncClient, path: str
) -> None:
    """RFC 9126 section 2: the issuer, the token endpoint and this one MUST be taken; anything else is somebody's."""
    key = new_key()
    client = await Client(house, http).register(
        token_endpoint_auth_method="private_key_jwt", jwks={"keys": [public_jwk(key)]}
    )
    client.signer = Signer(key)
    issuer = house.services.oauth.issuer
    pushed = await client.post("/oauth/par", client.asking() | client.assertion(aud=issuer + path))
    assert pushed.status_code == 201
    for other in (issuer + "/", issuer + "/oauth/authorize", "https://evil.example" + path):
        answer = await client.post("/oauth/par", client.asking() | client.assertion(aud=other))
        assert (answer.status_code, error(answer)) == (401, "invalid_client")


async def test_what_may_not_be_pushed(house: House, tool: Client) -> None:
    uri = (await tool.post("/oauth/par", tool.asking())).json()["request_uri"]
    other = thumbprint(new_key())
    for changes, code in (
        ({"request_uri": uri}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"dpop_jkt": other}, "invalid_request"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"scope": "login"}, "invalid_scope"),
    ):
        answer = await tool.post("/oauth/par", tool.asking() | changes)
        assert (answer.status_code, error(answer)) == (400, code), changes
    assert (await tool.post("/oauth/par", tool.asking() | {"dpop_jkt": thumbprint(tool.key)})).status_code == 201
    assert (await tool.http.get(house.server + "/oauth/par")).status_code == 405


async def test_a_code_is_bound_to_the_key_that_was_named(house: House, tool: Client) -> None:
    """``dpop_jkt`` in the browser's address, without a push."""
    person = await house.signed_in(DEV)
    code = await tool.code(person, dpop_jkt=thumbprint(tool.key))
    stolen = tool.proof("/oauth/token", key=new_key())
    assert error(await tool.token(tool.exchange(code), proof=stolen)) == "invalid_grant"
    assert (await tool.token(tool.exchange(code))).status_code == 200


async def test_a_token_for_another_resource_is_not_given(house: House, tool: Client) -> None:
    person = await house.signed_in(DEV)
    issuer = house.services.oauth.issuer
    went = await tool.authorize(resource="https://elsewhere.example")
    assert fields_in(went.headers["location"])["error"] == "invalid_target"
    assert error(await tool.post("/oauth/device", {"resource": "https://elsewhere.example"})) == "invalid_target"
    code = await tool.code(person, resource=issuer)
    wrong = tool.exchange(code, resource="https://elsewhere.example")
    assert error(await tool.token(wrong)) == "invalid_target"
    assert (await tool.token(tool.exchange(code, resource=issuer + "/"))).status_code == 200


# --- RFC 8628


async def test_a_device_code_is_its_clients_and_its_keys(house: House, tool: Client) -> None:
    begun = (await tool.post("/oauth/device", {})).json()
    assert begun["verification_uri_complete"] == f"{begun['verification_uri']}?code={begun['user_code']}"
    assert (begun["interval"], begun["expires_in"]) == (5, 600)
    await say(await house.signed_in(DEV), begun["user_code"], allow=True)
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": begun["device_code"]}
    other = await Client(house, tool.http).register()
    assert error(await other.token(form)) == "invalid_grant"
    other.key = tool.key
    assert error(await other.token(form)) == "invalid_grant"
    assert error(await tool.token(form, proof=tool.proof("/oauth/token", key=new_key()))) == "invalid_grant"
    assert (await tool.token(form)).status_code == 200
    # The code is good once: shown again, it was copied, and all of it ends.
    assert error(await tool.token(form)) == "invalid_grant"


# --- RFC 7009, RFC 7662


async def test_a_token_of_another_kind_is_not_given_back_here_and_it_says_so(
    house: House, http: httpx2.AsyncClient
) -> None:
    """RFC 7009 section 2.2.1: a 200 would say that it is over."""
    person = await house.signed_in(DEV)
    cli = Client(house, http, OWN_ID)
    answer = await cli.post("/oauth/revoke", {"token": str(person.auth.token)})
    assert (answer.status_code, error(answer)) == (400, "unsupported_token_type")
    assert (await person.get("/v1/whoami"))["person"] == DEV
    agent = await agent_of(house, http)
    token = (await agent.token({"grant_type": "client_credentials"})).json()["access_token"]
    assert error(await agent.post("/oauth/revoke", {"token": token}, proof=None)) == "unsupported_token_type"


async def test_introspection_tells_a_client_of_its_own_tokens_of_every_kind_and_of_no_others(
    house: House, http: httpx2.AsyncClient
) -> None:
    key, other_key = new_key(), new_key()
    clients = []
    for one in (key, other_key):
        jwks = {"keys": [public_jwk(one)]}
        client = await Client(house, http).register(token_endpoint_auth_method="private_key_jwt", jwks=jwks)
        client.signer = Signer(one)
        clients.append(client)
    client, stranger = clients

    async def said(by: Client, token: str) -> dict[str, Any]:
        answer = await by.post("/oauth/introspect", {"token": token}, proof=None)
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    got = await client.tokens(await house.signed_in(DEV))
    for token in (got["access_token"], got["refresh_token"]):
        found = await said(client, token)
        assert (found["active"], found["sub"], found["client_id"]) == (True, DEV, client.id)
        assert found["cnf"] == {"jkt": thumbprint(client.key)}
        assert await said(stranger, token) == {"active": False}
    fresh = (await client.token({"grant_type": "refresh_token", "refresh_token": got["refresh_token"]})).json()
    assert await said(client, got["refresh_token"]) == {"active": False}
    assert (await said(client, fresh["refresh_token"]))["active"] is True
    await client.post("/oauth/revoke", {"token": fresh["refresh_token"]})
    for token in (fresh["access_token"], fresh["refresh_token"], "nonsense"):
        assert await said(client, token) == {"active": False}
    agent = await agent_of(house, http)
    itself = (await agent.token({"grant_type": "client_credentials"})).json()["access_token"]
    found = await said(agent, itself)
    assert (found["active"], found["sub"], found["token_type"]) == (True, agent.id, "DPoP")
    assert await said(client, itself) == {"active": False}
    house.clock.advance(timedelta(minutes=10))
    assert await said(agent, itself) == {"active": False}
    public = await Client(house, http).register()
    assert error(await public.post("/oauth/introspect", {"token": itself})) == "invalid_client"


# --- clocks


@pytest.mark.parametrize(("off_s", "passes"), [(90, True), (-90, True), (600, False), (-600, False)])
async def test_an_assertion_of_a_clock_that_differs(
    house: House, http: httpx2.AsyncClient, off_s: int, passes: bool
) -> None:
    agent = await agent_of(house, http)
    theirs = int(house.clock.now().timestamp()) + off_s
    said = agent.assertion(iat=theirs, nbf=theirs, exp=theirs + 60)
    answer = await agent.token({"grant_type": "client_credentials", **said})
    assert answer.status_code == (200 if passes else 401), answer.text
    assert passes or error(answer) == "invalid_client"


# --- RFC 8693


async def test_what_an_exchange_must_have(house: House, http: httpx2.AsyncClient, tool: Client) -> None:
    agent = await agent_of(house, http)
    subject = (await tool.tokens(await house.signed_in(DEV)))["access_token"]
    good = {"grant_type": EXCHANGE, "subject_token": subject, "subject_token_type": ACCESS}
    for changes, code in (
        ({"subject_token": ""}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"actor_token": subject, "actor_token_type": ACCESS}, "invalid_request"),
        ({"actor_token_type": ACCESS}, "invalid_request"),
        ({"audience": "https://elsewhere.example"}, "invalid_target"),
        ({"scope": "read login"}, "invalid_scope"),
    ):
        form = {name: value for name, value in (good | changes).items() if value}
        assert error(await agent.token(form)) == code, changes
    got = (await agent.token(good)).json()
    assert (got["issued_token_type"], got["token_type"], got["scope"]) == (ACCESS, "DPoP", "read")
    assert got["expires_in"] <= 600


# --- RFC 7591


async def test_what_a_registration_says_back(house: House, http: httpx2.AsyncClient) -> None:
    key = new_key()
    jwks = {"keys": [{**public_jwk(key), "d": "AA", "kid": "one"}]}
    private = await http.post(
        house.server + "/oauth/register",
        json={"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks},
    )
    assert error(private) == "invalid_client_metadata"
    jwks["keys"][0].pop("d")
    asked = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks}
    twice = await http.post(house.server + "/oauth/register", json=asked | {"jwks_uri": "https://client.example/keys"})
    assert error(twice) == "invalid_client_metadata"
    answer = await http.post(house.server + "/oauth/register", json=asked | {"grant_types": ["implicit"], "x": 1})
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    said = answer.json()
    assert said["client_id"]
    assert said["client_id_issued_at"] == int(house.clock.now().timestamp())
    assert "client_secret" not in said
    assert "implicit" not in said["grant_types"]
    assert said["jwks"] == jwks
    for body in (b"[]", b"{", b'"x"', b"[" * 30_000):
        answer = await http.post(house.server + "/oauth/register", content=body)
        assert (answer.status_code, error(answer)) == (400, "invalid_request")


# --- ES256 and Ed25519


async def test_ed25519_from_end_to_end(house: House, http: httpx2.AsyncClient, tool: Client) -> None:
    """Proofs and assertions of the second algorithm, at every kind of endpoint."""
    key: Any = Ed25519PrivateKey.generate()
    agent = await agent_of(house, http, key=Ed25519PrivateKey.generate())
    agent.key = key
    subject = (await tool.tokens(await house.signed_in(DEV)))["access_token"]
    form = {"grant_type": EXCHANGE, "subject_token": subject, "subject_token_type": ACCESS}
    got = (await agent.token(form)).json()
    assert (await agent.api(got["access_token"]).get("/v1/whoami"))["person"] == DEV
    with pytest.raises(Refusal) as caught:
        await tool.api(got["access_token"]).get("/v1/whoami")
    assert caught.value.code == "proof-binding"
    tool.key = key
    again = await tool.tokens(await house.signed_in(DBA))
    assert (await tool.api(again["access_token"]).get("/v1/whoami"))["person"] == DBA
    assert ProofMaker(key).jkt == thumbprint(key)


async def test_a_wrong_verifier_ends_and_the_right_one_opens(house: House, tool: Client) -> None:
    """The honest twin of the stolen code."""
    person = await house.signed_in(DEV)
    assert (await tool.token(tool.exchange(await tool.code(person), code_verifier=VERIFIER))).status_code == 200
