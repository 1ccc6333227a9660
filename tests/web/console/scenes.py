"""The pages, each with something to see on it: what the pictures are taken of and what is checked for everybody."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from interlock.domain.notices import Kept, Letter, Notice, NoticeKind
from interlock.ports.notify import Press
from interlock.ports.sample import Cell, Sample, SampledPart
from interlock.services.apply_configuration import apply_configuration
from interlock.services.desk import Desk
from interlock.services.link_chat import begin_link, claim_link
from tests.support.chromium import Page
from tests.web.console.premises import DBA, DEV, LEAD, OPS, SECOND, SEPARATE, Premises, load, records_of


@dataclass(frozen=True, slots=True)
class Scene:
    """``name`` of the picture, who looks, and where."""

    name: str
    person: str
    path: str


@dataclass(frozen=True, slots=True)
class Stage:
    """Numbers of what is to be seen."""

    asked: str
    held: str
    live: str
    closed: str
    grant: str
    proposed: str


_PEOPLE = ("m.weber", "a.costa", "j.novak", "s.lind", "p.ferrari")
SAMPLE = Sample(
    (
        SampledPart(
            "table public.orders",
            columns=("id", "customer", "status", "total", "updated_at"),
            rows=tuple(
                tuple(map(Cell, (str(4100 + at * 7), who, "closed", f"{19 + at * 31}.90", f"2025-1{at % 3}-0{at + 2}")))
                for at, who in enumerate(_PEOPLE)
            ),
            left_out=("card_token",),
        ),
        SampledPart(
            "table public.items",
            columns=("id", "order_id", "article", "note"),
            rows=tuple(
                (Cell(str(91_000 + at)), Cell(str(4100 + at * 7)), Cell("lamp"), Cell("left at the door " * 9, "cut"))
                if at % 2
                else (Cell(str(91_000 + at)), Cell(str(4100 + at * 7)), Cell("chair"), Cell(None))
                for at in range(3)
            ),
        ),
    )
)
"""Rows that the held statement of the stage touches."""


async def set_up(premises: Premises) -> Stage:
    """A company at work."""
    house = premises.house
    began = house.clock.now()
    house.clock.at = began - timedelta(hours=3)
    old = await premises.lend(DEV, "writer", OPS, LEAD, reason="close the orders of last year")
    session = await premises.connect(old, "s-1111111111111")
    house.clock.advance(timedelta(seconds=96))
    await premises.keep(session, records_of(DEV, house.clock.now() - timedelta(seconds=96)))
    # Each one-time code takes half a minute; at the end it is now.
    house.clock.at = began - timedelta(minutes=20)
    premises.hands.clear()
    grant = await premises.lend(DEV, "writer", DBA, LEAD, reason="clean up closed orders")
    live = await premises.connect(grant, "s-2222222222222")
    asked = await premises.ask(OPS, "reader", resource="billing", reason="check the invoice run of November")
    await premises.ask(DEV, "reader", resource="billing", reason="compare an invoice with its order")
    for duty, person, content in (("develop", DEV, "sha256:1f0c"), ("review", LEAD, "sha256:1f0c")):
        client = await premises.hand(person)
        named = {"chain": "release", "duty": duty, "artifact": "change:4711"}
        await client.post("/v1/duties/take", named)
        await client.post("/v1/duties/done", {**named, "content": content})
    await carry_unseparated(premises, "change:4698")
    house.clock.at = datetime.now(UTC).replace(microsecond=0)
    await _tell(premises)
    text = "DELETE FROM orders\nWHERE status = 'closed'\n  AND updated_at < $1; -- all of them"
    held = await premises.hold(live, DEV, text, parameters=("2026-01-01", None), sample=SAMPLE, salt="5a" * 16)
    proposed = await propose(premises, LEAD)
    return Stage(str(asked["id"]), held, live, session, grant.id, proposed)


async def carry_unseparated(premises: Premises, artifact: str) -> None:
    """An artifact from before the chain's separation: who developed it deployed it too."""
    desk, folder = premises.house.services.desk, premises.house.recordings.parent
    strict = desk.configuration
    await apply_configuration(Desk(desk.state, desk.clock, load(folder, strict.text.replace(SEPARATE, ""))))
    for duty, person in (("develop", DEV), ("review", LEAD), ("deploy", DEV)):
        client = await premises.hand(person)
        named = {"chain": "release", "duty": duty, "artifact": artifact}
        await client.post("/v1/duties/take", named)
        await client.post("/v1/duties/done", {**named, "content": "sha256:77aa"})
    await apply_configuration(Desk(desk.state, desk.clock, strict))
    async with desk.state.reading() as reading:
        await desk.check_policy(reading)


