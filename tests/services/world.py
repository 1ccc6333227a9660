"""A small company in a real state: people of two vendors and none, roles with all kinds of rules, a clock in hand."""

import hashlib
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from interlock.domain.actions import Action, Need
from interlock.domain.codec import to_plain
from interlock.domain.events import EVENTS
from interlock.domain.grants import Activity, Grant, Login, Request
from interlock.domain.identity_events import LoginStarted
from interlock.domain.people import ADMINISTRATORS, Contract, Person, Vendor
from interlock.domain.resources import CredentialSource, Resource, Selector
from interlock.domain.roles import ApprovalRule, Hold, Lending, Role
from interlock.errors import Refusal
from interlock.ledger.entries import read_body
from interlock.policy.configuration import Configuration, Separation, SeparationKind
from interlock.ports.control import HoldOpened, HoldOpening, SessionStart
from interlock.ports.protocol import Impact, PartImpact
from interlock.ports.state import State
from interlock.services.apply_configuration import Applied, apply_configuration
from interlock.services.desk import Desk
from interlock.services.give_approval import Approved, give_approval
from interlock.services.hold_statement import hold_statement
from interlock.services.ids import new_id
from interlock.services.open_request import open_request
from interlock.services.report_sessions import report_sessions
from tests.support.clock import FixedClock
from tests.support.master import TemporaryMasterKey

LEAD, DBA, DBA2, OPS, BOTH, ADMIN = "lead", "dba", "dba2", "ops", "both", "admin"
"""Employees: ``lead`` sponsors both contracts and is in no group; ``both`` is in dba and in ops."""

DEV, MATE, RIVAL = "dev@acme", "mate@acme", "rival@globex"
"""Contractors: ``mate`` and ``rival`` are in dba as well."""

T = TypeVar("T")
GATEWAY = "gw1"
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)


def _people() -> dict[str, Person]:
    people = (
        Person(LEAD),
        Person(DBA, groups=frozenset({"dba"})),
        Person(DBA2, groups=frozenset({"dba"})),
        Person(OPS, groups=frozenset({"ops"})),
        Person(BOTH, groups=frozenset({"dba", "ops"})),
        Person(ADMIN, groups=frozenset({ADMINISTRATORS})),
        Person(DEV, vendor="acme"),
        Person(MATE, vendor="acme", groups=frozenset({"dba"})),
        Person(RIVAL, vendor="globex", groups=frozenset({"dba"})),
    )
    return {person.name: person for person in people}


def _rule(group: str, count: int = 1, *, same_vendor: bool = False) -> ApprovalRule:
    return ApprovalRule(count=count, group=group, same_vendor=same_vendor)


def _roles() -> dict[str, Role]:
    def role(name: str, *rules: ApprovalRule, longest: timedelta = 8 * HOUR, hold: Hold | None = None) -> Role:
        allow = frozenset({Action.CONNECT, Action.READ, Action.DESTROY})
        return Role(name, Selector(kind="postgres"), allow, Lending(longest, rules), hold=hold)

    held = frozenset({Action.DESTROY})
    roles = (
        role("reader", _rule("dba")),
        role("writer", _rule("dba"), ApprovalRule(count=1, sponsor=True), longest=2 * HOUR, hold=Hold(held)),
        role("pair", _rule("dba"), _rule("ops")),
        role("two", _rule("dba", 2)),
        role("friendly", _rule("dba", same_vendor=True)),
        role("watched", _rule("dba"), hold=Hold(held, (_rule("dba", 2),))),
        role("maker", _rule("dba")),
        role("checker", _rule("dba")),
        role("outside", _rule("dba")),
    )
    return {each.name: each for each in roles}


def _contracts() -> dict[str, Contract]:
    start, end = datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 2, 28, tzinfo=UTC)
    scope = frozenset(_roles()) - {"outside"}
    contracts = (
        Contract("acme-orders", "acme", LEAD, start, end, scope),
        Contract("globex-ops", "globex", LEAD, start, end, frozenset({"reader"})),
    )
    return {contract.name: contract for contract in contracts}


