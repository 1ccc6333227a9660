"""Every field of every form and every part of every address is tried with what would act; then every page is looked at.

The forms are read from the templates and the addresses from the routes: one that is not tried fails here.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import httpx2
from fastapi.routing import APIRoute

from interlock.web.console.pages import ROUTERS
from tests.web.console.client import Client, enter, http_of
from tests.web.console.premises import DBA, DEV, LEAD, OPS, SECOND, Premises
from tests.web.console.scenes import Stage, scenes, set_up
from tests.web.console.test_injection import ACTING, MARKUP, check_page

_CODE = "a code"
"""Stands for one that is right at this moment."""

PAYLOADS = ("<pwned-tag>", " ".join(MARKUP), f'"><pwned-tag pwned-at=1>{ACTING}')
"""One that is short enough for a name, one with all of them, one with characters that act."""

_NUMBERS = ("\u00b2", "9" * 5000)
"""What Unicode calls a digit and is no number, and a number that is too long to be read."""

_CONSOLE = Path(str(files("interlock.web.console")))
_ELSEWHERE = {"/console/session", "/static/{name}", "/static/vendor/{name}"}
"""No page: what opens the session reads a signed header, the rest are files."""


def _forms(stage: Stage) -> dict[str, tuple[str, dict[str, str]]]:
    """For each form's address who sends it and with which fields, so that it comes as far as it can."""
    contract, chain = "/people/contracts/acme-orders", {"chain": "release", "duty": "develop", "artifact": "change:1"}
    resource = {"name": "stock", "kind": "postgres", "address": "127.0.0.1:1", "database": "stock", "user": "app"}
    resource |= {"secret": "env:STOCK", "environment": "production", "approvers": LEAD, "totp": _CODE}
    given = {"name": "new", "vendor": "new", "person": "x@new.example", "sponsor": LEAD, "roles": "reader"}
    given |= {"start": "2026-01-01", "end": "2030-01-01"}
    asked, presence = {"resource": "orders", "role": "reader", "reason": "x"}, {"digest": "x", "totp": _CODE}
    touched = {"digest": "x", "ceremony": "x", "credential": "{}"}
    return {
        "/ask": (DEV, {**asked, "job": "read", "window": "1h"}),
        "/ask#again": (DEV, {**asked, "duration_s": "3600"}),
        "/connect": (DEV, {"resource": "orders"}),
        "/connect#present": (DEV, {"resource": "orders", "presence": "p-1", **presence}),
        "/connect#touched": (DEV, {"resource": "orders", "presence": "p-1", **touched}),
        "/passes/p-1": (DEV, {"resource": "orders", "presence": "p-1", **presence}),
        "/passes/p-1#touched": (DEV, touched),
        "/passes/p-1/ceremony": (DEV, {"digest": "x"}),
        "/terminal/shop": (DEV, {"resource": "shop", "presence": "p-1", **presence}),
        "/terminal/shop#touched": (DEV, {"presence": "p-1", **touched}),
        f"/requests/{stage.asked}/ceremony": (SECOND, {"digest": "x"}),
        f"/requests/{stage.asked}/approve": (LEAD, presence),
        f"/requests/{stage.asked}/approve#touched": (LEAD, touched),
        f"/requests/{stage.asked}/withdraw": (OPS, {}),
        f"/requests/{stage.held}/sample": (OPS, {}),
        f"/requests/{stage.held}/deny": (SECOND, {"reason": "x"}),
        f"/live/{stage.live}/watch": (OPS, {}),
        f"/live/{stage.live}/join": (OPS, {}),
        f"/live/{stage.live}/cut": (SECOND, {"reason": "x"}),
        "/recordings/search": (SECOND, {"words": "orders", "person": "", "resource": ""}),
        f"/recordings/{stage.closed}": (SECOND, {"after": "0"}),
        f"/recordings/{stage.closed}/cast": (SECOND, {}),
        "/duties/prove": (OPS, {}),
        "/duties/take": (SECOND, chain),
        "/duties/done": (SECOND, {**chain, "content": "sha256:1"}),
        "/notices/seen": (SECOND, {"upto": "0"}),
        "/notices/chats/slack/begin": (SECOND, {}),
        "/notices/chats/slack/ceremony": (SECOND, {"digest": "x"}),
        "/notices/chats/slack/confirm": (SECOND, presence),
        "/notices/chats/slack/confirm#touched": (SECOND, touched),
        "/notices/chats/slack/unlink": (SECOND, {}),
        "/policy/change": (LEAD, {"yaml": "people: {}", "cedar x.cedar": "", "reason": "x", "do": "propose"}),
        f"/policy/proposals/{stage.proposed}/activate": (SECOND, {"totp": _CODE}),
        "/set-up/administrator": (SECOND, {"name": "more@example.com", "do": "show"}),
        "/set-up/resource": (SECOND, {**resource, "do": "show"}),
        "/set-up/contract": (SECOND, {**given, "do": "show"}),
        "/set-up/try/orders": (OPS, {}),
        f"{contract}/invite": (SECOND, {"person": "new@acme", "totp": _CODE}),
        f"{contract}/admit": (LEAD, {"invitation": "i-1", "words": "x", "totp": _CODE}),
        f"{contract}/uninvite": (LEAD, {"invitation": "i-1", "reason": "x"}),
        f"{contract}/confirm": (LEAD, {}),
        f"{contract}/take": (SECOND, {}),
        f"{contract}/answer": (SECOND, {"until_s": "1", "agree": "yes"}),
        f"{contract}/extend": (LEAD, {"until": "2030-01-01", "reason": "x"}),
        f"/grants/{stage.grant}/end": (LEAD, {"reason": "x", "back": "/people"}),
        f"{contract}/end": (LEAD, {"reason": "x"}),
        f"/people/{OPS}/offboard": (SECOND, {"reason": "x"}),
        "/sign-out": (LEAD, {}),
    }


