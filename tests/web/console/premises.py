"""A served console with a company in it: people, contracts, chains, requests, sessions; and a browser's way in."""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import zstandard
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from obstore.store import LocalStore

from interlock.app.installation import Adapters
from interlock.app.keeping import Keeper, index_more
from interlock.domain.actions import Action, Need
from interlock.domain.grants import Grant, Login
from interlock.gateway.sealing import Kept, RecordingStore, keep_records
from interlock.identity.api_client import AsyncApiClient
from interlock.identity.keys import new_key, thumbprint
from interlock.notify.slack import NOTIFIER as SLACK
from interlock.policy.configuration import Configuration
from interlock.ports.control import HoldOpening, SegmentReport, SessionEnd, SessionStart
from interlock.ports.notify import NotifierSettings
from interlock.ports.protocol import Impact, PartImpact
from interlock.services.hold_statement import hold_statement
from interlock.services.open_request import open_request
from interlock.services.recording_keys import open_recording_key
from interlock.services.report_sessions import report_sessions
from interlock.services.sample_rows import keep_sample
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from tests.support.chromium import Browser, Page
from tests.web.house import GATEWAY, PASSWORD, House, open_house

DEV, MATE, OPS = "dev@acme.example", "mate@acme.example", "ops@bolt.example"
LEAD, SECOND, DBA = "lead@example.com", "second@example.com", "dba@example.com"
EVERYBODY = (DEV, MATE, OPS, LEAD, SECOND, DBA)

_COMPANY = """\
resources:
  orders:
    kind: postgres
    address: 127.0.0.1:5432
    database: orders
    credential: {{user: orders_app, secret: env:ORDERS}}
    labels: {{environment: production}}
  billing:
    kind: postgres
    address: 127.0.0.1:5432
    database: billing
    credential: {{user: billing_app, secret: env:BILLING}}
    labels: {{environment: production}}
vendors: {{acme: {{}}, bolt: {{}}}}
people:
  lead@example.com: {{groups: [dba]}}
  dba@example.com: {{groups: [dba, operations]}}
  second@example.com: {{groups: [operations, administrators]}}
  dev@acme.example: {{vendor: acme}}
  mate@acme.example: {{vendor: acme, groups: [operations]}}
  ops@bolt.example: {{vendor: bolt, groups: [operations]}}
contracts:
  acme-orders:
    {{vendor: acme, sponsor: lead@example.com, start: {start}, end: {end}, roles: [reader, writer], review: 30d}}
  bolt-operations: {{vendor: bolt, sponsor: second@example.com, start: {start}, end: {soon}, roles: [reader]}}
roles:
  reader:
    on: {{kind: postgres, environment: production}}
    allow: [connect, read]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
  writer:
    on: {{kind: postgres, environment: production}}
    allow: [connect, read, write, alter, destroy]
    fence: {{rows: 100}}
    hold: {{actions: [alter, destroy], approvals: [{{from: {{group: operations}}, count: 1}}]}}
    lend:
      longest: 2h
      approvals: [{{from: {{group: operations}}, count: 1}}, {{from: {{sponsor: true}}, count: 1}}]
  auditor:
    on: {{kind: postgres, environment: production}}
    allow: [replay]
    lend: {{longest: 8h, approvals: [{{from: {{group: dba}}, count: 1}}]}}
chains:
  release:
    duties: [develop, review, deploy]
    separate: all
    independent: {{review: vendor}}
    claims: {{min_persons: 3, min_vendors: 2, survives_absences: 1}}
"""


SEPARATE = "    separate: all\n"
"""The line of the company that separates the duties of its chain."""


def company() -> str:
    today = datetime.now(UTC)
    days = {"start": -40, "end": 80, "soon": 9}
    return _COMPANY.format(**{name: f"{today + timedelta(days=count):%Y-%m-%d}" for name, count in days.items()})


def load(folder: Path, text: str | None = None) -> Configuration:
    path = folder / "interlock.yaml"
    path.write_text(company() if text is None else text)
    return Adapters().load(path)


