"""Commands about the duties of a chain: take one, say that it is done, look at an artifact's history."""

from typing import Annotated, Any

import typer

from interlock.cli.client import ServerOption, signed_in
from interlock.cli.evidence import show as show_evidence
from interlock.cli.output import JsonOption, emit, moment, note, table
from interlock.cli.shown import harmless
from interlock.errors import Failure, Refusal
from interlock.identity.envelopes import seal
from interlock.identity.keys import public_jwk

duty_app = typer.Typer(help="Duties of chains: take, done, show.", no_args_is_help=True, rich_markup_mode=None)

Chain = Annotated[str, typer.Argument(help="The chain.")]
DutyName = Annotated[str, typer.Argument(metavar="DUTY", help="The duty.")]
Artifact = Annotated[
    str,
    typer.Option(
        "--artifact",
        metavar="REF",
        help="What it is about: git:REPOSITORY@HASH, commit:HASH, change:ID, migration:ID, payment:ID.",
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
    if _is_revision(artifact):
        raise Refusal(
            "nothing-to-take",
            "A duty on a commit is not taken first: it is done, and then said to be.",
            f"Type: interlock duty done {chain} {duty} --artifact {artifact}",
        )
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
    content: Annotated[
        str | None, typer.Option("--content", help="The digest of what it was done on; a commit has its own.")
    ] = None,
    environment: Annotated[str, typer.Option("--environment", help="Where a commit was deployed to.")] = "",
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Say that a duty is done, on exactly this content. Done anew on another, it voids the duties after it."""
    if _is_revision(artifact):
        _done_on_commit({"chain": chain, "duty": duty, "artifact": artifact, "environment": environment}, server)
        return
    if content is None:
        raise Refusal("no-content", "What the duty was done on has to be named.", "Give its digest with --content.")
    body = {"chain": chain, "duty": duty, "artifact": artifact, "content": content}
    with signed_in(server) as client:
        answer = client.post("/v1/duties/done", body)
    own = answer["duty"]
    line = f"{own['duty']} of {own['chain']} over {own['artifact']} is done, on {own['content']}."
    if answer["voided"]:
        line += " No longer counted: " + ", ".join(f"{v['duty']} by {v['person']}" for v in answer["voided"]) + "."
    emit(answer, lambda console: console.print(harmless(line), markup=False, soft_wrap=True))


def _is_revision(artifact: str) -> bool:
    return artifact.startswith("git:")


def _done_on_commit(wanted: dict[str, str], server: str | None) -> None:
    """The server says what the statement is; it is looked at, signed with this home's key, and sent back."""
    with signed_in(server) as client:
        key = client.home.private_key()
        statement = client.post("/v1/evidence/describe", {**wanted, "jwk": public_jwk(key)})
        _refuse_other(statement, {**wanted, "person": client.person})
        kept = client.post("/v1/evidence", {"envelope": seal(statement, key).text()})
    to = f" to {kept['environment']}" if kept["environment"] else ""
    line = f"{kept['person']} did {kept['duty']} of {kept['chain']} on {wanted['artifact']}{to}: {kept['id']}."
    emit(kept, lambda console: console.print(harmless(line), markup=False, soft_wrap=True))


def _refuse_other(statement: Any, wanted: dict[str, str]) -> None:
    """Nothing is signed but what was asked for."""
    try:
        said = {**statement["predicate"], "artifact": statement["subject"][0]["name"]}
        commit = statement["subject"][0]["digest"]["gitCommit"]
    except (KeyError, TypeError, IndexError) as error:
        raise Failure("The server's statement is none.", "Ask whoever runs it.") from error
    if any(said.get(name) != value for name, value in wanted.items()) or not wanted["artifact"].endswith(f"@{commit}"):
        raise Failure("The server wanted something else to be signed than what was typed.", "Ask whoever runs it.")


def show(chain: Chain, artifact: Artifact, server: ServerOption = None, json: JsonOption = False) -> None:
    """Who has carried which duty over an artifact."""
    if _is_revision(artifact):
        show_evidence(artifact, server)
        return
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