async def test_nothing_that_is_sent_acts_on_any_page(premises: Premises) -> None:
    stage = await set_up(premises)
    async with http_of(premises) as http:
        clients = {person: await enter(premises, http, person) for person in (DEV, OPS, LEAD, SECOND)}
        await premises.lend_here(SECOND, "auditor", DBA)
        for path, (person, form) in _forms(stage).items():
            await _try_form(clients[person], person, path, form)
        clients[LEAD] = await enter(premises, http, LEAD)
        for route in _routes("GET"):
            await _try_address(clients[SECOND], route, stage)
        for scene in scenes(stage):
            for person in {scene.person, SECOND} & set(clients):
                answer = await clients[person].get(scene.path)
                check_page(scene.path, answer.text)
        for path in ("/requests?scope=all", "/ledger?q=pwned", "/ledger?q=pwned&before=60", "/notices", "/people"):
            answer = await clients[SECOND].get(path)
            assert answer.status_code == 200
            check_page(path, answer.text)
        assert "pwned" in (await clients[SECOND].get("/ledger?q=pwned")).text, "something of it was kept"


async def _try_form(client: Client, person: str, path: str, form: Mapping[str, str]) -> None:
    token = await client.token()
    where = path.partition("#")[0]
    for field in form or ("",):
        # Wrong codes are counted, and end a login.
        payloads = PAYLOADS[:1] if field in ("", "totp") else PAYLOADS
        for payload in (*payloads, *_NUMBERS) if form.get(field, "").isdecimal() else payloads:
            sent = {**form, **({field: payload} if field else {}), "token": token}
            if sent.get("totp") == _CODE:
                client.premises.house.clock.advance(timedelta(seconds=30))
                sent["totp"] = client.premises.house.code(person)
            answer = await client.post(where, sent)
            client.take_cookie(answer)
            assert answer.status_code < 500, (path, field, answer.status_code)
            assert not answer.headers.get("location", "").endswith("/sign-in?next=%2F"), (path, field)
            if "location" in answer.headers:
                assert _is_ours(answer), answer.headers["location"]
            if answer.headers.get("content-type", "").startswith("text/html"):
                check_page(f"{path} {field}", answer.text)


