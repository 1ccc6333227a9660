"""Attacks on who a caller is."""

import base64
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from fastapi.routing import APIRoute

from interlock.domain.rights_events import PersonChanged
from interlock.identity.authority import make_request
from interlock.identity.dpop import LEEWAY, Nonces, ProofChecker, token_hash
from interlock.identity.jose import Signer
from interlock.identity.keys import new_key, public_jwk, thumbprint
from interlock.identity.nonce_secrets import read_nonce_secrets
from interlock.identity.refusals import ProofProblem, ProofRefused
from interlock.identity.tokens import GATEWAY_LIFETIME, Tokens
from interlock.services.offboard_person import offboard_person
from interlock.store.home import StateAddress
from interlock.store.replay import PostgresReplayCache
from interlock.web.api import ROUTERS
from tests.services.world import ADMIN, DEV, HOUR
from tests.web.house import PASSWORD, Attacker, House, error_of

WHO = "/v1/whoami"


async def victim(house: House, person: str = DEV) -> tuple[EllipticCurvePrivateKey, str]:
    """A person who signed in: the key and the token."""
    key = new_key()
    client = await house.signed_in(person, key=key)
    assert client.auth.token is not None
    return key, client.auth.token


async def refusal(attacker: Attacker, **call: Any) -> str:
    response = await attacker.send("GET", WHO, **call)
    assert response.status_code == 401, response.text
    assert response.headers["www-authenticate"].startswith("DPoP error=")
    assert response.headers["dpop-nonce"]
    return error_of(response)


async def test_a_signed_in_person_is_who_they_are(house: House) -> None:
    who = await (await house.signed_in(DEV)).get(WHO)
    assert who["person"] == DEV
    assert who["vendor"] == "acme"
    assert who["present_at"] is None


async def test_a_stolen_token_without_its_key_is_worth_nothing(house: House, attacker: Attacker) -> None:
    _, token = await victim(house)
    assert await refusal(attacker, token=token) == "proof-missing"
    proof = attacker.proof("GET", WHO, token=token)
    assert await refusal(attacker, token=token, proof=proof) == "proof-binding"
    assert await refusal(attacker, headers={"Authorization": f"Bearer {token}"}) == "not-signed-in"
    response = await attacker.send("GET", f"{WHO}?access_token={token}", headers={"Cookie": f"token={token}"})
    assert response.status_code == 401


async def test_a_caught_proof_opens_nothing_else(house: House, attacker: Attacker) -> None:
    key, token = await victim(house)
    proof = attacker.proof("GET", WHO, token=token, key=key)
    for method, path in (("GET", "/v1/grants"), ("POST", "/v1/sign-out")):
        response = await attacker.send(method, path, token=token, proof=proof)
        assert (response.status_code, error_of(response)) == (
            401,
            "proof-method" if method == "POST" else "proof-address",
        )
    elsewhere = attacker.proof("GET", WHO, token=token, key=key, url="https://evil.example/v1/whoami")
    assert await refusal(attacker, token=token, proof=elsewhere) == "proof-address"
    assert (await attacker.send("GET", WHO, token=token, proof=proof)).status_code == 200
    assert await refusal(attacker, token=token, proof=proof) == "proof-replay"


async def test_the_query_is_no_part_of_what_is_proved_but_the_path_is(house: House, attacker: Attacker) -> None:
    key, token = await victim(house)
    proof = attacker.proof("GET", "/v1/sessions", token=token, key=key)
    assert (await attacker.send("GET", "/v1/sessions?live=true", token=token, proof=proof)).status_code == 200
    for path in ("/v1/sessions/", "/v1/sessions%2f", "/V1/sessions", "/v1//sessions", "/v1/sessions/s-0000000000001"):
        proof = attacker.proof("GET", "/v1/sessions", token=token, key=key)
        response = await attacker.send("GET", path, token=token, proof=proof)
        assert response.status_code in (401, 404), path


