"""The demo's story in people's browsers, from the first sign-in to the last: what is done there is done for real.

Told by ``test_whole_story.py``, and once more for the pictures.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from playwright.async_api import expect

from tests.support.chromium import Page
from tests.web.console.whole import ORDERS, Seat, Whole

LEAD, SECOND, DEV = "lead@example.com", "second@example.com", "dev@acme.example"
Camera = Callable[[str, Page], Awaitable[None]]


async def no_camera(name: str, page: Page) -> None:
    """Pictures are taken of another telling."""


class Client:
    """The psql that a page said to type, with one connection."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.complaints = ""
        self._said = asyncio.Event()
        self._reading = asyncio.create_task(self._read_complaints())

    @classmethod
    async def begin(cls, command: str) -> "Client":
        pipe = asyncio.subprocess.PIPE
        words = ("bash", "-c", f"{command} -X -At")
        return cls(await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe))

    def send(self, statement: str) -> None:
        if self.process.stdin is None:
            raise AssertionError("psql has no input")
        self.process.stdin.write(f"{statement}\n".encode())

    async def answer(self) -> str:
        """The next line."""
        if self.process.stdout is None:
            raise AssertionError("psql has no output")
        line = await asyncio.wait_for(self.process.stdout.readline(), 40)
        if not line:
            raise AssertionError(f"psql ended: {await self.over()}")
        return line.decode().strip()

    async def complains(self, words: str) -> None:
        async with asyncio.timeout(40):
            while words not in self.complaints:
                self._said.clear()
                await self._said.wait()

    async def over(self) -> str:
        """What it said by the time it ended."""
        await asyncio.wait_for(self.process.wait(), 40)
        await self._reading
        return self.complaints

    async def _read_complaints(self) -> None:
        while self.process.stderr is not None and (line := await self.process.stderr.readline()):
            self.complaints += line.decode()
            self._said.set()


