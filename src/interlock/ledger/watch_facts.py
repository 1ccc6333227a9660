"""What the watch knows of the world, from the ledger's entries alone, and each entry seen in that light. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from interlock.domain.event import Event
from interlock.domain.identity_events import SignInRefused
from interlock.domain.rights_events import (
    ApprovalGiven,
    ApprovalVoided,
    ContractAdded,
    ContractChanged,
    GrantStarted,
    PersonAdded,
    PersonChanged,
    PersonReturned,
    RequestEnded,
    RequestOpened,
)
from interlock.domain.work_events import SessionClosed, SessionCounted, SessionOpened
from interlock.ledger.entries import Recorded

_KEPT = timedelta(days=1)
"""How long a grant is remembered after its window: the reports of its last session may come late."""


@dataclass(frozen=True, slots=True)
class Observed:
    """An entry, with what it is about. ``rows`` and ``refused`` are those that came with it; ``approvers`` are set when
    a request was approved; ``ends`` maps the contracts of an opened session to their ends."""

    recorded: Recorded
    person: str = ""
    vendor: str = ""
    session: str = ""
    resource: str = ""
    grant: str = ""
    grants: tuple[str, ...] = ()
    rows: int = 0
    refused: int = 0
    approvers: frozenset[str] = frozenset()
    ends: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        return self.recorded.at

    @property
    def event(self) -> Event:
        return self.recorded.event


class Facts:
    """``memory`` is plain JSON, and all there is to keep."""

    def __init__(self, memory: Mapping[str, Any] | None = None) -> None:
        given = memory or {}
        self._vendors: dict[str, str] = dict(given.get("vendors", {}))
        self._contracts: dict[str, str] = dict(given.get("contracts", {}))
        self._grants: dict[str, dict[str, Any]] = dict(given.get("grants", {}))
        self._sessions: dict[str, dict[str, Any]] = dict(given.get("sessions", {}))
        self._requests: dict[str, dict[str, Any]] = dict(given.get("requests", {}))

    def memory(self) -> dict[str, Any]:
        return {
            "vendors": self._vendors,
            "contracts": self._contracts,
            "grants": self._grants,
            "sessions": self._sessions,
            "requests": self._requests,
        }

    def observe(self, recorded: Recorded) -> Observed:
        """Learn from an entry, and say what it is about."""
        event = recorded.event
        match event:
            case PersonAdded() | PersonChanged() | PersonReturned():
                self._learn_person(event.person, event.vendor)
            case ContractAdded() | ContractChanged():
                self._contracts[event.contract] = event.end.isoformat()
            case GrantStarted():
                return self._grant_started(recorded, event)
            case RequestOpened():
                self._requests[event.request] = {
                    "person": event.person,
                    "resource": event.resource,
                    "kind": event.request_kind,
                    "session": str(event.content.get("session") or ""),
                    "approvers": [],
                    "grant": "",
                }
            case ApprovalGiven():
                self._approvers(event.request).append(event.person)
            case ApprovalVoided():
                approvers = self._approvers(event.request)
                if event.person in approvers:
                    approvers.remove(event.person)
            case RequestEnded():
                return self._request_ended(recorded, event)
            case SessionOpened():
                return self._session_opened(recorded, event)
            case SessionCounted() | SessionClosed():
                return self._session_counted(recorded, event)
            case SignInRefused():
                return self._about(recorded, person=event.person, refused=1)
            case _:
                pass
        return self._about(recorded)

    def _about(self, recorded: Recorded, **more: Any) -> Observed:
        """What every event says by the names of its fields."""
        event = recorded.event
        for name in ("person", "session", "resource", "grant"):
            value = getattr(event, name, "")
            if name not in more and isinstance(value, str):
                more[name] = value
        live = self._sessions.get(more["session"]) if more.get("session") else None
        if live is not None:
            more["person"] = more.get("person") or live["person"]
            more["resource"] = more.get("resource") or live["resource"]
        more["person"] = more.get("person", "")
        return Observed(recorded, vendor=self._vendors.get(more["person"], ""), **more)

    def _learn_person(self, person: str, vendor: str | None) -> None:
        if vendor is None:
            self._vendors.pop(person, None)
        else:
            self._vendors[person] = vendor

    def _grant_started(self, recorded: Recorded, event: GrantStarted) -> Observed:
        over = (recorded.at - _KEPT).isoformat()
        self._grants = {name: grant for name, grant in self._grants.items() if grant["ends_at"] > over}
        self._grants[event.grant] = {"contract": event.contract or "", "ends_at": event.ends_at.isoformat()}
        if event.request in self._requests:
            self._requests[event.request]["grant"] = event.grant
        return self._about(recorded)

    def _approvers(self, request: str) -> list[str]:
        found: list[str] = self._requests.get(request, {}).get("approvers", [])
        return found

    def _request_ended(self, recorded: Recorded, event: RequestEnded) -> Observed:
        request = self._requests.get(event.request)
        if request is None:
            return self._about(recorded)
        if event.state != "approved" or request["kind"] == "grant":
            del self._requests[event.request]
        denied = event.state == "denied" and request["kind"] == "grant"
        return self._about(
            recorded,
            person=request["person"],
            session=request["session"],
            resource=request["resource"],
            grant=request["grant"],
            refused=int(denied),
            approvers=frozenset(request["approvers"]) if event.state == "approved" else frozenset(),
        )

    def _session_opened(self, recorded: Recorded, event: SessionOpened) -> Observed:
        self._sessions[event.session] = {
            "person": event.person,
            "resource": event.resource,
            "rows": 0,
            "refused": 0,
        }
        contracts = {self._grants[grant]["contract"] for grant in event.grants if grant in self._grants}
        ends = {
            name: datetime.fromisoformat(self._contracts[name]) for name in sorted(contracts & self._contracts.keys())
        }
        return self._about(recorded, grants=event.grants, ends=ends)

    def _session_counted(self, recorded: Recorded, event: SessionCounted | SessionClosed) -> Observed:
        known = self._sessions.get(event.session, {"rows": 0, "refused": 0})
        rows, refused = max(0, event.rows - known["rows"]), max(0, event.refused - known["refused"])
        if isinstance(event, SessionClosed):
            self._sessions.pop(event.session, None)
        elif event.session in self._sessions:
            known.update(rows=event.rows, refused=event.refused)
        return self._about(recorded, rows=rows, refused=refused)
