"""`interlock report`: evidence from the ledger, verified on the way, as tables, a page to print, PDF or CSV."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from interlock.cli.browser import print_to_pdf
from interlock.cli.client import Client, ServerOption, signed_in
from interlock.cli.ledger_published import keep_private
from interlock.cli.ledger_source import entries_of
from interlock.cli.output import JsonOption, emit, say, table
from interlock.cli.risks import risks
from interlock.cli.shown import harmless
from interlock.errors import Failure, NotFound, Refusal
from interlock.ledger.entries import Recorded, read_body
from interlock.ledger.report_contract import contract_report
from interlock.ledger.report_pages import Report, as_csv, as_html
from interlock.ledger.report_separation import separation_report
from interlock.ledger.reports import access_at, person_report
from interlock.ledger.verify import Broken, Verifier

OutOption = Annotated[
    Path | None, typer.Option("--out", help="Write it to this file: FILE.csv, FILE.html to print, or FILE.pdf.")
]
_TIME = "A day or a time, UTC: 2026-11-01 or 2026-11-01T14:00."


def add_to(app: typer.Typer) -> None:
    report_app = typer.Typer(help="Evidence: who could do what, who did, who allowed it.", no_args_is_help=True)
    report_app.command("access")(access)
    report_app.command("person")(person)
    report_app.command("contract")(contract)
    report_app.command("separation")(separation)
    report_app.command("risks")(risks)
    app.add_typer(report_app, name="report")


def access(
    at: Annotated[str, typer.Option("--at", help=_TIME)] = "",
    out: OutOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Who could do what at a time, who allowed it, which sessions were open, and the entries that say so."""
    now = datetime.now(UTC)
    moment = _moment(at) or now
    if moment > now:
        raise Refusal(
            "not-yet", f"{at} has not come yet: nobody knows who will have access then.", "Leave --at out, for now."
        )
    _make(server, out, lambda entries: access_at(entries, moment))


def person(
    name: Annotated[str, typer.Argument(help="The person.")],
    out: OutOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Everything that the ledger says of a person."""

    def build(entries: Iterator[Recorded]) -> Report:
        report = person_report(entries, name)
        if not any(section.rows for section in report.sections):
            raise NotFound(
                f"No entry of the ledger names {name}.", "`interlock people` lists the names that there are."
            )
        return report

    _make(server, out, build)


def contract(
    name: Annotated[str, typer.Argument(metavar="ID", help="The contract.")],
    out: OutOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """A contract's life, what was lent under it and who allowed that, and what was done."""

    def build(entries: Iterator[Recorded]) -> Report:
        report = contract_report(entries, name)
        if report is None:
            raise NotFound(f"The ledger knows no contract {name}.", "See `interlock contracts`.")
        return report

    _make(server, out, build)


def separation(
    since: Annotated[str, typer.Option("--from", help=_TIME)] = "",
    until: Annotated[str, typer.Option("--until", help=_TIME)] = "",
    out: OutOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Who asked, who allowed, who did which duty, and whoever stood on both sides."""
    first, last = _moment(since), _moment(until)
    if first is not None and last is not None and first >= last:
        raise typer.BadParameter("--from is not before --until: nothing lies between them")
    _make(server, out, lambda entries: separation_report(entries, first, last))


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal("no-time", f"{text} is no time.", "Write it as 2026-11-01 or 2026-11-01T14:00.") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _make(server: str | None, out: Path | None, build: Callable[[Iterator[Recorded]], Report]) -> None:
    if out is not None and out.suffix not in {".csv", ".html", ".pdf"}:
        raise Refusal("no-format", f"What should {out} be?", "Name a file that ends with .csv, .html or .pdf.")
    with signed_in(server) as client:
        verifier = Verifier()
        report = build(_verified(client, verifier))
    result = verifier.result
    if isinstance(result, Broken):
        raise Failure(result.reason, "Type: interlock ledger verify")
    if out is not None:
        source = f"From the ledger's first {result.count} entries, whose head is {result.head}."
        _keep(report, source, out)
        say(f"{report.title}: {out}")
        return
    sections = [
        {
            "title": section.title,
            "rows": [dict(zip(section.columns, row, strict=True)) for row in section.rows],
        }
        for section in report.sections
    ]
    document = {
        "title": report.title,
        "facts": dict(report.facts),
        "rows": sections[0]["rows"],
        "sections": sections,
        "count": result.count,
        "head": result.head,
    }
    emit(document, lambda console: _show(console, report))


def _keep(report: Report, source: str, out: Path) -> None:
    if out.suffix == ".csv":
        keep_private(out, as_csv(report))
    elif out.suffix == ".html":
        keep_private(out, as_html(report, source, datetime.now(UTC)))
    else:
        keep_private(out, print_to_pdf(as_html(report, source, datetime.now(UTC))))


def _show(console: Console, report: Report) -> None:
    for name, value in report.facts:
        console.print(escape(harmless(f"{name}: {value}")), soft_wrap=True)
    for number, section in enumerate(report.sections):
        if len(report.sections) > 1:
            space = "\n" if number or report.facts else ""
            console.print(f"{space}[bold]{escape(section.title)}[/bold]")
        rows = [tuple(harmless(cell) for cell in row) for row in section.rows]
        table([column.upper() for column in section.columns], rows, nothing=section.nothing)(console)


def _verified(client: Client, verifier: Verifier) -> Iterator[Recorded]:
    """The server's entries, each checked before it is believed. Raises Failure at the first that does not hold."""
    for entry in entries_of(client):
        broken = verifier.add(entry)
        if broken is not None:
            raise Failure(broken.reason, "Type: interlock ledger verify")
        yield read_body(entry.body)
