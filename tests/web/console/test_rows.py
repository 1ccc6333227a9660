"""Rows of a held statement in the browser: asked for by who decides, recorded, gone with the decision."""

import asyncio
from datetime import timedelta

from playwright.async_api import Route

from interlock.domain.grants import RequestState
from tests.support.chromium import Browser
from tests.web.console.premises import DBA, DEV, LEAD, OPS, Premises
from tests.web.console.scenes import SAMPLE


async def test_who_decides_asks_for_a_reader_and_sees_rows(premises: Premises, browser: Browser) -> None:
    house = premises.house
    grant = await premises.lend(DEV, "writer", OPS, LEAD)
    session = await premises.connect(grant, "s-1234567890123")
    dba = await premises.enter(browser, DBA, passkey=True)
    held = await premises.hold(session, DEV, "DELETE FROM orders", sample=SAMPLE, salt="01" * 16)
    house.clock.advance(timedelta(seconds=1))
    await premises.hold(session, DEV, "DROP TABLE items", number=4)

    await dba.go(f"{premises.origin}/decide")
    await dba.until("document.querySelector('#sample')")
    assert "No grant lets you read table public.orders on orders now." in await dba.text("sample")
    assert await dba.run("document.querySelector('#sample a').getAttribute('href')") == "/ask"

    await premises.lend_here(DBA, "reader", LEAD)
    await dba.go(f"{premises.origin}/decide")
    await dba.tab.click("text=Show up to 5 of each table")
    await dba.until("document.querySelector('.rows-of')")
    shown = await dba.text("sample")
    for told in ("table public.orders", "m.weber", "NULL", "Not shown of table public.orders: card_token"):
        assert told in shown
    assert dba.tab.url.endswith("/decide"), "the rows come into the page of the decision"
    (event,) = await house.world.events("sample.shown")
    assert (event["by"], event["request"], event["rows"]) == (DBA, held, 8)

    await dba.tab.click("#approve button")
    await dba.until("document.body.innerText.includes('is approved')")
    assert (await house.world.request(held)).state is RequestState.APPROVED
    # The next one comes up, with nothing of the one before.
    assert await dba.run("document.querySelector('pre.statement').textContent") == "DROP TABLE items"
    assert "m.weber" not in await dba.run("document.body.innerText")
    await dba.until("document.querySelector('#says, #prover .notice')")
    assert "Nobody alone:" in await dba.text("prover")


async def test_no_button_moves_when_the_prover_has_spoken(premises: Premises, browser: Browser) -> None:
    grant = await premises.lend(DEV, "writer", OPS, LEAD)
    await premises.hold(await premises.connect(grant, "s-1234567890123"), DEV, "DELETE FROM orders")
    dba = await premises.enter(browser, DBA, passkey=True)
    asked, answer = asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        asked.set()
        await answer.wait()
        await route.continue_()

    await dba.tab.route("**/prover", late)
    for width in (1280, 390):
        asked.clear()
        answer.clear()
        await dba.tab.set_viewport_size({"width": width, "height": 800})
        await dba.go(f"{premises.origin}/decide")
        await asked.wait()
        before = await dba.tab.locator("#approve button").bounding_box()
        answer.set()
        await dba.until("document.querySelector('#says')")
        # However much it says.
        await dba.run("document.querySelector('#says').append('many words '.repeat(2000))")
        assert await dba.tab.locator("#approve button").bounding_box() == before
        assert await dba.run(
            "document.querySelector('#prover').scrollHeight > document.querySelector('#prover').clientHeight"
        )
