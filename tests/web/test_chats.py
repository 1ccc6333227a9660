"""A chat whose messages have buttons, from its own server to the console: linking an account, pressing, and attacks."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from interlock.domain.grants import Request, RequestState
from interlock.domain.notices import ChatLink, Letter
from interlock.ledger.entries import read_body
from interlock.notify.slack import Slack, blocks_of
from interlock.ports.notify import NotifierSettings
from interlock.services.deny_request import deny_request
from interlock.services.link_chat import unlink
from interlock.services.notices import Posting, posting_of
from interlock.services.offboard_person import offboard_person
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from tests.notify.chats import SIGNING, TOKEN, SlackServer, pressed, signed, typed
from tests.services.world import ADMIN, DBA, DEV, MATE, RIVAL
from tests.sinks.test_sinks import serving
from tests.store.test_sequencer import until
from tests.web.console.client import COOKIE, Client, enter
from tests.web.house import House, open_house, trust


@dataclass
class _House:
    house: House


@dataclass
class Office:
    """A served console with Slack beside it."""

    house: House
    slack: SlackServer
    back: str
    http: httpx2.AsyncClient

    async def send(self, body: bytes, headers: Mapping[str, str] | None = None, notifier: str = "slack") -> int:
        headers = signed(body, at=self.house.clock.now().timestamp()) if headers is None else headers
        url = f"{self.house.server}/v1/notify/{notifier}/press"
        return (await self.http.post(url, content=body, headers=headers)).status_code

    async def says(self, body: bytes) -> str:
        """What Slack is answered to ``body``; each press is of a moment of its own."""
        count = len(self.slack.answered)
        assert await self.send(body) == 200
        await until(lambda: len(self.slack.answered) > count)
        answer = self.slack.answered[-1]
        return " ".join(
            [answer["blocks"][0]["text"]["text"], *(one["url"] for one in answer["blocks"][1]["elements"])]
            if len(answer["blocks"]) > 1
            else [answer["blocks"][0]["text"]["text"]]
        )

    async def client(self, person: str) -> Client:
        return await enter(_House(self.house), self.http, person)

    async def link(self, person: str, user: str) -> None:
        """As people do it: a code from the page, said in Slack, confirmed on the page."""
        client = await self.client(person)
        code = await code_of(client)
        assert "Now confirm" in await self.says(typed(f"link {code}", self.back, user=user))
        assert (await confirm(self, client, person)).status_code == 303

    async def message(self, request: Request) -> dict[str, Any]:
        """What Slack shows a judge of ``request``."""
        async with self.house.world.state.reading() as reading:
            entries = await reading.ledger(limit=100_000)
        (entry,) = (e for e in entries if e.kind == "request.opened" and request.id.encode() in e.body)
        posting = await posting_of(self.house.world.desk, read_body(entry.body))
        assert isinstance(posting, Posting)
        return {"blocks": blocks_of(Letter("slack", DBA, posting.notice), self.house.services.oauth.issuer)}


async def code_of(client: Client) -> str:
    shown = await client.post("/notices/chats/slack/begin", {"token": await client.token()})
    found = re.search(r"/interlock link ([0-9A-Z]{5}-[0-9A-Z]{5})<", shown.text)
    assert found is not None, shown.text
    return found[1]


async def confirm(office: Office, client: Client, person: str, **changes: str) -> httpx2.Response:
    text = (await client.get("/notices")).text
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', text)
    form = {
        "token": await client.token(),
        "digest": digest[1] if digest else "none",
        "totp": office.house.code(person),
        **changes,
    }
    answer = await client.post("/notices/chats/slack/confirm", form)
    # with each proof of presence the session gets another number
    if given := re.match(rf"{COOKIE}=([^;]+)", answer.headers.get("set-cookie", "")):
        client.cookie = given[1]
    return answer


@pytest.fixture
async def office(state: PostgresState, state_database: StateAddress, tmp_path: Path) -> AsyncIterator[Office]:
    async with _office(state, state_database, tmp_path) as opened:
        yield opened


@asynccontextmanager
async def _office(state: PostgresState, address: StateAddress, folder: Path) -> AsyncIterator[Office]:
    server = SlackServer()
    async with serving(server.api) as at:
        settings = NotifierSettings("slack", f"{at}/api", TOKEN, "", SIGNING, inside=True, console="https://console")
        notifier = Slack(f"{at}/api", settings)
        async with (
            open_house(state, address, folder, notifiers={"slack": notifier}) as house,
            httpx2.AsyncClient(verify=trust(house.authority), trust_env=False) as http,
        ):
            yield Office(house, server, f"{at}/actions/T1/1/2", http)
        await notifier.close()


async def links(office: Office, person: str) -> tuple[ChatLink, ...]:
    async with office.house.world.state.reading() as reading:
        return tuple(await reading.chat_links(person))


async def state_of(office: Office, request: Request) -> RequestState:
    return (await office.house.world.request(request.id)).state


async def test_a_person_links_an_account_says_no_with_it_and_unlinks_it(office: Office) -> None:
    await office.link(DBA, "U1")
    (link,) = await links(office, DBA)
    assert (link.subject, link.shown) == ("T1 U1", "name of U1")
    request = await office.house.world.ask()
    message = await office.message(request)
    # without a reason it is asked for one
    assert "Write why not" in await office.says(pressed(message, "deny", office.back))
    assert await state_of(office, request) is RequestState.OPEN
    assert "Denied by dba: not today" in await office.says(pressed(message, "deny", office.back, words="not today"))
    assert office.slack.answered[-1]["replace_original"] is True
    ended = await office.house.world.events("request.ended")
    assert [(one["by"], one["state"], one["reason"]) for one in ended] == [(DBA, "denied", "not today")]
    assert "no longer open" in await office.says(pressed(message, "deny", office.back, words="again"))
    client = await office.client(DBA)
    token = await client.token()
    assert (await client.post("/notices/chats/slack/unlink", {"token": token})).status_code == 303
    assert await links(office, DBA) == ()
    other = await office.house.world.ask()
    said = await office.says(pressed(await office.message(other), "deny", office.back, words="no"))
    assert "linked to nobody" in said
    assert await state_of(office, other) is RequestState.OPEN
    assert [one["by"] for one in await office.house.world.events("chat.unlinked")] == [DBA]


async def test_nothing_is_approved_by_a_button(office: Office) -> None:
    await office.link(DBA, "U1")
    request = await office.house.world.ask()
    said = await office.says(pressed(await office.message(request), "approve", office.back))
    assert "with your passkey or code" in said
    assert said.endswith(f"https://console/decide/{request.id}")
    # the way there leads to a page that asks for it, though the person has just been present
    client = await office.client(DBA)
    sent = {"token": await client.token(), "digest": request.digest}
    assert (await client.post(f"/requests/{request.id}/approve", sent)).status_code in (400, 403)
    assert await state_of(office, request) is RequestState.OPEN
    assert await office.house.world.events("approval.given") == []


async def test_one_s_own_request_is_not_decided_by_oneself(office: Office) -> None:
    await office.link(DBA, "U1")
    request = await office.house.world.ask(person=DBA, role="reader")
    message = await office.message(request)
    for action in ("approve", "deny"):
        assert "your own request" in await office.says(pressed(message, action, office.back, words="x"))
    assert await state_of(office, request) is RequestState.OPEN


async def test_who_may_not_decide_is_refused_and_learns_nothing(office: Office) -> None:
    await office.link(MATE, "U2")
    request = await office.house.world.ask()
    message = await office.message(request)
    for action in ("approve", "deny"):
        said = await office.says(pressed(message, action, office.back, user="U2", words="x"))
        assert said == f"There is no request {request.id}. See `interlock requests`."
    missing = pressed(message, "deny", office.back, user="U2", words="x").replace(request.id.encode(), b"r-00000000")
    assert await office.says(missing) == "There is no request r-00000000. See `interlock requests`."
    assert await state_of(office, request) is RequestState.OPEN


async def test_another_s_account_and_an_unlinked_one_do_nothing(office: Office) -> None:
    await office.link(DBA, "U1")
    request = await office.house.world.ask()
    message = await office.message(request)
    stranger = pressed(message, "deny", office.back, user="U9", words="x")
    # neither the same name in the workspace nor the same number in another one is the account
    named = stranger.replace(b"name+of+U9", b"name+of+U1")
    other_workspace = pressed(message, "deny", office.back, words="x").replace(b"%22T1%22", b"%22T2%22")
    for body in (stranger, named, other_workspace):
        assert "linked to nobody" in await office.says(body)
    assert await state_of(office, request) is RequestState.OPEN


async def test_what_changed_between_the_message_and_the_press_is_not_decided(office: Office) -> None:
    await office.link(DBA, "U1")
    shown, other = await office.house.world.ask(), await office.house.world.ask("two")
    message = await office.message(replace(shown))
    for action in ("approve", "deny"):
        body = pressed(message, action, office.back, words="x")
        swapped = body.replace(shown.id.encode(), other.id.encode())
        assert "not what is asked now" in await office.says(swapped)
        stale = body.replace(shown.digest.encode(), b"0" * 64)
        assert "not what is asked now" in await office.says(stale)
    assert await state_of(office, shown) is await state_of(office, other) is RequestState.OPEN


async def test_a_forged_an_old_and_a_repeated_press_are_refused(office: Office) -> None:
    await office.link(DBA, "U1")
    request = await office.house.world.ask()
    body = pressed(await office.message(request), "deny", office.back, words="x")
    now = office.house.clock.now().timestamp()
    assert await office.send(body, {}) == 403
    assert await office.send(body, signed(body, secret="guessed", at=now)) == 403
    assert await office.send(body, signed(body, at=now - 301)) == 403
    assert await office.send(body + b"&x=1", signed(body, at=now)) == 403
    assert await office.send(body, notifier="mail") == 404
    assert await office.send(body, notifier="page") == 404
    assert await state_of(office, request) is RequestState.OPEN
    headers = signed(body, at=now)
    assert await office.send(body, headers) == 200
    assert await state_of(office, request) is RequestState.DENIED
    assert await office.send(body, headers) == 403


async def test_who_has_left_or_lost_the_right_decides_nothing(office: Office) -> None:
    await office.link(RIVAL, "U3")
    first = await office.house.world.ask()
    body = pressed(await office.message(first), "deny", office.back, user="U3", words="x")
    await offboard_person(office.house.world.desk, by=ADMIN, name=RIVAL, reason="gone")
    assert "Denied" not in await office.says(body)
    assert await state_of(office, first) is RequestState.OPEN


async def test_an_overheard_code_links_nobody_without_their_yes(office: Office) -> None:
    """Somebody else says the code first: the person is shown whose account it was, and does not confirm it."""
    client = await office.client(DBA)
    code = await code_of(client)
    assert "Now confirm" in await office.says(typed(f"link {code}", office.back, user="U9"))
    text = (await client.get("/notices")).text
    assert "name of U9" in text
    assert "T1 U9" in text
    # it was used up
    assert "not known" in await office.says(typed(f"link {code}", office.back, user="U1"))
    # a cookie alone confirms nothing, nor does another digest, nor another person
    assert (await confirm(office, client, DBA, totp="000000")).status_code == 403
    assert (await confirm(office, client, DBA, digest="0" * 64)).status_code == 403
    other = await office.client(DEV)
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', text)
    assert digest is not None
    assert (await confirm(office, other, DEV, digest=digest[1])).status_code == 403
    assert await links(office, DBA) == await links(office, DEV) == ()
    # a second claim takes the first one's place between the look and the yes
    second = await code_of(client)
    await office.says(typed(f"link {second}", office.back, user="U1"))
    assert (await confirm(office, client, DBA, digest=digest[1])).status_code == 403
    assert (await confirm(office, client, DBA)).status_code == 303
    assert [link.subject for link in await links(office, DBA)] == ["T1 U1"]


async def test_an_account_is_one_person_s(office: Office) -> None:
    await office.link(DBA, "U1")
    client = await office.client(DEV)
    code = await code_of(client)
    assert "linked already" in await office.says(typed(f"link {code}", office.back, user="U1"))
    await unlink(office.house.world.desk, by=DBA, notifier="slack")
    await office.link(DEV, "U1")
    # and a person has one account there: a new one takes the old one's place
    await office.link(DEV, "U5")
    assert [link.subject for link in await links(office, DEV)] == ["T1 U5"]
    request = await office.house.world.ask()
    said = await office.says(pressed(await office.message(request), "deny", office.back, user="U1", words="x"))
    assert "linked to nobody" in said


async def test_a_code_is_good_for_ten_minutes_and_for_its_chat(office: Office) -> None:
    client = await office.client(DBA)
    code = await code_of(client)
    for _ in range(21):
        office.house.code(DBA)
    assert "not known" in await office.says(typed(f"link {code}", office.back))
    for text in ("link", "link ", "link " + "A" * 5000, "help", ""):
        assert await office.says(typed(text, office.back))
    assert await links(office, DBA) == ()


async def test_a_name_in_the_chat_does_nothing_on_the_page(office: Office) -> None:
    client = await office.client(DBA)
    code = await code_of(client)
    evil = typed(f"link {code}", office.back).replace(b"name+of+U1", b"%3Cscript%3Ealert(1)%3C%2Fscript%3E%0A%E2%80%AE")
    await office.says(evil)
    text = (await client.get("/notices")).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\n\\u202e" in text


async def test_the_head_of_every_page_counts_what_waits(office: Office) -> None:
    client = await office.client(DBA)
    assert 'class="count"' not in (await client.get("/notices/count")).text
    request = await office.house.world.ask()
    assert 'class="count">1<' in (await client.get("/notices/count")).text
    await deny_request(office.house.world.desk, by=DBA, request_id=request.id, reason="no")
    assert 'class="count"' not in (await client.get("/notices/count")).text
