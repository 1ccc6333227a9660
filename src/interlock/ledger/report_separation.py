"""Evidence that duties were separate, out of the ledger's entries alone: who asked and who allowed, who did which duty,
and whoever stood on both sides."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from interlock.domain.rights_events import (
    ApprovalGiven,
    ApprovalVoided,
    PersonAdded,
    PersonChanged,
    PersonReturned,
    RequestEnded,
    RequestOpened,
)
from interlock.domain.work_events import DutyDone, DutyTaken, DutyVoided
from interlock.ledger.entries import Recorded
from interlock.ledger.report_pages import Report, Section, references, shown_moment

_ALLOWED = ("at", "asked by", "what", "on", "request", "allowed by", "ledger entries")
_PAIRS = ("asked by", "allowed by", "requests", "of all of theirs")
_DUTIES = ("chain", "artifact", "duties, in order", "ledger entries")
_BOTH = ("what", "who", "how", "ledger entries")


@dataclass(slots=True)
class _Request:
    opened: RequestOpened
    entries: list[int]
    allowed: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Read:
    since: datetime | None
    until: datetime | None
    vendors: dict[str, str] = field(default_factory=dict)
    requests: dict[str, _Request] = field(default_factory=dict)
    allowed: list[tuple[str, ...]] = field(default_factory=list)
    both: list[tuple[str, ...]] = field(default_factory=list)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    duties: dict[tuple[str, str], dict[str, tuple[str, str, int]]] = field(default_factory=dict)

    def take(self, recorded: Recorded) -> None:
        event, position = recorded.event, recorded.position
        match event:
            case PersonAdded() | PersonChanged() | PersonReturned():
                self.vendors[event.person] = event.vendor or ""
            case RequestOpened():
                self.requests[event.request] = _Request(event, [position])
            case ApprovalGiven(request=request) if request in self.requests:
                self.requests[request].allowed[event.person] = position
            case ApprovalVoided(request=request) if request in self.requests:
                self.requests[request].allowed.pop(event.person, None)
            case RequestEnded(request=request, state="approved") if request in self.requests:
                if self._wanted(recorded.at):
                    self._approved(recorded, self.requests[request])
            case DutyTaken() if self._wanted(recorded.at):
                key = (event.chain, event.artifact)
                self.duties.setdefault(key, {})[event.duty_id] = (event.duty, event.person, position)
            case DutyDone() | DutyVoided():
                self._duty_went_on(event, position)
            case _:
                pass

    def _wanted(self, at: datetime) -> bool:
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)

    def _duty_went_on(self, event: DutyDone | DutyVoided, position: int) -> None:
        taken = self.duties.get((event.chain, event.artifact), {})
        if event.duty_id not in taken:
            return
        if isinstance(event, DutyVoided):
            del taken[event.duty_id]
        else:
            taken[event.duty_id] = (event.duty, event.person, position)

    def _approved(self, recorded: Recorded, request: _Request) -> None:
        opened, person = request.opened, request.opened.person
        entries = references([*request.entries, *request.allowed.values(), recorded.position])
        what = "a statement" if opened.request_kind == "statement" else opened.role
        allowed = [self._named(name) for name in sorted(request.allowed)]
        at = shown_moment(recorded.at)
        self.allowed.append(
            (at, self._named(person), what, opened.resource, opened.request, ", ".join(allowed), entries)
        )
        self.asked[person] += 1
        self.pairs.update((person, name) for name in request.allowed)
        if person in request.allowed:
            self.both.append((opened.request, person, "asked for it and allowed it", entries))
        vendor = self.vendors.get(person, "")
        colleagues = [name for name in sorted(request.allowed) if vendor and self.vendors.get(name) == vendor]
        if colleagues and len(colleagues) == len(request.allowed):
            who = ", ".join([person, *colleagues])
            self.both.append((opened.request, who, f"asked for and allowed by people of {vendor} alone", entries))

    def _named(self, person: str) -> str:
        vendor = self.vendors.get(person, "")
        return f"{person} ({vendor})" if vendor else person

    def chains(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for (chain, artifact), taken in self.duties.items():
            if not taken:
                continue
            entries = references([position for _, _, position in taken.values()])
            rows.append((chain, artifact, ", ".join(f"{duty}: {who}" for duty, who, _ in taken.values()), entries))
            counted = Counter(who for _, who, _ in taken.values())
            for who in sorted(name for name, count in counted.items() if count > 1):
                theirs = " and ".join(duty for duty, name, _ in taken.values() if name == who)
                self.both.append((f"{artifact} ({chain})", who, f"carried {theirs}", entries))
        return rows


def separation_report(
    entries: Iterable[Recorded], since: datetime | None = None, until: datetime | None = None
) -> Report:
    """From ``since`` (included) to ``until`` (not included). ``entries`` from the first, in their order."""
    read = _Read(since, until)
    for recorded in entries:
        read.take(recorded)
    duties = read.chains()
    pairs = [
        (person, name, str(count), f"{count / read.asked[person]:.0%}")
        for (person, name), count in sorted(read.pairs.items(), key=lambda item: (-item[1], item[0]))
    ]
    facts = (
        ("from", "the beginning" if since is None else shown_moment(since)),
        ("until", "the end" if until is None else shown_moment(until)),
        ("approved requests", str(len(read.allowed))),
        ("persons who asked", str(len(read.asked))),
        ("persons who allowed", str(len({name for _, name in read.pairs}))),
    )
    return Report(
        "Separation of duties: who asked, who allowed, who did",
        (
            Section(
                "On both sides",
                _BOTH,
                tuple(read.both),
                "Nobody allowed a request of their own, no vendor's people allowed one among themselves, and nobody "
                "carried two duties over one artifact.",
            ),
            Section("Who allowed what", _ALLOWED, tuple(read.allowed), "No request was approved in this time."),
            Section("Who allows for whom", _PAIRS, tuple(pairs), "No request was approved in this time."),
            Section("Who did which duty", _DUTIES, tuple(duties), "No duty of a chain was taken in this time."),
        ),
        facts,
    )
