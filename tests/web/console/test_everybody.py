"""Every address as every kind of person: what is not theirs answers as if it were not there, or says no."""

import re

from fastapi.routing import APIRoute

from interlock.web.console.pages import ROUTERS
from tests.web.console.client import Client, enter, http_of
from tests.web.console.premises import DBA, DEV, EVERYBODY, LEAD, MATE, OPS, SECOND, Premises
from tests.web.console.scenes import Stage, scenes, set_up

ALL = frozenset(EVERYBODY)
EMPLOYEES = frozenset({LEAD, SECOND, DBA})
ADMINISTRATOR = frozenset({SECOND})


def _reads(stage: Stage) -> dict[str, tuple[frozenset[str], int]]:
    """Who is shown the page, and what the others are answered."""
    return {
        "/": (ALL, 0),
        "/you": (ALL, 0),
        "/notices": (ALL, 0),
        "/notices/count": (ALL, 0),
        "/ask": (ALL, 0),
        "/ask?resource=orders": (ALL, 0),
        "/ask?resource=nothing": (frozenset(), 404),
        "/decide": (ALL, 0),
        "/requests": (ALL, 0),
        "/requests?scope=all": (ALL, 0),
        # who asked, who could approve (of operations, not of the same vendor), the sponsor, the administrator
        f"/requests/{stage.held}": (frozenset({DEV, OPS, DBA, SECOND, LEAD}), 404),
        f"/requests/{stage.held}/statement": (frozenset({DEV, OPS, DBA, SECOND, LEAD}), 404),
        f"/requests/{stage.asked}/statement": (frozenset(), 404),
        f"/decide/{stage.held}": (frozenset({DEV, OPS, DBA, SECOND, LEAD}), 404),
        f"/requests/{stage.asked}": (frozenset({OPS, DBA, LEAD, SECOND}), 404),
        "/requests/r-00000000": (frozenset(), 404),
        "/live": (ALL, 0),
        f"/live/{stage.live}": (frozenset({DEV, LEAD, SECOND}), 404),
        "/terminal": (ALL, 0),
        "/terminal/shop": (frozenset(), 404),
        "/passes/p-00000000": (frozenset(), 404),
        "/recordings": (ALL, 0),
        f"/recordings/{stage.closed}": (frozenset({DEV, LEAD, SECOND}), 404),
        f"/recordings?before={stage.closed}": (frozenset({DEV, LEAD, SECOND}), 404),
        "/recordings/s-0000000000000": (frozenset(), 404),
        "/recordings/search": (frozenset(), 404),
        "/people": (ALL, 0),
        f"/people/{DEV}": (EMPLOYEES | {DEV, MATE}, 404),
        f"/people/{OPS}": (EMPLOYEES | {OPS}, 404),
        "/people/nobody": (frozenset(), 404),
        "/people/contracts": (ALL, 0),
        "/people/contracts/acme-orders": (EMPLOYEES | {DEV, MATE}, 404),
        "/people/contracts/bolt-operations": (EMPLOYEES | {OPS}, 404),
        "/duties": (ALL, 0),
        "/duties/artifact?chain=release&artifact=change:4711": (EMPLOYEES | {DEV}, 404),
        "/duties/artifact?chain=release&artifact=change:1": (frozenset(), 404),
        "/policy": (ADMINISTRATOR, 403),
        "/policy?version=99": (frozenset(), 404),
        # who proposed it, the administrator who approves it, and nobody else
        f"/requests/{stage.proposed}": (frozenset({LEAD, SECOND}), 404),
        f"/requests/{stage.proposed}/prover": (frozenset({LEAD, SECOND}), 404),
        f"/requests/{stage.asked}/prover": (frozenset({OPS, DBA, LEAD, SECOND}), 404),
        f"/requests/{stage.held}/prover": (frozenset({DEV, OPS, DBA, SECOND, LEAD}), 404),
        "/policy/change": (EMPLOYEES, 403),
        "/set-up": (ADMINISTRATOR, 403),
        "/duties/matrix": (EMPLOYEES, 403),
        "/ledger": (ADMINISTRATOR, 403),
        "/ledger/1": (ADMINISTRATOR, 403),
        "/ledger/1/proof": (frozenset(), 404),
        "/static/console.css": (ALL, 0),
        "/static/vendor/htmx.js": (ALL, 0),
        "/static/no-such-file": (frozenset(), 404),
    }


