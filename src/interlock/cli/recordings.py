"""Commands about what becomes of recordings: legal holds, what is due, deletion, the index of their words."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from interlock.app.installation import kept_state_address, running_state
from interlock.cli.client import ServerOption, call_of, signed_in
from interlock.cli.output import JsonOption, emit, short_moment, table
from interlock.cli.shown import harmless
from interlock.store.segment_words import PostgresSegmentWords

recordings_app = typer.Typer(
    help="What becomes of recordings: holds, deletion, the index of their words.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Reason = Annotated[str, typer.Option("--reason", help="Why; others read it to decide.")]


def add_to(app: typer.Typer) -> None:
    recordings_app.command("due")(due)
    recordings_app.command("delete")(delete)
    recordings_app.command("hold")(hold)
    recordings_app.command("holds")(holds)
    recordings_app.command("lift")(lift)
    recordings_app.command("reindex")(reindex)
    app.add_typer(recordings_app, name="recordings")


def due(server: ServerOption = None, json: JsonOption = False) -> None:
    """The recordings whose time is over and that no hold keeps: what may be asked to be deleted."""
    with signed_in(server) as client:
        found = client.get("/v1/recordings/due")
    rows = [
        (one["session"], one["person"], one["resource"], short_moment(one["closed_at"]), short_moment(one["due_at"]))
        for one in found
    ]
    emit(found, table(("SESSION", "PERSON", "RESOURCE", "CLOSED", "KEPT UNTIL"), rows, nothing="Nothing is due."))


def delete(
    sessions: Annotated[list[str], typer.Argument(metavar="SESSION...", help="Whose recordings.")],
    reason: Reason,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Ask that recordings be deleted. Two others approve it; a tombstone stays in the ledger."""
    with signed_in(server) as client:
        request = client.post("/v1/recordings/deletions", {"sessions": sessions, "reason": reason})
    _emit_request(request)


def hold(
    reason: Reason,
    session: Annotated[str, typer.Option("--session", help="This session's recording.")] = "",
    person: Annotated[str, typer.Option("--person", help="This person's recordings.")] = "",
    resource: Annotated[str, typer.Option("--resource", help="Recordings on this resource.")] = "",
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Place a legal hold: nothing that it is about is deleted until it is lifted."""
    body = {"session": session, "person": person, "resource": resource, "reason": reason}
    with signed_in(server) as client:
        placed = client.post("/v1/recordings/holds", body)
    emit(placed, lambda console: console.print(f"{placed['id']} holds until it is lifted."))


def holds(server: ServerOption = None, json: JsonOption = False) -> None:
    """All legal holds, those that were lifted too."""
    with signed_in(server) as client:
        found = client.get("/v1/recordings/holds")
    rows = [
        (
            one["id"],
            " ".join(filter(None, (one["session"], one["person"], one["resource"]))),
            one["placed_by"],
            short_moment(one["placed_at"]),
            f"lifted {short_moment(one['lifted_at'])}" if one.get("lifted_at") else "holds",
            harmless(one["reason"]),
        )
        for one in found
    ]
    emit(found, table(("ID", "ABOUT", "BY", "PLACED", "STATE", "REASON"), rows, nothing="There are no legal holds."))


def lift(
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="The hold, such as h-4k2m8q1x.")],
    reason: Reason,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Ask that a legal hold be lifted. Two others approve it."""
    with signed_in(server) as client:
        request = client.post(call_of("recordings", "holds", hold_id, "lift"), {"reason": reason})
    _emit_request(request)


def reindex(
    data: Annotated[
        Path | None, typer.Option("--data", envvar="INTERLOCK_DATA", readable=False, help="The data folder.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make the index of the words in statements anew, from the recordings. On the server's own machine."""
    asyncio.run(_reindex(data))
    told = "The index is made anew from the recordings, in the background."
    emit({"begun": True}, lambda console: console.print(told))


async def _reindex(data: Path | None) -> None:
    async with running_state(data) as (folder, _):
        words = PostgresSegmentWords(kept_state_address(folder).url)
        try:
            await words.clear()
        finally:
            await words.close()


def _emit_request(request: dict[str, Any]) -> None:
    emit(
        request,
        lambda console: console.print(
            f"{request['id']} waits for others: interlock approve {request['id']}", soft_wrap=True
        ),
    )
