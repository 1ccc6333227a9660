"""The pages in a real browser, with a virtual authenticator: what a person sees and presses."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import quote

import httpx2
import pytest

from interlock.errors import Refusal
from interlock.identity.oauth_clients import OWN_ID
from tests.services.world import DBA, DEV, LEAD, OPS
from tests.support.chromium import Browser, Page, chromium, key_of
from tests.web.house import PASSWORD, House, trust
from tests.web.oauth_client import Client, fields_in


@pytest.fixture
async def browser(house: House) -> AsyncIterator[Browser]:
    async with chromium(key_of(house.recordings.parent / "keys" / "server.pem")) as opened:
        yield opened


async def _signed_in(house: House, browser: Browser, person: str, path: str = "/sign-in") -> Page:
    await house.enrol(person)
    page = await browser.page()
    await page.add_authenticator()
    await page.go(house.services.oauth.issuer + path)
    await page.shows("sign-in")
    # The house's clock stands still, the browser's goes on.
    house.clock.at = datetime.now(UTC).replace(microsecond=0)
    await page.fill(person=person, password=PASSWORD, totp=house.code(person))
    await page.press("with-password")
    return page


async def test_a_passkey_is_added_signs_in_and_approves_one_request(house: House, browser: Browser) -> None:
    page = await _signed_in(house, browser, DBA)
    await page.shows("account")
    assert await page.text("me") == DBA
    await page.press("add-passkey")
    await page.until("document.querySelectorAll('#passkeys li').length === 1")
    await page.press("sign-out")
    await page.shows("sign-in")

    asker = await house.signed_in(DEV)
    body = {"resource": "orders", "role": "reader", "duration_s": 600, "reason": "order 4711"}
    request = await asker.post("/v1/requests", body)
    await page.go(f"{house.services.oauth.issuer}/sign-in?approve={request['id']}")
    await page.shows("sign-in")
    await page.press("with-passkey")
    await page.shows("approve")
    assert await page.text("asked-reason") == "order 4711"
    await page.press("approve-it")
    await page.shows("done")
    assert (await asker.get(f"/v1/requests/{request['id']}"))["state"] == "approved"
    uses = await house.world.events("passkey.used")
    assert [use["purpose"] for use in uses] == ["sign-in", f"request {request['digest']}"]
    (approval,) = await house.world.events("approval.given")
    assert approval["person"] == DBA
    assert approval["present_at"]

    # From now on a one-time code is not enough for an approval of hers: it would serve any request.
    second = await asker.post("/v1/requests", {**body, "role": "two"})
    elsewhere = await house.signed_in(DBA, present=True)
    with pytest.raises(Refusal) as caught:
        await elsewhere.post(f"/v1/requests/{second['id']}/approve", {"digest": second["digest"]})
    assert caught.value.code == "passkey-needed"
    # What the passkey signed for one request approves no other.
    script = f"""(async () => {{
        const {{ call, given, plain }} = await import("/sign-in/page.js");
        const begun = await call("POST", "/v1/passkeys/presence/begin", {{ digest: "{request["digest"]}" }});
        const credential = await navigator.credentials.get({{ publicKey: given(begun.options) }});
        const passkey = {{ ceremony: begun.id, credential: plain(credential) }};
        const body = {{ digest: "{second["digest"]}", passkey }};
        try {{ await call("POST", "/v1/requests/{second["id"]}/approve", body); return "approved"; }}
        catch (problem) {{ return problem.code; }}
    }})()"""
    assert await page.run(script) == "ceremony-over"


async def test_a_person_allows_the_command_line_on_the_page(house: House, browser: Browser) -> None:
    async with httpx2.AsyncClient(verify=trust(house.authority), trust_env=False) as http:
        cli = Client(house, http, OWN_ID)
        begun = (await cli.post("/oauth/device", {"scope": "login"})).json()
        page = await _signed_in(house, browser, DEV, f"/device?code={begun['user_code']}")
        await page.shows("device")
        await page.run("document.querySelector('#device button').click()")
        await page.shows("consent")
        assert await page.text("who") == DEV
        assert "signed in as you" in await page.text("scopes")
        await page.press("allow")
        await page.shows("done")
        answer = await cli.token(
            {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": begun["device_code"]}
        )
        assert answer.json()["person"] == DEV


async def test_a_client_gets_its_code_through_the_page(house: House, browser: Browser) -> None:
    async with httpx2.AsyncClient(verify=trust(house.authority), trust_env=False) as http:
        tool = await Client(house, http).register(client_name="<b>Tool</b>")
        went = await tool.authorize()
        page = await _signed_in(house, browser, DEV, went.headers["location"])
        await page.shows("consent")
        assert await page.text("client") == "<b>Tool</b>"
        assert await page.text("goes") == "client.example"
        await page.press("refuse")
        await page.until("location.href.startsWith('https://client.example/') || document.title === 'client.example'")
    assert await house.world.events("delegation.given") == []
    assert fields_in(went.headers["location"])["request"]


async def test_after_the_sign_in_the_page_goes_on_to_a_page_of_ours_and_to_no_other(
    house: House, browser: Browser
) -> None:
    """An open redirect: browsers take backslashes for slashes, and leave tabs and line breaks in an address out."""
    issuer = house.services.oauth.issuer
    other = issuer.removeprefix("https://").replace("localhost", "127.0.0.1")
    page = await _signed_in(house, browser, DBA, "/sign-in?next=%2Flegal%3Fa%3Db")
    await page.until("location.pathname === '/legal'")
    assert await page.run("location.search") == "?a=b"
    for wanted in (
        f"//{other}/",
        f"/\\{other}/",
        f"/\t/{other}/",
        f"\n//{other}/",
        f"/\r\n/{other}/",
        f"\\\\{other}/",
        f"https://{other}/",
        f"https:{other}/",
        f"/..//{other}/",
        "javascript:document.title='run'",
    ):
        await page.run("sessionStorage.clear()")
        await page.go(f"{issuer}/sign-in?next={quote(wanted, safe='')}")
        await page.until("location.pathname !== '/sign-in'")
        assert await page.run("location.origin") == issuer, wanted
        assert await page.run("document.title") != "run"


async def test_who_is_invited_comes_in_through_the_page(house: House, browser: Browser) -> None:
    colleague, sponsor = await house.signed_in(OPS, present=True), await house.signed_in(LEAD, present=True)
    given = await colleague.post("/v1/contracts/acme-orders/invite", {"person": "new@acme"})
    assert "code_hash" not in given
    page = await browser.page()
    await page.go(given["link"])
    await page.shows("invitation")
    assert await page.text("invited") == "new@acme"
    words = await page.text("words")
    # The link is bound to this browser's key: another browser, or a thief's script, learns nothing.
    with pytest.raises(Refusal) as caught:
        await house.client().post("/v1/arrivals/look", {"code": given["code"]})
    assert caught.value.code == "other-key"
    await sponsor.post(f"/v1/invitations/{given['id']}/confirm", {"words": words})
    await page.until("!document.getElementById('to-come').hidden")
    await page.fill(**{"new-password": PASSWORD})
    await page.run("document.querySelector('#invitation button').click()")
    await page.shows("arrived")
    house.secrets["new@acme"] = await page.text("new-secret")
    # Nothing of the link stays in the address.
    assert await page.run("location.hash") == ""
    assert (await (await house.signed_in("new@acme", present=True)).get("/v1/whoami"))["vendor"] == "acme"


async def test_a_passkey_whose_counter_goes_back_was_copied_and_ends(house: House, browser: Browser) -> None:
    await house.enrol(DBA)
    page = await browser.page()
    authenticator = await page.add_authenticator()
    await page.go(house.services.oauth.issuer + "/sign-in")
    await page.shows("sign-in")
    house.clock.at = datetime.now(UTC).replace(microsecond=0)
    await page.fill(person=DBA, password=PASSWORD, totp=house.code(DBA))
    await page.press("with-password")
    await page.shows("account")
    await page.press("add-passkey")
    await page.until("document.querySelectorAll('#passkeys li').length === 1")
    for _ in range(2):
        await page.press("sign-out")
        await page.shows("sign-in")
        await page.press("with-passkey")
        await page.shows("account")
    (credential,) = (await page.send("WebAuthn.getCredentials", authenticatorId=authenticator))["credentials"]
    named = {"authenticatorId": authenticator, "credentialId": credential["credentialId"]}
    await page.send("WebAuthn.removeCredential", **named)
    copy = {**credential, "signCount": 1}
    await page.send("WebAuthn.addCredential", authenticatorId=authenticator, credential=copy)
    await page.press("sign-out")
    await page.shows("sign-in")
    await page.press("with-passkey")
    await page.until("document.getElementById('problem').textContent.includes('exists twice')")
    (ended,) = await house.world.events("passkey.ended")
    assert "copied" in ended["reason"]
    await page.press("with-passkey")
    await page.until("document.getElementById('problem').textContent.includes('not known here')")


async def test_a_password_alone_adds_no_passkey_and_a_ceremony_is_for_who_began_it(house: House) -> None:
    person = await house.signed_in(DEV)
    with pytest.raises(Refusal) as caught:
        await person.post("/v1/passkeys/begin")
    assert caught.value.code == "presence-needed"
    present, other = await house.signed_in(DEV, present=True), await house.signed_in(DBA, present=True)
    begun = await present.post("/v1/passkeys/begin")
    assert begun["options"]["authenticatorSelection"]["userVerification"] == "required"
    for client in (other, present):
        with pytest.raises(Refusal) as caught:
            await client.post("/v1/passkeys", {"ceremony": begun["id"], "credential": {"id": "x"}})
        # The first who tries spends the ceremony, and it was not theirs.
        assert caught.value.code == "ceremony-over"
    begun = await present.post("/v1/passkeys/begin")
    with pytest.raises(Refusal) as caught:
        await present.post("/v1/passkeys", {"ceremony": begun["id"], "credential": {"id": "x"}})
    assert caught.value.code == "wrong-passkey"
