"""`interlock detections`: what is looked for in the ledger, and what was found."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from interlock.cli.client import ServerOption, signed_in
from interlock.cli.output import JsonOption, emit, moment, table
from interlock.cli.shown import harmless


def add_to(app: typer.Typer) -> None:
    app.command("detections")(detections)


def detections(
    last: Annotated[int, typer.Option("--last", min=1, max=1000, help="How many of the newest alarms.")] = 20,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """What is looked for in the ledger's stream, what is done then, and what was found."""
    with signed_in(server) as client:
        kept = client.get("/v1/detections", limit=str(last))
    emit(kept, lambda console: _show(console, kept))


def _show(console: Console, kept: Mapping[str, Any]) -> None:
    rows = [(one["name"], one["detect"], one["response"]) for one in kept["detections"]]
    table(("DETECTION", "LOOKS FOR", "DOES"), rows, nothing="Nothing is looked for: write detections in the policy.")(
        console
    )
    if not kept["detections"] and not kept["alarms"]:
        return
    alarms = [
        (
            moment(alarm["at"]),
            alarm["detection"],
            _done(alarm),
            str(alarm["position"]),
            harmless(alarm["sentence"]),
        )
        for alarm in kept["alarms"]
    ]
    console.print()
    table(("FIRED", "DETECTION", "DID", "ENTRY", "WHY"), alarms, nothing="None of them has fired.")(console)


def _done(alarm: Mapping[str, Any]) -> str:
    return " ".join((alarm["response"], *alarm["sessions"]))
