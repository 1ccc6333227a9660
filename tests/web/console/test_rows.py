"""Rows of a held statement in the browser: asked for by who decides, recorded, gone with the decision."""

import asyncio
from datetime import timedelta
from urllib.parse import urlsplit

from playwright.async_api import Route

from interlock.domain.grants import RequestState
from tests.support.chromium import Browser
from tests.web.console.client import Client, http_of
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


async def _late_answer(premises: Premises, route: Route) -> None:
    """What the server says to a piece that was asked for with the number that the session had before."""
    async with http_of(premises) as http:
        before = Client(premises, http, "the-one-before")
        url = route.request.url
        answer = await before.get(urlsplit(url).path, hx_request="true", hx_current_url=route.request.frame.url)
    assert answer.status_code == 401
    await route.fulfill(status=answer.status_code, headers=dict(answer.headers), body=answer.content)


async def test_an_approval_is_answered_though_a_piece_of_the_page_is_late(premises: Premises, browser: Browser) -> None:
    """The touch gives the session a new number while the prover is asked with the old one."""
    grant = await premises.lend(DEV, "writer", OPS, LEAD)
    held = await premises.hold(await premises.connect(grant, "s-1234567890123"), DEV, "DELETE FROM orders")
    dba = await premises.enter(browser, DBA, passkey=True)
    asked, approving, refused = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        asked.set()
        await asyncio.wait_for(approving.wait(), 20)
        await _late_answer(premises, route)
        refused.set()

    async def approve(route: Route) -> None:
        approving.set()
        await asyncio.wait_for(refused.wait(), 20)
        await route.continue_()

    await dba.tab.route("**/prover", late)
    await dba.tab.route("**/approve", approve)
    been: list[str] = []
    await dba.go(f"{premises.origin}/decide")
    await asyncio.wait_for(asked.wait(), 20)
    dba.tab.on("framenavigated", lambda frame: been.append(frame.url))
    await dba.tab.click("#approve button")
    await dba.until("document.body.innerText.includes('is approved')")
    assert (await premises.house.world.request(held)).state is RequestState.APPROVED
    assert not any("sign-in" in url or "prover" in url for url in been), been


async def test_a_piece_is_asked_for_again_with_the_new_number(premises: Premises, browser: Browser) -> None:
    """Another tab has proved presence: this one goes on, and what is typed in it stays."""
    grant = await premises.lend(DEV, "writer", OPS, LEAD)
    await premises.hold(await premises.connect(grant, "s-1234567890123"), DEV, "DELETE FROM orders")
    dba = await premises.enter(browser, DBA, passkey=True)
    asked: list[str] = []

    async def late(route: Route) -> None:
        asked.append(route.request.url)
        await (_late_answer(premises, route) if len(asked) == 1 else route.continue_())

    await dba.tab.route("**/prover", late)
    await dba.go(f"{premises.origin}/decide")
    await dba.tab.fill("#no-reason", "half a sent")
    await dba.until("document.querySelector('#says')")
    assert len(asked) == 2
    assert await dba.tab.input_value("#no-reason") == "half a sent"
    assert dba.tab.url.endswith("/decide")
