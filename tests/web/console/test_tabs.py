"""Several pages of one person at once, and pages that are left behind: by their login, by a decision, by Back."""

import asyncio

from interlock.domain.grants import RequestState
from tests.support.chromium import Browser, Page
from tests.web.console.client import enter, http_of
from tests.web.console.premises import DBA, DEV, LEAD, MATE, Premises

_WAITING = "document.querySelectorAll('#waits li').length === {}"


async def _tabs(page: Page, url: str, count: int) -> list[Page]:
    context = page.tab.context
    tabs = [await context.new_page() for _ in range(count)]
    opened = [Page(tab, await context.new_cdp_session(tab)) for tab in tabs]
    for one in opened:
        await one.go(url)
    return opened


async def test_a_dozen_tabs_open_and_each_is_told(premises: Premises, browser: Browser) -> None:
    """A browser has six connections for a server. The tab that listens for the others is closed: another one does."""
    dba = await premises.enter(browser, DBA)
    tabs = await _tabs(dba, premises.origin, 11)
    await premises.ask(DEV, "reader")
    for tab in tabs:
        await tab.until(_WAITING.format(1))
    await dba.tab.close()
    await premises.ask(MATE, "reader")
    for tab in tabs:
        await tab.until(_WAITING.format(2))


async def test_pages_left_open_go_with_the_login_and_back_brings_nothing_back(
    premises: Premises, browser: Browser
) -> None:
    await premises.ask(DEV, "reader")
    dba = await premises.enter(browser, DBA)
    (left,) = await _tabs(dba, premises.origin, 1)
    await left.until(_WAITING.format(1))
    await dba.go(f"{premises.origin}/decide")
    await dba.go(f"{premises.origin}/you")
    await dba.tab.click("text=Sign out")
    await dba.until("location.pathname === '/sign-in'")
    await left.until("location.pathname === '/sign-in'")
    for _ in range(2):
        await dba.tab.go_back(wait_until="commit")
        await dba.until("location.pathname === '/sign-in'")
        assert DEV not in await dba.tab.inner_text("body")


async def test_two_tabs_and_two_persons_that_decide_the_same(premises: Premises, browser: Browser) -> None:
    asked = await premises.ask(DEV, "reader")
    path = f"{premises.origin}/decide/{asked['id']}"
    dba = await premises.enter(browser, DBA, passkey=True)
    (second,) = await _tabs(dba, path, 1)
    await dba.go(path)
    # What is shown in the second is not brought up to date: the person has typed on.
    await second.tab.route("**/decide/*", lambda route: route.abort())
    await dba.tab.click("#approve button")
    await dba.until("document.body.innerText.includes('is approved')")
    await second.tab.unroute("**/decide/*")
    await second.tab.fill("#no-reason", "on second thoughts")
    await second.tab.press("#no-reason", "Enter")
    await second.until("document.body.innerText.includes('no longer open: it is approved')")
    assert (await premises.house.world.request(asked["id"])).state is RequestState.APPROVED

    again = await premises.ask(MATE, "reader")
    async with http_of(premises) as http:
        one, other = await enter(premises, http, DBA), await enter(premises, http, LEAD)
        yes = {"digest": again["digest"], "totp": premises.house.code(DBA), "token": await one.token()}
        no = {"reason": "no", "token": await other.token()}
        # The digest of what was approved before is no yes to this.
        stale = {**yes, "digest": asked["digest"]}
        assert (await one.post(f"/requests/{again['id']}/approve", stale)).status_code == 403
        assert (
            await premises.house.world.events(
                "grant.started",
            )
            != []
        )
        yes["totp"] = premises.house.code(DBA)
        said = await asyncio.gather(
            one.post(f"/requests/{again['id']}/approve", yes), other.post(f"/requests/{again['id']}/deny", no)
        )
        assert sorted(answer.status_code for answer in said) in ([303, 403], [303, 303]), [a.text for a in said]
    ended = [one for one in await premises.house.world.events("request.ended") if one["request"] == again["id"]]
    assert len(ended) == 1
