"""`interlock doctor`: what is wrong with this installation, and how to mend it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from interlock.app.checks import Finding, Verdict, examine
from interlock.app.data_folder import default_data_folder
from interlock.cli.output import JsonOption, emit
from interlock.cli.shown import harmless

_MARKS = {Verdict.GOOD: ("ok", "green"), Verdict.DOUBTFUL: ("??", "yellow"), Verdict.BAD: ("no", "red")}


def add_to(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    data: Annotated[
        Path | None, typer.Option("--data", envvar="INTERLOCK_DATA", readable=False, help="The data folder.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", readable=False, help="The configuration, when it does not run yet.")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Look at the installation on this machine. Exit 1: something has to be mended."""
    findings = examine(data or default_data_folder(), config)

    def show(console: Console) -> None:
        for finding in findings:
            _show(console, finding)

    document = [
        {"check": one.check, "verdict": one.verdict.value, "sentence": one.sentence, "remedy": one.remedy}
        for one in findings
    ]
    emit(document, show)
    return 1 if any(finding.verdict is Verdict.BAD for finding in findings) else 0


def _show(console: Console, finding: Finding) -> None:
    mark, style = _MARKS[finding.verdict]
    console.print(f"[{style}]{mark}[/{style}]  {escape(harmless(finding.sentence))}", soft_wrap=True)
    if finding.remedy and finding.verdict is not Verdict.GOOD:
        console.print(f"    {escape(harmless(finding.remedy))}", soft_wrap=True)
