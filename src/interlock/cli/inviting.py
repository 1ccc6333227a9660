"""Commands about invitations: given, confirmed, ended; and, for who comes with one, `interlock arrive`."""

import time
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console

from interlock.cli.client import ServerOption, ask_password, call_of, choose_server, signed_in
from interlock.cli.home import open_home
from interlock.cli.output import JsonOption, emit, moment, note, table
from interlock.cli.shown import harmless
from interlock.errors import Refusal
from interlock.identity.api_client import ApiClient, fetch_authority

_POLL_S = 1.0

Invitation = Annotated[str, typer.Argument(metavar="ID", help="The invitation.")]


def add_invitations(contract_app: typer.Typer) -> None:
    contract_app.command("invite")(give_invitation)
    contract_app.command("invitations")(list_invitations)
    contract_app.command("admit")(admit)
    contract_app.command("uninvite")(uninvite)


def add_to(app: typer.Typer) -> None:
    app.command("arrive")(arrive)


def give_invitation(
    contract: Annotated[str, typer.Argument(metavar="ID", help="The contract's name.")],
    person: Annotated[str, typer.Argument(help="Who comes; by custom their e-mail address.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Give the link by which a person of the contract comes in, as another employee than its sponsor."""
    with signed_in(server) as client:
        answer = client.post_present(call_of("contracts", contract, "invite"), {"person": person})

    def show(console: Console) -> None:
        console.print(
            f"Give this link to {harmless(person)}, and to nobody else; it lasts until "
            f"{moment(answer['expires_at'])}:\n  {answer['link']}",
            markup=False,
            soft_wrap=True,
        )
        console.print(f"On a terminal:\n  interlock arrive '{answer['link']}'", markup=False, soft_wrap=True)
        note(
            f"The sponsor confirms them by the words that they read out: "
            f"interlock contract admit {answer['id']} --words WORDS"
        )

    emit(answer, show)


def list_invitations(server: ServerOption = None, json: JsonOption = False) -> None:
    """The invitations that can be gone on with: those that I gave, or that I confirm."""
    with signed_in(server) as client:
        found = client.get("/v1/invitations")
    rows = [
        (one["id"], one["contract"], one["person"], one["invited_by"], moment(one["expires_at"]), _state_of(one))
        for one in found
    ]
    columns = ("ID", "CONTRACT", "PERSON", "GIVEN BY", "UNTIL", "")
    emit(found, table(columns, rows, nothing="There are no invitations to show."))


def admit(
    invitation: Invitation,
    words: Annotated[str, typer.Option("--words", help="The words that the person reads to you, ABCD-EFGH.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Confirm, as the contract's sponsor, that the person who reads you these words is the one invited."""
    with signed_in(server) as client:
        answer = client.post_present(call_of("invitations", invitation, "confirm"), {"words": words})
    emit(answer, lambda console: console.print(f"{harmless(answer['person'])} is confirmed.", soft_wrap=True))


def uninvite(
    invitation: Invitation,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the ledger.")] = "not needed",
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """End an invitation: its link opens nothing any more."""
    with signed_in(server) as client:
        answer = client.post(call_of("invitations", invitation, "end"), {"reason": reason})
    emit(answer, lambda console: console.print(f"{harmless(invitation)} has ended.", soft_wrap=True))


def arrive(
    link: Annotated[str, typer.Argument(help="The link that you were given, or its part behind the #.")],
    wait: Annotated[float, typer.Option("--wait", min=0, help="How many seconds to wait for the sponsor.")] = 3600.0,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Come in with the link of an invitation: read the words to the sponsor, then choose a password."""
    home = open_home()
    code = link.rpartition("#")[2]
    address = choose_server(server or _server_in(link), home)
    fingerprint = code.partition(".")[2]
    if not fingerprint:
        raise Refusal("bad-link", "This link is cut off: it names no authority.", "Give the whole of it.")
    authority = fetch_authority(address, fingerprint)
    with ApiClient(address, key=home.private_key(), authority=authority) as api:
        said = _until_confirmed(api, code, wait)
        home.write(home.authority.name, authority)
        home.remember(server=address, person=said["person"])
        if not said["with_password"]:
            emit(said, lambda console: console.print("You are confirmed. Type: interlock login", soft_wrap=True))
            return
        password = ask_password("New password", twice=True)
        answer = api.post("/v1/arrivals", {"code": code, "password": password})

    def show(console: Console) -> None:
        console.print("Add this to your authenticator now; it is not shown again:")
        console.print(f"  secret {answer['totp_secret']}\n  {answer['totp_uri']}", markup=False, soft_wrap=True)
        console.print("Then type: interlock login")

    emit(answer, show)


def _until_confirmed(api: ApiClient, code: str, wait: float) -> dict[str, Any]:
    until, told = time.monotonic() + wait, False
    while True:
        said: dict[str, Any] = api.post("/v1/arrivals/look", {"code": code})
        if said["confirmed"]:
            return said
        if not told:
            note(f"You are invited as {harmless(said['person'])}, under the contract {harmless(said['contract'])}.")
            note(f"Speak to {harmless(said['sponsor'])}, and read them these words:  {said['words']}")
            told = True
        if time.monotonic() > until:
            raise Refusal(
                "not-confirmed",
                f"{harmless(said['sponsor'])} has not confirmed you yet.",
                f"Read them these words: {said['words']}; then give the same command again.",
            )
        time.sleep(_POLL_S)


def _server_in(link: str) -> str | None:
    parts = urlsplit(link)
    return f"https://{parts.netloc}" if parts.scheme == "https" and parts.netloc else None


def _state_of(invitation: dict[str, Any]) -> str:
    said = "confirmed" if invitation.get("confirmed_at") else "opened" if invitation.get("key") else "not opened"
    return f"{said}; astray: another key tried it" if invitation.get("foreign_at") else said
