"""Commands about the ledger: verify it here, on this machine; look; search."""

import asyncio
import json as json_text
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from interlock.cli import ledger_verify
from interlock.cli.client import Client, ServerOption, signed_in
from interlock.cli.ledger_published import checkpoint, export, keep_private, key, prove
from interlock.cli.ledger_source import PAGE, ServerSource
from interlock.cli.output import JsonOption, emit, moment, say, short_moment
from interlock.cli.shown import harmless, one_line
from interlock.domain.codec import from_plain
from interlock.errors import Refusal

_SINCE = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]
ledger_app = typer.Typer(help="The tamper-evident log of everything that happened.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    ledger_app.command("verify")(ledger_verify.verify)
    ledger_app.command("show")(show)
    ledger_app.command("search")(search)
    ledger_app.command("checkpoint")(checkpoint)
    ledger_app.command("export")(export)
    ledger_app.command("key")(key)
    app.add_typer(ledger_app, name="ledger")


def show(
    position: Annotated[int | None, typer.Argument(min=1, help="One entry; without it the newest.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, max=PAGE, help="How many of the newest.")] = 20,
    proof: Annotated[
        Path | None, typer.Option("--proof", help="Write a proof of this one entry, for an outsider, to this file.")
    ] = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """One entry whole, or the newest ones, one a line."""
    if proof is not None and position is None:
        raise Refusal("no-entry", "Which entry is to be proved?", "Type: interlock ledger show NUMBER --proof FILE")
    with signed_in(server) as client:
        if position is not None and proof is not None:
            entry = client.get(f"/v1/ledger/{position}")
            text = asyncio.run(prove(ServerSource(client), position, from_plain(bytes, entry["body"])))
            keep_private(proof, text)
            say(f"The proof of entry {position} is in {proof}. It holds the entry itself.")
            say(f"Whoever has the ledger's key checks it with: interlock ledger verify {proof} --key FILE")
            return
        if position is not None:
            entry = client.get(f"/v1/ledger/{position}")
            emit(entry, lambda console: _show_entry(console, entry))
            return
        entries = _newest(client, last)
    _emit_list(entries, "The ledger is empty.")


def search(
    text: Annotated[str, typer.Argument(help="What to find: a name, a number, words of a statement.")],
    statements: Annotated[
        bool, typer.Option("--statements", help="In the statements of recordings: all these words in one of them.")
    ] = False,
    person: Annotated[str | None, typer.Option("--person", help="Statements of this person's sessions.")] = None,
    resource: Annotated[str | None, typer.Option("--resource", help="Statements on this resource.")] = None,
    since: Annotated[
        datetime | None, typer.Option("--since", formats=_SINCE, help="Statements from then on (UTC).")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=_SINCE, help="Statements from before then (UTC).")
    ] = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """The newest entries that hold a text; or, in the recordings that I may read, the statements with all its words."""
    if since is not None and until is not None and since >= until:
        raise typer.BadParameter("--since is not before --until: nothing lies between them")
    with signed_in(server) as client:
        if statements or person or resource or since or until:
            asked = {
                "q": text,
                "person": person,
                "resource": resource,
                "since": _in_utc(since),
                "until": _in_utc(until),
            }
            given = {name: value for name, value in asked.items() if value is not None}
            found = client.get("/v1/recordings/search", **given)
            emit(found, lambda console: _show_hits(console, found))
            return
        entries = client.get("/v1/ledger/search", q=text)
    _emit_list(entries, "No entry holds that.")


def _in_utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.replace(tzinfo=UTC).isoformat()


def _show_hits(console: Console, found: Mapping[str, Any]) -> None:
    for hit in found["hits"]:
        first = f"{short_moment(hit['at'])}  {hit['person']} on {hit['resource']}  {hit['session']} #{hit['number']}"
        console.print(escape(harmless(f"{first}  {hit['effect']}")), style="bold", soft_wrap=True)
        console.print(escape(f"{'':>7}{one_line(harmless(hit['text']), 200)}"), soft_wrap=True)
    if not found["hits"]:
        console.print("No statement that you may read has all these words.")
    if found["more"]:
        console.print("Older recordings were not looked at: narrow it with --person, --resource, --since or --until.")
    for session in found["unread"]:
        console.print(f"The recording of {escape(harmless(session))} cannot be read; it may have more.")


def _newest(client: Client, count: int) -> list[Mapping[str, Any]]:
    newest: list[Mapping[str, Any]] = []
    after = 0
    while page := client.get("/v1/ledger", after=str(after), limit=str(PAGE)):
        newest = [*newest, *page][-count:]
        after = int(page[-1]["position"])
    return newest


def _emit_list(entries: list[Mapping[str, Any]], nothing: str) -> None:
    def show(console: Console) -> None:
        if not entries:
            console.print(nothing)
        for entry in entries:
            first = f"{entry['position']:>5}  {short_moment(entry['at'])}  {entry['kind']}  by {entry['actor']}"
            console.print(escape(harmless(first)), style="bold", soft_wrap=True)
            console.print(escape(f"{'':>7}{one_line(_event_text(entry), 72)}"), soft_wrap=True)

    emit([_opened(entry) for entry in entries], show)


def _opened(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with what its body says, for people and scripts that do not verify."""
    return {**entry, "event": _event(entry)}


def _event(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    body = json_text.loads(from_plain(bytes, entry["body"]))
    event = body.get("event")
    return event if isinstance(event, Mapping) else {}


def _event_text(entry: Mapping[str, Any]) -> str:
    return " ".join(
        f"{name}={value}" for name, value in _event(entry).items() if isinstance(value, str | int) and value != ""
    )


def _show_entry(console: Console, entry: Mapping[str, Any]) -> None:
    console.print(f"[bold]{entry['position']}[/bold]  {moment(entry['at'])}  {escape(harmless(entry['actor']))}")
    console.print(f"{escape(str(entry['kind']))}\nlink {escape(str(entry['link']))}", soft_wrap=True)
    text = json_text.dumps(_event(entry), indent=2, ensure_ascii=False)
    console.print(escape(harmless(text)), soft_wrap=True)
