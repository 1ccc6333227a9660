"""Commands about the duties of a chain: take one, say that it is done, look at an artifact's history."""

from typing import Annotated

import typer

from interlock.cli.client import ServerOption, signed_in
from interlock.cli.output import JsonOption, emit, moment, note, table
from interlock.cli.shown import harmless

duty_app = typer.Typer(help="Duties of chains: take, done, show.", no_args_is_help=True, rich_markup_mode=None)

Chain = Annotated[str, typer.Argument(help="The chain.")]
DutyName = Annotated[str, typer.Argument(metavar="DUTY", help="The duty.")]
Artifact = Annotated[
    str,
    typer.Option(
        "--artifact", metavar="REF", help="What it is about: commit:HASH, change:ID, migration:ID, payment:ID."
    ),
]


def add_to(app: typer.Typer) -> None:
    duty_app.command("take")(take)
    duty_app.command("done")(done)
    duty_app.command("show")(show)
    app.add_typer(duty_app, name="duty")


def take(
    chain: Chain, duty: DutyName, artifact: Artifact, server: ServerOption = None, json: JsonOption = False
) -> None:
    """Take a duty over an artifact. Refused when it belongs in another person's hands, with who could."""
    with signed_in(server) as client:
        answer = client.post("/v1/duties/take", {"chain": chain, "duty": duty, "artifact": artifact})
    if answer["warning"]:
        note(harmless(answer["warning"]))
    own = answer["duty"]
    line = f"{own['person']} carries {own['duty']} of {own['chain']} over {own['artifact']}."
    emit(answer, lambda console: console.print(harmless(line), markup=False, soft_wrap=True))


def done(
    chain: Chain,
    duty: DutyName,
    artifact: Artifact,
    content: Annotated[str, typer.Option("--content", help="The digest of what it was done on.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Say that a duty is done, on exactly this content. Done anew on another, it voids the duties after it."""
    body = {"chain": chain, "duty": duty, "artifact": artifact, "content": content}
    with signed_in(server) as client:
        answer = client.post("/v1/duties/done", body)
    own = answer["duty"]
    line = f"{own['duty']} of {own['chain']} over {own['artifact']} is done, on {own['content']}."
    if answer["voided"]:
        line += " No longer counted: " + ", ".join(f"{v['duty']} by {v['person']}" for v in answer["voided"]) + "."
    emit(answer, lambda console: console.print(harmless(line), markup=False, soft_wrap=True))


def show(chain: Chain, artifact: Artifact, server: ServerOption = None, json: JsonOption = False) -> None:
    """Who has carried which duty over an artifact."""
    with signed_in(server) as client:
        history = client.get("/v1/duties", chain=chain, artifact=artifact)
    rows = [
        (
            past["duty"],
            past["person"],
            moment(past["taken_at"]),
            "" if past["done_at"] is None else moment(past["done_at"]),
            past["content"],
            past["voided_why"],
        )
        for past in history
    ]
    emit(history, table(("DUTY", "PERSON", "TAKEN", "DONE", "ON", ""), rows, nothing="Nothing has been done on it."))
