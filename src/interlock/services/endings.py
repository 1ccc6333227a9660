"""How things end, and what ends with them. Every use case that ends something does it through here.

* a person: the grants, the logins, the passkeys, the agents they own, the open requests, and the voice in requests
  that are not used yet; the contracts that they sponsor pause
* a contract, ended or paused: the grants that rest on it, the open requests that rest on it, and the logins of persons
  whom no running contract covers any more
* a grant, a request, a delegation: itself; a login with what clients were allowed in it. The gateways cut the
  sessions that rest on it

Nothing that has ended is ever ended again or comes back: each end is written once.

INVARIANT: what makes or changes a person, a contract, a grant or a login holds the lock of ``Desk.deciding`` or
``Desk.ending``, as whoever ends them does: nothing slips in between the list of what ends and its commit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from interlock.domain.event import Event
from interlock.domain.grants import Grant, Login, Request, RequestKind, RequestState
from interlock.domain.identity_events import ClientEnded, DelegationEnded, LoginEnded, PasskeyEnded
from interlock.domain.oauth import Delegation, OauthClient, Passkey
from interlock.domain.people import Contract, Person
from interlock.domain.rights_events import (
    ApprovalVoided,
    ContractEnded,
    ContractPaused,
    GrantEnded,
    PersonEnded,
    RequestEnded,
)
from interlock.ledger.entries import read_body
from interlock.ports.state import State, UnitOfWork

MANY = 1_000_000
"""A limit for reads that must see everything."""


@dataclass(frozen=True, slots=True)
class Ended:
    """One thing that ended: ``what`` (person, contract, grant, login, delegation, passkey,
    agent, request, approval), its id, whose it was.

    ``position`` is its place in the ledger, 0 when it is not known yet.
    """

    what: str
    id: str
    person: str
    position: int = 0


@dataclass(slots=True)
class Endings:
    """Ends things within one unit of work, for one reason, at one moment, and keeps the list of what ended."""

    work: UnitOfWork
    by: str
    reason: str
    at: datetime
    ended: list[tuple[Ended, Event]] = field(default_factory=list)

    def because(self, reason: str) -> "Endings":
        """The same, for another reason; what it ends is in the same list."""
        return replace(self, reason=reason)

    async def person(self, person: Person) -> None:
        if not person.active:
            return
        await self.work.save(replace(person, ended_at=self.at))
        self._note("person", person.name, person.name, PersonEnded(person=person.name, reason=self.reason))
        for grant in await self.work.grants(active_at=self.at, person=person.name, limit=MANY):
            await self.grant(grant)
        for login in await self.work.logins(active_at=self.at, person=person.name):
            await self.login(login)
        for passkey in await self.work.passkeys(person.name):
            await self.passkey(passkey)
        for agent in await self.work.oauth_clients(owner=person.name):
            await self.client(agent)
        for request in await self.work.requests(state=RequestState.OPEN, person=person.name, limit=MANY):
            # What was done under a broken glass has to be looked at, whoever has left meanwhile.
            if request.kind is not RequestKind.REVIEW:
                await self.request(request, RequestState.WITHDRAWN)
        await self._void_approvals(person)
        for contract in await self.work.contracts():
            if contract.sponsor == person.name:
                await self.because(f"its sponsor {person.name} has left").pause(contract)

    async def contract(self, contract: Contract) -> None:
        if contract.ended_at is not None:
            return
        await self.work.save(replace(contract, ended_at=self.at))
        self._note("contract", contract.name, "", ContractEnded(contract=contract.name, reason=self.reason))
        await self.resting_on(contract)

    async def pause(self, contract: Contract) -> None:
        """The contract stops, with what rests on it, until somebody answers for it again."""
        if contract.ended_at is not None or contract.paused_at is not None or self.at >= contract.end:
            return
        await self.work.save(replace(contract, paused_at=self.at, paused_reason=self.reason))
        event = ContractPaused(contract=contract.name, reason=self.reason)
        self._note("contract", contract.name, "", event)
        await self.resting_on(contract)

    async def resting_on(self, contract: Contract) -> None:
        """What rests on ``contract``, which is over."""
        for grant in await self.work.grants(active_at=self.at, limit=MANY):
            if grant.contract == contract.name:
                await self.grant(grant)
        for request in await self.work.requests(state=RequestState.OPEN, limit=MANY):
            if request.content.get("contract") == contract.name and request.kind is not RequestKind.REVIEW:
                await self.request(request, RequestState.WITHDRAWN)
        await self.stranded_logins()

    async def stranded_logins(self) -> None:
        """The logins of contractors whom no running contract covers."""
        contracts = await self.work.contracts()
        people = {person.name: person for person in await self.work.people()}
        for login in await self.work.logins(active_at=self.at):
            person = people.get(login.person)
            if person is None or not may_be_signed_in(person, contracts, self.at):
                await self.login(login)

    async def grant(self, grant: Grant) -> Grant:
        """The grant as it then is; one that is over already stays as it is."""
        if grant.ended_at is not None or self.at >= grant.ends_at:
            return grant
        ended = replace(grant, ended_at=self.at, ended_by=self.by, ended_reason=self.reason)
        await self.work.save(ended)
        self._note("grant", grant.id, grant.person, GrantEnded(grant=grant.id, by=self.by, reason=self.reason))
        return ended

    async def login(self, login: Login) -> None:
        if login.ended_at is not None or self.at >= login.ends_at:
            return
        await self.work.save(replace(login, ended_at=self.at))
        event = LoginEnded(login=login.id, person=login.person, reason=self.reason)
        self._note("login", login.id, login.person, event)
        for delegation in await self.work.delegations(login=login.id):
            await self.delegation(delegation)

    async def delegation(self, delegation: Delegation) -> None:
        """What a client was allowed; all its tokens stop."""
        if not delegation.active(self.at):
            return
        await self.work.save(replace(delegation, ended_at=self.at, ended_reason=self.reason))
        event = DelegationEnded(
            delegation=delegation.id, person=delegation.person, client=delegation.client, reason=self.reason
        )
        self._note("delegation", delegation.id, delegation.person, event)

    async def passkey(self, passkey: Passkey) -> None:
        if passkey.ended_at is not None:
            return
        await self.work.save(replace(passkey, ended_at=self.at))
        event = PasskeyEnded(person=passkey.person, passkey=passkey.id, reason=self.reason)
        self._note("passkey", passkey.id, passkey.person, event)

    async def client(self, client: OauthClient) -> None:
        """A client, with everything that it was allowed."""
        if client.ended_at is not None:
            return
        await self.work.save(replace(client, ended_at=self.at))
        event = ClientEnded(client=client.id, reason=self.reason)
        self._note("agent" if client.owner else "client", client.id, client.owner or "", event)
        for delegation in await self.work.delegations(client=client.id):
            await self.delegation(delegation)

    async def request(self, request: Request, state: RequestState) -> Request:
        """The request as it then is: ``open`` moves to one of the others, ``approved`` to ``used``, else it stays."""
        if not may_become(request.state, state):
            return request
        moved = replace(request, state=state, decided_at=self.at, decided_by=self.by, decided_reason=self.reason)
        await self.work.save(moved)
        event = RequestEnded(request=request.id, state=state.value, by=self.by, reason=self.reason)
        self._note("request", request.id, request.person, event)
        return moved

    async def _void_approvals(self, person: Person) -> None:
        for state in (RequestState.OPEN, RequestState.APPROVED):
            for request in await self.work.requests(state=state, limit=MANY):
                used_later = request.kind in (RequestKind.STATEMENT, RequestKind.POLICY)
                over = state is RequestState.APPROVED and not used_later
                if request.expires_at <= self.at or over:
                    continue
                for approval in await self.work.approvals(request.id):
                    if approval.person == person.name:
                        event = ApprovalVoided(request=request.id, person=person.name, reason=self.reason)
                        self._note("approval", request.id, person.name, event)

    def _note(self, what: str, entity_id: str, person: str, event: Event) -> None:
        self.work.record(event)
        self.ended.append((Ended(what, entity_id, person), event))


def may_become(before: RequestState, after: RequestState) -> bool:
    """The whole life of a request: see :class:`RequestState`."""
    if before is RequestState.OPEN:
        return after not in (RequestState.OPEN, RequestState.USED)
    return before is RequestState.APPROVED and after is RequestState.USED


def may_be_signed_in(person: Person, contracts: Sequence[Contract], at: datetime) -> bool:
    """An employee while employed, a contractor while some contract runs."""
    if not person.active:
        return False
    return person.is_employee or any(c.covers(person) and c.running(at) for c in contracts)


async def with_positions(state: State, after: int, ended: Sequence[tuple[Ended, Event]]) -> tuple[Ended, ...]:
    """The endings with their places in the ledger, after the commit. ``after`` is the head before it."""
    waiting = list(ended)
    placed: list[Ended] = []
    async with state.reading() as reading:
        while waiting:
            entries = await reading.ledger(after=after)
            if not entries:
                break
            for entry in entries:
                after = entry.position
                if waiting and entry.kind == waiting[0][1].kind and read_body(entry.body).event == waiting[0][1]:
                    placed.append(replace(waiting.pop(0)[0], position=entry.position))
    return tuple(placed) + tuple(item for item, _ in waiting)


def upto(ended: Iterable[Ended]) -> int:
    """The place of the last of them in the ledger; 0 when there are none, or none has its place."""
    return max((one.position for one in ended), default=0)
