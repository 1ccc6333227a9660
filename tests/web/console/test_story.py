"""The story in two browsers: one person asks, another looks and approves with a touch, and both see what came of it."""

from interlock.domain.grants import RequestState
from tests.support.chromium import Browser, Page
from tests.web.console.premises import DBA, DEV, LEAD, OPS, SECOND, Premises, records_of


async def _go(premises: Premises, page: Page, path: str) -> None:
    await page.go(premises.origin + path)


async def test_one_asks_another_approves_with_a_touch_and_it_shows_by_itself(
    premises: Premises, browser: Browser
) -> None:
    dev = await premises.enter(browser, DEV)
    dba = await premises.enter(browser, DBA, passkey=True)
    await dba.until("document.body.innerText.includes('Nothing waits for you')")

    await _go(premises, dev, "/ask")
    await dev.tab.click("text=orders")
    await dev.until("document.body.innerText.includes('the smallest that does it')")
    assert await dev.run("document.querySelector('input[name=role]:checked').value") == "reader"
    judges = await dev.text("judges")
    assert f"{DBA} is about" in judges
    assert f"{LEAD} is not signed in" in judges
    await dev.tab.fill("#reason", "order 4711")
    await dev.tab.click("form.stack button")
    await dev.until("document.body.innerText.includes('Still needed')")

    # Without a reload it is before the one who decides.
    await dba.until("document.querySelector('#waits a[href^=\"/decide/\"]')")
    await dba.tab.click("#waits a.grow")
    await dba.until("document.getElementById('approve')")
    assert "order 4711" in await dba.tab.inner_text(".card")
    await dba.tab.click("#approve button")
    await dba.until("document.body.innerText.includes('is approved')")
    (approval,) = await premises.house.world.events("approval.given")
    used = await premises.house.world.events("passkey.used")
    assert [use["purpose"] for use in used] == [f"request {approval['digest']}"]
    assert approval["person"] == DBA

    # … and the one who asked sees it without a reload, reaches it, and gets a password for a client.
    await dev.until("document.body.innerText.includes('approved')")
    await _go(premises, dev, "/")
    await dev.tab.click("#reach form[action='/connect'] button")
    await dev.until("document.getElementById('command')")
    assert "dbname=orders user=dev@acme.example" in await dev.text("command")
    assert "PGPASSWORD" not in dev.tab.url


async def test_a_held_statement_is_denied_and_its_session_cut(premises: Premises, browser: Browser) -> None:
    house = premises.house
    grant = await premises.lend(DEV, "writer", OPS, LEAD)
    session = await premises.connect(grant, "s-1234567890123")
    second = await premises.enter(browser, SECOND)
    await premises.lend_here(SECOND, "auditor", DBA)
    request = await premises.hold(session, DEV, "DELETE FROM orders")
    await _go(premises, second, "/decide")
    await second.until("document.querySelector('pre.statement')")
    assert await second.run("document.querySelector('pre.statement').textContent") == "DELETE FROM orders"
    assert "10,000" in await second.tab.inner_text("table.impact")
    await second.tab.keyboard.press("d")
    await second.tab.keyboard.type("that is the whole table")
    await second.tab.keyboard.press("Enter")
    await second.until("document.body.innerText.includes('is denied')")
    assert (await house.world.request(request)).state is RequestState.DENIED

    await _go(premises, second, "/live")
    await second.tab.click(f"text={session}")
    await second.until("document.getElementById('watch')")
    gateway = house.clients[0]
    async with gateway.streaming("/v1/gateway/feed") as feed:
        await anext(feed)
        await second.tab.click("#watch")
        async for message in feed:
            if message["type"] == "watch":
                body = {"records": records_of(DEV, house.clock.now()), "ended": False}
                await gateway.post(f"/v1/gateway/watch/{message['ticket']}", body)
                break
        await second.until("document.querySelectorAll('#records > li').length === 10")
        assert "10,000 of 10,000 rows" in await second.text("records")
        await second.tab.fill("#cut-reason", "enough")
        await second.tab.click("text=Cut now")
        await second.until("document.body.innerText.includes('being cut')")
    (cut,) = await house.world.events("session.cut")
    assert cut["reason"] == "enough"
    (read,) = await house.world.events("recording.read")
    assert read["by"] == SECOND


async def test_with_a_one_time_code_where_there_is_no_passkey(premises: Premises, browser: Browser) -> None:
    asked = await premises.ask(DEV, "reader")
    lead = await premises.enter(browser, LEAD, f"/decide/{asked['id']}")
    await lead.until("document.getElementById('totp')")
    cookie = (await lead.tab.context.cookies())[0]["value"]
    await lead.tab.fill("#totp", "000000")
    await lead.tab.click("#approve button")
    await lead.until("document.body.innerText.includes('The one-time code is wrong')")
    await lead.tab.fill("#totp", premises.house.code(LEAD))
    await lead.tab.click("#approve button")
    await lead.until("document.body.innerText.includes('is approved')")
    assert (await lead.tab.context.cookies())[0]["value"] != cookie, "a proof of presence gives a new number"
