"""Persons against duties: what a separation does not hold over is drawn, named, counted and first."""

from tests.support.chromium import Browser
from tests.web.console.client import enter, http_of
from tests.web.console.premises import DEV, LEAD, SECOND, Premises
from tests.web.console.scenes import carry_unseparated


async def test_a_violation_is_drawn_and_named(premises: Premises, browser: Browser) -> None:
    async with http_of(premises) as http:
        second = await enter(premises, http, SECOND)
        assert "no violation" in (await second.get("/duties/matrix")).text
    await carry_unseparated(premises, "change:4698")

    page = await premises.enter(browser, SECOND, "/duties/matrix")
    await page.until("document.querySelector('table.matrix')")
    assert "2 violations" in await page.text("matrix-title")
    first = await page.run("document.querySelector('table.matrix tbody tr th').textContent")
    assert first.strip() == DEV, "who breaks a separation comes first"
    broken = await page.run(
        "[...document.querySelectorAll('.sq-broken')].map(td => [td.closest('tr').cells[0].textContent.trim(),"
        " td.closest('table').rows[0].cells[td.cellIndex].textContent, td.innerText])"
    )
    assert [(person, duty) for person, duty, _ in broken] == [(DEV, "develop"), (DEV, "deploy")]
    for _, _, said in broken:
        assert "carries 1" in said
        assert "change:4698" in said
    # It is not told by colour alone, and stands out from what is carried rightly.
    colours = await page.run(
        "[...new Set(['.sq-broken', '.sq-has'].map(name =>"
        " getComputedStyle(document.querySelector('table.matrix ' + name)).backgroundColor))].length"
    )
    assert colours == 2
    rows = await page.run("[...document.querySelectorAll('.sq-has')].map(td => td.closest('tr').cells[0].textContent)")
    assert [name.strip() for name in rows] == [LEAD]
