"""`interlock report`: evidence from the ledger, which is verified on the way, as a table, a page to print, or CSV."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.client import Client, ServerOption, signed_in
from interlock.cli.ledger_published import keep_private
from interlock.cli.ledger_source import entries_of
from interlock.cli.output import JsonOption, emit, say, table
from interlock.errors import Failure, Refusal
from interlock.ledger.entries import Recorded, read_body
from interlock.ledger.reports import Report, access_at, as_csv, as_html, person_report
from interlock.ledger.verify import Broken, Verifier

OutOption = Annotated[
    Path | None, typer.Option("--out", help="Write it to this file: FILE.csv, or FILE.html to print.")
]


def add_to(app: typer.Typer) -> None:
    report_app = typer.Typer(help="Evidence: who could do what, who did, who allowed it.", no_args_is_help=True)
    report_app.command("access")(access)
    report_app.command("person")(person)
    app.add_typer(report_app, name="report")


def access(
    at: Annotated[str, typer.Option("--at", help="A day or a time, UTC: 2026-11-01 or 2026-11-01T14:00.")] = "",
    out: OutOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Who could do what at a time, who allowed it, and the ledger entries that say so."""
    moment = _moment(at)
    _make(server, out, lambda entries: access_at(entries, moment))


def person(
    name: Annotated[str, typer.Argument(help="The person.")],
    out: OutOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Everything that the ledger says of a person."""
    _make(server, out, lambda entries: person_report(entries, name))


def _moment(text: str) -> datetime:
    if not text:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal("no-time", f"{text} is no time.", "Write it as 2026-11-01 or 2026-11-01T14:00.") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _make(server: str | None, out: Path | None, build: Callable[[Iterator[Recorded]], Report]) -> None:
    if out is not None and out.suffix not in {".csv", ".html"}:
        raise Refusal("no-format", f"What should {out} be?", "Name a file that ends with .csv or .html.")
    with signed_in(server) as client:
        verifier = Verifier()
        report = build(_verified(client, verifier))
    result = verifier.result
    if isinstance(result, Broken):
        raise Failure(result.reason, "Type: interlock ledger verify")
    if out is not None:
        source = f"From the ledger's first {result.count} entries, whose head is {result.head}."
        keep_private(out, as_csv(report) if out.suffix == ".csv" else as_html(report, source))
        say(f"{report.title}: {out}")
        return
    document = {
        "title": report.title,
        "rows": [dict(zip(report.columns, row, strict=True)) for row in report.rows],
        "count": result.count,
        "head": result.head,
    }
    emit(document, table(report.columns, report.rows, nothing="Nothing."))


def _verified(client: Client, verifier: Verifier) -> Iterator[Recorded]:
    """The server's entries, each checked before it is believed. Raises Failure at the first that does not hold."""
    for entry in entries_of(client):
        broken = verifier.add(entry)
        if broken is not None:
            raise Failure(broken.reason, "Type: interlock ledger verify")
        yield read_body(entry.body)
