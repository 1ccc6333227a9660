"""How long the console's pages take to answer, with 10,000 people and 100,000 entries in the ledger.

    python -m bench.console

Measured from loopback over TLS: on one kept connection until the whole page is there, and in Chromium until its first
paint with something on it (First Contentful Paint); each page five times after one that is not counted. The state is
the embedded PostgreSQL with its ordinary settings.
"""

import asyncio
import statistics
import time
from pathlib import Path

import httpx2
from tests.support.chromium import Browser, Page, chromium, key_of
from tests.support.databases import server_folder
from tests.web.console.client import enter, http_of
from tests.web.console.premises import DEV, LEAD, SECOND, Premises, company, open_premises
from tests.web.console.scenes import Stage, scenes, set_up

from interlock.domain.identity_events import SignInRefused
from interlock.store.connecting import APPLICATION_ROLE
from interlock.store.embedded import EmbeddedPostgres
from interlock.store.home import DATABASE, OWNER_ROLE, embedded_address
from interlock.store.migrate import migrate
from interlock.store.state import PostgresState

PEOPLE = 10_000
ENTRIES = 100_000
GOAL_MS = 200
_AT_ONCE = 2_000
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def _text() -> str:
    more = "".join(f"  person{n}@acme.example: {{vendor: acme}}\n" for n in range(PEOPLE))
    return company().replace("contracts:\n", f"{more}contracts:\n", 1)


async def _fill(premises: Premises) -> None:
    """Entries as a long time of failed sign-ins writes them."""
    for start in range(0, ENTRIES, _AT_ONCE):
        async with premises.house.world.state.changing("system") as work:
            for number in range(start, start + _AT_ONCE):
                work.record(SignInRefused(person=DEV, address=f"10.0.{number % 250}.1", reason="the password is wrong"))


async def _measure(premises: Premises, stage: Stage) -> None:
    async with http_of(premises) as http:
        clients = {person: await enter(premises, http, person) for person in (DEV, LEAD, SECOND)}
        worst = 0.0
        for scene in scenes(stage):
            client = clients.get(scene.person)
            if client is None:
                continue
            took, size = [], 0
            for _ in range(6):
                began = time.perf_counter()
                answer: httpx2.Response = await client.get(scene.path)
                took.append((time.perf_counter() - began) * 1000)
                size = len(answer.content)
            middle = statistics.median(took[1:])
            # A page asks for that one after it has been painted.
            worst = worst if scene.name == "prover" else max(worst, middle)
            print(f"{scene.name:<14} {answer.status_code} {middle:8.0f} ms {size / 1000:8.1f} KB")
        print(f"\nthe slowest takes {worst:.0f} ms; the goal is {GOAL_MS} ms")


async def _paint(premises: Premises, stage: Stage, browser: Browser) -> None:
    """The first paint with something on it, as Chromium tells it; of five after one that is not counted."""
    worst = 0.0
    pages: dict[str, Page] = {}
    for scene in scenes(stage):
        if scene.person not in pages:
            pages[scene.person] = await premises.enter(browser, scene.person)
        took = []
        for _ in range(6):
            await pages[scene.person].go(premises.origin + scene.path)
            took.append(float(await pages[scene.person].until(_PAINTED)))
        middle = statistics.median(took[1:])
        worst = worst if scene.name == "prover" else max(worst, middle)
        print(f"{scene.name:<14} painted after {middle:8.0f} ms")
    print(f"\nthe slowest first paint comes after {worst:.0f} ms; the goal is {GOAL_MS} ms")


async def run() -> None:
    with server_folder() as home:
        server = EmbeddedPostgres(home / "postgres", logins=(OWNER_ROLE, APPLICATION_ROLE), database=DATABASE)
        await asyncio.to_thread(server.start)
        try:
            address = embedded_address(server)
            await migrate(address.owner_url)
            state = PostgresState(address.url)
            async with open_premises(state, address, Path(home), text=_text(), terminals=True) as premises:
                stage = await set_up(premises)
                await _fill(premises)
                await _measure(premises, stage)
                async with chromium(key_of(home / "keys" / "server.pem")) as browser:
                    await _paint(premises, stage, browser)
            await state.close()
        finally:
            await asyncio.to_thread(server.stop)


if __name__ == "__main__":
    asyncio.run(run())