async def test_two_proofs_or_two_tokens_in_one_call(house: House, attacker: Attacker) -> None:
    key, token = await victim(house)
    proofs = [attacker.proof("GET", WHO, token=token, key=key) for _ in range(2)]
    headers = [("Authorization", f"DPoP {token}"), *(("DPoP", proof) for proof in proofs)]
    response = await attacker.http.get(house.server + WHO, headers=headers)
    assert (response.status_code, error_of(response)) == (401, "proof-unreadable")
    headers = [("Authorization", f"DPoP {token}"), ("Authorization", "DPoP x"), ("DPoP", proofs[0])]
    response = await attacker.http.get(house.server + WHO, headers=headers)
    assert (response.status_code, error_of(response)) == (401, "proof-unreadable")


async def test_a_proof_without_ath_or_with_a_private_key(house: House, attacker: Attacker) -> None:
    key, token = await victim(house)
    assert await refusal(attacker, token=token, proof=attacker.proof("GET", WHO, key=key)) == "proof-token"
    claims = {
        "jti": "1",
        "htm": "GET",
        "htu": house.server + WHO,
        "iat": int(house.clock.now().timestamp()),
        "ath": token_hash(token),
        "nonce": house.services.proofs.nonces.current(),
    }
    private = {**public_jwk(key), "d": "c2VjcmV0"}
    proof = Signer(key).sign({"typ": "dpop+jwt", "jwk": private}, claims)
    assert await refusal(attacker, token=token, proof=proof) == "proof-key"


async def test_algorithms_that_prove_nothing(house: House, attacker: Attacker) -> None:
    key, token = await victim(house)
    _, payload, signature = token.split(".")
    for alg in ("none", "HS256"):
        forged = base64.urlsafe_b64encode(json.dumps({"alg": alg, "typ": "at+jwt"}).encode()).rstrip(b"=").decode()
        for text in (f"{forged}.{payload}.", f"{forged}.{payload}.{signature}"):
            proof = attacker.proof("GET", WHO, token=text, key=key)
            assert await refusal(attacker, token=text, proof=proof) == "bad-token"
        _, claims, end = attacker.proof("GET", WHO, token=token, key=key).split(".")
        head = {"alg": alg, "typ": "dpop+jwt", "jwk": public_jwk(key)}
        bad = base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode()
        assert await refusal(attacker, token=token, proof=f"{bad}.{claims}.{end}") == "proof-unreadable"


async def test_a_token_of_another_signer(house: House, attacker: Attacker) -> None:
    key, token = await victim(house)
    login = house.services.tokens.read(token).login
    stored = await house.world.login(login)
    forged = Tokens(new_key(), house.clock).issue_for_login(stored).text
    proof = attacker.proof("GET", WHO, token=forged, key=key)
    assert await refusal(attacker, token=forged, proof=proof) == "bad-token"


async def test_nonces_grow_stale_and_the_answer_brings_the_next(house: House, attacker: Attacker) -> None:
    key, token = await victim(house)
    proof = attacker.proof("GET", WHO, token=token, key=key, nonce=None)
    response = await attacker.send("GET", WHO, token=token, proof=proof)
    assert 'error="use_dpop_nonce"' in response.headers["www-authenticate"]
    nonce = response.headers["dpop-nonce"]
    house.clock.advance(timedelta(seconds=120))
    stale = attacker.proof("GET", WHO, token=token, key=key, nonce=nonce)
    assert await refusal(attacker, token=token, proof=stale) == "proof-nonce"
    made_up = attacker.proof("GET", WHO, token=token, key=key, nonce="A" * 24)
    assert await refusal(attacker, token=token, proof=made_up) == "proof-nonce"
    good = attacker.proof("GET", WHO, token=token, key=key, nonce=house.services.proofs.nonces.current())
    assert (await attacker.send("GET", WHO, token=token, proof=good)).status_code == 200


