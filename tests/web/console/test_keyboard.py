"""With the keyboard alone: every control is reached, in order, and seen when it is; none is too small for a finger."""

from typing import Any

from tests.support.chromium import Browser, Page
from tests.web.console.premises import Premises
from tests.web.console.scenes import scenes, set_up

_WALKED = {
    "home-waiting", "ask", "ask-for", "decide", "decide-grant", "request", "live-session", "recordings", "terminals",
    "contract", "person", "duties", "artifact", "policy", "policy-change", "set-up", "ledger", "entry", "notices",
    "you",
}  # fmt: skip

_FOCUSED = """() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  if (one === document.body) return null;
  window.walked ??= new Set();
  // A field for a day has several parts, each with a stop of its own.
  const again = walked.has(one) && window.before !== one;
  walked.add(one);
  window.before = one;
  const ringed = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const shown = box.width > 1 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const hidden = document.elementsFromPoint(box.left + box.width / 2, box.top + Math.min(box.height / 2, 20));
  return { again, name: one.outerHTML.slice(0, 120), ringed, shown, order: one.tabIndex,
           covered: hidden.length > 0 && !hidden.some((it) => it === one || one.contains(it) || it.contains(one)) };
}"""

_MISSED = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && one.tabIndex >= 0 && !one.disabled)
  .filter((one) => one.type !== "hidden" && !walked.has(one))
  .filter((one) => one.type !== "radio" || ![...walked].some((other) => other.name === one.name))
  .map((one) => one.outerHTML.slice(0, 120))"""

_SMALL = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && one.type !== "hidden")
  .filter((one) => !(one.matches("a") && getComputedStyle(one).display === "inline"))
  .map((one) => [one, (one.closest("label") ?? one).getBoundingClientRect()])
  .filter(([one, box]) => box.width > 1 && (box.width < 24 || box.height < 24))
  .map(([one, box]) => `${Math.round(box.width)} x ${Math.round(box.height)}: ${one.outerHTML.slice(0, 120)}`)"""


async def test_every_control_is_reached_by_tab_seen_and_large_enough(premises: Premises, browser: Browser) -> None:
    stage = await set_up(premises)
    pages: dict[str, Page] = {}
    wrong: list[str] = []
    for scene in scenes(stage):
        if scene.person not in pages:
            pages[scene.person] = await premises.enter(browser, scene.person)
        page = pages[scene.person]
        await page.tab.emulate_media(reduced_motion="reduce")
        await page.go(premises.origin + scene.path)
        # What the prover says has links of its own, and comes a moment after the page.
        await page.until("!document.getElementById('prover') || document.querySelector('#says, #prover .notice')")
        if scene.name in _WALKED:
            wrong += [f"{scene.name}: {one}" for one in await _walk(page)]
        for width, height in ((1280, 800), (390, 844)):
            await page.tab.set_viewport_size({"width": width, "height": height})
            wrong += [f"{scene.name} at {width}: {one}" for one in await page.run(f"({_SMALL})()")]
        await page.tab.set_viewport_size({"width": 1280, "height": 800})
    assert not wrong, "\n".join(wrong)


async def _walk(page: Page) -> list[str]:
    """From the top of the page to its end, with Tab."""
    await page.shows("theme")
    wrong: list[str] = []
    for step in range(200):
        await page.tab.keyboard.press("Tab")
        at: dict[str, Any] | None = await page.run(f"({_FOCUSED})()")
        if at is None or at["again"]:
            break
        if step == 0 and "skip" not in at["name"]:
            wrong.append(f"the first is not the way past the pages' names: {at['name']}")
        if not (at["ringed"] or 'class="skip"' in at["name"]):
            wrong.append(f"not seen when it has the focus: {at['name']}")
        if not at["shown"] or at["covered"]:
            wrong.append(f"out of sight when it has the focus: {at['name']}")
        if at["order"] > 0:
            wrong.append(f"out of its order: {at['name']}")
    wrong += [f"not reached: {one}" for one in await page.run(f"({_MISSED})()")]
    return wrong
