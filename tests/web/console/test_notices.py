"""Notices in a browser: the count changes by itself, what was seen is put away, a passkey confirms an account."""

from interlock.domain.notices import Kept, Letter, Notice, NoticeKind
from interlock.ports.notify import Press
from interlock.services.link_chat import begin_link, claim_link
from tests.support.chromium import Browser
from tests.web.console.premises import DBA, DEV, OPS, Premises


async def test_the_count_comes_up_by_itself_and_goes_when_it_was_seen(premises: Premises, browser: Browser) -> None:
    dba = await premises.enter(browser, DBA)
    await dba.go(premises.origin + "/people")
    await dba.shows("bell")
    assert await dba.text("bell") == "Notices"
    await premises.ask(DEV, "reader", resource="orders")
    # without a reload, on whatever page, and said to who cannot see it
    await dba.until("document.getElementById('bell').innerText.startsWith('Notices 1')")
    assert await dba.run("document.getElementById('bell').parentElement.getAttribute('aria-live')") == "polite"
    outbox, now = premises.house.services.outbox, premises.house.clock.now()
    letter = Letter("page", DBA, Notice(1, now, NoticeKind.ANSWERED, "Your request was denied", (), "/requests"))
    await outbox.put([(letter, now)], upto=1, now=now)
    await outbox.settle(letter, Kept(), now=now)
    await dba.tab.click("#bell")
    await dba.until("location.pathname === '/notices' && document.querySelector('#told form')")
    await dba.until("document.getElementById('bell').innerText.startsWith('Notices 2')")
    await dba.tab.click("#told form button")
    await dba.until("!document.querySelector('#told form')")
    await dba.until("document.getElementById('bell').innerText.startsWith('Notices 1')")
    assert "Your request was denied" in await dba.text("told")


async def test_an_account_is_confirmed_with_a_passkey(premises: Premises, browser: Browser) -> None:
    services = premises.house.services
    ops = await premises.enter(browser, OPS, "/notices", passkey=True)
    code = await begin_link(services.desk, services.oauth.waiting, person=OPS, notifier="slack")
    press = Press("link", "T1 U1", "ops", words=code)
    await claim_link(services.desk, services.oauth.waiting, notifier="slack", press=press)
    await ops.go(premises.origin + "/notices")
    await ops.tab.click("text=It is mine")
    await ops.until("document.body.innerText.includes('Linked to ops')")
    (linked,) = await premises.house.world.events("chat.linked")
    assert (linked["person"], linked["subject"]) == (OPS, "T1 U1")
    assert len(await premises.house.world.events("passkey.used")) == 1