@pytest.mark.parametrize(("off", "passes"), [(LEEWAY, True), (LEEWAY + timedelta(seconds=1), False)])
async def test_the_edges_of_the_clocks(house: House, attacker: Attacker, off: timedelta, passes: bool) -> None:
    key, token = await victim(house)
    here = house.clock.now()
    for sign in (1, -1):
        house.clock.at = here + sign * off
        proof = attacker.proof("GET", WHO, token=token, key=key)
        house.clock.at = here
        fresh = house.services.proofs.nonces.current()
        house.clock.at = here + sign * off
        proof = attacker.proof("GET", WHO, token=token, key=key, nonce=fresh)
        house.clock.at = here
        response = await attacker.send("GET", WHO, token=token, proof=proof)
        assert response.status_code == (200 if passes else 401), response.text
        if not passes:
            assert error_of(response) == "proof-time"


async def test_a_token_ends_with_its_login(house: House, attacker: Attacker) -> None:
    key, token = await victim(house)
    house.clock.advance(8 * HOUR)
    assert await refusal(attacker, token=token, proof=attacker.proof("GET", WHO, token=token, key=key)) == "token-over"


async def test_signing_out_ends_the_token_at_once(house: House, attacker: Attacker) -> None:
    key, token = await victim(house)
    await house.client(key, token).post("/v1/sign-out")
    proof = attacker.proof("GET", WHO, token=token, key=key)
    assert await refusal(attacker, token=token, proof=proof) == "login-ended"


async def test_offboarding_ends_tokens_and_sign_ins_at_once(house: House, attacker: Attacker) -> None:
    key, token = await victim(house)
    await offboard_person(house.world.desk, by=ADMIN, name=DEV, reason="left")
    proof = attacker.proof("GET", WHO, token=token, key=key)
    assert await refusal(attacker, token=token, proof=proof) == "login-ended"
    response = await attacker.send(
        "POST",
        "/v1/sign-in",
        proof=attacker.proof("POST", "/v1/sign-in", key=key),
        json={"person": DEV, "password": PASSWORD, "csr": make_request(key)},
    )
    assert (response.status_code, error_of(response)) == (403, "person-ended")


async def test_a_login_that_has_another_key_than_its_token(house: House, attacker: Attacker) -> None:
    key, token = await victim(house)
    stored = await house.world.login(house.services.tokens.read(token).login)
    async with house.world.state.changing(DEV) as work:
        await work.save(replace(stored, key=thumbprint(new_key())))
        work.record(PersonChanged(person=DEV, vendor="acme", groups=()))
    proof = attacker.proof("GET", WHO, token=token, key=key)
    assert await refusal(attacker, token=token, proof=proof) == "login-ended"


async def test_gateways_and_persons_have_different_doors(house: House, attacker: Attacker) -> None:
    key, token = await victim(house)
    path = "/v1/gateway/feed"
    response = await attacker.send("GET", path, token=token, proof=attacker.proof("GET", path, token=token, key=key))
    assert (response.status_code, error_of(response)) == (401, "wrong-scope")
    for call in ("sessions", "holds", "holds/r-1/take", "holds/r-1/withdraw", "passwords/take", "watch/x"):
        path = f"/v1/gateway/{call}"
        proof = attacker.proof("POST", path, token=token, key=key)
        response = await attacker.send("POST", path, token=token, proof=proof, json={})
        assert (response.status_code, error_of(response)) == (401, "wrong-scope")
    proof = attacker.proof("POST", "/v1/gateway/token", key=key)
    response = await attacker.send("POST", "/v1/gateway/token", proof=proof)
    assert (response.status_code, error_of(response)) == (401, "no-gateway")
    gateway_key = new_key()
    gateway = await house.gateway(key=gateway_key)
    token = str(gateway.auth.token)
    for path in (WHO, "/v1/grants", "/v1/ledger", "/v1/resources"):
        proof = attacker.proof("GET", path, token=token, key=gateway_key)
        response = await attacker.send("GET", path, token=token, proof=proof)
        assert (response.status_code, error_of(response)) == (401, "wrong-scope")


async def test_a_gateways_token_is_short(house: House, attacker: Attacker) -> None:
    key = new_key()
    gateway = await house.gateway(key=key)
    await gateway.post("/v1/gateway/sessions", {"starts": [], "ends": []})
    house.clock.advance(GATEWAY_LIFETIME)
    token = str(gateway.auth.token)
    proof = attacker.proof("POST", "/v1/gateway/sessions", token=token, key=key)
    response = await attacker.send("POST", "/v1/gateway/sessions", token=token, proof=proof, json={})
    assert (response.status_code, error_of(response)) == (401, "token-over")


