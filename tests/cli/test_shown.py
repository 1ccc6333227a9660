"""What is shown: nothing of somebody else's acts on the terminal, and an approver sees everything."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from interlock.cli.asking import flatten, read_duration
from interlock.cli.output import left, moment, span, table
from interlock.cli.sessions import describe
from interlock.cli.shown import harmless, impact_lines, one_line, show_request
from interlock.errors import Refusal

IMPACT = {
    "parts": [
        {"part": "table public.orders", "inserted": 0, "updated": 0, "deleted": 10000, "total": 10000},
        {"part": "table public.items", "inserted": 0, "updated": 0, "deleted": 30000, "total": 30000},
    ],
    "dependents": [],
    "unmeasured": "",
    "over_fence": None,
}
HELD: dict[str, Any] = {
    "id": "r-4k2m8q1x",
    "kind": "statement",
    "state": "open",
    "person": "dev@acme.example",
    "resource": "orders",
    "role": "writer",
    "reason": "destroy is held",
    "content": {
        "session": "s-0000000000000",
        "number": 3,
        "text": "DELETE FROM orders -- \x1b[2Jnothing to see",
        "parameters": ["a\x07b", None],
        "impact": IMPACT,
    },
    "approvals": [],
    "missing": 1,
    "judges": ["lead@example.com"],
}


def _shown(view: dict[str, Any]) -> str:
    out = StringIO()
    show_request(Console(file=out, width=80, highlight=False), view)
    return out.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ünïcödé, 漢字\n\tkept", "plain text, ünïcödé, 漢字\n\tkept"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\rb\x00\x9b", "a\\x0db\\x00\\x9b"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("tag\U000e0041", "tag\\U000e0041"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_an_approver_sees_the_exact_statement_and_its_impact() -> None:
    text = _shown(HELD)
    assert "    DELETE FROM orders -- \\x1b[2Jnothing to see\n" in text
    assert "    $1 = 'a\\x07b'\n    $2 = NULL\n" in text
    assert "deletes 10,000 of 10,000 rows in table public.orders\n" in text
    assert "deletes 30,000 of 30,000 rows in table public.items\n" in text
    assert "Who may:      lead@example.com" in text
    assert "\x1b" not in text


def test_a_long_statement_is_shown_whole() -> None:
    statement = "SELECT " + ", ".join(f"column_{number}" for number in range(500))
    view = {**HELD, "content": {**HELD["content"], "text": statement}}
    assert statement in _shown(view)


def test_markup_in_a_statement_is_text() -> None:
    view = {**HELD, "content": {**HELD["content"], "text": "SELECT '[bold]x[/bold]', a[1]"}}
    assert "SELECT '[bold]x[/bold]', a[1]" in _shown(view)


def test_what_could_not_be_measured_is_said() -> None:
    assert impact_lines({"unmeasured": "a lock was not had in time"}) == ["not measured: a lock was not had in time"]
    fence = impact_lines({"parts": [{"part": "table t", "updated": 500, "total": 900}], "over_fence": 500})
    assert fence == ["updates 500 of 900 rows in table t", "It ran into the fence at 500 rows and was rolled back."]
    assert impact_lines({}) == ["changes no rows"]


def test_requests_come_whole_or_in_parts() -> None:
    assert flatten({"request": {"id": "r-1", "state": "open"}, "missing": 1}) == {
        "id": "r-1",
        "state": "open",
        "missing": 1,
    }
    assert flatten({"id": "r-1", "missing": 1}) == {"id": "r-1", "missing": 1}


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("45s", 45), ("1d", 86400)]
)
def test_durations(text: str, seconds: int) -> None:
    assert read_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 h", "0m", "١h", "99999999999d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(Refusal, match="no length of time"):
        read_duration(text)


def test_times_are_short_and_never_wrong() -> None:
    assert [left(value) for value in ("2001-01-01T00:00:00Z", None, "nonsense")] == ["over", "", ""]
    assert moment(None) == ""
    assert one_line("a\n  b\tc", 4) == "a b…"
    assert [span(read_duration(text)) for text in ("59s", "61s", "1h5m", "25h")] == [
        "59s",
        "1m 01s",
        "1h 05m",
        "1d 01h",
    ]


@pytest.mark.parametrize(
    ("record", "style", "text"),
    [
        (
            {"type": "statement", "number": 1, "text": "SELECT $1", "parameters": ["x", None], "effect": "allow"},
            "",
            "1> SELECT $1\n   $1 = 'x'\n   $2 = NULL",
        ),
        (
            {"type": "statement", "number": 2, "text": "DROP TABLE t", "effect": "deny", "reason": "not yours"},
            "red",
            "2> DROP TABLE t\n   refused: not yours",
        ),
        (
            {
                "type": "outcome",
                "number": 1,
                "rows": 1,
                "changed": 0,
                "size_bytes": 10,
                "tag": "SELECT 1",
                "took_us": 1500,
            },
            "dim",
            "1: SELECT 1, 1 row returned, 10 bytes, 1.5 ms",
        ),
        ({"type": "outcome", "number": 1, "error": "no such table", "took_us": 0}, "red", "1: no such table, 0.0 ms"),
        ({"type": "released", "number": 3, "effect": "allow", "reason": "r-1"}, "green", "3: approved, it runs: r-1"),
        ({"type": "close", "why": "", "statements": 2}, "bold", "closed: the client left (2 statements)"),
        ({"type": "hologram"}, "dim", "hologram: written by a later version of Interlock"),
    ],
)
def test_records_are_told(record: dict[str, Any], style: str, text: str) -> None:
    assert describe(record) == (style, text)


@pytest.mark.parametrize("number", ["r-4k2m8q1x", "s-4k2m8q1x7p3vd"])
def test_a_number_stands_on_one_line_however_long_the_rest_is(number: str) -> None:
    out = StringIO()
    cells = (number, "somebody.with.a.long.name@acme.example", "orders-of-the-north", "2026-11-24 12:00", "ended " * 9)
    columns = ("ID", "PERSON", "RESOURCE", "OPENED", "STATE")
    table(columns, [cells], nothing="")(Console(file=out, width=80, highlight=False))
    assert number in out.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_nothing_of_a_row_is_cut_off(width: int) -> None:
    """Who stands in the last column of a wide matrix is read as well as who stands in the first."""
    out = StringIO()
    cells = ("writer auditor", "static", "who writes reads it", "lead@example.com", "2026-12-01", "dev@acme, mate@acme")
    columns = ("ROLES", "KIND", "RISK", "OWNER", "UNTIL", "IN IT NOW")
    table(columns, [cells], nothing="")(Console(file=out, width=width, highlight=False))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    letters = sorted(letter for text in (*columns, *cells) for letter in text if letter != " ")
    assert sorted(letter for line in lines for letter in line if letter != " ") == letters


def test_rows_are_data_on_a_terminal_too() -> None:
    part = {
        "part": "table public.orders",
        "moment": "before",
        "columns": ["id", "note"],
        "rows": [[{"text": "7", "cut": ""}, {"text": "\x1b[2J\nRequest:  approved", "cut": "cut"}]],
        "left_out": ["pin"],
        "more_columns": 2,
        "why_not": "",
    }
    wide = {**part, "rows": [[{"text": None, "cut": "wide"}, {"text": None, "cut": ""}]]}
    view = {**HELD, "sample": {"parts": [part, wide], "why_not": ""}}
    said = _shown(view)
    assert "Rows of table public.orders, as they are now:" in said
    (line,) = [line for line in said.splitlines() if "id='7'" in line]
    assert line.endswith(r"\nRequest:  approved'…"), "a value does not look like the lines that follow it"
    assert "id=(too large)  note=NULL" in said
    assert "not shown: pin, 2 more" in said
    assert "\x1b[2J" not in said
