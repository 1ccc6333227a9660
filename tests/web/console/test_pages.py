"""What Home, Ask and People are for, as somebody uses them."""

from datetime import timedelta

from tests.support.chromium import Browser
from tests.web.console.client import enter, http_of
from tests.web.console.premises import DBA, DEV, LEAD, MATE, OPS, SECOND, Premises
from tests.web.console.scenes import set_up


async def test_access_as_last_time_is_one_click(premises: Premises, browser: Browser) -> None:
    now = premises.house.clock.now()
    premises.house.clock.at = now - timedelta(hours=2)
    await premises.approve(await premises.ask(DEV, "reader", reason="order 4711"), DBA)
    premises.house.clock.at = now
    dev = await premises.enter(browser, DEV)
    assert "order 4711" in await dev.text("reach")
    await dev.tab.click("text=Ask again")
    await dev.until("document.body.innerText.includes('Still needed')")
    said = await dev.tab.inner_text("main")
    for told in (f"{DEV} asks for reader on orders for 1h", "order 4711"):
        assert told in said
    opened = await premises.house.world.events("request.opened")
    assert len(opened) == 2
    assert [(one["resource"], one["role"], one["reason"]) for one in opened] == [("orders", "reader", "order 4711")] * 2
    # Not twice: what is asked for is no longer offered.
    await dev.go(premises.origin)
    assert "Ask again" not in await dev.text("reach")


async def test_the_smallest_role_for_each_job_and_who_is_about_by_itself(premises: Premises, browser: Browser) -> None:
    dev = await premises.enter(browser, DEV, "/ask?resource=orders")
    for job, role in (("read", "reader"), ("write", "writer"), ("destroy", "writer")):
        await dev.go(f"{premises.origin}/ask?resource=orders&job={job}")
        assert await dev.run("document.querySelector('input[name=role]:checked').value") == role
        marked = await dev.run("document.querySelector('.option:has(.state.ok) strong').textContent")
        assert marked == role
    await dev.go(f"{premises.origin}/ask?resource=orders&job=read")
    await dev.tab.fill("#reason", "half a sent")
    assert f"{DBA} is not signed in" in await dev.text("judges")
    await premises.hand(DBA)
    await dev.until(f"document.getElementById('judges').textContent.includes('{DBA} is about')")
    assert await dev.tab.input_value("#reason") == "half a sent", "what is typed stays"


async def test_contracts_stand_on_a_line_with_today_reviews_and_ends(premises: Premises, browser: Browser) -> None:
    second = await premises.enter(browser, SECOND, "/people/contracts")
    said = await second.tab.inner_text("main")
    assert "End soon 1" in said.replace("\n", " ")
    assert "Reviews due 1" in said.replace("\n", " ")
    bars = await second.run(
        "[...document.querySelectorAll('svg.bar')].map(bar => ({says: bar.getAttribute('aria-label'),"
        " today: !!bar.querySelector('.bar-today'), review: !!bar.querySelector('.bar-review'),"
        " wide: bar.querySelector('rect').getBoundingClientRect().width}))"
    )
    assert len(bars) == 2
    assert all(bar["today"] for bar in bars), "today's line goes through every bar"
    assert [bar["review"] for bar in bars] == [True, False]
    acme, bolt = bars
    assert acme["says"].endswith("running")
    assert bolt["says"].endswith("ending")
    # 120 days and 49, drawn to one scale.
    assert abs(bolt["wide"] / acme["wide"] - 49 / 120) < 0.03


async def test_a_persons_page_has_what_they_reach_and_did(premises: Premises) -> None:
    stage = await set_up(premises)
    async with http_of(premises) as http:
        second = await enter(premises, http, SECOND)
        page = (await second.get(f"/people/{DEV}")).text
        for named in (stage.grant, stage.live, stage.closed, stage.held, "acme-orders", "Could ask for"):
            assert named in page, named
        assert f'action="/people/{DEV}/offboard"' in page.replace("%40", "@")
        assert stage.closed in (await second.get(f"/recordings?q={DEV}")).text
        assert f"/recordings?q={DEV}" in page.replace("%40", "@")
        did = (await second.get(f"/ledger?who={DEV}")).text
        about = (await second.get(f"/ledger?q={DEV}")).text
        assert did.count('class="row-link"') > 5
        assert about.count('class="row-link"') > did.count('class="row-link"')
        # One of another vendor sees none of it, and a colleague nothing that is the administrator's.
        ops, mate = await enter(premises, http, OPS), await enter(premises, http, MATE)
        assert (await ops.get(f"/people/{DEV}")).status_code == 404
        assert "Offboard" not in (await mate.get(f"/people/{DEV}")).text
        lead = await enter(premises, http, LEAD)
        assert "Everything they did" not in (await lead.get(f"/people/{DEV}")).text