def _writes(stage: Stage) -> dict[str, tuple[dict[str, str], frozenset[str]]]:
    """Forms, and who may send them. Each is sent by everybody else; nobody who may sends one here."""
    why = {"reason": "because"}
    return {
        f"/requests/{stage.held}/approve": ({"digest": "x"}, frozenset()),
        f"/requests/{stage.held}/deny": (why, frozenset({OPS, DBA, SECOND})),
        # nobody has a grant to read with
        f"/requests/{stage.held}/sample": ({}, frozenset()),
        f"/requests/{stage.held}/ceremony": ({"digest": "x"}, frozenset()),
        f"/requests/{stage.asked}/withdraw": ({}, frozenset({OPS})),
        f"/requests/{stage.asked}/deny": (why, frozenset({DBA, LEAD})),
        f"/live/{stage.live}/watch": ({}, frozenset({DEV})),
        f"/live/{stage.live}/join": ({}, frozenset({DEV})),
        f"/recordings/{stage.closed}/cast": ({}, frozenset({DEV})),
        f"/live/{stage.live}/cut": (why, frozenset({DEV, LEAD, SECOND, OPS, DBA})),
        f"/recordings/{stage.closed}": ({}, frozenset({DEV})),
        f"/grants/{stage.grant}/end": (why, frozenset({DEV, LEAD, SECOND, OPS, DBA})),
        "/notices/chats/slack/begin": ({}, ALL),
        "/notices/chats/mail/begin": ({}, frozenset()),
        "/notices/chats/slack/ceremony": ({"digest": "x"}, frozenset()),
        "/notices/chats/slack/confirm": ({"digest": "x", "totp": "0"}, ADMINISTRATOR),
        "/notices/chats/slack/unlink": ({}, frozenset()),
        "/notices/seen": ({"upto": "0"}, ALL),
        "/connect": ({"resource": "orders"}, frozenset()),
        "/passes/p-00000000": ({"presence": "p-00000000", "totp": "0"}, frozenset()),
        "/passes/p-00000000/ceremony": ({"digest": "x"}, frozenset()),
        "/terminal/shop": ({"presence": "p-00000000", "totp": "0"}, frozenset()),
        "/ask": ({"resource": "orders", "role": "writer", "window": "99d", "reason": "x"}, frozenset()),
        f"/people/{DEV}/offboard": (why, frozenset({LEAD, SECOND})),
        "/people/contracts/acme-orders/confirm": ({}, frozenset({LEAD})),
        "/people/contracts/acme-orders/take": ({}, frozenset()),
        "/people/contracts/acme-orders/end": (why, frozenset({LEAD, SECOND})),
        "/people/contracts/acme-orders/extend": ({"until": "2030-01-01", "reason": "x"}, frozenset({LEAD})),
        "/people/contracts/acme-orders/answer": ({"agree": "yes", "until_s": "1893456000"}, frozenset()),
        "/people/contracts/acme-orders/uninvite": ({"invitation": "i-00000000"}, frozenset()),
        # Without a one-time code nothing is looked at: a try would count as a failed one.
        "/people/contracts/acme-orders/invite": ({"person": "new@acme"}, ALL),
        "/people/contracts/acme-orders/admit": ({"invitation": "i-00000000", "words": "x"}, ALL),
        "/duties/prove": ({}, ADMINISTRATOR),
        "/duties/take": ({"chain": "release", "duty": "develop", "artifact": "change:4711"}, frozenset()),
        "/duties/done": (
            {"chain": "release", "duty": "develop", "artifact": "change:4711", "content": "sha256:2"},
            frozenset({DEV}),
        ),
        "/policy/change": ({"yaml": "resources: {}", "do": "propose", "reason": "x"}, frozenset()),
        f"/policy/proposals/{stage.proposed}/activate": ({}, frozenset()),
        "/set-up/administrator": ({"name": "more@example.com", "do": "propose"}, ADMINISTRATOR),
        "/set-up/resource": ({"name": "x", "do": "try"}, ADMINISTRATOR),
        "/set-up/try/orders": ({}, ADMINISTRATOR),
    }


async def test_every_address_as_every_kind_of_person(premises: Premises) -> None:
    stage = await set_up(premises)
    reads, writes = _reads(stage), _writes(stage)
    async with http_of(premises) as http:
        stranger = Client(premises, http)
        for path in reads:
            answer = await stranger.get(path)
            if not path.startswith("/static/"):
                assert (answer.status_code, "/sign-in?next=" in answer.headers["location"]) == (303, True), path
        for path, (form, _) in writes.items():
            assert (await stranger.post(path, form)).status_code == 303, path
        before = len(await _entries(premises))
        for person in EVERYBODY:
            client = await enter(premises, http, person)
            for path, (sees, otherwise) in reads.items():
                answer = await client.get(path)
                forbidden = person not in ADMINISTRATOR and path.startswith(("/policy?", "/ledger"))
                expected = 403 if forbidden else 200 if person in sees else otherwise
                assert answer.status_code == expected, (person, path)
                assert len(answer.content) < 150_000, path
                if answer.status_code != 200:
                    assert "Home</a>" in answer.text, "an error has a way on"
            token = await client.token()
            for path, (form, may) in writes.items():
                if person not in may:
                    answer = await client.post(path, {**form, "token": token})
                    assert answer.status_code in (403, 404), (person, path, answer.status_code)
        ways_in = {"enrolment.issued", "enrolment.used", "login.started"}
        written = [kind for kind in (await _entries(premises))[before:] if kind not in ways_in]
        assert written == [], "what was refused has changed nothing"


async def test_no_page_sends_more_than_its_budget(premises: Premises) -> None:
    """With everything that it loads, as it is sent: pages as they are, scripts and styles compressed."""
    stage = await set_up(premises)
    async with http_of(premises) as http:
        clients = {person: await enter(premises, http, person) for person in EVERYBODY}
        for scene in scenes(stage):
            client = clients[scene.person]
            answer = await client.get(scene.path)
            sent = len(answer.content)
            for path in sorted(set(re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text))):
                part = await client.get(path, accept_encoding="gzip")
                assert part.status_code == 200, path
                sent += int(part.headers["content-length"])
            assert sent <= 150_000, (scene.name, sent)


async def test_no_address_is_left_out(premises: Premises) -> None:
    stage = Stage("r-1", "r-2", "s-1", "s-2", "g-1", "r-3")
    known = [path.partition("?")[0] for path in (*_reads(stage), *_writes(stage))]
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    elsewhere = {"/console/session", "/sign-out", "/news"}  # test_sessions.py, test_story.py
    for route in routes:
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", route.path) + r"\Z")
        assert route.path in elsewhere or any(pattern.match(path) for path in known), route.path


async def _entries(premises: Premises) -> list[str]:
    async with premises.house.world.state.reading() as reading:
        return [entry.kind for entry in await reading.ledger(limit=100_000)]
