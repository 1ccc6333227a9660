"""What a run writes down: every goal has its row, and a missed one stands as missed."""

import pytest
from bench.figures import Spread, spread
from bench.lines import GOALS, PLAIN, Line, goal_rows
from bench.pgbench import read_report, read_times
from bench.plot import bars
from bench.report import goal_table, line_table
from bench.unseen import statements
from bench.wire import READY, copy_data, query

from interlock.protocols.postgres import messages


def line(median: float, workload: str) -> Line:
    return Line(
        workload, "rate", Spread(median, median - 0.1, median + 0.1), "× PgBouncer", PLAIN, {"direct": 5.0}, "x"
    )


def test_every_goal_has_a_row_and_the_worst_workload_judges() -> None:
    rows = goal_rows([line(1.4, "fast"), line(0.9, "slow"), line(1.2, "other")])
    assert len(rows) == len(GOALS) == 10
    by_key = {row.goal.key: row for row in rows}
    judged = by_key[PLAIN]
    assert judged.line is not None
    assert (judged.line.workload, judged.lines, judged.verdict) == ("slow", 3, "missed")
    assert {row.verdict for key, row in by_key.items() if key != PLAIN} == {"not measured"}
    (reached,) = (row for row in goal_rows([line(1.0, "a")]) if row.goal.key == PLAIN)
    assert reached.verdict == "reached"


def test_the_tables_have_a_row_for_each() -> None:
    lines = [line(1.4, "fast"), line(0.9, "slow")]
    goals, everything = goal_table(goal_rows(lines)), line_table(lines)
    assert len(goals) == len(GOALS) + 2
    assert "| 0.90 | 0.80 to 1.00 | slow (2) | missed |" in goals[2]
    assert everything[2:] == [
        "| fast | rate | 1.40 (1.30 to 1.50) × PgBouncer | direct 5.00 x |  |",
        "| slow | rate | 0.90 (0.80 to 1.00) × PgBouncer | direct 5.00 x |  |",
    ]


def test_pgbench_is_read() -> None:
    said = "number of transactions actually processed: 200/200\ntps = 5123.5 (without initial connection time)\n"
    assert read_report(said) == (5123.5, 200)
    with pytest.raises(ValueError, match="did not report"):
        read_report("number of transactions actually processed: 0\n")
    assert read_times(["0 1 93 0 1700000000 1\n0 2 101 0 1700000000 2\n", "1 1 88 0 1700000000 3\n"]) == [93, 101, 88]


def test_a_plot_is_well_formed_and_says_what_it_shows() -> None:
    drawn = bars("Rate <of> & all", [("a & b", spread([0.5, 0.7])), ("c", spread([2.0]))])
    for text in ("Rate &lt;of&gt; &amp; all", "a &amp; b", "0.60", "2.00"):
        assert f">{text}</text>" in drawn
    assert drawn.count("<text") == drawn.count("</text>") == 5
    assert (drawn.count("<rect"), drawn.count("<line")) == (3, 3)


def test_the_lean_client_speaks_the_protocol() -> None:
    assert query("select 1") == messages.frame(b"Q", b"select 1\0")
    assert copy_data(b"1\tx\n") == messages.frame(b"d", b"1\tx\n")
    assert messages.ready(ord("I")) == READY


def test_no_two_unseen_statements_are_alike() -> None:
    texts = list(statements(500))
    assert len({text.translate(str.maketrans("", "", "0123456789")) for text in texts}) <= 10
    assert len(set(texts)) == len(texts) == 500