def company(**changes: Any) -> Configuration:
    """The company's configuration, with ``changes`` to it; its digest follows its content."""
    credential = CredentialSource("orders_app", "env:ORDERS")
    resources = {name: Resource(name, "postgres", "127.0.0.1", 5432, credential) for name in ("orders", "stock")}
    configuration = Configuration(
        resources=resources,
        vendors={"acme": Vendor("acme"), "globex": Vendor("globex")},
        people=_people(),
        contracts=_contracts(),
        roles=_roles(),
        separations=(Separation(SeparationKind.CONFLICT, ("maker", "checker")),),
        policy_approvals=(_rule("dba", 4),),
    )
    configuration = replace(configuration, **changes)
    text = repr(configuration)
    return replace(configuration, text=text, digest=hashlib.sha256(text.encode()).hexdigest())


def auditor(*resources: str, mfa: bool = False) -> Role:
    """A role that lets recordings be read, which one of dba approves."""
    lending = Lending(HOUR, (_rule("dba"),), mfa=mfa)
    return Role("auditor", Selector(names=frozenset(resources)), frozenset({Action.REPLAY}), lending)


def with_auditor(*resources: str, mfa: bool = False) -> dict[str, Role]:
    """The company's roles and that one."""
    return {**_roles(), "auditor": auditor(*resources, mfa=mfa)}


def with_person(configuration: Configuration, person: Person) -> Configuration:
    return company(**_parts(configuration), people={**configuration.people, person.name: person})


def without_person(configuration: Configuration, name: str) -> Configuration:
    people = {key: person for key, person in configuration.people.items() if key != name}
    return company(**_parts(configuration), people=people)


def with_contract(configuration: Configuration, name: str, **changes: Any) -> Configuration:
    contract = replace(configuration.contracts[name], **changes)
    parts = {**_parts(configuration), "contracts": {**configuration.contracts, name: contract}}
    return company(**parts, people=configuration.people)


def with_role(configuration: Configuration, role: Role) -> Configuration:
    parts = {**_parts(configuration), "roles": {**configuration.roles, role.name: role}}
    return company(**parts, people=configuration.people)


def _parts(configuration: Configuration) -> dict[str, Any]:
    return {"contracts": configuration.contracts, "roles": configuration.roles, "resources": configuration.resources}


