"""Evidence out of the ledger's entries alone: who could do what at a time, and what one person did; each row with the
positions of the entries that say so."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from interlock.domain.codec import to_plain
from interlock.domain.rights_events import ApprovalGiven, ApprovalVoided, GrantEnded, GrantStarted
from interlock.domain.work_events import SessionClosed, SessionOpened
from interlock.ledger.entries import Recorded
from interlock.ledger.report_pages import Report, Section, references, shown_moment

_ACCESS = ("person", "role", "resource", "from", "until", "allowed by", "ledger entries")
_SESSIONS = ("person", "resource", "session", "since", "from where", "ledger entry")
_PERSON = ("at", "what", "by", "more", "ledger entry")


def access_at(entries: Iterable[Recorded], at: datetime) -> Report:
    """The grants that were active at ``at``, who approved them, and the sessions that were open then. ``entries`` from
    the first, in their order."""
    approvals: dict[str, dict[str, int]] = {}
    active: dict[str, tuple[GrantStarted, int, dict[str, int]]] = {}
    sessions: dict[str, tuple[SessionOpened, int]] = {}
    for recorded in entries:
        if recorded.at > at:
            break
        match recorded.event:
            case ApprovalGiven(request=request, person=person):
                approvals.setdefault(request, {})[person] = recorded.position
            case ApprovalVoided(request=request, person=person):
                approvals.get(request, {}).pop(person, None)
            case GrantStarted() as started:
                active[started.grant] = (started, recorded.position, dict(approvals.get(started.request, {})))
            case GrantEnded(grant=grant):
                active.pop(grant, None)
            case SessionOpened() as opened:
                sessions[opened.session] = (opened, recorded.position)
            case SessionClosed(session=session):
                sessions.pop(session, None)
            case _:
                pass
    grants = [
        (
            started.person,
            started.role,
            started.resource,
            shown_moment(started.starts_at),
            shown_moment(started.ends_at),
            ", ".join(sorted(allowed)),
            references([position, *allowed.values()]),
        )
        for started, position, allowed in active.values()
        if started.starts_at <= at < started.ends_at
    ]
    open_then = [
        (
            opened.person,
            opened.resource,
            opened.session,
            shown_moment(opened.opened_at),
            opened.address,
            str(position),
        )
        for opened, position in sessions.values()
        if opened.opened_at <= at
    ]
    moment = shown_moment(at)
    nobody = f"Nobody had access to anything at {moment}: no grant was active. Name another time with --at."
    return Report(
        f"Who could do what at {moment}",
        (
            Section("Who could do what, and who allowed it", _ACCESS, tuple(sorted(grants)), nobody),
            Section("Sessions that were open", _SESSIONS, tuple(sorted(open_then)), "No session was open then."),
        ),
    )


def person_report(entries: Iterable[Recorded], person: str) -> Report:
    """Every entry that ``person`` made, or that names them, in the order of the ledger."""
    rows = []
    for recorded in entries:
        plain = to_plain(recorded.event)
        if recorded.actor != person and person not in _names(plain.values()):
            continue
        told = {name: _told(getattr(recorded.event, name, value)) for name, value in plain.items()}
        said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items() if value)
        rows.append((shown_moment(recorded.at), recorded.event.kind, recorded.actor, said, str(recorded.position)))
    title = f"What {person} did, and what was done about them"
    nothing = f"No entry of the ledger names {person}. `interlock people` lists the names that there are."
    return Report(title, (Section(title, _PERSON, tuple(rows), nothing),))


def _told(value: object) -> str:
    if isinstance(value, datetime):
        return shown_moment(value)
    return value if isinstance(value, str) else ""


def _names(values: Iterable[object]) -> frozenset[str]:
    found: set[str] = set()
    for value in values:
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, Sequence):
            found.update(item for item in value if isinstance(item, str))
    return frozenset(found)
