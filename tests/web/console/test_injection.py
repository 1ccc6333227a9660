"""Markup, scripts, escapes and overrides in every field of others that reaches a page: shown as data, never acting."""

from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

from interlock.domain.actions import Action, Need
from interlock.domain.identity_events import PasskeyAdded
from interlock.domain.notices import Kept, Letter, Notice, NoticeKind
from interlock.domain.oauth import Passkey
from interlock.ports.control import SessionStart
from interlock.ports.notify import Press
from interlock.ports.protocol import Impact, PartImpact
from interlock.ports.sample import Cell, Sample, SampledPart
from interlock.services.link_chat import begin_link, claim_link
from interlock.services.report_sessions import report_sessions
from tests.web.console.client import Client, enter, http_of
from tests.web.console.premises import DBA, DEV, LEAD, OPS, SECOND, Premises, at
from tests.web.house import GATEWAY

MARKUP = (
    "<pwned-tag>",
    '"><pwned-tag pwned-at="1">',
    "' pwned-at='1",
    '" onmouseover="pwned()" pwned-at="1',
    "</pre></code></textarea></title></script><script>pwned()</script>",
    "<svg/onload=pwned()><pwned-tag>",
    "{{ 7919 * 104729 }}{% raw %}",
    "javascript:pwned()",
    "&lt;pwned-tag&gt;<!--<pwned-tag>-->",
)
ACTING = "\x1b]0;pwned\x07\u202egnp.exe\u2066\x00"[:-1]


