"""Commands about evidence: what was done on a commit, the key that vouches for it, what a builder made of it."""

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.client import ServerOption, signed_in
from interlock.cli.output import JsonOption, emit, moment, table
from interlock.cli.shown import harmless
from interlock.errors import Failure

evidence_app = typer.Typer(help="Evidence: show, key, build.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    evidence_app.command("show")(show)
    evidence_app.command("key")(key)
    evidence_app.command("build")(build)
    app.add_typer(evidence_app, name="evidence")


def show(
    artifact: Annotated[str, typer.Argument(metavar="REF", help="git:REPOSITORY@HASH")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Who did what on a commit, and how it is known."""
    with signed_in(server) as client:
        found = client.get("/v1/evidence", artifact=artifact)
    rows = [
        (
            one["duty"],
            one["person"],
            moment(one["at"]),
            one["how"],
            one["environment"],
            harmless(one["source"] or one["subject"]),
            one["voided_why"],
        )
        for one in found
    ]
    columns = ("DUTY", "PERSON", "AT", "KNOWN BY", "TO", "AS", "")
    emit(found, table(columns, rows, nothing="Nothing has been done on it."))


def key(server: ServerOption = None, json: JsonOption = False) -> None:
    """The public key that vouches for evidence and bundles."""
    with signed_in(server) as client:
        pem = client.get("/v1/evidence/key")["key"]
    emit({"key": pem}, lambda console: console.print(pem.strip(), markup=False, soft_wrap=True))


def build(
    repository: Annotated[str, typer.Argument(help="The repository that it was built from.")],
    provenance: Annotated[Path, typer.Argument(metavar="FILE", help="SLSA provenance v1 in a DSSE envelope.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Hand in what a builder says that it made of a commit."""
    try:
        envelope = provenance.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{provenance} cannot be read: {error}.", "Check the path.") from error
    with signed_in(server) as client:
        kept = client.post("/v1/evidence/builds", {"repository": repository, "envelope": envelope})
    lines = [f"{one['subject']} was built from git:{one['repository']}@{one['commit']}." for one in kept]
    emit(kept, lambda console: console.print(harmless("\n".join(lines)), markup=False, soft_wrap=True))
