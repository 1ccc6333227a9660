"""`make screenshots`: a picture of each page, in both themes and on a phone, in the folder that is named.

python -m tests.web.console.screenshots FOLDER [NAME …]        story: those of the story alone
"""

import asyncio
import base64
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from interlock.store.connecting import APPLICATION_ROLE
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.home import DATABASE, OWNER_ROLE, embedded_address
from interlock.store.migrate import migrate
from interlock.store.state import PostgresState
from tests.support.chromium import Browser, Page, chromium, key_of
from tests.support.databases import server_folder
from tests.web.console.premises import DBA, SECOND, Premises, open_premises
from tests.web.console.scenes import acted, scenes, set_up
from tests.web.console.whole import running_whole
from tests.web.console.whole_story import WholeStory

_LOOKS: dict[str, tuple[int, int, Literal["light", "dark"]]] = {
    "light": (1280, 800, "light"),
    "dark": (1280, 800, "dark"),
    "phone": (390, 844, "light"),
}


_ON_A_SHEET = 6
_SHEET = (
    "body{margin:16px;background:#e3e6ec;font:14px system-ui} h2{font-size:15px;margin:14px 0 6px}"
    "div{display:flex;gap:14px;align-items:start} img{height:345px;object-fit:cover;object-position:top;"
    "border:1px solid #b9c0cc} .light,.dark{width:552px} .phone{width:160px}"
)


async def take(premises: Premises, browser: Browser, folder: Path, names: Sequence[str]) -> None:
    stage = await set_up(premises)
    pages: dict[str, Page] = {}
    for scene in scenes(stage):
        # A terminal without a gateway shows nothing: those are taken of the story.
        if scene.name == "terminal" or (names and scene.name not in names):
            continue
        if scene.person not in pages:
            pages[scene.person] = await premises.enter(browser, scene.person)
        page = pages[scene.person]
        await page.go(premises.origin + scene.path)
        if scene.name == "recording":
            await premises.lend_here(SECOND, "auditor", DBA)
            await page.tab.click("text=Open it")
            await page.until("document.querySelector('.record')")
        await picture(page, folder, scene.name)
    if not names:
        async for name in acted(premises, pages[SECOND]):
            await picture(pages[SECOND], folder, name)
    page = await browser.page()
    await page.go(f"{premises.origin}/sign-in")
    await page.shows("sign-in")
    await picture(page, folder, "sign-in")


async def picture(page: Page, folder: Path, name: str) -> None:
    # What comes a moment later belongs to the page.
    await page.until("!document.getElementById('prover') || document.querySelector('#says, #prover .notice')")
    for look, (width, height, scheme) in _LOOKS.items():
        await page.tab.set_viewport_size({"width": width, "height": height})
        await page.tab.emulate_media(color_scheme=scheme)
        await page.tab.screenshot(path=folder / f"{name}-{look}.png", full_page=look == "phone")
    await page.tab.set_viewport_size({"width": 1280, "height": 800})


async def take_of_story(folder: Path, home: Path) -> None:
    """What needs a gateway, a database and a host: terminals, looking on, held statements, invitations, connections."""
    (home / "host").mkdir()
    async with running_whole(home / "host") as whole:
        await WholeStory(whole, lambda name, page: picture(page, folder, name)).tell()


async def sheets(browser: Browser, folder: Path) -> None:
    """All pages at a glance, some to a sheet: light, dark and on a phone beside each other."""
    rows = _rows(folder)
    page = await browser.page(viewport={"width": 1340, "height": 800})
    for number, start in enumerate(range(0, len(rows), _ON_A_SHEET), 1):
        await page.tab.set_content(f"<style>{_SHEET}</style>{''.join(rows[start : start + _ON_A_SHEET])}")
        await page.tab.screenshot(path=folder / f"sheet-{number}.jpg", type="jpeg", quality=72, full_page=True)


def _rows(folder: Path) -> list[str]:
    names = sorted({path.name.rpartition("-")[0] for path in folder.glob("*-phone.png")})
    return [_row(folder, name) for name in names]


def _row(folder: Path, name: str) -> str:
    shown = "".join(
        f'<img class="{look}" src="data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}">'
        for look in _LOOKS
        if (file := folder / f"{name}-{look}.png").is_file()
    )
    return f"<h2>{name}</h2><div>{shown}</div>"


async def run(folder: Path, names: Sequence[str]) -> None:
    with server_folder() as home:
        server = EmbeddedPostgres(home / "postgres", logins=(OWNER_ROLE, APPLICATION_ROLE), database=DATABASE)
        await asyncio.to_thread(server.start)
        try:
            address = embedded_address(server)
            await migrate(address.owner_url)
            state = PostgresState(address.url)
            async with open_premises(state, address, home) as premises:
                certificate = home / "keys" / "server.pem"
                async with chromium(key_of(certificate)) as browser:
                    await take(premises, browser, folder, names)
                    if not names or names == ["story"]:
                        await take_of_story(folder, home)
                    await sheets(browser, folder)
            await state.close()
        finally:
            await asyncio.to_thread(server.stop)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(run(target, sys.argv[2:]))