@dataclass
class Premises:
    """``hands`` are people's own programs, by name: they act through the API while others look at pages."""

    house: House
    hands: dict[str, AsyncApiClient] = field(default_factory=dict)
    keys: dict[str, EllipticCurvePrivateKey] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return self.house.services.oauth.issuer

    async def hand(self, person: str) -> AsyncApiClient:
        if person not in self.hands:
            self.keys[person] = new_key()
            self.hands[person] = await self.house.signed_in(person, key=self.keys[person])
        return self.hands[person]

    async def ask(
        self, person: str, role: str, *, resource: str = "orders", reason: str = "order 4711"
    ) -> dict[str, Any]:
        body = {"resource": resource, "role": role, "duration_s": 3600, "reason": reason}
        asked: dict[str, Any] = await (await self.hand(person)).post("/v1/requests", body)
        return asked

    async def approve(self, request: dict[str, Any], *people: str) -> None:
        for person in people:
            client = await self.hand(person)
            await client.post("/v1/step-up", {"totp": self.house.code(person)})
            await client.post(f"/v1/requests/{request['id']}/approve", {"digest": request["digest"]})

    async def lend(self, person: str, role: str, *people: str, **more: str) -> Grant:
        request = await self.ask(person, role, **more)
        await self.approve(request, *people)
        async with self.house.world.state.reading() as reading:
            (grant,) = [g for g in await reading.grants(person=person) if g.request == request["id"]]
        return grant

    async def connect(self, grant: Grant, session: str, *, client: str = "psql") -> str:
        async with self.house.world.state.reading() as reading:
            (login,) = await reading.logins(key=grant.key)
        now = self.house.clock.now()
        start = SessionStart(session, grant.person, grant.resource, login.id, (grant.id,), "10.0.0.1", client, now)
        await report_sessions(
            self.house.services.desk, self.house.services.master_key, gateway=GATEWAY, starts=(start,), ends=()
        )
        return session

    async def close(self, session: str, records: Sequence[dict[str, Any]], why: str = "") -> None:
        """The session ends with a recording of these records."""
        lines = b"".join(json.dumps({"session": session, **record}).encode() + b"\n" for record in records)
        sealed = zstandard.ZstdCompressor().compress(lines)
        (self.house.recordings / f"{session}.jsonl.zst").write_bytes(sealed)
        statements = sum(record["type"] == "statement" for record in records)
        end = SessionEnd(session, self.house.clock.now(), why, statements, hashlib.sha256(sealed).hexdigest())
        await report_sessions(
            self.house.services.desk, self.house.services.master_key, gateway=GATEWAY, starts=(), ends=(end,)
        )

    async def keep(self, session: str, records: Sequence[dict[str, Any]]) -> None:
        """As ``close``, with a recording in sealed segments as gateways make it now, whose words are indexed."""
        services, house = self.house.services, self.house
        key = await open_recording_key(services.desk, services.master_key, session)
        numbered = [{"session": session, **record, "n": n} for n, record in enumerate(records, 1)]
        lines = [json.dumps(record, separators=(",", ":")).encode() for record in numbered]
        kept, stored = keep_records(RecordingStore(str(house.recordings)), session, key, Kept(), lines)
        end = SessionEnd(session, house.clock.now(), "", 3, kept.head, segments=kept.segments)
        report = SegmentReport(session, 1, "", stored)
        await report_sessions(
            services.desk, services.master_key, gateway=GATEWAY, starts=(), ends=(end,), kept=(report,)
        )
        keeper = Keeper(services.desk, services.master_key, LocalStore(house.recordings), services.segment_words)
        while await index_more(keeper):
            continue

    async def hold(self, session: str, person: str, text: str, *, number: int = 3, **more: Any) -> str:
        given: dict[str, Any] = {
            "parameters": (),
            "needs": (Need(Action.DESTROY, "table public.orders"),),
            "impact": Impact(
                (
                    PartImpact("table public.orders", deleted=10_000, total=10_000),
                    PartImpact("table public.items", deleted=30_000, total=30_000),
                )
            ),
            "why": "writer holds destroy",
            **more,
        }
        opening = HoldOpening(
            session=session, number=number, person=person, resource="orders", roles=("writer",), text=text, **given
        )
        services = self.house.services
        opened = await hold_statement(services.desk, gateway=GATEWAY, opening=opening)
        await keep_sample(services.master_key, services.oauth.waiting, gateway=GATEWAY, opening=opening, opened=opened)
        return opened.request

    async def lend_here(self, person: str, role: str, approver: str, *, resource: str = "orders") -> None:
        """A grant on the key of the person's newest login, such as that of a browser."""
        desk = self.house.services.desk
        async with desk.state.reading() as reading:
            login = max(await reading.logins(person=person), key=lambda one: one.signed_in_at)
        asked = await open_request(
            desk, login_id=login.id, resource=resource, role=role, duration=timedelta(hours=1), reason="to look"
        )
        await self.approve({"id": asked.id, "digest": asked.digest}, approver)

    async def login_of(self, person: str) -> Login:
        """The login of the person's own program."""
        await self.hand(person)
        async with self.house.world.state.reading() as reading:
            (login,) = await reading.logins(key=thumbprint(self.keys[person]))
        return login

    async def enter(
        self,
        browser: Browser,
        person: str,
        path: str = "/",
        *,
        passkey: bool = False,
        present: bool = False,
        **profile: Any,
    ) -> Page:
        """A browser in which the person has signed in, and has a passkey if so asked, and stands before ``path``."""
        if person not in self.house.secrets:
            await self.house.enrol(person)
        page = await browser.page(**profile)
        await page.add_authenticator()
        if passkey:
            await page.go(f"{self.origin}/sign-in")
            await self.sign_in(page, person, present=True)
            await page.shows("account")
            await page.press("add-passkey")
            await page.until("document.querySelectorAll('#passkeys li').length === 1")
            await page.go(f"{self.origin}{path}")
        else:
            await page.go(f"{self.origin}{path}")
            await self.sign_in(page, person, present=present)
        await page.shows("theme")  # as the script does when it has begun
        return page

    async def sign_in(self, page: Page, person: str, *, present: bool = False) -> None:
        await page.shows("sign-in")
        # The house's clock stands still, the browser's goes on.
        self.house.clock.at = max(self.house.clock.at, datetime.now(UTC).replace(microsecond=0))
        code = {"totp": self.house.code(person)} if present else {}
        await page.fill(person=person, password=PASSWORD, **code)
        await page.press("with-password")


