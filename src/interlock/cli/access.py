"""Commands about what I may reach: resources, grants, the end of a grant."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from interlock.cli.client import ServerOption, call_of, signed_in
from interlock.cli.output import JsonOption, emit, left, short_moment, table
from interlock.cli.shown import harmless, seconds
from interlock.domain.actions import Action

_ORDER = [action.value for action in Action]


def add_to(app: typer.Typer) -> None:
    app.command("resources")(list_resources)
    app.command("grants")(list_grants)
    app.command("end")(end)


def list_resources(server: ServerOption = None, json: JsonOption = False) -> None:
    """What there is, and what I may do with it now, until when."""
    with signed_in(server) as client:
        resources = client.get("/v1/resources")

    def show(console: Console) -> None:
        if not resources:
            console.print("There is nothing here for you; a contract or a role has to name it first.")
        for resource in resources:
            _show_resource(console, resource)

    emit(resources, show)


def list_grants(server: ServerOption = None, json: JsonOption = False) -> None:
    """The grants at work: mine, and those that I answer for."""
    with signed_in(server) as client:
        grants = client.get("/v1/grants")
    rows = [
        (
            grant["id"],
            grant["person"],
            grant["role"],
            grant["resource"],
            short_moment(grant["ends_at"]),
            left(grant["ends_at"]),
        )
        for grant in grants
    ]
    emit(grants, table(("ID", "PERSON", "ROLE", "RESOURCE", "ENDS", "LEFT"), rows, nothing="No grant is at work."))


def end(
    grant: Annotated[str, typer.Argument(metavar="GRANT", help="The grant's number, such as g-4k2m8q1x.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the ledger.")] = "no longer needed",
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """End a grant now, with the live sessions that rest on it."""
    with signed_in(server) as client:
        answer = client.post(call_of("grants", grant, "end"), {"reason": reason})
    emit(answer, lambda console: console.print(f"{harmless(grant)} has ended; the sessions that rested on it are cut."))


def _show_resource(console: Console, resource: Mapping[str, Any]) -> None:
    labels = " ".join(f"{key}={value}" for key, value in sorted((resource.get("labels") or {}).items()))
    console.print(f"[bold]{escape(harmless(resource['name']))}[/bold]  {escape(harmless(resource['kind']))}  {labels}")
    grants: Sequence[Mapping[str, Any]] = resource.get("grants") or ()
    for view in grants:
        grant = view.get("grant", view)
        other = "" if view.get("usable", True) else "  (only with the key that it was asked with)"
        text = f"  you have {grant['role']} for {left(grant['ends_at'])} more ({grant['id']}){other}"
        console.print(escape(text), style="green")
    if any(view.get("usable", True) for view in grants):
        console.print(escape(f"  interlock connect {resource['name']}"))
    for offer in resource.get("roles") or ():
        _show_offer(console, offer)


def _show_offer(console: Console, offer: Mapping[str, Any]) -> None:
    if not offer.get("may_ask", True):
        console.print(
            escape(f"  {offer['role']}: no. {harmless(offer.get('why_not', ''))}"), style="dim", soft_wrap=True
        )
        return
    allow = " ".join(sorted(offer.get("allow") or (), key=_ORDER.index))
    console.print(escape(f"  {offer['role']}: {allow}; for {seconds(offer.get('longest_s'))} at most"), soft_wrap=True)
    approvals = " and ".join(str(rule) for rule in offer.get("approvals") or ())
    if approvals:
        console.print(escape(f"      approved by {harmless(approvals)}"), soft_wrap=True)
