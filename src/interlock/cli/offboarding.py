"""Commands around a person's leaving: end everything, say what ended with its proof, verify that without the server."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from interlock.cli.client import Client, ServerOption, call_of, signed_in
from interlock.cli.home import open_home
from interlock.cli.ledger_published import keep_private, trusted_key
from interlock.cli.output import JsonOption, as_time, emit, note
from interlock.cli.shown import counted, harmless
from interlock.errors import Failure, Refusal
from interlock.identity.reports import read_report
from interlock.ledger.audit import Trust, audit
from interlock.ledger.entries import Unreadable, read_body
from interlock.ledger.file import verify_file
from interlock.ledger.notes import VerifierKey
from interlock.ledger.tiles import Source
from interlock.ledger.verify import Broken
from interlock.store.tiles import ObjectTiles

_POLL_S = 0.2

ReportOption = Annotated[Path | None, typer.Option("--report", help="Keep the signed report in this file.")]
WaitOption = Annotated[float, typer.Option("--wait", min=0, help="How long to wait for what has not answered.")]


def add_to(app: typer.Typer) -> None:
    app.command("offboard")(offboard)
    app.command("offboarding")(offboarding)
    app.command("verify-report")(verify_report)


def offboard(
    person: Annotated[str, typer.Argument(help="Who leaves.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the ledger.")] = "has left",
    report: ReportOption = None,
    wait: WaitOption = 30.0,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """End a person's access now, all of it, and say what ended; waits until sessions have, and every gateway heard."""
    _check_place(report)
    with signed_in(server) as client:
        answer = client.post(call_of("people", person, "offboard"), {"reason": reason})
        said = _until_done(client, person, wait)
    return _tell(said, report, {"without_sponsor": answer.get("without_sponsor") or []})


