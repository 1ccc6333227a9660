"""Commands about the ledger: verify it here, on this machine; look; search."""

import json as json_text
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.console import Console
from rich.markup import escape

from interlock.cli import output
from interlock.cli.client import Client, ServerOption, signed_in
from interlock.cli.output import JsonOption, emit, moment, short_moment
from interlock.cli.shown import counted, harmless, one_line
from interlock.domain.codec import from_plain
from interlock.errors import Failure
from interlock.ledger.file import closing_line, entry_line, verify_file
from interlock.ledger.verify import Broken, Verified, Verifier
from interlock.ports.state import LedgerEntry

PAGE = 1000

ledger_app = typer.Typer(help="The tamper-evident log of everything that happened.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    ledger_app.command("verify")(verify)
    ledger_app.command("show")(show)
    ledger_app.command("search")(search)
    app.add_typer(ledger_app, name="ledger")


def verify(
    file: Annotated[
        Path | None, typer.Argument(readable=False, help="A copy to verify instead of the server's ledger.")
    ] = None,
    copy: Annotated[Path | None, typer.Option("--copy", help="Also keep what was verified in this file.")] = None,
    head: Annotated[
        str, typer.Option("--head", help="The head that is kept elsewhere: the ledger must reach it.")
    ] = "",
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Check every entry and every link, on this machine; says which entry does not hold."""
    if file is not None:
        result = verify_file(file)
    else:
        with signed_in(server) as client:
            result = _verify_server(client, copy, head)
    if isinstance(result, Broken):
        broken = result
        emit({"holds": False, "entry": broken.position, "reason": broken.reason}, lambda _: output.note(broken.reason))
        return 1
    verified = result
    emit(
        {"holds": True, "count": verified.count, "head": verified.head},
        lambda console: console.print(
            f"The ledger holds: {counted(verified.count, 'entry', 'entries')}.\nhead {verified.head}"
        ),
    )
    return 0


def show(
    position: Annotated[int | None, typer.Argument(min=1, help="One entry; without it the newest.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, max=PAGE, help="How many of the newest.")] = 20,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """One entry whole, or the newest ones, one a line."""
    with signed_in(server) as client:
        if position is not None:
            entry = client.get(f"/v1/ledger/{position}")
            emit(entry, lambda console: _show_entry(console, entry))
            return
        entries = _newest(client, last)
    _emit_list(entries, "The ledger is empty.")


def search(
    text: Annotated[str, typer.Argument(help="What to find: a name, a number, a word of a statement.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """The newest entries that hold a text."""
    with signed_in(server) as client:
        entries = client.get("/v1/ledger/search", q=text)
    _emit_list(entries, "No entry holds that.")


def _verify_server(client: Client, copy: Path | None, head: str) -> Verified | Broken:
    verifier = Verifier()
    reached = not head
    try:
        file = None if copy is None else _open_private(copy)
    except OSError as error:
        raise Failure(f"{copy} cannot be written: {error.strerror}.", "Name another file with --copy.") from error
    try:
        for entry in _entries(client):
            if verifier.add(entry):
                break
            reached = reached or entry.link == head
            if file is not None:
                file.write(entry_line(entry))
        result = verifier.result
        if file is not None and isinstance(result, Verified):
            file.write(closing_line(result.count, result.head))
    finally:
        if file is not None:
            file.close()
    if isinstance(result, Verified) and not reached:
        return Broken(result.count + 1, f"The ledger does not reach the head {head}: its end was cut off or rewritten.")
    return result


def _open_private(path: Path) -> BinaryIO:
    """The ledger names people and holds statements: a copy is for its owner's eyes."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")


def _entries(client: Client) -> Iterator[LedgerEntry]:
    after = 0
    while page := client.get("/v1/ledger", after=str(after), limit=str(PAGE)):
        for plain in page:
            yield from_plain(LedgerEntry, plain)
        after = int(page[-1]["position"])


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
