"""A run written down: a table of the goals, a table of everything, the same as JSON, and plots."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import number
from bench.lines import GoalRow, Line, Options, goal_rows
from bench.plot import bars
from bench.stage import PEOPLE, PROGRAMS, RESOURCES, ROLES

RESULTS = Path(__file__).parent / "results"


def write_report(folder: Path, options: Options, lines: Sequence[Line], load: float) -> None:
    """Into ``folder``: ``table.md``, ``run.json`` and plots (SVG). May be called again as lines come."""
    folder.mkdir(parents=True, exist_ok=True)
    text = [*_about(options, load), "", *goal_table(goal_rows(lines)), "", *line_table(lines), ""]
    (folder / "table.md").write_text("\n".join(text))
    (folder / "run.json").write_text(json.dumps([asdict(line) for line in lines], indent=1))
    _plot(folder, lines)


def goal_table(rows: Sequence[GoalRow]) -> list[str]:
    """What is to be reached, a row each, judged by the workload that is furthest from it."""
    table = [
        "| to reach | goal | figure | spread of the rounds | judged by (of) | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        goal, line = row.goal, row.line
        if line is None:
            table.append(f"| {goal.text} | {goal} | | | | {row.verdict} |")
            continue
        figure = line.figure
        spread = f"{number(figure.low)} to {number(figure.high)}"
        by = f"{line.workload} ({row.lines})"
        table.append(f"| {goal.text} | {goal} | {number(figure.median)} | {spread} | {by} | {row.verdict} |")
    return table


def line_table(lines: Sequence[Line]) -> list[str]:
    table = ["| workload | measure | figure | medians of the peers | |", "| --- | --- | --- | --- | --- |"]
    for line in lines:
        medians = " · ".join(f"{peer} {number(figure)}" for peer, figure in line.peers.items())
        medians = f"{medians} {line.unit}" if medians else ""
        table.append(f"| {line.workload} | {line.measure} | {line.figure} {line.of} | {medians} | {line.remark} |")
    return table


def _about(options: Options, load: float) -> list[str]:
    versions = " · ".join(map(_version, ([str(PROGRAMS / "postgres"), "-V"], ["pgbouncer", "-V"], ["haproxy", "-v"])))
    machine = f"{os.cpu_count()} processors, {_processor()} · Linux {platform.release()}"
    slices = f"{options.rounds} rounds, slices of {options.seconds} s, peers in turns"
    figure = "a figure is the median of the ratios within a round, with the least and the greatest"
    real = f"one worker, {ROLES} roles, {RESOURCES} resources, {PEOPLE:,} people, recording on"
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC · {machine} · Python {platform.python_version()} · {versions}",
        "",
        f"Load before the run: {load:.2f}. {slices}; {figure}. Interlock: {real}.",
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(command: Sequence[str]) -> str:
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return f"{command[0]} is not here"
    return said.splitlines()[0].strip() if said else command[0]


def _plot(folder: Path, lines: Sequence[Line]) -> None:
    for measure, of, title, name in (
        ("rate", "× PgBouncer", "Statements a second, as a multiple of PgBouncer's", "rate"),
        ("CPU", "× PgBouncer's", "CPU for a statement, as a multiple of PgBouncer's", "cpu"),
        ("p50 added", "× PgBouncer's", "Latency added at one client, as a multiple of PgBouncer's", "latency"),
        ("speed", "× direct", "Bulk data, as a multiple of the direct way", "bulk"),
    ):
        mine = [(line.workload, line.figure) for line in lines if (line.measure, line.of) == (measure, of)]
        if mine:
            (folder / f"{name}.svg").write_text(bars(title, mine))
