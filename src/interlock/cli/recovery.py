"""Letting somebody in again who has lost what they sign in with: two others each give one half of a code."""

from typing import Annotated

import typer

from interlock.cli.client import ServerOption, call_of, signed_in
from interlock.cli.output import JsonOption, emit
from interlock.cli.shown import harmless


def add_to(app: typer.Typer) -> None:
    app.command("recover")(recover)


def recover(
    person: Annotated[str, typer.Argument(help="Who has lost passkey, password or authenticator.")],
    reason: Annotated[str, typer.Option("--reason", help="How you know that it is them; it stands in the ledger.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """Give one half of the code that lets a person in again. Another of your group gives the other half."""
    with signed_in(server) as client:
        answer = client.post_present(call_of("people", person, "recovery"), {"reason": reason})
    name = harmless(answer["person"])
    line = (
        f"Your half, for an hour: {answer['half']}\n"
        f"Give it to {name} where you know them by face or voice, never by mail. With the half of another they type:\n"
        f"  interlock login --person {name} --code HALF+HALF"
    )
    emit(answer, lambda console: console.print(line, markup=False, soft_wrap=True))
