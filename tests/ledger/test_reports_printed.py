"""Reports on paper, printed by the real Chromium and read back by poppler: every row whole, every sheet numbered."""

import re
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from interlock.cli.browser import print_to_pdf
from interlock.domain.event import Event
from interlock.domain.rights_events import GrantEnded
from interlock.ledger.report_contract import contract_report
from interlock.ledger.report_pages import Report, Section, as_html
from interlock.ledger.report_separation import separation_report
from interlock.ledger.reports import access_at, person_report
from tests.ledger.test_reports import (
    DEV,
    HOUR,
    LEAD,
    NOON,
    TERMS,
    approval,
    approved,
    closed,
    grant,
    ledger,
    opened,
    person,
    request,
)

MADE = NOON + timedelta(days=3)
_MARGIN_POINTS = 14 / 25.4 * 72


def _busy() -> list[tuple[datetime, Event]]:
    found: list[tuple[datetime, Event]] = [(NOON, person(DEV, "acme")), (NOON, person(LEAD)), (NOON, TERMS)]
    for n in range(100, 160):
        found += [(NOON, request(n)), (NOON, approval(n, LEAD)), (NOON, grant(n, NOON, NOON + HOUR, "work"))]
        found += [(NOON, approved(n)), (NOON, opened(n, f"g-{n}")), (NOON + HOUR, closed(n, 1200 + n))]
        reason = "what was found is written down on the page of the incident, with the rows that it touched" * (n % 3)
        found.append((NOON + HOUR, GrantEnded(grant=f"g-{n}", by=LEAD, reason=reason)))
    return sorted(found, key=lambda one: one[0])


ENTRIES = ledger(*_busy())


def _read(report: Report, folder: Path, *how: str) -> str:
    printed = folder / "report.pdf"
    if not printed.exists():
        printed.write_bytes(print_to_pdf(as_html(report, "From the ledger's first 423 entries.", MADE)))
    return subprocess.run(["pdftotext", *how, str(printed), "-"], capture_output=True, text=True, check=True).stdout


def _closed_up(*parts: str) -> str:
    return re.sub(r"\s", "", "".join(parts))


def _check(report: Report, folder: Path) -> None:
    sheets = _read(report, folder, "-raw").split("\f")[:-1]
    for number, sheet in enumerate(sheets, 1):
        assert f"page {number} of {len(sheets)}" in sheet
        assert "Made 2026-11-04 12:00:00 UTC." in sheet
    # -raw reads in the order in which it is written: the cells of a row one after the other, its lines joined
    text = [_closed_up(sheet) for sheet in sheets]
    for section in report.sections:
        head = _closed_up(*section.columns)
        for row in section.rows:
            on = [sheet for sheet in text if _closed_up(*row) in sheet]
            assert on, f"{row} is on no sheet"
            assert all(head in sheet for sheet in on), f"the head of {section.title} is not on the sheet of {row}"
    words = re.findall(r'<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)"', _read(report, folder, "-bbox"))
    (width,) = set(re.findall(r'<page width="([\d.]+)"', _read(report, folder, "-bbox")))
    assert min(float(left) for left, _, _ in words) > _MARGIN_POINTS - 1
    assert max(float(right) for _, _, right in words) < float(width) - _MARGIN_POINTS + 1


@pytest.mark.parametrize("which", ["access", "person", "contract", "separation"])
def test_every_row_is_whole_on_a_sheet_with_its_head_and_its_number(which: str, tmp_path: Path) -> None:
    made: dict[str, Report | None] = {
        "access": access_at(ENTRIES, NOON),
        "person": person_report(ENTRIES, DEV),
        "contract": contract_report(ENTRIES, "work"),
        "separation": separation_report(ENTRIES),
    }
    report = made[which]
    assert report is not None
    assert max(len(section.rows) for section in report.sections) >= 60
    _check(report, tmp_path)


def test_what_is_too_long_for_a_column_breaks_and_a_title_ends_nothing(tmp_path: Path) -> None:
    long = "somebody.with.a.very.long.name.of.many.parts" * 3 + "@consulting.example"
    title = 'a"}</style><script>document.body.textContent="taken over"</script>'
    columns = ("person", "by", "role", "resource", "more", "ledger entries")
    rows = tuple((long, long, "writer", long, "x" * 300, f"{number} 999999") for number in range(20))
    report = Report(title, (Section("One", columns, rows, ""), Section("Two", ("a",), (("b",),), "")))
    _check(report, tmp_path)
    assert _closed_up(title) in _closed_up(_read(report, tmp_path, "-raw"))
