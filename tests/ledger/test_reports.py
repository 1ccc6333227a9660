"""Reports: what the entries say, no more, and safe to open in a spreadsheet or a browser."""

import csv
import io
from datetime import UTC, datetime, timedelta

from interlock.domain.event import Event
from interlock.domain.rights_events import (
    ApprovalGiven,
    ApprovalVoided,
    ContractAdded,
    ContractEnded,
    GrantEnded,
    GrantStarted,
    PersonAdded,
    RequestEnded,
    RequestOpened,
)
from interlock.domain.work_events import DutyTaken, DutyVoided, SessionClosed, SessionCut, SessionOpened
from interlock.ledger.entries import Recorded
from interlock.ledger.report_contract import contract_report
from interlock.ledger.report_pages import Report, Section, as_csv, as_html
from interlock.ledger.report_separation import separation_report
from interlock.ledger.reports import access_at, person_report

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEV, LEAD, OTHER = "dev@acme.example", "lead@example.com", "other@example.com"


def grant(number: int, start: datetime, end: datetime, contract: str | None = None) -> GrantStarted:
    return GrantStarted(
        grant=f"g-{number}",
        request=f"r-{number}",
        person=DEV,
        role="writer",
        resource="orders",
        key="k",
        starts_at=start,
        ends_at=end,
        contract=contract,
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
    return [row[-1] for row in report.sections[0].rows]


def test_who_could_do_what_at_a_time() -> None:
    assert entries_named(access_at(ENTRIES, NOON - HOUR)) == []
    assert sorted(entries_named(access_at(ENTRIES, NOON))) == ["1 4", "5"]
    # a window's end is not in it; the void approval is not counted
    assert sorted(entries_named(access_at(ENTRIES, NOON + HOUR))) == ["1 4", "6"]
    assert entries_named(access_at(ENTRIES, NOON + 2 * HOUR)) == []
    row = access_at(ENTRIES, NOON + HOUR).sections[0].rows[0]
    assert row[:3] == (DEV, "writer", "orders")
    assert LEAD in {row[5] for row in access_at(ENTRIES, NOON).sections[0].rows}
    assert OTHER not in str(access_at(ENTRIES, NOON).sections)


def test_what_one_person_did() -> None:
    assert entries_named(person_report(ENTRIES, OTHER)) == ["2", "3", "8"]
    assert entries_named(person_report(ENTRIES, DEV)) == ["4", "5", "6"]
    assert entries_named(person_report(ENTRIES, LEAD)) == [str(number) for number in range(1, 9)]
    (section,) = person_report(ENTRIES, "nobody").sections
    assert section.rows == ()
    assert section.nothing.startswith("No entry of the ledger names nobody.")


def person(name: str, vendor: str | None = None) -> PersonAdded:
    return PersonAdded(person=name, vendor=vendor, groups=())


def request(number: int, kind: str = "grant", by: str = DEV) -> RequestOpened:
    return RequestOpened(
        request=f"r-{number}",
        request_kind=kind,
        person=by,
        resource="orders",
        role="writer",
        digest="d",
        reason="a task",
        content={},
    )


def approved(number: int) -> RequestEnded:
    return RequestEnded(request=f"r-{number}", state="approved", by=LEAD, reason="")


def opened(number: int, *grants: str) -> SessionOpened:
    return SessionOpened(
        session=f"s-{number}",
        person=DEV,
        resource="orders",
        login="l-1",
        grants=grants,
        gateway="gw",
        address="10.0.0.1",
        client="psql",
        opened_at=NOON,
    )


def closed(number: int, rows: int) -> SessionClosed:
    return SessionClosed(
        session=f"s-{number}",
        person=DEV,
        resource="orders",
        closed_at=NOON + HOUR,
        why="left",
        statements=3,
        recording="ab" * 32,
        rows=rows,
    )


TERMS = ContractAdded(contract="work", vendor="acme", sponsor=LEAD, start=NOON, end=NOON + 99 * HOUR, roles=("writer",))
WORK = ledger(
    (NOON, person(DEV, "acme")),
    (NOON, person(LEAD)),
    (NOON, TERMS),
    (NOON, request(1)),
    (NOON, approval(1, LEAD)),
    (NOON, grant(1, NOON, NOON + HOUR, "work")),
    (NOON, approved(1)),
    (NOON, grant(2, NOON, NOON + HOUR)),  # as entries were before they said the contract
    (NOON, grant(3, NOON, NOON + HOUR, "other")),
    (NOON, opened(1, "g-1")),
    (NOON, opened(2, "g-2")),
    (NOON, opened(3, "g-3")),
    (NOON + HOUR, closed(1, 1200)),
    (NOON + HOUR, GrantEnded(grant="g-1", by=LEAD, reason="done")),
    (NOON + 2 * HOUR, ContractEnded(contract="work", reason="over")),
)


def test_what_was_done_under_a_contract() -> None:
    report = contract_report(WORK, "work")
    assert report is not None
    life, lent, done = report.sections
    assert [(row[1], row[-1]) for row in life.rows] == [("contract.added", "3"), ("contract.ended", "15")]
    assert [(row[5], row[-1]) for row in lent.rows] == [(LEAD, "5 6 14"), ("", "8")]
    assert lent.rows[0][4] == "2026-11-01 13:00:00 UTC (ended by lead@example.com: done)"
    assert [(row[2], row[4][:10], row[6], row[-1]) for row in done.rows] == [
        ("s-1", "2026-11-01", "1,200", "10 13"),
        ("s-2", "still open", "", "11"),
    ]
    assert dict(report.facts)["sponsor"] == LEAD
    assert contract_report(WORK, "never") is None


def test_who_asked_and_who_allowed() -> None:
    report = separation_report(WORK)
    both, allowed, pairs, duties = report.sections
    assert both.rows == ()
    assert both.nothing.startswith("Nobody allowed a request of their own")
    assert [(row[1], row[5], row[-1]) for row in allowed.rows] == [(f"{DEV} (acme)", LEAD, "4 5 7")]
    assert pairs.rows == ((DEV, LEAD, "1", "100%"),)
    assert duties.rows == ()
    assert separation_report(WORK, since=NOON + HOUR).sections[1].rows == ()
    assert separation_report(WORK, until=NOON).sections[1].rows == ()


def test_whoever_stands_on_both_sides_is_named() -> None:
    mate = "mate@acme.example"

    def duty(number: int, name: str, by: str) -> DutyTaken:
        return DutyTaken(duty_id=f"t-{number}", chain="release", artifact="commit:1", duty=name, person=by)

    entries = ledger(
        (NOON, person(DEV, "acme")),
        (NOON, person(mate, "acme")),
        (NOON, request(1)),
        (NOON, approval(1, DEV)),
        (NOON, approved(1)),
        (NOON, request(2, "statement")),
        (NOON, approval(2, mate)),
        (NOON, approval(2, LEAD)),
        (NOON, approved(2)),
        (NOON, request(3)),
        (NOON, approval(3, mate)),
        (NOON, approved(3)),
        (NOON, duty(1, "develop", DEV)),
        (NOON, duty(2, "review", DEV)),
        (NOON, duty(3, "deploy", LEAD)),
        (NOON, duty(4, "review", LEAD)),
        (
            NOON,
            DutyVoided(
                duty_id="t-4", chain="release", artifact="commit:1", duty="review", person=LEAD, reason="changed"
            ),
        ),
    )
    both = separation_report(entries).sections[0].rows
    assert [(row[0], row[1], row[2]) for row in both] == [
        ("r-1", DEV, "asked for it and allowed it"),
        ("r-1", f"{DEV}, {DEV}", "asked for and allowed by people of acme alone"),
        ("r-3", f"{DEV}, {mate}", "asked for and allowed by people of acme alone"),
        ("commit:1 (release)", DEV, "carried develop and review"),
    ]


def test_sessions_that_were_open_at_a_time() -> None:
    assert [row[2] for row in access_at(WORK, NOON).sections[1].rows] == ["s-1", "s-2", "s-3"]
    assert [row[2] for row in access_at(WORK, NOON + HOUR).sections[1].rows] == ["s-2", "s-3"]


def test_a_page_and_a_sheet_run_nothing() -> None:
    rows = (("=1+1",), ("@x",), ("<img onerror=1>",), ("",))
    report = Report("<script>", (Section("<script>", ("a",), rows, "Nothing."),), (("<b>", "<i>"),))
    page = as_html(report, "<source>", NOON)
    assert "<script>" not in page
    assert "<img" not in page
    assert [row[0] for row in csv.reader(io.StringIO(as_csv(report)))][1:3] == ["'=1+1", "'@x"]


def test_times_stay_on_one_line_and_hashes_break() -> None:
    row = ("from 2026-11-01 12:00:00 UTC", "ab" * 32, "<b>")
    page = as_html(Report("it", (Section("it", ("a", "b", "c"), (row,), ""),)), "", NOON)
    assert "<td>from <time>2026-11-01 12:00:00 UTC</time></td>" in page
    assert f"<td><code>{'ab' * 32}</code></td><td>&lt;b&gt;</td>" in page
    (section,) = person_report(ENTRIES, DEV).sections
    assert "starts at 2026-11-01 12:00:00 UTC" in section.rows[0][3]


def test_several_tables_and_empty_ones_are_told_apart() -> None:
    report = Report("R", (Section("=One", ("a",), (("1",),), "No one."), Section("Two", ("b",), (), "No two.")))
    assert as_csv(report).splitlines() == ["'=One", "a", "1", "", "Two", "b"]
    page = as_html(report, "", NOON)
    assert "No two." in page
    assert "No one." not in page