class _Seen(HTMLParser):
    """What a browser would make of a page, as far as a payload could change it."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag.startswith("pwned") or any(name.startswith(("on", "pwned", "style", "srcdoc")) for name in names):
            self.wrong.append(f"{tag} {names}")
        if tag == "script" and not (names.get("src") or "").startswith("/static/"):
            self.wrong.append(f"script {names}")
        for name in ("href", "src", "action"):
            value = names.get(name)
            if value is not None and not value.startswith(("/", "?", "#")):
                self.wrong.append(f"{name} {value}")


def check_page(path: str, page: str) -> None:
    seen = _Seen()
    seen.feed(page)
    assert seen.wrong == [], path
    assert "829348951" not in page, f"{path}: the template engine read what somebody wrote"
    for character in "\x1b\x07\u202e\u2066\x00":
        assert character not in page, f"{path}: {character!r}"


async def _stored(premises: Premises, second: Client, payload: str) -> dict[str, str]:
    """A payload in every field that somebody else fills; which page shows it."""
    desk, anything = premises.house.services.desk, payload + ACTING
    session = f"s-{abs(hash(payload)) % 10**13:013}"
    async with premises.house.world.state.reading() as reading:
        (grant,) = await reading.grants(person=DEV)
        (login,) = await reading.logins(key=grant.key)
    now = premises.house.clock.now()
    start = SessionStart(session, DEV, "orders", login.id, (grant.id,), anything[:60], anything, now)
    await report_sessions(desk, premises.house.services.master_key, gateway=GATEWAY, starts=(start,), ends=())
    held = await premises.hold(
        session,
        DEV,
        f"DELETE FROM orders -- {anything}\n'{anything}'",
        parameters=(anything, None),
        needs=(Need(Action.DESTROY, anything),),
        impact=Impact((PartImpact(anything, deleted=1, total=1),), (anything,), unmeasured=anything),
        why=anything,
        sample=Sample(
            (SampledPart(anything, columns=(anything,), rows=((Cell(anything, "cut"),),), left_out=(anything,)),)
        ),
        salt="00" * 16,
    )
    await _see_rows(second, held)
    asked = await premises.ask(OPS, "reader", reason=payload)
    denier = await premises.hand(DBA)
    await denier.post(f"/v1/requests/{asked['id']}/deny", {"reason": payload})
    async with desk.state.changing(SECOND) as work:
        await work.save(Passkey(session, SECOND, "AA", 0, anything, now))
        work.record(PasskeyAdded(person=SECOND, passkey=session, name=anything))
    records: list[dict[str, Any]] = [
        {"type": "open", "person": anything, "resource": anything, "address": anything, "client": anything},
        {"type": "statement", "text": anything, "parameters": [anything], "effect": "no", "reason": anything},
        {"type": "held", "request": anything, "impact": {"parts": [{"part": anything}], "unmeasured": anything}},
        {"type": "outcome", "number": 1, "error": anything},
        {"type": "outcome", "number": 1, "tag": anything},
        {"type": anything},
        {"type": "close", "why": anything},
    ]  # fmt: skip
    fields = tuple((label, anything) for label in ("who", "resource", "role", "reason"))
    position = abs(hash(payload)) % 10**9
    letter = Letter("page", SECOND, Notice(position, now, NoticeKind.BROKEN, "Told", fields, "/requests"))
    outbox, waiting = premises.house.services.outbox, premises.house.services.oauth.waiting
    await outbox.put([(letter, now)], upto=1, now=now)
    await outbox.settle(letter, Kept(), now=now)
    code = await begin_link(desk, waiting, person=SECOND, notifier="slack")
    await claim_link(desk, waiting, notifier="slack", press=Press("link", anything, anything, words=code))
    await premises.close(session, [{"n": n, "at": at(now, n), **r} for n, r in enumerate(records)], why=anything)
    return {"held": held, "asked": str(asked["id"]), "session": session, "proposed": await _proposed(premises, payload)}


async def _see_rows(second: Client, held: str) -> None:
    """They are shown while the statement waits, and no longer."""
    rows = await second.post(f"/requests/{held}/sample", {"token": await second.token()})
    assert rows.status_code == 200
    assert rows.text.count("\\u202e") >= 4, "the part, its column, the value and the column left out"
    check_page("the rows", rows.text)


async def _proposed(premises: Premises, payload: str) -> str:
    """A change of the policy whose text and reason hold the payload."""
    proposer = await premises.hand(LEAD)
    text = premises.house.services.desk.configuration.text
    changed = text.replace("longest: 8h", "longest: 4h") + "".join(f"# {line}\n" for line in payload.split("\n"))
    asked = await proposer.post("/v1/policy/proposals", {"yaml": changed, "cedar": {}, "reason": payload})
    return str(asked["id"])


async def test_what_others_wrote_is_data(premises: Premises) -> None:
    await premises.lend(DEV, "writer", OPS, LEAD)
    async with http_of(premises) as http:
        second = await enter(premises, http, SECOND)
        await premises.lend_here(SECOND, "reader", DBA)
        await premises.lend_here(SECOND, "auditor", DBA)
        for payload in MARKUP:
            stored = await _stored(premises, second, payload)
            await _look(second, stored)
            await _reflected(second, payload)


async def _look(second: Client, stored: dict[str, str]) -> None:
    """Every page that shows something of it."""
    paths = [
        "/",
        "/you",
        "/notices",
        "/notices/count",
        "/requests?scope=all",
        f"/requests/{stored['held']}",
        f"/decide/{stored['held']}",
        f"/requests/{stored['asked']}",
        "/live",
        "/recordings",
        f"/recordings/{stored['session']}",
        f"/people/{DEV}",
        f"/people/{OPS}",
        "/ledger",
        "/ledger?q=reason",
        "/ledger?kind=request.opened",
        "/duties/matrix",
        "/policy",
        f"/requests/{stored['proposed']}",
        f"/requests/{stored['proposed']}/prover",
        "/policy/change",
        "/set-up",
        "/people/contracts",
    ]
    for path in paths:
        answer = await second.get(path)
        assert answer.status_code == 200, path
        check_page(path, answer.text)
    entries = (await second.get("/ledger")).text
    for position in [part.partition('"')[0] for part in entries.split('href="/ledger/')[1:8]]:
        check_page(position, (await second.get(f"/ledger/{position}")).text)
    opened = await second.post(f"/recordings/{stored['session']}", {"token": await second.token()})
    assert opened.status_code == 200
    assert opened.text.count('class="record ') == 7
    check_page("the recording", opened.text)
    held = (await second.get(f"/requests/{stored['held']}")).text
    assert held.count("\\u202e") >= 6, "what would act is written out where it stood"


async def _reflected(client: Client, payload: str) -> None:
    """What comes back of an address or a form."""
    said = payload + ACTING
    for path in ("/people", "/recordings", "/ask", "/ledger"):
        answer = await client.http.get(client.origin + path, params={"q": said, "after": said}, headers=_as(client))
        assert answer.status_code in (200, 404, 422, 400), path
        check_page(path, answer.text)
    for path in ("/requests/{}", "/people/{}", "/recordings/{}", "/ledger/{}", "/{}", "/static/{}"):
        answer = await client.http.get(client.origin + path.format(_quoted(said)), headers=_as(client))
        assert answer.status_code in (400, 404), path
        check_page(path, answer.text)
    form = {"token": await client.token(), "resource": "orders", "role": said, "window": said, "reason": said}
    answer = await client.post("/ask", form)
    assert answer.status_code == 403
    check_page("/ask", answer.text)
    words = {"token": form["token"], "words": said, "person": said, "resource": said}
    for path, sent in {
        "/recordings/search": words,
        "/policy/change": {"token": form["token"], "yaml": f"people: {said}\n# {said}", "reason": said, "do": "look"},
        "/set-up/administrator": {"token": form["token"], "name": said, "do": "show"},
        "/set-up/resource": {"token": form["token"], "name": "x", "kind": said, "address": said, "secret": said},
        "/set-up/contract": {"token": form["token"], "name": said, "vendor": said, "roles": said, "end": said},
    }.items():
        answer = await client.post(path, sent)
        assert answer.status_code in (200, 400, 403), (path, answer.status_code)
        check_page(path, answer.text)
    for path in ("/duties/matrix", "/ledger"):
        asked = {"chain": said, "kind": said, "who": said}
        answer = await client.http.get(client.origin + path, params=asked, headers=_as(client))
        assert answer.status_code in (200, 404), path
        check_page(path, answer.text)
    page = await client.http.get(client.origin + "/sign-in", params={"next": said})
    assert payload not in page.text


def _as(client: Client) -> dict[str, str]:
    return {"cookie": f"__Host-interlock={client.cookie}", "accept": "text/html"}


def _quoted(text: str) -> str:

    return quote(text, safe="")
