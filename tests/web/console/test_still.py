"""Nothing moves under a hand: what comes by itself waits until nobody aims, and what comes late has its room."""

from tests.support.chromium import Browser, Page
from tests.web.console.premises import DBA, DEV, LEAD, MATE, OPS, SECOND, Premises

_TOLD = """new Promise((done) => {
  const news = new EventSource("/news");
  news.addEventListener("news", () => { news.close(); done(true); });
  news.addEventListener("open", () => { window.listens = true; });
})"""
_ROWS = "document.querySelectorAll('#waits li').length"


async def test_the_page_stays_as_it_is_while_somebody_presses(premises: Premises, browser: Browser) -> None:
    await premises.ask(DEV, "reader")
    dba = await premises.enter(browser, DBA)
    await dba.until(f"{_ROWS} === 1")
    before = await _place(dba, "#waits li")
    await dba.tab.mouse.move(640, 700)
    await dba.tab.mouse.down()
    await dba.run(f"window.told = {_TOLD}; 0")
    await dba.until("window.listens")
    await premises.ask(MATE, "reader")
    assert await dba.run("window.told")
    # As long as a piece would take to come, and longer.
    await dba.run("(async () => { for (let i = 0; i < 3; i++) await (await fetch('/')).text(); })()")
    assert await dba.run(_ROWS) == 1
    assert await _place(dba, "#waits li") == before
    await dba.tab.mouse.up()
    await dba.until(f"{_ROWS} === 2")


async def test_the_count_of_notices_moves_nothing(premises: Premises, browser: Browser) -> None:
    dba = await premises.enter(browser, DBA)
    before = [await _place(dba, one) for one in ("#theme", "#help-open", ".who a[href='/you']")]
    await premises.ask(DEV, "reader")
    await dba.until("document.querySelector('#bell .count')")
    assert [await _place(dba, one) for one in ("#theme", "#help-open", ".who a[href='/you']")] == before


async def test_what_a_session_did_has_its_room(premises: Premises, browser: Browser) -> None:
    """On a phone the buttons are below what comes statement by statement."""
    grant = await premises.lend(DEV, "writer", OPS, LEAD)
    session = await premises.connect(grant, "s-1234567890123")
    second = await premises.enter(browser, SECOND, viewport={"width": 390, "height": 800})
    await premises.hold(session, DEV, "DELETE FROM orders")
    await second.go(f"{premises.origin}/decide")
    await second.until("document.querySelector('#says')")
    await second.tab.click("text=The session so far")
    before = await _place(second, "#approve button")
    await second.run(
        "document.querySelector('#records').insertAdjacentHTML('beforeend', '<li>one more statement</li>'.repeat(200))"
    )
    assert await _place(second, "#approve button") == before


async def _place(page: Page, selector: str) -> list[float]:
    """On the page, wherever it is scrolled to."""
    place: list[float] = await page.run(
        f"(() => {{ const box = document.querySelector({selector!r}).getBoundingClientRect();"
        " return [box.x + scrollX, box.y + scrollY]; })()"
    )
    return place
