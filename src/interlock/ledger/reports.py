"""Evidence out of the ledger's entries alone: who could do what at a time, and what one person did; each row with the
positions of the entries that say so."""

import csv
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from interlock.domain.codec import to_plain
from interlock.domain.rights_events import ApprovalGiven, ApprovalVoided, GrantEnded, GrantStarted
from interlock.ledger.entries import Recorded


@dataclass(frozen=True, slots=True)
class Report:
    """A table with a title. Every row has a cell for each column."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def access_at(entries: Iterable[Recorded], at: datetime) -> Report:
    """The grants that were active at ``at``, with who approved them. ``entries`` from the first, in their order."""
    approvals: dict[str, dict[str, int]] = {}
    active: dict[str, tuple[GrantStarted, int, dict[str, int]]] = {}
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
            case _:
                pass
    rows = [
        (
            started.person,
            started.role,
            started.resource,
            _moment(started.starts_at),
            _moment(started.ends_at),
            ", ".join(sorted(allowed)),
            _references([position, *allowed.values()]),
        )
        for started, position, allowed in active.values()
        if started.starts_at <= at < started.ends_at
    ]
    columns = ("person", "role", "resource", "from", "until", "allowed by", "ledger entries")
    return Report(f"Who could do what at {_moment(at)}", columns, tuple(sorted(rows)))


def person_report(entries: Iterable[Recorded], person: str) -> Report:
    """Every entry that ``person`` made, or that names them, in the order of the ledger."""
    rows = []
    for recorded in entries:
        plain = to_plain(recorded.event)
        if recorded.actor != person and person not in _names(plain.values()):
            continue
        said = ", ".join(f"{name} {value}" for name, value in plain.items() if isinstance(value, str) and value)
        rows.append((_moment(recorded.at), recorded.event.kind, recorded.actor, said, str(recorded.position)))
    columns = ("at", "what", "by", "more", "ledger entry")
    return Report(f"What {person} did, and what was done about them", columns, tuple(rows))


def as_csv(report: Report) -> str:
    """RFC 4180. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(report.columns)
    writer.writerows([[f"'{cell}" if cell[:1] in "=+-@\t\r" and cell else cell for cell in row] for row in report.rows])
    return text.getvalue()


def as_html(report: Report, source: str) -> str:
    """A page to print. ``source`` says what the report rests on."""
    head = "".join(f"<th>{html.escape(column)}</th>" for column in report.columns)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>\n" for row in report.rows)
    title = html.escape(report.title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>' + title + "</title><style>"
        "body{font:10pt sans-serif;margin:2em}table{border-collapse:collapse;width:100%}"
        "th,td{border:1px solid #999;padding:.3em .5em;text-align:left;vertical-align:top;overflow-wrap:anywhere}"
        "thead{display:table-header-group}tr{break-inside:avoid}</style></head><body>"
        f"<h1>{title}</h1><p>{html.escape(source)}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></body></html>\n"
    )


def _names(values: Iterable[object]) -> frozenset[str]:
    found: set[str] = set()
    for value in values:
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, Sequence):
            found.update(item for item in value if isinstance(item, str))
    return frozenset(found)


def _references(positions: Sequence[int]) -> str:
    return " ".join(str(position) for position in sorted(positions))


def _moment(at: datetime) -> str:
    return str(to_plain(at))[:19].replace("T", " ") + " UTC"