async def test_no_call_but_a_few_answers_without_a_token(house: House, attacker: Attacker) -> None:
    providers = {"/v1/providers", "/v1/providers/1/begin", "/v1/providers/answer"}
    passkeys = {"/v1/passkeys/sign-in/begin", "/v1/passkeys/sign-in"}
    # Who comes with an invitation's link proves a key and has no token.
    arrivals = {"/v1/arrivals/look", "/v1/arrivals"}
    ways_in = {"/v1/enrol", "/v1/sign-in", *passkeys, *providers, *arrivals}
    open_calls = {"/v1/health", "/v1/authority", "/v1/gateway/token", *ways_in}
    seen = 0
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            path = re.sub(r"{\w+}", "1", route.path)
            for method in route.methods or ():
                if path in open_calls:
                    continue
                # A form that fits, so that nothing else can be the reason.
                response = await attacker.send(method, path, params={"q": "x"}, json=_form(route))
                assert (response.status_code, error_of(response)) == (401, "not-signed-in"), (method, path)
                seen += 1
    assert seen >= 25


def _form(route: APIRoute) -> dict[str, object] | None:
    forms: dict[str, dict[str, object]] = {
        "/v1/step-up": {"totp": "000000"},
        "/v1/passwords": {"resource": "orders"},
        "/v1/requests": {"resource": "orders", "role": "reader", "duration_s": 60, "reason": "x"},
        "/v1/requests/{request_id}/approve": {"digest": "x"},
        "/v1/certificate": {"csr": "x"},
        "/v1/contracts/{name}/extend": {"until_s": 1, "reason": "x"},
        "/v1/contracts/{name}/extension": {"until_s": 1, "agree": True},
        "/v1/consents/look": {"request": "x"},
        "/v1/consents": {"request": "x", "allow": True},
        "/v1/agents": {"name": "x", "jwk": {}},
        "/v1/passkeys": {"ceremony": "x", "credential": {}},
        "/v1/passkeys/presence": {"ceremony": "x", "credential": {}},
        "/v1/passkeys/presence/begin": {},
        "/v1/passes": {"resource": "orders"},
        "/v1/passes/{pass_id}/code": {"totp": "000000"},
        "/v1/passes/{pass_id}/touch": {"ceremony": "x", "credential": {}},
    }
    if "GET" in (route.methods or ()) or route.path.startswith("/v1/gateway"):
        return None
    with_reason = route.path.endswith(("/end", "/deny", "/cut", "/offboard"))
    return forms.get(route.path, {"reason": "x"} if with_reason else None)


async def test_a_caught_proof_is_spent_at_every_control_plane_and_after_a_restart(
    house: House, attacker: Attacker, state_database: StateAddress, tmp_path: Path
) -> None:
    """Attack: the same proof at another node, and at one that has forgotten everything it kept in memory."""
    key, token = await victim(house)
    proof = attacker.proof("GET", "/v1/whoami", token=token, key=key)
    assert (await attacker.send("GET", "/v1/whoami", token=token, proof=proof)).status_code == 200
    for _ in range(2):
        # Another process of the fleet: the same keys and the same database, and nothing else.
        replays = PostgresReplayCache(state_database.url, clock=house.clock)
        shared = read_nonce_secrets(tmp_path / "keys")
        elsewhere = ProofChecker(Nonces(shared, house.clock), replays, house.clock)
        url = f"{house.server}/v1/whoami"
        fresh = attacker.proof("GET", "/v1/whoami", token=token, key=key)
        assert await elsewhere.check(fresh, method="GET", url=url, token=token, bound_to=thumbprint(key))
        with pytest.raises(ProofRefused) as caught:
            await elsewhere.check(proof, method="GET", url=url, token=token, bound_to=thumbprint(key))
        assert caught.value.problem is ProofProblem.REPLAY
        await replays.close()
    assert (await attacker.send("GET", "/v1/whoami", token=token, proof=proof)).status_code == 401
