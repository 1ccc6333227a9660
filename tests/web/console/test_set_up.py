"""The first run in the browser: from one administrator to two, a resource that is really reached, and a contract."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from interlock.services.activate_policy import activate_policy
from interlock.services.propose_policy import propose_policy
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from tests.support.chromium import Browser, Page, chromium, key_of
from tests.web.console.client import enter, http_of
from tests.web.console.premises import Premises, open_premises

FIRST, OTHER = "first@example.com", "other@example.com"
HAND = "dev@acme.example"
SECRET = "correct-horse-4711"


@dataclass
class Fresh:
    """An installation with one administrator and nothing else."""

    premises: Premises
    browser: Browser


@pytest.fixture
async def fresh(state: PostgresState, state_database: StateAddress, tmp_path: Path) -> AsyncIterator[Fresh]:
    text = "people: {first@example.com: {groups: [administrators]}}\n"
    async with open_premises(state, state_database, tmp_path, text=text) as premises:
        certificate = premises.house.recordings.parent / "keys" / "server.pem"
        async with chromium(key_of(certificate)) as browser:
            yield Fresh(premises, browser)


async def _go(fresh: Fresh, page: Page, path: str) -> None:
    await page.go(fresh.premises.origin + path)
    await page.shows("theme")


async def _fill(page: Page, step: str, **fields: str) -> None:
    for name, value in fields.items():
        await page.tab.fill(f"#{step}-{name}", value)


async def _activate_alone(fresh: Fresh, page: Page) -> None:
    await page.until("document.getElementById('activate')")
    assert "you put it into effect alone" in await page.text("activate")
    await page.tab.fill("#activate-totp", fresh.premises.house.code(FIRST))
    await page.tab.click("#activate button")
    await page.until("document.body.innerText.includes('It is in effect')")


async def test_a_company_is_set_up_in_the_browser(
    fresh: Fresh, state_database: StateAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = fresh.premises.house
    first = await fresh.premises.enter(fresh.browser, FIRST, "/set-up")
    assert "You act alone until a second person signs in" in await first.tab.inner_text("main")

    # The second administrator. The YAML is shown before; a whole policy that nobody could change is refused.
    await _fill(first, "administrator", name=OTHER)
    await first.tab.click("form[action='/set-up/administrator'] >> text=Show the YAML")
    await first.until("document.getElementById('made')")
    assert f"{OTHER}:\n    groups:\n    - administrators" in await first.tab.inner_text("#made pre")
    await first.tab.click("form[action='/set-up/administrator'] >> text=Propose")
    await _activate_alone(fresh, first)
    (activated,) = [e for e in await house.world.events("policy.activated") if e["alone"]]
    assert activated["by"] == FIRST

    # The resource: what is tried is a real server; a wrong secret is told, and the secret is on no page.
    url = urlsplit(state_database.url)
    host = next(part.partition("=")[2] for part in url.query.split("&") if part.startswith("host="))
    socket = f"{host.replace('%2F', '/')}:{url.port or 5432}"
    monkeypatch.setenv("ORDERS_SECRET", "wrong-4711")
    await _go(fresh, first, "/set-up")
    fields = {"name": "orders", "address": socket, "database": url.path[1:], "user": url.username or ""}
    await _fill(first, "resource", **fields, secret=SECRET)
    await first.tab.click("form[action='/set-up/resource'] >> text=Show the YAML")
    await first.until("document.body.innerText.includes('never the secret itself')")
    await _fill(first, "resource", **fields, secret="env:ORDERS_SECRET", totp=house.code(FIRST))
    await first.tab.click("form[action='/set-up/resource'] >> text=Try the connection")
    await first.until("document.querySelector('#made .notice.no')")
    monkeypatch.setenv("ORDERS_SECRET", url.password or "")
    await _fill(first, "resource", totp=house.code(FIRST))
    await first.tab.click("form[action='/set-up/resource'] >> text=Try the connection")
    await first.until("document.querySelector('#made .notice.ok')")
    assert "lets" in await first.tab.inner_text("#made .notice")
    assert (url.password or "?") not in await first.tab.content()
    assert [event["works"] for event in await house.world.events("connection.tried")] == [False, True]
    await first.tab.click("form[action='/set-up/resource'] >> text=Propose")
    await _activate_alone(fresh, first)

    # The second person signs in: from here on nobody acts alone.
    house.clock.at = datetime.now(UTC).replace(microsecond=0)  # The browser's own clock has not moved with the codes.
    other = await fresh.premises.enter(fresh.browser, OTHER, "/set-up", present=True)
    assert "Nobody acts alone here any more" in await other.tab.inner_text("main")
    assert await other.run("!document.querySelector('[value=try]')"), "a draft is tried by nobody now"
    await other.tab.click("form[action='/set-up/try/orders'] button")
    await other.until("document.querySelector('.notice.ok, .notice.held')")

    await _go(fresh, first, "/set-up")
    until = f"{datetime.now(UTC) + timedelta(days=90):%Y-%m-%d}"
    await _fill(first, "contract", name="acme-orders", vendor="acme", person=HAND, end=until, roles="reader, writer")
    await first.tab.click("form[action='/set-up/contract'] >> text=Propose")
    await first.until("document.body.innerText.includes('Still needed')")
    assert await first.run("!document.getElementById('activate')"), "not alone any more"
    where = urlsplit(first.tab.url).path
    await _go(fresh, other, where)
    await other.until("document.querySelector('#says')")
    await other.tab.fill("#totp", house.code(OTHER))
    await other.tab.click("#approve button")
    await other.until("document.body.innerText.includes('is approved')")
    await first.until("document.getElementById('activate')")
    await first.tab.click("#activate button")
    await first.until("document.body.innerText.includes('It is in effect')")
    await _go(fresh, first, "/set-up")
    assert "It is set up" in await first.tab.inner_text("main")
    policy = house.services.desk.configuration
    assert set(policy.resources) == {"orders"}
    assert set(policy.roles) == {"reader", "writer", "auditor"}
    assert policy.contracts["acme-orders"].sponsor in (FIRST, OTHER)
    assert HAND in policy.people


async def test_a_draft_sends_a_secret_nowhere_once_there_are_two(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who could name any address and any secret would have the control plane carry the one to the other."""
    house = fresh.premises.house
    monkeypatch.setenv("ORDERS_SECRET", "something")
    form = {"name": "mine", "kind": "postgres", "address": "127.0.0.1:1", "user": "a", "secret": "env:ORDERS_SECRET"}
    form |= {"environment": "x", "approvers": FIRST, "do": "try"}
    async with http_of(fresh.premises) as http:
        client = await enter(fresh.premises, http, FIRST)
        token = await client.token()
        house.clock.advance(timedelta(minutes=6))
        answer = await client.post("/set-up/resource", {**form, "token": token})
        assert "needs a proof that" in answer.text, "alone, and not known to be there"
        login = await house.world.sign_in(FIRST)
        text = (
            "people: {first@example.com: {groups: [administrators]}, other@example.com: {groups: [administrators]}}\n"
        )
        desk = house.services.desk
        asked = await propose_policy(desk, login_id=login.id, yaml=text, cedar={}, reason="two")
        await activate_policy(desk, login_id=login.id, request_id=asked.id)
        await house.signed_in(OTHER)
        answer = await client.post("/set-up/resource", {**form, "totp": house.code(FIRST), "token": token})
        assert "a draft could send a secret anywhere" in answer.text
        assert await house.world.events("connection.tried") == []
