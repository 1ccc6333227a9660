"""Security events of an outside identity provider, as it signs them, and as nobody should."""

import json
import secrets
import ssl
from typing import Any

import asyncpg
import httpx2
import pytest

from interlock.errors import Refusal
from interlock.identity.jose import Signer
from interlock.identity.keys import new_key
from interlock.store.connecting import driver_url
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.home import StateAddress
from tests.services.world import DBA
from tests.web.house import House, trust
from tests.web.test_oidc import PERSON, _sign_in, house

__all__ = ["house"]

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"


def _claims(house: House, event: str, subject: str = "u1", **changes: Any) -> dict[str, Any]:
    issuer = house.services.providers["corp"].settings.issuer
    return {
        "iss": issuer,
        "aud": "interlock",
        "iat": int(house.clock.now().timestamp()),
        "jti": secrets.token_hex(8),
        "sub_id": {"format": "iss_sub", "iss": issuer, "sub": subject},
        "events": {event: {}},
        **changes,
    }


async def _signed(house: House, claims: dict[str, Any], typ: str = "secevent+jwt") -> str:
    settings = house.services.providers["corp"].settings
    trusted = ssl.create_default_context(cafile=settings.ca)
    async with httpx2.AsyncClient(verify=trusted, trust_env=False) as http:
        answer = await http.get(f"{settings.issuer}/sign", params={"claims": json.dumps(claims), "typ": typ})
        return answer.text


async def _push(house: House, token: str, provider: str = "corp") -> httpx2.Response:
    async with httpx2.AsyncClient(verify=trust(house.authority), trust_env=False) as http:
        headers = {"Content-Type": "application/secevent+jwt"}
        return await http.post(f"{house.server}/v1/signals/{provider}", content=token, headers=headers)


@pytest.mark.parametrize("event", [f"{CAEP}session-revoked", f"{CAEP}credential-change"])
async def test_who_is_signed_out_there_is_signed_out_here(house: House, event: str) -> None:
    person = await _sign_in(house, f"u1|{PERSON}|verified")
    token = await _signed(house, _claims(house, event))
    assert (await _push(house, token)).status_code == 202
    with pytest.raises(Refusal):
        await person.get("/v1/whoami")
    # Signing in again is up to the provider; the same event does nothing a second time.
    again = await _sign_in(house, f"u1|{PERSON}|verified")
    assert (await _push(house, token)).status_code == 202
    assert (await again.get("/v1/whoami"))["person"] == PERSON


async def test_who_is_disabled_there_has_nothing_here(house: House) -> None:
    await _sign_in(house, f"u1|{PERSON}|verified")
    local = await house.signed_in(PERSON)
    request = await local.post(
        "/v1/requests", {"resource": "orders", "role": "reader", "duration_s": 600, "reason": "x"}
    )
    other = await house.signed_in(DBA)
    assert (await _push(house, await _signed(house, _claims(house, f"{RISC}account-disabled")))).status_code == 202
    with pytest.raises(Refusal):
        await local.get("/v1/whoami")
    assert (await house.world.request(request["id"])).state == "withdrawn"
    with pytest.raises(Refusal) as caught:
        await house.signed_in(PERSON)
    assert caught.value.code == "wrong-sign-in"
    assert (await other.get("/v1/whoami"))["person"] == DBA


async def test_an_event_on_which_nothing_could_be_done_is_no_event_that_came_before(
    house: House, postgres_server: EmbeddedPostgres, state_database: StateAddress
) -> None:
    """The database fails in the middle of it; the provider pushes the same token again, as RFC 8935 has it."""
    person = await _sign_in(house, f"u1|{PERSON}|verified")
    token = await _signed(house, _claims(house, f"{RISC}account-disabled"))
    name = state_database.url.rpartition("/")[2].partition("?")[0]
    connection = await asyncpg.connect(driver_url(postgres_server.url_for("postgres", name)))
    try:
        await connection.execute("ALTER TABLE interlock.identities RENAME TO away")
        try:
            assert (await _push(house, token)).status_code >= 500
        finally:
            await connection.execute("ALTER TABLE interlock.away RENAME TO identities")
    finally:
        await connection.close()
    assert (await person.get("/v1/whoami"))["person"] == PERSON
    assert (await _push(house, token)).status_code == 202
    with pytest.raises(Refusal):
        await person.get("/v1/whoami")


@pytest.mark.parametrize(("off_s", "passes"), [(90, True), (-90, True), (600, False)])
async def test_an_event_of_a_clock_that_differs(house: House, off_s: int, passes: bool) -> None:
    """One of ten minutes ago is not refused: it was sent late, and what it tells of has ended all the same."""
    person = await _sign_in(house, f"u1|{PERSON}|verified")
    iat = int(house.clock.now().timestamp()) + off_s
    token = await _signed(house, _claims(house, f"{CAEP}session-revoked", iat=iat))
    assert (await _push(house, token)).status_code == (202 if passes else 400)
    if passes:
        with pytest.raises(Refusal):
            await person.get("/v1/whoami")
    else:
        assert (await person.get("/v1/whoami"))["person"] == PERSON


async def test_what_is_no_event_for_us(house: House) -> None:
    person = await _sign_in(house, f"u1|{PERSON}|verified")
    event = f"{CAEP}session-revoked"
    now = int(house.clock.now().timestamp())
    wrong = [
        (_claims(house, event, aud="another"), "secevent+jwt"),
        (_claims(house, event, aud=[{"interlock": 1}, None]), "secevent+jwt"),
        (_claims(house, event, iss="https://evil.example"), "secevent+jwt"),
        (_claims(house, event, iat=now - 90_000), "secevent+jwt"),
        (_claims(house, event, iat=now + 600), "secevent+jwt"),
        (_claims(house, event, jti=""), "secevent+jwt"),
        (_claims(house, event, sub_id={"format": "email", "email": PERSON}), "secevent+jwt"),
        (_claims(house, event, sub_id={"format": "iss_sub", "iss": "https://x", "sub": "u1"}), "secevent+jwt"),
        (_claims(house, event, events={event: {}, f"{RISC}account-disabled": {}}), "secevent+jwt"),
        (_claims(house, event), "JWT"),
    ]
    for claims, typ in wrong:
        answer = await _push(house, await _signed(house, claims, typ))
        assert answer.status_code == 400, (claims, answer.text)
        assert set(answer.json()) == {"err", "description"}
    forged = Signer(new_key()).sign({"typ": "secevent+jwt", "kid": "tests"}, _claims(house, event))
    good = await _signed(house, _claims(house, event))
    for token in (forged, good[:-4] + "AAAA", "", "x" * 5000, "a.b.c"):
        assert (await _push(house, token)).status_code == 400
    assert (await _push(house, good, "nobody")).status_code == 404
    # Somebody whom nobody here is, and an event that means nothing here, are taken and do nothing.
    assert (await _push(house, await _signed(house, _claims(house, event, subject="u9")))).status_code == 202
    assert (
        await _push(house, await _signed(house, _claims(house, f"{CAEP}device-compliance-change")))
    ).status_code == 202
    assert (await person.get("/v1/whoami"))["person"] == PERSON
