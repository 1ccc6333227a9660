"""The calls of people, from the door to the ledger."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from interlock.errors import NotFound, Refusal
from interlock.identity.api_client import AsyncApiClient
from interlock.identity.authority import make_request
from interlock.identity.keys import new_key
from interlock.services.enrol import issue_enrolment
from tests.services.world import ADMIN, DBA, DEV, LEAD, MATE, OPS, RIVAL, refused
from tests.web.house import PASSWORD, Attacker, House, error_of

ASK = {"resource": "orders", "role": "reader", "duration_s": 3600, "reason": "a task"}


async def lend(house: House, dev: AsyncApiClient) -> dict[str, Any]:
    """A grant that somebody of the group dba gave, through the API."""
    asked = await dev.post("/v1/requests", ASK)
    dba = await house.signed_in(DBA, present=True)
    approved = await dba.post(f"/v1/requests/{asked['id']}/approve", {"digest": asked["digest"]})
    grant: dict[str, Any] = approved["grant"]
    return grant


async def test_enrolment_sign_in_step_up_and_out(house: House) -> None:
    issued = await issue_enrolment(house.services.front, person=DEV, by="operator")
    client = house.client()
    enrolled = await client.post("/v1/enrol", {"person": DEV, "code": issued.text, "password": PASSWORD})
    assert enrolled["totp_uri"].startswith("otpauth://totp/")
    house.secrets[DEV] = enrolled["totp_secret"]
    with refused("bad-code"):
        await client.post("/v1/enrol", {"person": DEV, "code": issued.text, "password": PASSWORD})
    key = new_key()
    client = house.client(key)
    signed_in = await client.post("/v1/sign-in", {"person": DEV, "password": PASSWORD, "csr": make_request(key)})
    assert set(signed_in) == {
        "login",
        "person",
        "token",
        "token_ends_at",
        "certificate",
        "authority",
        "ends_at",
        "present_at",
    }
    assert signed_in["authority"] == house.authority.pem
    client.auth.token = signed_in["token"]
    stepped = await client.post("/v1/step-up", {"totp": house.code(DEV)})
    client.auth.token = stepped["token"]
    assert (await client.get("/v1/whoami"))["present_at"] == stepped["present_at"]
    with refused("wrong-code"):
        await client.post("/v1/step-up", {"totp": "000000"})
    await client.post("/v1/sign-out")
    with refused("login-ended"):
        await client.get("/v1/whoami")


async def test_a_certificate_request_of_another_key(house: House) -> None:
    await house.enrol(DEV)
    body = {"person": DEV, "password": PASSWORD, "csr": make_request(new_key())}
    with refused("key-mismatch"):
        await house.client().post("/v1/sign-in", body)


async def test_what_there_is_and_a_password_for_it(house: House) -> None:
    dev = await house.signed_in(DEV)
    resources = {resource["name"]: resource for resource in await dev.get("/v1/resources")}
    orders = resources["orders"]
    assert orders["connect"] == {"host": "127.0.0.1", "port": 15432, "database": "orders"}
    offers = {offer["role"]: offer for offer in orders["roles"]}
    assert offers["reader"]["may_ask"]
    assert offers["reader"]["longest_s"] == 8 * 3600
    assert offers["reader"]["approvals"] == ["1 person of the group dba"]
    assert not offers["outside"]["may_ask"]
    assert offers["outside"]["why_not"]
    with refused("no-grant"):
        await dev.post("/v1/passwords", {"resource": "orders"})
    with refused("not-found"):
        await dev.post("/v1/passwords", {"resource": "nothing"})
    grant = await lend(house, dev)
    issued = await dev.post("/v1/passwords", {"resource": "orders"})
    assert (issued["user"], issued["database"], issued["port"]) == (DEV, "orders", 15432)
    (at_work,) = (await dev.get("/v1/resources"))[0]["grants"]
    assert (at_work["id"], at_work["usable"]) == (grant["id"], True)
    other = await house.signed_in(DEV)
    (at_work,) = (await other.get("/v1/resources"))[0]["grants"]
    assert not at_work["usable"], "the grant is bound to the other key"
    with refused("no-grant"):
        await other.post("/v1/passwords", {"resource": "orders"})


async def test_a_request_from_asking_to_the_grants_end(house: House) -> None:
    dev = await house.signed_in(DEV)
    asked = await dev.post("/v1/requests", ASK)
    assert (asked["state"], asked["person"], asked["missing"]) == ("open", DEV, 1)
    assert DBA in asked["judges"]
    assert [view["id"] for view in await dev.get("/v1/requests")] == [asked["id"]]
    with refused("self-approval"):
        await (await house.signed_in(DEV, present=True)).post(
            f"/v1/requests/{asked['id']}/approve", {"digest": asked["digest"]}
        )
    dba = await house.signed_in(DBA, present=True)
    (to_decide,) = await dba.get("/v1/requests", scope="to-decide")
    assert to_decide["may_decide"]
    approved = await dba.post(f"/v1/requests/{asked['id']}/approve", {"digest": to_decide["digest"]})
    assert (approved["state"], approved["missing"]) == ("approved", 0)
    (grant,) = await dev.get("/v1/grants")
    assert grant["id"] == approved["grant"]["id"]
    ended = await dev.post(f"/v1/grants/{grant['id']}/end", {"reason": "done"})
    assert ended["ended_by"] == DEV
    assert await dev.get("/v1/grants") == []


async def test_what_was_not_shown_is_not_approved(house: House) -> None:
    dev = await house.signed_in(DEV)
    asked = await dev.post("/v1/requests", ASK)
    path = f"/v1/requests/{asked['id']}/approve"
    dba = await house.signed_in(DBA, present=True)
    flipped = asked["digest"][:-1] + ("0" if asked["digest"][-1] != "0" else "1")
    for digest in ("", flipped, asked["digest"].upper(), asked["digest"] + "0"):
        with refused("stale-digest"):
            await dba.post(path, {"digest": digest})
    with refused("bad-input"):
        await dba.post(path, {"digest": asked["digest"], "person": LEAD})
    await dba.post(path, {"digest": asked["digest"]})


async def test_an_approval_needs_presence(house: House) -> None:
    asked = await (await house.signed_in(DEV)).post("/v1/requests", ASK)
    dba = await house.signed_in(DBA)
    with refused("presence-needed"):
        await dba.post(f"/v1/requests/{asked['id']}/approve", {"digest": asked["digest"]})
    await dba.post("/v1/step-up", {"totp": house.code(DBA)})
    await dba.post(f"/v1/requests/{asked['id']}/approve", {"digest": asked["digest"]})


async def test_refusals_come_with_their_codes(house: House) -> None:
    dev = await house.signed_in(DEV)
    with refused("outside-scope"):
        await dev.post("/v1/requests", {**ASK, "role": "outside"})
    with refused("too-long"):
        await dev.post("/v1/requests", {**ASK, "duration_s": 9 * 3600})
    for change in ({"duration_s": 0}, {"duration_s": 1.5}, {"duration_s": "3600"}, {"reason": 5}, {"more": 1}):
        with refused("bad-input"):
            await dev.post("/v1/requests", {**ASK, **change})


async def test_deny_and_withdraw(house: House) -> None:
    dev = await house.signed_in(DEV)
    first = await dev.post("/v1/requests", ASK)
    await dev.post(f"/v1/requests/{first['id']}/withdraw")
    second = await dev.post("/v1/requests", ASK)
    dba = await house.signed_in(DBA)
    denied = await dba.post(f"/v1/requests/{second['id']}/deny", {"reason": "not now"})
    assert denied["state"] == "denied"
    assert (await dev.get(f"/v1/requests/{second['id']}"))["state"] == "denied"


async def test_waiting_ends_with_the_decision_or_the_time(house: House) -> None:
    dev = await house.signed_in(DEV)
    asked = await dev.post("/v1/requests", ASK)
    path = f"/v1/requests/{asked['id']}"
    assert (await dev.get(path, wait="0.2"))["state"] == "open"
    dba = await house.signed_in(DBA, present=True)
    waiting = asyncio.create_task(dev.get(path, wait="30", timeout_s=60))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await dba.post(f"{path}/approve", {"digest": asked["digest"]})
    async with asyncio.timeout(10):
        assert (await waiting)["state"] == "approved"
    for wait in ("-1", "nan", "x", "1e9"):
        with refused("bad-input"):
            await dev.get(path, wait=wait)


async def test_who_waits_hears_nothing_after_their_login_ended(house: House) -> None:
    dev = await house.signed_in(DEV)
    asked = await dev.post("/v1/requests", ASK)
    waiting = asyncio.create_task(dev.get(f"/v1/requests/{asked['id']}", wait="30", timeout_s=60))
    await asyncio.sleep(0.2)
    await (await house.signed_in(ADMIN)).post(f"/v1/people/{DEV}/offboard", {"reason": "left"})
    async with asyncio.timeout(10):
        with pytest.raises(Refusal) as met:
            await waiting
    assert met.value.code in ("login-ended", "person-ended")


async def test_strangers_learn_nothing(house: House) -> None:
    asked = await (await house.signed_in(DEV)).post("/v1/requests", {**ASK, "role": "writer"})
    rival = await house.signed_in(RIVAL)
    assert await rival.get("/v1/grants") == []
    names = {person["name"] for person in await rival.get("/v1/people")}
    assert MATE not in names
    assert {contract["name"] for contract in await rival.get("/v1/contracts")} == {"globex-ops"}
    with pytest.raises(NotFound):
        await rival.get("/v1/requests/r-00000000")
    with pytest.raises(NotFound):
        await (await house.signed_in(OPS)).get(f"/v1/requests/{asked['id']}")
    with refused("not-yours"):
        await rival.post("/v1/contracts/acme-orders/end", {"reason": "x"})
    with refused("not-yours"):
        await rival.post(f"/v1/people/{DEV}/offboard", {"reason": "x"})
    for path in ("/v1/ledger", "/v1/ledger/1", "/v1/ledger/search"):
        with refused("not-yours"):
            await rival.get(path, q="x")


async def test_the_end_of_a_contract_ends_logins_too(house: House) -> None:
    dev = await house.signed_in(DEV)
    await lend(house, dev)
    lead = await house.signed_in(LEAD)
    ended = await lead.post("/v1/contracts/acme-orders/end", {"reason": "the work is over"})
    assert {"grant", "login", "contract"} <= {item["what"] for item in ended["ended"]}
    with refused("login-ended"):
        await dev.get("/v1/whoami")
    with refused("no-contract"):
        await house.signed_in(DEV)


async def test_the_ledger_for_administrators(house: House) -> None:
    await house.signed_in(DEV)
    admin = await house.signed_in(ADMIN)
    entries = await admin.get("/v1/ledger", limit="5")
    assert [entry["position"] for entry in entries] == [1, 2, 3, 4, 5]
    assert (await admin.get("/v1/ledger", after="3", limit="1"))[0] == entries[3]
    assert await admin.get("/v1/ledger/3") == entries[2]
    with pytest.raises(NotFound):
        await admin.get("/v1/ledger/100000")
    found = await admin.get("/v1/ledger/search", q=DEV)
    assert "login.started" in {entry["kind"] for entry in found}
    for after, limit in (("-1", "1"), ("0", "0"), ("0", "100000"), (str(2**70), "1")):
        with refused("bad-input"):
            await admin.get("/v1/ledger", after=after, limit=limit)


async def test_an_address_that_is_only_claimed_is_not_believed(house: House, attacker: Attacker) -> None:
    await house.enrol(DEV)
    body = {"person": DEV, "password": "wrong password", "csr": make_request(attacker.key)}
    codes = []
    for n in range(6):
        claimed = f"10.0.0.{n}"
        headers = {"X-Forwarded-For": claimed, "X-Real-IP": claimed, "Forwarded": f"for={claimed}"}
        proof = attacker.proof("POST", "/v1/sign-in")
        codes.append(error_of(await attacker.send("POST", "/v1/sign-in", proof=proof, json=body, headers=headers)))
    assert codes == ["wrong-sign-in"] * 4 + ["too-many-attempts"] * 2
    assert {event["address"] for event in await house.world.events("sign-in.refused")} == {"127.0.0.1"}


async def test_a_failed_sign_in_waits_over_the_api_too(house: House) -> None:
    await house.enrol(DEV)
    key = new_key()
    codes = []
    for _ in range(6):
        with pytest.raises(Refusal) as met:
            await house.client(key).post(
                "/v1/sign-in", {"person": DEV, "password": "wrong password", "csr": make_request(key)}
            )
        codes.append(met.value.code)
    assert codes == ["wrong-sign-in"] * 4 + ["too-many-attempts"] * 2
    house.clock.advance(timedelta(minutes=15))
    await house.signed_in(DEV)