class WholeStory:
    """The steps in their order. Each one leaves the world as the next expects it."""

    def __init__(self, whole: Whole, camera: Camera = no_camera) -> None:
        self.whole, self.picture = whole, camera
        self.lead: Seat
        self.second: Seat
        self.dev: Seat
        self.client: Client

    async def tell(self) -> None:
        await self.first_sign_in()
        await self.second_administrator()
        await self.first_resource()
        await self.nobody_alone_any_more()
        await self.first_contract()
        await self.policy_is_changed()
        await self.contractor_comes_in()
        await self.contractor_asks()
        await self.contractor_connects()
        await self.held_and_approved()
        await self.wiped_out_is_declined()
        await self.terminals()
        await self.watched_and_cut()
        await self.recordings()
        await self.duties()
        await self.ledger()
        await self.offboarded()

    # --- set-up

    async def first_sign_in(self) -> None:
        self.lead = await self._enrolled(LEAD)
        await self.lead.sign_in()
        await self.picture("home-first", self.lead.page)

    async def _enrolled(self, name: str) -> Seat:
        seat = await self.whole.seat(name)
        code = json.loads(await self.whole.operator("enrol", name, "--json"))["code"]
        await seat.first_time(code)
        return seat

    async def second_administrator(self) -> None:
        await self.lead.go("/set-up")
        await self.lead.sees("You act alone until a second person signs in")
        await self.picture("set-up-first", self.lead.page)
        await self.lead.tab.fill("#administrator-name", SECOND)
        await self._propose("administrator")
        await self._activate(self.lead)

    async def first_resource(self) -> None:
        lead = self.lead
        await lead.go("/set-up")
        for field, value in self.whole.database.items():
            await lead.tab.fill(f"#resource-{field}", value)
        step = lead.at("form[action='/set-up/resource']")
        await step.get_by_role("button", name="Try the connection").click()
        await expect(lead.at("#made .notice")).to_have_class(re.compile("ok|held"))
        await lead.sees("env:ORDERS_PASSWORD", "#made pre >> nth=0")
        await self.picture("set-up-tried", lead.page)
        await self._propose("resource")
        await self._activate(lead)

    async def nobody_alone_any_more(self) -> None:
        self.second = await self._enrolled(SECOND)
        await self.second.sign_in()
        await self.second.go("/set-up")
        await self.second.sees("Nobody acts alone here any more")

    async def first_contract(self) -> None:
        lead, second = self.lead, self.second
        await lead.go("/set-up")
        until = f"{datetime.now(UTC) + timedelta(days=90):%Y-%m-%d}"
        given = {"name": "acme-orders", "vendor": "acme", "person": "mate@acme.example", "end": until}
        for field, value in given.items():
            await lead.tab.fill(f"#contract-{field}", value)
        await lead.tab.select_option("#contract-sponsor", LEAD)
        await self._propose("contract")
        await lead.sees("Still needed")
        await second.go("/decide")
        await second.touch()
        await self._activate(lead)
        await lead.go("/set-up")
        await lead.sees("It is set up")
        await self.picture("set-up-done", lead.page)

    async def policy_is_changed(self) -> None:
        """A host, who reads recordings, and a chain: written by one, approved and put into effect by the other."""
        lead, second = self.lead, self.second
        await second.go("/policy/change")
        policy = yaml.safe_load(await second.at("#yaml").input_value())
        await second.tab.fill("#yaml", yaml.safe_dump(self._wider(policy), sort_keys=False))
        await second.press("See what it would come to")
        await expect(second.at(".effects .row").first).to_be_visible()
        await second.tab.fill("#reason", "acme looks after the host as well")
        await second.press("Propose it")
        await second.sees("Still needed")
        await lead.go("/decide")
        await lead.sees("acme looks after the host as well")
        await expect(lead.at("#prover .effects")).to_be_visible()
        await self.picture("decide-policy", lead.page)
        await lead.touch()
        await second.sees("Put it into effect", "#activate")
        await lead.tab.get_by_role("status").get_by_role("link").click()
        await self._activate(lead)

    def _wider(self, policy: dict[str, Any]) -> Mapping[str, Any]:
        host = self.whole.sshd
        policy["resources"]["web"] = {
            "kind": "ssh",
            "address": f"127.0.0.1:{host.port}",
            "host_key": host.host_key,
            "credential": {"user": host.user, "secret": "env:WEB_KEY"},
            "labels": {"environment": "production"},
        }
        for role, kind, allow in (
            ("operator", {"kind": "ssh"}, ["connect", "read", "execute"]),
            ("auditor", {}, ["replay"]),
        ):
            lend = {"longest": "1h", "approvals": [{"from": {"people": [LEAD, SECOND]}, "count": 1}]}
            policy["roles"][role] = {"on": {**kind, "environment": "production"}, "allow": allow, "lend": lend}
        policy["contracts"]["acme-orders"]["roles"].append("operator")
        policy["chains"] = {"release": {"duties": ["develop", "review", "deploy"], "separate": "all"}}
        return policy

    async def _propose(self, step: str) -> None:
        form = self.lead.at(f"form[action='/set-up/{step}']")
        await form.get_by_role("button", name="Propose").click()
        await self.lead.sees("proposes a change of the policy")

    async def _activate(self, seat: Seat) -> None:
        await seat.press("Put it into effect")
        await seat.sees("It is in effect")

    # --- the contractor

    async def contractor_comes_in(self) -> None:
        """One gives the link, the sponsor confirms by the words that the contractor reads out."""
        lead, second, self.dev = self.lead, self.second, await self.whole.seat(DEV)
        await second.go("/people/contracts/acme-orders")
        invite = second.at("form[action$='/invite']")
        await invite.locator("[name=person]").fill(DEV)
        await invite.locator("[name=totp]").fill(second.member.code())
        await invite.get_by_role("button").click()
        await second.sees("An invitation for")
        await self.picture("invited", second.page)
        link = await second.at("pre").inner_text()
        self.whole.watched.learn("an invitation", link.strip().partition("#")[2])
        await self.dev.tab.goto(link.strip())
        await expect(self.dev.at("#invitation")).to_be_visible()
        words = await self.dev.at("#words").inner_text()
        await self.picture("invitation", self.dev.page)
        await lead.go("/people/contracts/acme-orders")
        admit = lead.at("form[action$='/admit']")
        await self.picture("contract-invited", lead.page)
        await admit.locator("[name=words]").fill(words)
        await admit.locator("[name=totp]").fill(lead.member.code())
        await admit.get_by_role("button").click()
        await lead.sees("confirmed", "section[aria-labelledby=invited-title]")
        await expect(self.dev.at("#to-come")).to_be_visible()
        await self.dev.tab.fill("#new-password", self.dev.member.password)
        await self.dev.at("#invitation").get_by_role("button", name="Come in").click()
        await self.dev.keep_secret()
        await self.dev.sign_in()

    async def contractor_asks(self) -> None:
        await self._lend(self.dev, "orders", "writer", "order 4711 stays open")
        await self._lend(self.dev, "web", "operator", "the disk of web is full")
        for resource in ("orders", "web"):
            await self._lend(self.second, resource, "auditor", "who did what", by=self.lead)

    async def _lend(self, seat: Seat, resource: str, role: str, reason: str, by: Seat | None = None) -> None:
        """Asked on one's page, approved with a touch in another's browser; it shows without a reload."""
        approver = self.second if by is None else by
        await seat.go(f"/ask?resource={resource}")
        chosen = seat.at(f"input[name=role][value={role}]")
        if not await chosen.is_checked():
            await chosen.click()
            await seat.tab.wait_for_url(f"**role={role}")
        await seat.sees("is about", "#judges")
        await seat.tab.fill("#reason", reason)
        await seat.at("form.stack").get_by_role("button", name="Ask").click()
        await seat.sees("Still needed")
        await approver.go("/decide")
        await approver.sees(reason)
        await approver.touch()
        await seat.sees("To what you can reach")

    async def contractor_connects(self) -> None:
        self.client = await self._connected()
        await self.picture("connect", self.dev.page)
        self.client.send("SELECT count(*) FROM orders;")
        assert await self.client.answer() == str(ORDERS)

    async def _connected(self) -> Client:
        """With what the page says to type."""
        await self.dev.go("/")
        await self.dev.tab.get_by_role("button", name="Connect to orders").click()
        await self.dev.press("Connect with your passkey")
        command = await self.dev.at("#command").inner_text()
        for password in re.findall("PGPASSWORD='([^']+)'", command):
            self.whole.watched.learn("a password for one connection", password)
        return await Client.begin(command)

    async def held_and_approved(self) -> None:
        """Too many rows: the other sees text and impact, touches the passkey, and it runs."""
        text = "UPDATE orders SET state = 'closed' WHERE id <= 150;"
        self.client.send(text)
        await self.client.complains("held")
        second = self.second
        await second.go("/decide")
        await expect(second.at("pre.statement")).to_have_text(text)
        await second.sees("150", "table.impact")
        await second.sees("ran into the fence")
        assert self.whole.count("orders WHERE state = 'closed'") == 0
        await self.picture("decide-held", second.page)
        await second.touch()
        assert await self.client.answer() == "UPDATE 150"
        assert self.whole.count("orders WHERE state = 'closed'") == 150

    async def wiped_out_is_declined(self) -> None:
        second = self.second
        self.client.send("DELETE FROM orders;")
        await second.go("/decide")
        await expect(second.at("pre.statement")).to_have_text("DELETE FROM orders;")
        await second.sees(f"{ORDERS}", "table.impact")
        await second.tab.fill("#no-reason", "that is the whole table")
        await second.press("Deny")
        await second.sees("is denied")
        await self.client.complains("that is the whole table")
        assert self.whole.count() == ORDERS

    async def terminals(self) -> None:
        """The same in the browser: an SQL prompt whose statement is held, and a shell that somebody looks on at."""
        dev, second = self.dev, self.second
        await dev.go("/terminal")
        await self.picture("terminals-open", dev.page)
        await dev.tab.get_by_role("link", name="Open orders").click()
        await self.picture("terminal-presence", dev.page)
        await dev.press("Open it with your passkey")
        await expect(dev.at(".xterm-rows")).to_contain_text("orders=>")
        await dev.types("select state, count(*) from orders group by state;", "SELECT 2")
        await dev.types("drop table items;", "held")
        await self.picture("terminal-sql", dev.page)
        await second.go("/decide")
        await expect(second.at("pre.statement")).to_have_text(re.compile("drop table items", re.IGNORECASE))
        await second.tab.fill("#no-reason", "items stay")
        await second.press("Deny")
        await expect(dev.at(".xterm-rows")).to_contain_text("items stay")
        assert self.whole.count("items") == 900
        await dev.press("the line before")
        await expect(dev.at(".xterm-rows")).to_contain_text(
            re.compile(r"drop table items;.*drop table items;", re.DOTALL)
        )
        await dev.press("Ctrl-C")
        await expect(dev.at(".xterm-rows")).to_contain_text("^C")
        await dev.types("\\q", "\\q")
        await dev.sees("This terminal is over")
        await dev.go("/terminal/web")
        await expect(dev.at(".xterm-rows")).to_contain_text(re.compile(r"[$#]"))
        await dev.types("echo in-the-br''owser; uname -o", "in-the-browser")
        await self.picture("terminal-ssh", dev.page)

    async def watched_and_cut(self) -> None:
        dev, second = self.dev, self.second
        await second.go("/live")
        await self.picture("live-two", second.page)
        await second.at("tr", has="web").get_by_role("link").click()
        await second.press("Look on")
        await expect(second.at("#joined .xterm-rows")).to_contain_text("in-the-browser")
        await expect(dev.at(".xterm-rows")).to_contain_text("looks on")
        await self.picture("live-look-on", second.page)
        await dev.press("Ctrl-D")
        await dev.sees("This terminal is over")
        await second.go("/live")
        await second.at("tr", has="orders").get_by_role("link").click()
        await second.tab.get_by_role("button", name="Watch", exact=True).click()
        await second.sees("UPDATE orders", "#records")
        self.client.send("SELECT pg_sleep(60);")
        await second.sees("pg_sleep", "#records")
        await self.picture("live-watched", second.page)
        await second.tab.fill("#cut-reason", "enough for today")
        await second.press("Cut now")
        assert "enough for today" in await self.client.over()

    # --- afterwards

    async def recordings(self) -> None:
        second = self.second
        await self._until(second, "/recordings", "tbody tr >> nth=2")
        await second.tab.fill("#words", "update closed")
        await second.press("Search statements")
        hit = second.at(".found a").first
        await expect(hit).to_contain_text("UPDATE orders")
        await self.picture("recordings-found", second.page)
        await hit.click()
        await second.press("Open it")
        await expect(second.at(".record.now")).to_contain_text("UPDATE orders")
        await second.tab.select_option("#speed", "16")
        await second.press("Play")
        await expect(second.at(".record.now")).to_contain_text("Closed")
        await second.go("/recordings")
        await second.at("tr", has="web").get_by_role("link").click()
        await second.press("Open it")
        await expect(second.at("#cast .ap-player")).to_be_visible()
        await second.tab.select_option("#cast-speed", "4")
        await expect(second.at("#cast .ap-term")).to_contain_text("in-the-browser")
        await self.picture("recording-terminal", second.page)
        await second.press("Link to this moment")
        await second.sees("?at=", "#cast-said")

    async def duties(self) -> None:
        """One develops, another reviews; who developed reviews nothing."""
        dev, second = self.dev, self.second
        await dev.go("/duties")
        await dev.tab.fill("#artifact-1", "change:4711")
        await dev.press("Take it")
        await dev.tab.fill("#content", "sha256:1f0c")
        await dev.press("It is done")
        await expect(dev.tab.get_by_role("button", name="Take review")).to_have_count(0)
        await dev.go("/duties")
        await dev.tab.select_option("#duty-1", "review")
        await dev.tab.fill("#artifact-1", "change:4711")
        await dev.press("Take it")
        await dev.sees("may not carry review", "[role=alert]")
        await second.go("/duties")
        await second.tab.get_by_role("link", name="change:4711").click()
        await second.press("Take review")
        await self.picture("artifact-turn", second.page)
        await second.press("It is done")
        await expect(second.tab.get_by_role("button", name="Take deploy")).to_have_count(0)
        await self.lead.tab.goto(second.tab.url)
        await self.lead.press("Take deploy")
        await self.lead.press("It is done")
        await expect(self.lead.at(".chain .done")).to_have_count(3)

    async def ledger(self) -> None:
        """An entry with its proof, which is checked with the key and without the server."""
        second = self.second
        await second.go("/ledger?kind=approval.given")
        await self.picture("ledger-published", second.page)
        await second.at("tbody tr").last.get_by_role("link").click()
        where = second.tab.url.removeprefix(self.whole.origin)
        await self._until(second, where, "text=Take the proof")
        await self.picture("entry-proved", second.page)
        async with second.tab.expect_download() as downloading:
            await second.tab.click("text=Take the proof")
        kept = self.whole.stack.folder / "entry.tlog-proof"
        await (await downloading.value).save_as(kept)
        key = str(self.whole.stack.data / "keys" / "ledger.vkey")
        assert "is in the ledger" in await self.whole.operator("ledger", "verify", str(kept), "--key", key)
        self._forge(kept)
        refused = self.whole.stack.run(None, "ledger", "verify", str(kept), "--key", key, check=False)
        assert refused.returncode == 1

    def _forge(self, proof: Path) -> None:
        """One letter of the entry."""
        first, entry, *rest = proof.read_text().split("\n")
        changed = entry[:20] + ("A" if entry[20] != "A" else "B") + entry[21:]
        proof.write_text("\n".join([first, changed, *rest]))

    async def offboarded(self) -> None:
        """One act ends everything, in the middle of a session too."""
        dev, lead = self.dev, self.lead
        client = await self._connected()
        client.send("SELECT 4711;")
        assert await client.answer() == "4711"
        client.send("SELECT pg_sleep(60);")
        await dev.go("/terminal/orders")
        await dev.press("Open it with your passkey")
        await dev.types("select 4711 as still_there;", "SELECT 1")
        await lead.go(f"/people/{DEV}")
        await self.picture("person-reaches", lead.page)
        await lead.tab.fill("#off-reason", "acme sends somebody else")
        await lead.press(f"Offboard {DEV}")
        await lead.sees("Offboarded by")
        assert "Interlock ended this session" in await client.over()
        # The page in front of the contractor says so by itself, and lets them in no more.
        await dev.sees("This login is over", "#problem")
        await self._until(lead, f"/people/{DEV}", "text=Nothing remains")
        await self.picture("person-left", lead.page)
        await dev.tab.fill("#person", DEV)
        await dev.tab.fill("#password", dev.member.password)
        await dev.tab.click("#with-password")
        await expect(dev.at("#problem")).not_to_contain_text("This login is over")
        await expect(dev.at("#problem")).not_to_be_empty()
        await lead.go("/live")
        await lead.sees("Nobody is connected")

    async def _until(self, seat: Seat, path: str, selector: str) -> None:
        """What comes within seconds on a page that has to be opened again."""
        async with asyncio.timeout(40):
            await seat.go(path)
            while not await seat.at(selector).count():
                await seat.tab.reload()