def offboarding(
    person: Annotated[str, typer.Argument(help="Who left.")],
    report: ReportOption = None,
    wait: WaitOption = 0.0,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """What ended when a person left, each with its ledger entry, and what has not answered yet. Exit 1: something."""
    _check_place(report)
    with signed_in(server) as client:
        said = _until_done(client, person, wait)
    return _tell(said, report, {})


def verify_report(
    file: Annotated[Path, typer.Argument(help="A signed report.")],
    authority: Annotated[
        Path | None, typer.Option("--authority", help="The authority's certificate; by default the one pinned here.")
    ] = None,
    ledger: Annotated[
        str | None,
        typer.Option(
            "--ledger",
            help="What must hold it too: a published copy (ledger export, a folder or an object store's URL), or the "
            "entries that `ledger verify --copy` kept.",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="The file with the ledger's key, for a published copy; else the home's."),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Check a report without the server: its signature, and that each of its entries stands in a copy of the ledger."""
    said = read_report(_read(file), _read(authority or open_home().authority))
    entries = _entries(said)
    for entry in entries:
        try:
            recorded = read_body(str(entry["body"]).encode())
        except Unreadable as error:
            raise Refusal("bad-report", f"An entry of the report does not hold: {error}.", "") from error
        if recorded.position != entry["position"]:
            raise Refusal("bad-report", f"The entry {entry['position']} is another one.", "Get the report again.")
    placed = {entry["position"] for entry in said["ended"]}
    if any(one["entry"] not in placed for one in said.get("credentials", ())):
        raise Refusal("bad-report", "A credential's end is no entry of the report.", "Get the report again.")
    if ledger is not None:
        missing = _missing(entries, ledger, key)
        if missing:
            raise Refusal(
                "not-in-ledger",
                f"{counted(missing, 'entry', 'entries')} of the report do not stand in this copy of the ledger.",
                "Take a newer copy: interlock ledger export FOLDER",
            )
    answer = {"holds": True, "person": said["person"], "entries": len(entries), "remains": said["remains"]}

    def show(console: Console) -> None:
        against = " and stands in the ledger" if ledger is not None else ""
        found = counted(len(entries), "entry", "entries")
        console.print(f"The report on {harmless(said['person'])} holds{against}: {found}.", soft_wrap=True)
        _show_remains(console, said)

    emit(answer, show)
    return 1 if said["remains"] else 0


def _until_done(client: Client, person: str, wait_s: float) -> dict[str, Any]:
    until = time.monotonic() + wait_s
    while True:
        said: dict[str, Any] = client.get(call_of("people", person, "offboarding"))
        if not said["report"]["remains"] or time.monotonic() >= until:
            return said
        time.sleep(_POLL_S)


def _tell(said: Mapping[str, Any], file: Path | None, more: Mapping[str, Any]) -> int:
    report = said["report"]
    if file is not None:
        keep_private(file, str(said["signed"]))
    ended = [_said_of(entry) for entry in report["ended"]]
    credentials = [
        {"what": str(one["what"]).replace("-", " "), "id": one["of"], "entry": one["entry"]}
        for one in report["credentials"]
    ]
    sessions = [
        {"what": "session", "id": one["session"], "entry": one["closed"]["position"] if one["closed"] else None}
        for one in report["sessions"]
    ]
    accounts = [
        {"what": "account", "id": one["account"], "entry": one["ended"]["position"] if one["ended"] else None}
        for one in report["accounts"]
    ]
    answer = {
        "person": report["person"],
        "by": report["by"],
        "at": report["at"],
        "ended": [*ended, *credentials, *sessions, *accounts],
        "remains": report["remains"],
        "gateways": [{name: one[name] for name in ("gateway", "worker", "heard")} for one in report["gateways"]],
        "certain_from": report["certain_from"],
        **more,
    }

    def show(console: Console) -> None:
        console.print(f"{harmless(report['person'])} has left. Ended, each with its ledger entry:", soft_wrap=True)
        for one in (*ended, *credentials, *sessions, *accounts):
            if one["entry"] is not None:
                console.print(f"  {one['entry']:>6}  {one['what']} {harmless(str(one['id']))}", soft_wrap=True)
        for contract in more.get("without_sponsor", ()):
            console.print(
                f"{harmless(contract)} has nobody who answers for it, and is paused. Another employee types: "
                f"interlock contract take {harmless(contract)}",
                soft_wrap=True,
            )
        _show_remains(console, report)
        _show_certainty(console, report)
        if file is not None:
            console.print(f"The signed report is in {file}. Check it: interlock verify-report {file}", soft_wrap=True)

    emit(answer, show)
    if report["remains"]:
        note(f"Not everything has answered. Ask again: interlock offboarding {report['person']} --wait 60")
    return 1 if report["remains"] else 0


def _show_certainty(console: Console, report: Mapping[str, Any]) -> None:
    certain = as_time(report["certain_from"])
    if not report["remains"]:
        console.print("Every gateway that could go on has heard: nothing lives, and nothing can begin.", soft_wrap=True)
    elif certain and any(not one["heard"] for one in report["gateways"]):
        console.print(
            f"A gateway that does not answer opens and answers nothing from {certain:%H:%M:%S} UTC on.", soft_wrap=True
        )


def _show_remains(console: Console, report: Mapping[str, Any]) -> None:
    at = as_time(report["made_at"])
    for name in report["remains"]:
        console.print(f"Remains at {at:%H:%M:%S} UTC: {harmless(name)}" if at else harmless(name), soft_wrap=True)


def _said_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    event = read_body(str(entry["body"]).encode()).event
    what, _, did = str(entry["kind"]).partition(".")
    names = {"approval": "request"}
    shown = {"client": "agent"}.get(what, what) if did != "paused" else f"{what} (paused)"
    return {"what": shown, "id": getattr(event, names.get(what, what), ""), "entry": entry["position"]}


def _entries(said: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    closed = [one["closed"] for one in said["sessions"] if one["closed"]]
    accounts = [one["ended"] for one in said.get("accounts", ()) if one["ended"]]
    issued = [one["issued"] for one in said.get("credentials", ()) if one["issued"]]
    return [*said["ended"], *closed, *accounts, *issued]


def _check_place(report: Path | None) -> None:
    """Before anybody leaves: a report that has no place would be lost."""
    if report is not None and (report.is_dir() or not report.absolute().parent.is_dir()):
        raise Failure(f"{report} cannot be written.", "Name a file in a folder that there is with --report.")


def _missing(entries: list[Mapping[str, Any]], ledger: str, key: Path | None) -> int:
    """How many of the entries a copy of the ledger, which holds, does not have."""
    if "://" in ledger or Path(ledger).is_dir():
        return asyncio.run(_missing_published(entries, ObjectTiles(ledger), trusted_key(key)))
    if key is not None:
        raise typer.BadParameter("--key: not with a file of entries, which nobody signed")
    kept = Path(ledger)
    result = verify_file(kept)
    if isinstance(result, Broken):
        raise Refusal("bad-ledger", f"The copy of the ledger does not hold: {result.reason}", "Get another copy.")
    wanted = {b'{"body":%b,"link":"%b"}\n' % (str(e["body"]).encode(), str(e["link"]).encode()) for e in entries}
    with kept.open("rb") as file:
        return len(wanted - {line for line in file if line in wanted})


async def _missing_published(entries: list[Mapping[str, Any]], source: Source, key: VerifierKey) -> int:
    wanted = {int(entry["position"]): str(entry["body"]).encode() for entry in entries}
    found: set[int] = set()

    async def look(position: int, body: bytes) -> str:
        if wanted.get(position) == body:
            found.add(position)
        return ""

    result = await audit(source, Trust(key), check=look)
    if isinstance(result, Broken):
        raise Refusal("bad-ledger", f"The copy of the ledger does not hold: {result.reason}", "Get another copy.")
    return len(wanted.keys() - found)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path} cannot be read.", "Name another file.") from error