@asynccontextmanager
async def open_premises(
    state: PostgresState, address: StateAddress, folder: Path, *, text: str | None = None, terminals: bool = False
) -> AsyncIterator[Premises]:
    settings = NotifierSettings("slack", secret="xoxb-nobody", signing_secret="nobody's")
    notifiers = {"slack": SLACK.open(settings)}
    async with open_house(
        state,
        address,
        folder,
        configuration=load(folder, text),
        notifiers=notifiers,
        adapters=Adapters(),
        terminals=terminals,
    ) as house:
        await house.gateway()
        yield Premises(house)
    await notifiers["slack"].close()


def at(start: datetime, seconds: float) -> str:
    return (start + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def records_of(person: str, start: datetime) -> list[dict[str, Any]]:
    """A short session: a read, a held deletion that was denied, a small write."""
    impact = {"parts": [{"part": "table public.orders", "deleted": 10_000, "total": 10_000}], "dependents": []}
    opening = {"person": person, "resource": "orders", "address": "10.0.0.1", "client": "psql", "grants": ["g-1"]}
    count = "SELECT count(*) FROM orders WHERE status = 'open'"
    deletion = {"text": "DELETE FROM orders\nWHERE closed < $1", "parameters": ["2026-01-01"]}
    denied = "second@example.com denied it: that is the whole table"
    update = "UPDATE orders SET status = 'closed' WHERE id <= 5"
    says: list[tuple[float, str, dict[str, Any]]] = [
        (0, "open", opening),
        (2.1, "statement", {"number": 1, "text": count, "parameters": [], "effect": "allow"}),
        (2.2, "outcome", {"number": 1, "rows": 1, "tag": "SELECT 1", "took_us": 8200}),
        (14, "statement", {"number": 2, **deletion, "effect": "hold", "reason": "writer holds destroy"}),
        (14.4, "held", {"number": 2, "request": "r-1", "impact": impact}),
        (71, "released", {"number": 2, "effect": "deny", "reason": denied}),
        (71.1, "outcome", {"number": 2, "error": "denied", "took_us": 57_100_000}),
        (90, "statement", {"number": 3, "text": update, "parameters": [], "effect": "allow"}),
        (90.2, "outcome", {"number": 3, "changed": 5, "tag": "UPDATE 5", "took_us": 12_400}),
        (95, "close", {"why": "", "statements": 3}),
    ]
    return [{"n": n, "at": at(start, seconds), "type": kind, **said} for n, (seconds, kind, said) in enumerate(says)]
