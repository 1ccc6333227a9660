"""Nothing secret stands in an address: every link, form, redirect and call of every page, as every kind of person."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2

from interlock.store.state import PostgresState
from tests.web.console.addresses import SECRET_FIELDS, holds, looks_secret
from tests.web.console.client import COOKIE, Client, enter, http_of
from tests.web.console.premises import DBA, DEV, EVERYBODY, SECOND, Premises
from tests.web.console.scenes import scenes, set_up
from tests.web.console.test_fields import _CODE, _forms
from tests.web.house import PASSWORD

_ADDRESSES = re.compile(
    r'\b(?:href|src|action|formaction|hx-(?:get|post|put|delete)|data-(?:goes|watch|join|cast|socket|passkey))="([^"]*)"'
)
_FORMS = re.compile(r"<form\b[^>]*\bmethod=\"get\"[^>]*>(.*?)</form>", re.DOTALL)
_THINGS = {"resource", "job", "role", "version", "kind", "who", "scope", "chain", "artifact", "duty"}
_ASKED = _THINGS | {"q", "words", "after", "before", "at", "next", "left"}
"""The names that stand in queries: names of things, words to search for, places in lists."""
_OF_A_KIND = 4
"""Addresses that differ in nothing but numbers are followed so often for a person: the ledger has hundreds."""


@dataclass
class _Walk:
    """One person's way over everything that is linked from what they may see."""

    client: Client
    found: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    _kinds: Counter[str] = field(default_factory=Counter)

    async def all_pages(self, *starts: str) -> None:
        waiting, seen = list(starts), set(starts)
        while waiting:
            there = waiting.pop()
            answer = await self.client.get(there)
            assert answer.status_code < 500, there
            for address in self.read(there, answer):
                path = urljoin(there, address).partition("#")[0]
                kind = re.sub(r"\d+", "9", re.sub(r"[a-z]-[0-9a-z]{8,13}", "x", path))
                if path.startswith("/") and path not in seen and self._kinds[kind] < _OF_A_KIND:
                    self._kinds[kind] += 1
                    seen.add(path)
                    waiting.append(path)

    def read(self, there: str, answer: httpx2.Response) -> list[str]:
        """The addresses of an answer, each looked at."""
        page = answer.text if answer.headers.get("content-type", "").startswith("text/html") else ""
        found = [unescape(address) for address in _ADDRESSES.findall(page)]
        names = ("location", "hx-redirect", "hx-location", "hx-push-url", "hx-replace-url", "link", "refresh")
        found += [answer.headers[name] for name in names if name in answer.headers]
        if answer.headers.get("referrer-policy") not in ("same-origin", "no-referrer"):
            self.wrong.append(f"{there}: its address may be told elsewhere")
        for inside in _FORMS.findall(page):
            fields = set(re.findall(r'\bname="([^"]*)"', inside))
            if not fields <= _ASKED - {"next"}:
                self.wrong.append(f"{there}: a form puts {fields} into an address")
        for address in found:
            named = {name for name, _ in parse_qsl(urlsplit(address).query)}
            if looks_secret(address) or not named <= _ASKED:
                self.wrong.append(f"{there}: {address}")
        self.found.update(found)
        return found


async def test_no_address_of_any_page_carries_a_secret(premises: Premises, state: PostgresState) -> None:
    stage = await set_up(premises)
    secrets: set[str] = {PASSWORD}
    walks: dict[str, _Walk] = {}
    async with http_of(premises) as http:
        for person in EVERYBODY:
            client = await enter(premises, http, person)
            walk = walks[person] = _Walk(client)
            secrets |= {client.cookie, await client.token(), premises.house.secrets[person]}
            await walk.all_pages("/", *(scene.path for scene in scenes(stage)))
            assert len(walk.found) > 40, person
        await premises.lend_here(SECOND, "auditor", DBA)
        for path, (person, form) in _forms(stage).items():
            secrets |= await _send(walks, premises, person, path, form)
        secrets |= {client.auth.token for client in premises.house.clients if client.auth.token}
        stranger = _Walk(Client(premises, http))
        for scene in scenes(stage):
            stranger.read(scene.path, await stranger.client.get(scene.path))
        stranger.read("/sign-in", await stranger.client.get("/sign-in"))
    assert len(secrets) > 40
    for walk in (*walks.values(), stranger):
        assert walk.wrong == []
        for address in walk.found:
            assert not any(holds(address, secret) for secret in secrets), address


async def _send(walks: dict[str, _Walk], premises: Premises, person: str, path: str, form: dict[str, str]) -> set[str]:
    """A form as its page sends it. The secrets that were sent, or were made by it."""
    walk = walks.get(person)
    if walk is None:
        return set()
    client, sent = walk.client, dict(form)
    if not (await client.get("/you")).text.count('name="token"'):
        # What was sent before has ended the login.
        async with http_of(premises) as http:
            entered = await enter(premises, http, person)
        client.cookie = entered.cookie
    sent["token"] = await client.token()
    if sent.get("totp") == _CODE:
        premises.house.clock.advance(timedelta(seconds=30))
        sent["totp"] = premises.house.code(person)
    answer = await client.post(path.partition("#")[0], sent)
    assert answer.status_code < 500, path
    client.take_cookie(answer)
    walk.read(path, answer)
    made = set(re.findall(r"PGPASSWORD=&#39;([^&]+)&#39;|/invitation#(\S+?)<", answer.text))
    names = SECRET_FIELDS - {"presence", "ceremony", "credential", "words", "code"}
    return {client.cookie, *(one for pair in made for one in pair if one), *(sent[name] for name in names & set(sent))}


async def test_an_address_that_is_asked_with_a_token_does_nothing_and_is_not_passed_on(premises: Premises) -> None:
    """Somebody puts their own secret into an address: no page takes it from there, nor writes it into another."""
    async with http_of(premises) as http:
        client = await enter(premises, http, DEV)
        token = await client.token()
        for path in ("/", "/ask", "/decide", "/you", "/notices"):
            answer = await client.get(f"{path}?token={token}&{COOKIE}={client.cookie}")
            assert answer.status_code == 200
            walk = _Walk(client)
            assert not any(token in address or client.cookie in address for address in walk.read(path, answer))
        stranger = Client(premises, http)
        answer = await stranger.get(f"/?{COOKIE}={client.cookie}")
        assert answer.status_code == 303, "a session is in its cookie, and nowhere else"