async def _try_address(client: Client, route: APIRoute, stage: Stage) -> None:
    """The payload in each part and each field of the address, the others as they would be."""
    parts = [part.alias for part in route.dependant.path_params]
    fields = [part.alias for part in route.dependant.query_params]
    known: dict[str, str] = {"request_id": stage.asked, "session_id": stage.closed, "position": "1", "chain": "release"}
    for tried in (*parts, *fields):
        for payload in PAYLOADS:
            path = route.path
            for part in parts:
                put = payload if part == tried else known.get(part, "x")
                path = path.replace("{" + part + "}", quote(put, safe=""))
            sent = [f"{name}={quote(payload if name == tried else known.get(name, ''), safe='')}" for name in fields]
            answer = await client.get(f"{path}?{'&'.join(sent)}" if sent else path)
            assert answer.status_code < 500, (path, tried)
            if answer.headers.get("content-type", "").startswith("text/html"):
                check_page(f"{path} {tried}", answer.text)
            assert "location" not in answer.headers or _is_ours(answer), (path, tried)


def _is_ours(answer: httpx2.Response) -> bool:
    where = str(answer.headers["location"])
    return where.startswith(("/", "https://localhost:")) and not where.startswith("//")


def _routes(method: str) -> Iterator[APIRoute]:
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and method in (route.methods or ()) and route.path not in _ELSEWHERE:
                yield route


# --- nothing is left out


_STAGE = Stage("r-1", "r-2", "s-1", "s-2", "g-1", "r-3")


def test_every_address_that_takes_a_form_is_tried() -> None:
    tried = [path.partition("#")[0] for path in _forms(_STAGE)]
    for route in _routes("POST"):
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", route.path))
        assert any(pattern.fullmatch(path) for path in tried), route.path


def test_every_field_of_every_form_is_tried() -> None:
    for template in sorted((_CONSOLE / "templates").glob("*.html")):
        for action, fields in _forms_of(template.read_text()):
            # A macro's form goes wherever the page that uses it says.
            anywhere = action.startswith("{{") and action.endswith("}}")
            pattern = re.compile(".+" if anywhere else re.sub(r"\\\{\\\{.*?\\\}\\\}", "[^/]+", re.escape(action)))
            tried = [
                set(form) for path, (_, form) in _forms(_STAGE).items() if pattern.fullmatch(path.partition("#")[0])
            ]
            assert tried, f"{template.name}: no form is sent to {action}"
            left = fields - {name for form in tried for name in form} - {"token"}
            assert left == set(), f"{template.name}, {action}: {sorted(left)}"


def _forms_of(text: str) -> Iterator[tuple[str, set[str]]]:
    """Where each form that changes something goes, and its fields."""
    text = re.sub(r"\{%.*?%\}", "", text)
    for head, inside in re.findall(r'<form\b((?:"[^"]*"|[^>"])*)>(.*?)</form>', text, re.DOTALL):
        action = re.search(r'action="([^"]*)"', head.replace("'done' if step.carried else 'take'", ""))
        if action is not None and 'method="post"' in head:
            fields = re.findall(r'<(?:input|select|textarea|button)\b(?:"[^"]*"|[^>"])*?\bname="([^"]*)"', inside)
            yield action[1].partition("?")[0], {re.sub(r"\{\{.*?\}\}", "x.cedar", name) for name in fields}


def test_every_field_that_a_page_reads_is_tried() -> None:
    """Also those that no form has, because a script sends them."""
    tried = {field for _, form in _forms(_STAGE).values() for field in form}
    for source in sorted(_CONSOLE.glob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            for field in _read_by(node):
                assert field in tried, f"{source.name} reads {field}"


_READERS = ("needed", "_text", "_name")


def _read_by(node: ast.AST) -> Iterator[str]:
    """The names in ``form["x"]``, ``form.get("x")`` and ``needed(form, "x")``."""
    named: ast.AST | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "form":
        named = node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        named = node.args[0] if isinstance(node.func.value, ast.Name) and node.func.value.id == "form" else None
    elif (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("needed", "_text", "_name")
    ):
        named = node.args[1] if len(node.args) > 1 else None
    if isinstance(named, ast.Constant) and isinstance(named.value, str):
        yield named.value


def test_scripts_write_nothing_of_others_as_markup() -> None:
    """One place inserts markup: pieces that our own server rendered."""
    sinks = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc")
    found = [
        f"{script.name}: {match.group()}"
        for folder in (_CONSOLE / "static", _CONSOLE.parent / "static")
        for script in sorted(folder.glob("*.js"))
        for match in sinks.finditer(script.read_text())
    ]
    assert found == ["console.js: insertAdjacentHTML"]
