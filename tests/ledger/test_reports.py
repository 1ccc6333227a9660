"""Reports: what the entries say, no more, and safe to open in a spreadsheet or a browser."""

import csv
import io
from datetime import UTC, datetime, timedelta

from interlock.domain.event import Event
from interlock.domain.rights_events import ApprovalGiven, ApprovalVoided, GrantEnded, GrantStarted
from interlock.domain.work_events import SessionCut
from interlock.ledger.entries import Recorded
from interlock.ledger.reports import Report, access_at, as_csv, as_html, person_report

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEV, LEAD, OTHER = "dev@acme.example", "lead@example.com", "other@example.com"


def grant(number: int, start: datetime, end: datetime) -> GrantStarted:
    return GrantStarted(
        grant=f"g-{number}",
        request=f"r-{number}",
        person=DEV,
        role="writer",
        resource="orders",
        key="k",
        starts_at=start,
        ends_at=end,
    )


def approval(number: int, person: str) -> ApprovalGiven:
    return ApprovalGiven(request=f"r-{number}", person=person, digest="d")


def ledger(*events: tuple[datetime, Event]) -> list[Recorded]:
    return [Recorded(position, at, LEAD, event) for position, (at, event) in enumerate(events, 1)]


ENTRIES = ledger(
    (NOON, approval(1, LEAD)),
    (NOON, approval(1, OTHER)),
    (NOON, ApprovalVoided(request="r-1", person=OTHER, reason="left")),
    (NOON, grant(1, NOON, NOON + 2 * HOUR)),
    (NOON, grant(2, NOON, NOON + HOUR)),
    (NOON + HOUR, grant(3, NOON + HOUR, NOON + 9 * HOUR)),
    (NOON + 2 * HOUR, GrantEnded(grant="g-3", by=LEAD, reason="done")),
    (NOON + 2 * HOUR, SessionCut(session="s-1", by=OTHER, reason="<b>odd</b>")),
)


def entries_named(report: Report) -> list[str]:
    return [row[-1] for row in report.rows]


def test_who_could_do_what_at_a_time() -> None:
    assert entries_named(access_at(ENTRIES, NOON - HOUR)) == []
    assert sorted(entries_named(access_at(ENTRIES, NOON))) == ["1 4", "5"]
    # a window's end is not in it; the void approval is not counted
    assert sorted(entries_named(access_at(ENTRIES, NOON + HOUR))) == ["1 4", "6"]
    assert entries_named(access_at(ENTRIES, NOON + 2 * HOUR)) == []
    row = access_at(ENTRIES, NOON + HOUR).rows[0]
    assert row[:3] == (DEV, "writer", "orders")
    assert LEAD in {row[5] for row in access_at(ENTRIES, NOON).rows}
    assert OTHER not in str(access_at(ENTRIES, NOON).rows)


def test_what_one_person_did() -> None:
    assert entries_named(person_report(ENTRIES, OTHER)) == ["2", "3", "8"]
    assert entries_named(person_report(ENTRIES, DEV)) == ["4", "5", "6"]
    assert entries_named(person_report(ENTRIES, LEAD)) == [str(number) for number in range(1, 9)]
    assert person_report(ENTRIES, "nobody").rows == ()


def test_a_page_and_a_sheet_run_nothing() -> None:
    report = Report("<script>", ("a",), (("=1+1",), ("@x",), ("<img onerror=1>",), ("",)))
    page = as_html(report, "<source>")
    assert "<script>" not in page
    assert "<img" not in page
    assert [row[0] for row in csv.reader(io.StringIO(as_csv(report)))][1:3] == ["'=1+1", "'@x"]
