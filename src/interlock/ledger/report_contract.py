"""Evidence about one contract, out of the ledger's entries alone: its life, what was lent and what was done."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from interlock.domain.rights_events import (
    ApprovalGiven,
    ApprovalVoided,
    ContractAdded,
    ContractChanged,
    GrantEnded,
    GrantStarted,
    PersonAdded,
    PersonChanged,
    PersonReturned,
)
from interlock.domain.work_events import SessionClosed, SessionOpened
from interlock.ledger.entries import Recorded
from interlock.ledger.report_pages import Report, Section, references, shown_moment

_LIFE = ("at", "what", "by", "more", "ledger entry")
_LENT = ("person", "role", "resource", "from", "until", "allowed by", "ledger entries")
_DONE = ("person", "resource", "session", "opened", "closed", "statements", "rows", "recording", "ledger entries")


@dataclass(slots=True)
class _Grant:
    started: GrantStarted
    allowed: dict[str, int]
    entries: list[int]
    until: str


@dataclass(slots=True)
class _Session:
    opened: SessionOpened
    entries: list[int]
    closed: SessionClosed | None = None


@dataclass(slots=True)
class _Read:
    """What was read of the contract ``name`` so far."""

    name: str
    terms: ContractAdded | ContractChanged | None = None
    life: list[tuple[str, ...]] = field(default_factory=list)
    vendors: dict[str, str] = field(default_factory=dict)
    approvals: dict[str, dict[str, int]] = field(default_factory=dict)
    grants: dict[str, _Grant] = field(default_factory=dict)
    sessions: dict[str, _Session] = field(default_factory=dict)

    def take(self, recorded: Recorded) -> None:
        event, position = recorded.event, recorded.position
        match event:
            case PersonAdded() | PersonChanged() | PersonReturned():
                self.vendors[event.person] = event.vendor or ""
            case ApprovalGiven():
                self.approvals.setdefault(event.request, {})[event.person] = position
            case ApprovalVoided():
                self.approvals.get(event.request, {}).pop(event.person, None)
            case GrantStarted() if self._is_under(event):
                allowed = dict(self.approvals.get(event.request, {}))
                self.grants[event.grant] = _Grant(event, allowed, [position], shown_moment(event.ends_at))
            case GrantEnded(grant=grant) if grant in self.grants:
                why = f": {event.reason}" if event.reason else ""
                self.grants[grant].until = f"{shown_moment(recorded.at)} (ended by {event.by}{why})"
                self.grants[grant].entries.append(position)
            case SessionOpened() if not self.grants.keys().isdisjoint(event.grants):
                self.sessions[event.session] = _Session(event, [position])
            case SessionClosed(session=session) if session in self.sessions:
                self.sessions[session].closed = event
                self.sessions[session].entries.append(position)
            case _ if getattr(event, "contract", None) == self.name and not isinstance(event, GrantStarted):
                self._live(recorded)

    def _is_under(self, event: GrantStarted) -> bool:
        """Older entries do not say the contract: then the vendor and the role do."""
        if event.contract is not None or self.terms is None:
            return event.contract == self.name
        return self.vendors.get(event.person) == self.terms.vendor and event.role in self.terms.roles

    def _live(self, recorded: Recorded) -> None:
        event = recorded.event
        more = str(getattr(event, "reason", ""))
        if isinstance(event, ContractAdded | ContractChanged):
            self.terms = event
            more = (
                f"{event.vendor}, sponsor {event.sponsor}, {shown_moment(event.start)} to {shown_moment(event.end)}, "
                f"roles {', '.join(event.roles)}"
            )
        self.life.append((shown_moment(recorded.at), event.kind, recorded.actor, more, str(recorded.position)))


def contract_report(entries: Iterable[Recorded], name: str) -> Report | None:
    """What the ledger says of the contract ``name``; None when it says nothing. ``entries`` from the first."""
    read = _Read(name)
    for recorded in entries:
        read.take(recorded)
    terms = read.terms
    if terms is None:
        return None
    facts = (
        ("vendor", terms.vendor),
        ("sponsor", terms.sponsor),
        ("window", f"{shown_moment(terms.start)} to {shown_moment(terms.end)}"),
        ("roles", ", ".join(terms.roles)),
    )
    return Report(
        f"What was done under the contract {name}",
        (
            Section("The contract", _LIFE, tuple(read.life), "Nothing."),
            Section(
                "What was lent, and who allowed it",
                _LENT,
                tuple(_lent(grant) for grant in read.grants.values()),
                "Nobody was ever lent anything under it.",
            ),
            Section(
                "What was done",
                _DONE,
                tuple(_done(session) for session in read.sessions.values()),
                "Nobody has opened a session under it.",
            ),
        ),
        facts,
    )


def _lent(grant: _Grant) -> tuple[str, ...]:
    started = grant.started
    return (
        started.person,
        started.role,
        started.resource,
        shown_moment(started.starts_at),
        grant.until,
        ", ".join(sorted(grant.allowed)),
        references([*grant.entries, *grant.allowed.values()]),
    )


def _done(session: _Session) -> tuple[str, ...]:
    opened, closed = session.opened, session.closed
    ending = (
        ("still open", "", "", "")
        if closed is None
        else (shown_moment(closed.closed_at), f"{closed.statements:,}", f"{closed.rows:,}", closed.recording[:16])
    )
    return (
        opened.person,
        opened.resource,
        opened.session,
        shown_moment(opened.opened_at),
        *ending,
        references(session.entries),
    )
