"""Commands about the keys of the installation, on the server's own machine."""

import asyncio
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from interlock.app.installation import Adapters, running_state
from interlock.app.key_service import open_master_key, open_transit
from interlock.app.plan import kept_plan
from interlock.cli.output import JsonOption, emit, moment
from interlock.cli.shown import counted
from interlock.domain.identity_events import KeyRotated
from interlock.identity.key_ring import rotate
from interlock.services.credentials import Credentials
from interlock.services.recording_keys import rotate_recording_keys

keys_app = typer.Typer(
    help="The keys of the installation: take fresh ones.", no_args_is_help=True, rich_markup_mode=None
)


def add_to(app: typer.Typer) -> None:
    keys_app.command("rotate")(rotate_keys)
    app.add_typer(keys_app, name="keys")


@keys_app.callback()
def _keys() -> None:
    """The keys of the installation: take fresh ones."""


class Rotated(StrEnum):
    TOKENS = "tokens"
    RECORDINGS = "recordings"


def rotate_keys(
    which: Annotated[
        Rotated, typer.Argument(help="The key that signs tokens, or the master key that wraps those of recordings.")
    ] = Rotated.TOKENS,
    data: Annotated[
        Path | None, typer.Option("--data", envvar="INTERLOCK_DATA", readable=False, help="The data folder.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Take a fresh key: for tokens (what the last one signed is taken for a day: nobody is signed out), or for
    recordings (their keys are wrapped anew; no recording changes)."""
    if which is Rotated.RECORDINGS:
        wrapped = asyncio.run(_rotate_master(data))
        emit(
            wrapped,
            lambda console: console.print(
                f"{wrapped['key']} wraps the keys of recordings from now on; "
                f"{counted(wrapped['count'], 'key was', 'keys were')} wrapped anew.",
                soft_wrap=True,
            ),
        )
        return
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


async def _rotate_master(data: Path | None) -> dict[str, Any]:
    async with running_state(data) as (folder, state):
        adapters = Adapters()
        configuration = kept_plan(folder, adapters).configuration
        transit = open_transit(configuration.openbao, Credentials(configuration.resources, adapters.vaults))
        try:
            master = open_master_key(folder, configuration.openbao, transit)
            key, count = await rotate_recording_keys(state, master, by="operator")
        finally:
            if transit is not None:
                await transit.close()
    return {"key": key, "count": count}