@dataclass
class World:
    """The use cases with little to type. Everything goes through the same services as in the product."""

    state: State
    clock: FixedClock = field(default_factory=FixedClock)
    configuration: Configuration = field(default_factory=company)
    master: TemporaryMasterKey = field(default_factory=TemporaryMasterKey)
    look_again: Callable[[Request], Awaitable[None]] | None = None
    lasting: list[timedelta] = field(default_factory=list)
    """For how long followers of the feed were said to go on at most."""
    _keys: Iterator[int] = field(default_factory=itertools.count)

    @property
    def desk(self) -> Desk:
        return Desk(self.state, self.clock, self.configuration, look_again=self.look_again)

    async def head(self) -> int:
        async with self.state.reading() as reading:
            return await reading.ledger_head()

    async def lasts(self, longest: timedelta) -> None:
        self.lasting.append(longest)

    async def apply(self, configuration: Configuration | None = None) -> Applied:
        self.configuration = configuration or self.configuration
        return await apply_configuration(self.desk)

    async def sign_in(
        self, person: str, *, key: str | None = None, present_at: datetime | None = None, absent: bool = False
    ) -> Login:
        """A login with a key of its own and, unless ``absent``, a proof of presence of now."""
        now = self.clock.now()
        login = Login(
            id=new_id("l"),
            person=person,
            key=key or f"key-{person}-{next(self._keys)}",
            signed_in_at=now,
            ends_at=now + 8 * HOUR,
            present_at=None if absent else (present_at or now),
        )
        async with self.state.changing(person) as work:
            await work.save(login)
            work.record(
                LoginStarted(
                    login=login.id,
                    person=person,
                    key=login.key,
                    ends_at=login.ends_at,
                    present_at=login.present_at,
                    address="127.0.0.1",
                )
            )
        return login

    async def ask(
        self,
        role: str = "reader",
        *,
        person: str = DEV,
        login: Login | None = None,
        duration: timedelta = HOUR,
        resource: str = "orders",
        artifact: str = "",
    ) -> Request:
        login = login or await self.sign_in(person)
        return await open_request(
            self.desk,
            login_id=login.id,
            resource=resource,
            role=role,
            duration=duration,
            reason="a task",
            artifact=artifact,
        )

    async def approve(self, person: str, request: Request, *, login: Login | None = None) -> Approved:
        login = login or await self.sign_in(person)
        return await give_approval(self.desk, login_id=login.id, request_id=request.id, digest=request.digest)

    async def lend(
        self,
        role: str = "reader",
        *approvers: str,
        person: str = DEV,
        login: Login | None = None,
        duration: timedelta = HOUR,
        resource: str = "orders",
    ) -> Grant:
        """A grant that the approvers (by default one of the group dba) gave."""
        request = await self.ask(role, person=person, login=login, duration=duration, resource=resource)
        approved = [await self.approve(name, request) for name in approvers or (DBA,)]
        grant = approved[-1].grant
        if grant is None:
            pytest.fail(f"{approvers} were not enough for {role}")
        return grant

    async def connect(self, grant: Grant, login: Login, *, gateway: str = GATEWAY) -> str:
        """The id of a session that a gateway reported."""
        start = SessionStart(
            id=new_id("s"),
            person=grant.person,
            resource=grant.resource,
            login=login.id,
            grants=(grant.id,),
            address="10.0.0.1",
            client="psql",
            opened_at=self.clock.now(),
        )
        await report_sessions(self.desk, self.master, gateway=gateway, starts=(start,), ends=())
        return start.id

    async def session_with(self, role: str = "writer", *approvers: str) -> tuple[str, Grant, Login]:
        login = await self.sign_in(DEV)
        grant = await self.lend(role, *(approvers or (DBA, LEAD)), login=login)
        return await self.connect(grant, login), grant, login

    async def hold(self, session: str, *roles: str, text: str = "delete from orders") -> HoldOpened:
        return await hold_statement(self.desk, gateway=GATEWAY, opening=opening_of(session, *roles, text=text))

    async def request(self, request_id: str) -> Request:
        async with self.state.reading() as reading:
            request = await reading.request(request_id)
        return _there(request)

    async def grant(self, grant_id: str) -> Grant:
        async with self.state.reading() as reading:
            grant = await reading.grant(grant_id)
        return _there(grant)

    async def login(self, login_id: str) -> Login:
        async with self.state.reading() as reading:
            login = await reading.login(login_id)
        return _there(login)

    async def activity(self, session_id: str) -> Activity:
        async with self.state.reading() as reading:
            activity = await reading.activity(session_id)
        return _there(activity)

    async def events(self, kind: str) -> list[Mapping[str, Any]]:
        """The events of one kind, as they stand in the ledger, oldest first."""
        if kind not in EVENTS:
            pytest.fail(f"there is no event {kind}")
        async with self.state.reading() as reading:
            entries = await reading.ledger(limit=100_000)
        return [to_plain(read_body(entry.body).event) for entry in entries if entry.kind == kind]


def opening_of(session: str, *roles: str, text: str = "delete from orders", number: int = 7) -> HoldOpening:
    return HoldOpening(
        session=session,
        number=number,
        person=DEV,
        resource="orders",
        roles=roles or ("writer",),
        text=text,
        parameters=("1", None),
        needs=(Need(Action.DESTROY, "table public.orders"),),
        impact=Impact((PartImpact("table public.orders", deleted=10_000, total=10_000),)),
        why="writer holds destroy",
    )


def _there(entity: T | None) -> T:
    if entity is None:
        pytest.fail("it is not in the state")
    return entity


@contextmanager
def refused(code: str) -> Iterator[None]:
    """The block is refused with ``code``, a sentence and a remedy."""
    with pytest.raises(Refusal) as caught:
        yield
    assert caught.value.code == code, caught.value
    assert caught.value.sentence.endswith("."), caught.value.sentence
    assert caught.value.remedy, caught.value.sentence