async def acted(premises: Premises, page: Page) -> AsyncIterator[str]:
    """Pages that answer a form, one after another in a browser of SECOND's; their names."""
    await premises.lend_here(SECOND, "reader", DBA)
    await page.go(f"{premises.origin}/decide")
    await page.tab.click("text=Show up to 5 of each table")
    await page.until("document.querySelector('.rows-of')")
    yield "decide-rows"
    await page.go(f"{premises.origin}/duties")
    await page.tab.click("text=Ask the prover")
    await page.until("document.querySelector('.verdicts')")
    yield "verdicts"
    await page.go(f"{premises.origin}/recordings")
    await page.tab.fill("#words", "orders")
    await page.tab.click("text=Search statements")
    await page.until("document.querySelectorAll('.found .row').length > 1")
    yield "found"
    await page.go(f"{premises.origin}/set-up")
    await page.tab.click("text=Another one >> nth=0")
    fields = {"name": "stock", "address": "127.0.0.1:1", "database": "stock", "user": "app", "secret": "env:STOCK"}
    for field, value in fields.items():
        await page.tab.fill(f"#resource-{field}", value)
    await page.tab.click("form[action='/set-up/resource'] >> text=Show the YAML")
    await page.until("document.getElementById('made')")
    yield "set-up-step"
    await page.go(f"{premises.origin}/policy/change")
    text = premises.house.services.desk.configuration.text
    await page.tab.fill("#yaml", text.replace("dev@acme.example: {vendor: acme}", "dev@acme.example: {vendor: bolt}"))
    await page.tab.click("text=See what it would come to")
    await page.until("document.querySelector('.effects')")
    assert await page.run("document.getElementById('yaml').value.split('\\n')[0]") == text.split("\n")[0]
    yield "policy-look"


async def propose(premises: Premises, person: str) -> str:
    """A change of the policy that lets more persons come to something."""
    client = await premises.hand(person)
    yaml = premises.house.services.desk.configuration.text
    changed = yaml.replace("roles: [reader]}", "roles: [reader, writer]}").replace("longest: 8h", "longest: 4h")
    body = {"yaml": changed, "cedar": {}, "reason": "Bolt helps at night"}
    asked = await client.post("/v1/policy/proposals", body, timeout_s=300)
    return str(asked["id"])


async def _tell(premises: Premises) -> None:
    """What is kept for SECOND to know, and an account in a chat that said their code."""
    services, now = premises.house.services, premises.house.clock.now()
    who = (("who", SECOND), ("resource", "orders"), ("role", "reader"))
    told = [
        Notice(1, now, NoticeKind.ANSWERED, "Your request was denied", (*who, ("reason", "not today")), "/requests"),
        Notice(2, now, NoticeKind.ENDING, "A grant of yours ends soon", (*who, ("end", "2026-11-28 12:15 UTC")), "/"),
    ]
    letters = [(Letter("page", SECOND, notice), now) for notice in told]
    await services.outbox.put(letters, upto=1, now=now)
    for letter, _ in letters:
        await services.outbox.settle(letter, Kept(), now=now)
    code = await begin_link(services.desk, services.oauth.waiting, person=SECOND, notifier="slack")
    press = Press("link", "T024BE7LD U2147483697", "second", words=code)
    await claim_link(services.desk, services.oauth.waiting, notifier="slack", press=press)


def scenes(stage: Stage) -> list[Scene]:
    return [
        Scene("home", DEV, "/"),
        Scene("home-waiting", DBA, "/"),
        Scene("ask", DEV, "/ask"),
        Scene("ask-for", OPS, "/ask?resource=billing"),
        Scene("decide", SECOND, f"/decide/{stage.held}"),
        Scene("decide-grant", LEAD, f"/decide/{stage.asked}"),
        Scene("requests", SECOND, "/requests?scope=all"),
        Scene("request", DEV, f"/requests/{stage.held}"),
        Scene("live", SECOND, "/live"),
        Scene("live-session", SECOND, f"/live/{stage.live}"),
        Scene("terminals", DEV, "/terminal"),
        Scene("terminal", DEV, "/terminal/orders"),
        Scene("recordings", SECOND, "/recordings"),
        Scene("recording", SECOND, f"/recordings/{stage.closed}"),
        Scene("people", SECOND, "/people"),
        Scene("contracts", SECOND, "/people/contracts"),
        Scene("contract", LEAD, "/people/contracts/acme-orders"),
        Scene("person", SECOND, f"/people/{DEV}"),
        Scene("duties", SECOND, "/duties"),
        Scene("artifact", SECOND, "/duties/artifact?chain=release&artifact=change%3A4711"),
        Scene("matrix", SECOND, "/duties/matrix"),
        Scene("policy", SECOND, "/policy"),
        Scene("policy-change", SECOND, "/policy/change"),
        Scene("proposal", SECOND, f"/requests/{stage.proposed}"),
        Scene("prover", LEAD, f"/requests/{stage.asked}/prover"),
        Scene("set-up", SECOND, "/set-up"),
        Scene("ledger", SECOND, "/ledger"),
        Scene("entry", SECOND, "/ledger/1"),
        Scene("notices", SECOND, "/notices"),
        Scene("you", SECOND, "/you"),
        Scene("nothing", DEV, "/no-such-page"),
    ]
