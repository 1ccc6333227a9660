"""Lists go on by key: every one of them, once, also when something new comes while somebody reads."""

import re
from html import unescape
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote

import pytest
from fastapi.routing import APIRoute

from interlock.services import read_policy
from interlock.web.console import ask, decide, ledger, live, people, recordings
from interlock.web.console.pages import ROUTERS
from tests.web.console.client import Client, enter, http_of
from tests.web.console.premises import DEV, LEAD, MATE, OPS, SECOND, Premises, records_of

_LISTS = {
    "/requests?scope=all": r'href="/requests/(r-\w+)"',
    "/recordings": r'href="/recordings/(s-\w+)"',
    "/live": r'href="/live/(s-\w+)"',
    "/people": r'class="grow" href="/people/([^"/]+%40[^"/]+)"',
    "/people/contracts": r'<td><a href="/people/contracts/([^"]+)"',
    "/ask": r'href="/ask\?resource=([^"&]+)"',
    "/ledger?kind=request.opened": r'<td class="num"><a href="/ledger/(\d+)"',
    "/policy": r'href="/policy\?version=(\d+)"(?: aria-current="true")?>Version',
}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two to a page, so that a few make several."""
    for module in (recordings, people, ask, live, ledger):
        monkeypatch.setattr(module, "_PAGE", 2)
    monkeypatch.setattr(decide, "_REQUESTS", 2)
    monkeypatch.setattr(read_policy, "_VERSIONS", 2)


async def test_each_list_is_walked_whole_by_its_links(premises: Premises, few: None) -> None:
    await _fill(premises)
    async with http_of(premises) as http:
        second = await enter(premises, http, SECOND)
        for path, pattern in _LISTS.items():
            seen = await _walk(premises, second, path, pattern)
            assert len(seen) > 4 or path in ("/ask", "/people/contracts"), (path, seen)
            assert len(seen) == len(set(seen)), (path, seen)
            assert set(seen) >= await _expected(premises, path), (path, seen)


async def _fill(premises: Premises) -> None:
    for person in (DEV, LEAD, MATE):
        for resource in ("orders", "billing"):
            await premises.ask(person, "reader", resource=resource)
    grant = await premises.lend(DEV, "writer", OPS, LEAD)
    for number in range(5):
        start = premises.house.clock.now()
        await premises.connect(grant, f"s-00000000000{number}0")
        await premises.connect(grant, f"s-00000000000{number}1")
        await premises.close(f"s-00000000000{number}1", records_of(DEV, start))
    desk = premises.house.services.desk
    for number in range(5):
        proposer = await premises.hand(LEAD)
        body = {"yaml": f"{desk.configuration.text}\n# {number}\n", "cedar": {}, "reason": "more"}
        asked = await proposer.post("/v1/policy/proposals", body, timeout_s=300)
        await premises.approve(asked, SECOND)
        await proposer.post(f"/v1/policy/proposals/{asked['id']}/activate", {}, timeout_s=300)


async def _walk(premises: Premises, client: Client, path: str, pattern: str) -> list[str]:
    seen: list[str] = []
    there: str | None = path
    while there is not None:
        answer = await client.get(there)
        assert answer.status_code == 200, there
        seen += [unquote(unescape(found)) for found in re.findall(pattern, answer.text)]
        following = re.search(r'rel="next" href="([^"]+)"', answer.text)
        if there == path and "requests" in path:
            # With pages by number this would push one that was seen onto the next page.
            await premises.ask(OPS, "reader", resource="billing", reason="in between")
        there = None if following is None else unescape(following[1])
    return seen


async def _expected(premises: Premises, path: str) -> set[str]:
    async with premises.house.world.state.reading() as reading:
        match path.partition("?")[0]:
            case "/requests":
                return {one.id for one in await reading.requests() if one.reason != "in between"}
            case "/recordings":
                return {one.id for one in await reading.activities() if one.closed_at is not None}
            case "/live":
                return {one.id for one in await reading.activities(live=True)}
            case "/people":
                return {one.name for one in await reading.people()}
            case "/people/contracts":
                return {one.name for one in await reading.contracts()}
            case "/ledger":
                return {str(e.position) for e in await reading.ledger(limit=10_000) if e.kind == "request.opened"}
            case "/policy":
                return {str(number) for number, _ in await reading.policy_versions(before=2**31 - 1, limit=100)}
    return set(premises.house.services.desk.configuration.resources)


async def test_a_page_is_not_begun_after_what_one_may_not_see(premises: Premises) -> None:
    asked = await premises.ask(DEV, "reader")
    async with http_of(premises) as http:
        ops = await enter(premises, http, OPS)
        for path in (f"/requests?before={asked['id']}", "/requests?before=r-00000000", "/live?before=s-1"):
            assert (await ops.get(path)).status_code == 404, path


def test_nothing_counts_what_it_leaves_out() -> None:
    names = [
        part.alias
        for router in ROUTERS
        for r in router.routes
        if isinstance(r, APIRoute)
        for part in r.dependant.query_params
    ]
    assert not {"page", "offset", "skip"} & set(names)
    source = Path(str(files("interlock")))
    for file in (*source.rglob("*.py"), *source.rglob("*.sql")):
        assert not re.search(r"\.offset\(|\bOFFSET\s+[:$%\d]", file.read_text()), file
