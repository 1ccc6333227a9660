"""Commands about the keys of the installation, on the server's own machine."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from interlock.app.installation import running_state
from interlock.cli.output import JsonOption, emit, moment
from interlock.domain.identity_events import KeyRotated
from interlock.identity.key_ring import rotate

keys_app = typer.Typer(help="The keys that sign: take fresh ones.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    keys_app.command("rotate")(rotate_keys)
    app.add_typer(keys_app, name="keys")


@keys_app.callback()
def _keys() -> None:
    """The keys that sign: take fresh ones."""


def rotate_keys(
    data: Annotated[
        Path | None, typer.Option("--data", envvar="INTERLOCK_DATA", readable=False, help="The data folder.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Sign tokens with a fresh key from now on. What the last one signed is taken for a day: nobody is signed out."""
    answer = asyncio.run(_rotate(data))
    emit(
        answer,
        lambda console: console.print(
            f"Tokens are signed with {answer['key']} from now on.\n"
            f"What was signed before is taken until {moment(answer['older_until'])}.",
            soft_wrap=True,
        ),
    )


async def _rotate(data: Path | None) -> dict[str, Any]:
    async with running_state(data) as (folder, state):
        key, until = rotate(folder.keys, datetime.now(UTC))
        async with state.changing("operator") as work:
            work.record(KeyRotated(key=key, older_until=until))
    return {"key": key, "older_until": until.isoformat()}
