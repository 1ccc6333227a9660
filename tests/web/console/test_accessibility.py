"""axe-core finds nothing on any page, in either theme; nothing is wider than a phone; the keyboard is enough."""

from typing import Any, Literal

from tests.support import peers
from tests.support.chromium import Browser, Page
from tests.web.console.premises import DBA, DEV, LEAD, SECOND, Premises
from tests.web.console.scenes import acted, scenes, set_up

_RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}"
_THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

# Each time is one that the script puts into the reader's zone, with the exact UTC on hover; none stands in the text.
# What was written into a policy, a statement or the ledger stays as it was written.
_TIMES = """() => {
  const bare = [...document.querySelectorAll("time")].filter((one) => !one.title.endsWith(" UTC"));
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  const written = [];
  while (walker.nextNode()) {
    const text = walker.currentNode, within = text.parentElement.closest("time, pre, code, textarea");
    if (!within && /[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}/.test(text.data)) written.push(text.data.trim());
  }
  return [...bare.map((one) => one.outerHTML), ...written];
}"""


async def _violations(page: Page, axe: str) -> list[str]:
    await page.run(axe)
    found: list[dict[str, Any]] = await page.run(f"axe.run(document, {_RULES}).then((all) => all.violations)")
    return [f"{one['id']}: {[node['html'][:160] for node in one['nodes'][:3]]}" for one in found]


async def test_no_page_shuts_anybody_out(premises: Premises, browser: Browser) -> None:
    peers.install()
    axe = (peers.FOLDER / "node_modules" / "axe-core" / "axe.min.js").read_text()
    stage = await set_up(premises)
    pages: dict[str, Page] = {}
    wrong: list[str] = []
    for scene in scenes(stage):
        if scene.person not in pages:
            pages[scene.person] = await premises.enter(browser, scene.person)
        page = pages[scene.person]
        await page.go(premises.origin + scene.path)
        if scene.name == "recording":
            await premises.lend_here(SECOND, "auditor", DBA)
            await page.tab.click("text=Open it")
            await page.until("document.querySelector('.record')")
        for theme in _THEMES:
            await page.tab.emulate_media(color_scheme=theme)
            wrong += [f"{scene.name} {theme}: {one}" for one in await _violations(page, axe)]
        wrong += [f"{scene.name}: a time that is not the reader's: {one}" for one in await page.run(f"({_TIMES})()")]
        await page.tab.set_viewport_size({"width": 360, "height": 740})
        if await page.run("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(f"{scene.name}: wider than a phone")
        await page.tab.set_viewport_size({"width": 1280, "height": 800})
    async for name in acted(premises, pages[SECOND]):
        wrong += [f"{name}: {one}" for one in await _violations(pages[SECOND], axe)]
        await pages[SECOND].tab.set_viewport_size({"width": 360, "height": 740})
        if await pages[SECOND].run("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(f"{name}: wider than a phone")
        await pages[SECOND].tab.set_viewport_size({"width": 1280, "height": 800})
    page = await browser.page()
    await page.go(f"{premises.origin}/sign-in")
    await page.shows("sign-in")
    wrong += [f"sign-in: {one}" for one in await _violations(page, axe)]
    assert wrong == []


async def test_the_keyboard_is_enough(premises: Premises, browser: Browser) -> None:
    await premises.ask(DEV, "reader", resource="orders")
    await premises.ask(DEV, "reader", resource="billing")
    lead = await premises.enter(browser, LEAD)
    keys = lead.tab.keyboard
    await keys.press("Tab")
    assert await lead.run("document.activeElement.className") == "skip"
    await keys.press("g")
    await keys.press("d")
    await lead.until("location.pathname === '/decide'")
    await lead.shows("theme")
    first = await lead.run("document.querySelector('[data-list] a').getAttribute('href')")
    await keys.press("j")
    await keys.press("j")
    await keys.press("k")
    await keys.press("Enter")
    await lead.until(f"location.pathname === '{first}'")
    await lead.shows("theme")
    await keys.press("a")
    assert await lead.run("document.activeElement.id") == "totp"
    await keys.press("Escape")
    await lead.run("document.activeElement.blur()")
    await keys.press("?")
    assert await lead.run("document.getElementById('help').open")
    await keys.press("Escape")
    await lead.until("!document.getElementById('help').open")
    await lead.run("document.activeElement.blur()")
    await keys.press("d")
    await lead.until("document.activeElement.id === 'no-reason'")


async def test_times_are_the_readers_and_say_the_exact_utc(premises: Premises, browser: Browser) -> None:
    page = await premises.enter(browser, SECOND, "/you", timezone_id="Asia/Kolkata", locale="en-GB")
    shown = await page.run("document.querySelector('time[datetime]').textContent")
    title = await page.run("document.querySelector('time[datetime]').title")
    assert title.endswith(" UTC")
    assert shown[-5:] != title[11:16], "five and a half hours lie between them"
    assert f"{(int(title[14:16]) + 30) % 60:02}" == shown[-2:]


async def test_a_recording_plays_and_a_moment_has_an_address(premises: Premises, browser: Browser) -> None:
    stage = await set_up(premises)
    page = await premises.enter(browser, SECOND, f"/recordings/{stage.closed}?at=71.000")
    await premises.lend_here(SECOND, "auditor", DBA)
    await page.tab.click("text=Open it")
    await page.until("document.querySelector('.record.now')")
    assert "Not approved" in await page.tab.inner_text(".record.now")
    assert await page.run("document.querySelector('.record.now .when').getAttribute('href')") == "?at=71.000#n6"
    await page.tab.select_option("#speed", "16")
    await page.tab.click("#play")
    await page.until("document.querySelector('.record.now').textContent.includes('Closed')")
    read = await premises.house.world.events("recording.read")
    assert [one["by"] for one in read] == [SECOND]
