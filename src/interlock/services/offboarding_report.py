"""What an offboarding ended, each with its ledger entry, and what has not answered yet.

Holds to:

* everything that ended in the act stands beside ``person.ended`` in the ledger, in one unit of work: the report is
  those entries themselves, with their bodies and links, and not a list of its own
* what was made for a login (its certificate, its token, SSH certificates that were still good) is over with that login,
  whose end is its entry: gateways and control planes look the login up, and take nothing that names one which is over
* a session that was live then is over when its gateway has said so; until it has, it remains, by its number and gateway
* an account that the person had on a resource is over when the resource has said so; until then it remains, by its name
* a gateway that lags could open a session that nobody here has heard of yet: each of its workers remains until it says
  that it has applied the end, or until its lease is over (``services.hearing``). So when nothing remains nothing lives,
  and nothing can begin. ``certain_from`` is when that is so of every gateway, whatever it hears or does not
* nothing has to be asked for again: a gateway that was away learns of the end when it comes back, opens nothing before
  it has, and says what it closed. The report is made anew each time it is asked for, until nothing remains
* who could offboard the person, or may read the ledger, may read it
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from interlock.domain.accounts import UpstreamAccount
from interlock.domain.grants import Activity
from interlock.domain.identity_events import LoginEnded
from interlock.domain.people import Person
from interlock.domain.rights_events import AccountEnded, PersonEnded
from interlock.domain.work_events import SessionClosed, SshCertificateIssued
from interlock.errors import NotFound, Refusal
from interlock.ledger.entries import read_body
from interlock.ports.state import LedgerEntry, Reading
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator, sponsors_of

_MANY = 10_000


@dataclass(frozen=True, slots=True)
class Proved:
    """One ledger entry as it was hashed: ``body`` is canonical JSON, ``link`` hex."""

    position: int
    kind: str
    body: str
    link: str


@dataclass(frozen=True, slots=True)
class CredentialThen:
    """A certificate or token that opened something until the person left.

    ``what`` is ``certificate``, ``token`` or ``ssh-certificate``, ``of`` the login or the resource that it was for,
    ``entry`` the position of its login's end, and ``issued`` the entry of its making, where it has one.
    """

    what: str
    of: str
    entry: int
    issued: Proved | None


@dataclass(frozen=True, slots=True)
class SessionThen:
    """A session that was live when the person left; ``closed`` is the entry of its end, None while it remains."""

    session: str
    resource: str
    gateway: str
    closed_at: datetime | None
    closed: Proved | None


@dataclass(frozen=True, slots=True)
class AccountThen:
    """An account on a resource that the person had; ``ended`` is the entry of its end, None while it remains."""

    account: str
    resource: str
    ended_at: datetime | None
    ended: Proved | None


@dataclass(frozen=True, slots=True)
class GatewayThen:
    """A gateway worker that could have gone on by what it was told before the end. ``heard``: it says that it applied
    the end and cut what rested on the person; until it has, it may go on until ``until`` at most."""

    gateway: str
    worker: str
    heard: bool
    until: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """``remains`` names what has not answered; the offboarding is done when it is empty."""

    person: str
    by: str
    at: datetime
    ended: tuple[Proved, ...]
    credentials: tuple[CredentialThen, ...]
    sessions: tuple[SessionThen, ...]
    accounts: tuple[AccountThen, ...]
    gateways: tuple[GatewayThen, ...]
    remains: tuple[str, ...]
    made_at: datetime
    certain_from: datetime

    @property
    def done(self) -> bool:
        return not self.remains


async def report_offboarding(desk: Desk, *, reader: str, name: str) -> Report:
    """Raises NotFound, or Refusal (``not-yours``, ``not-offboarded``)."""
    async with desk.state.reading() as reading:
        actor = await acting_person(reading, reader)
        person = await reading.person(name)
        if person is None:
            raise NotFound(f"There is no person named {name}.", "See `interlock people`.")
        sponsors = sponsors_of(person, await reading.contracts())
        if not is_administrator(actor) and reader not in sponsors:
            raise Refusal("not-yours", f"{reader} does not answer for {name}.", "Ask an administrator.")
        if person.ended_at is None:
            raise Refusal("not-offboarded", f"{name} has not left.", f"Type `interlock offboard {name}`.")
        now = desk.clock.now()
        act = await _entries_of_act(reading, person)
        credentials = [one for entry in act for one in await _credentials(reading, entry, person.ended_at)]
        sessions = [await _session(reading, activity) for activity in await _live_then(reading, person)]
        accounts = [
            await _account(reading, account)
            for account in await reading.accounts(person=name)
            if account.ended_at is None or account.ended_at >= person.ended_at
        ]
        end = act[-1].position
        gateways = [
            GatewayThen(one.gateway, one.worker, one.applied >= end, now + one.left)
            for one in await reading.followings()
        ]
    deaf = [one for one in gateways if not one.heard]
    remains = (
        *(f"gateway {one.gateway} (worker {one.worker}), which has not said that it heard" for one in deaf),
        *(f"session {one.session} on gateway {one.gateway}" for one in sessions if one.closed is None),
        *(f"account {one.account} on {one.resource}" for one in accounts if one.ended is None),
    )
    return Report(
        person=name,
        by=act[0].actor,
        at=act[0].at,
        ended=tuple(_proved(entry) for entry in act),
        credentials=tuple(credentials),
        sessions=tuple(sessions),
        accounts=tuple(accounts),
        gateways=tuple(gateways),
        remains=remains,
        made_at=now,
        certain_from=max((one.until for one in deaf), default=now),
    )


async def _entries_of_act(reading: Reading, person: Person) -> Sequence[LedgerEntry]:
    """``person.ended`` and what the same unit of work wrote after it: what follows, of its actor and its time."""
    found = await reading.ledger_search(person.name, limit=_MANY)
    ends = [entry for entry in found if entry.kind == PersonEnded.kind and _is_of(entry, person)]
    if not ends:
        raise NotFound(f"The ledger has no end of {person.name}.", "Check it: interlock ledger verify")
    first = ends[-1]
    after = await reading.ledger(after=first.position - 1, limit=_MANY)
    act = []
    for entry in after:
        if (entry.actor, entry.at) != (first.actor, first.at):
            break
        act.append(entry)
    return act


def _is_of(entry: LedgerEntry, person: Person) -> bool:
    event = read_body(entry.body).event
    return isinstance(event, PersonEnded) and event.person == person.name


async def _live_then(reading: Reading, person: Person) -> Sequence[Activity]:
    return [
        activity
        for activity in await reading.activities(person=person.name, limit=_MANY)
        if activity.closed_at is None or (person.ended_at is not None and activity.closed_at >= person.ended_at)
    ]


async def _credentials(reading: Reading, entry: LedgerEntry, at: datetime) -> Sequence[CredentialThen]:
    """What ended at ``at`` with the login whose end ``entry`` tells; nothing for another entry."""
    if entry.kind != LoginEnded.kind:
        return ()
    end = read_body(entry.body).event
    if not isinstance(end, LoginEnded):
        return ()
    found = [CredentialThen(what, end.login, entry.position, None) for what in ("certificate", "token")]
    for other in await reading.ledger_search(end.login, limit=_MANY, kind=SshCertificateIssued.kind):
        made = read_body(other.body).event
        if isinstance(made, SshCertificateIssued) and made.login == end.login and made.ends_at > at:
            found.append(CredentialThen("ssh-certificate", made.resource, entry.position, _proved(other)))
    return found


async def _session(reading: Reading, activity: Activity) -> SessionThen:
    closed = None
    if activity.closed_at is not None:
        for entry in await reading.ledger_search(activity.id, limit=_MANY):
            event = read_body(entry.body).event
            if isinstance(event, SessionClosed) and event.session == activity.id:
                closed = _proved(entry)
    return SessionThen(activity.id, activity.resource, activity.gateway, activity.closed_at, closed)


async def _account(reading: Reading, account: UpstreamAccount) -> AccountThen:
    ended = None
    if account.ended_at is not None:
        for entry in await reading.ledger_search(account.name, limit=_MANY):
            event = read_body(entry.body).event
            if isinstance(event, AccountEnded) and event.grant == account.id:
                ended = _proved(entry)
    return AccountThen(account.name, account.resource, account.ended_at, ended)


def _proved(entry: LedgerEntry) -> Proved:
    return Proved(entry.position, entry.kind, entry.body.decode(), entry.link)
