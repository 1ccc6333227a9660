"""Commands about the keys of the installation, on the server's own machine."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from interlock.app.installation import Adapters
from interlock.app.key_service import open_master_key, open_transit
from interlock.app.plan import kept_plan
from interlock.app.rotations import OPERATOR, rotating_state
from interlock.cli.output import JsonOption, emit, moment
from interlock.cli.shown import counted
from interlock.identity.authority_rotation import announce as announce_authority
from interlock.identity.authority_rotation import take_over as authority_takes_over
from interlock.identity.key_ring import rotate
from interlock.identity.nonce_secrets import rotate_nonce_secret
from interlock.identity.ssh_authority import rotate as rotate_ssh_authority
from interlock.services.credentials import Credentials
from interlock.services.recording_keys import finish_rotation, rotate_recording_keys

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
    AUTHORITY = "authority"
    SSH = "ssh"
    RECORDINGS = "recordings"
    NONCES = "nonces"


def rotate_keys(
    which: Annotated[
        Rotated,
        typer.Argument(
            help="The key that signs tokens, the authority that certifies, the one that does for SSH, the "
            "master key of recordings, or the secret of the server's nonces."
        ),
    ] = Rotated.TOKENS,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="With authority: the announced one certifies now, a day later at least."),
    ] = False,
    data: Annotated[
        Path | None, typer.Option("--data", envvar="INTERLOCK_DATA", readable=False, help="The data folder.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Take a fresh key: for tokens (what the last one signed is taken for a day: nobody is signed out), for recordings
    (their keys are wrapped anew; no recording changes), for the authority (announced first, then taking over), for SSH
    (what the last one certified is taken for a day), or for the server's nonces (ten minutes later)."""
    if take_over and which is not Rotated.AUTHORITY:
        raise typer.BadParameter("--take-over goes with authority")
    works: Mapping[Rotated, Callable[[Path | None], Coroutine[Any, Any, dict[str, Any]]]] = {
        Rotated.TOKENS: _rotate,
        Rotated.AUTHORITY: partial(_rotate_authority, take_over=take_over),
        Rotated.SSH: _rotate_ssh,
        Rotated.RECORDINGS: _rotate_master,
        Rotated.NONCES: _rotate_nonces,
    }
    said = asyncio.run(works[which](data))
    emit(said, lambda console: console.print(_sentences(which, said), soft_wrap=True))


def _sentences(which: Rotated, said: Mapping[str, Any]) -> str:
    match which:
        case Rotated.AUTHORITY:
            return str(said["said"])
        case Rotated.SSH:
            return (
                f"People's keys for SSH are certified by {said['key']} from now on.\n"
                f"The one before it is trusted until {moment(said['older_until'])}."
            )
        case Rotated.RECORDINGS:
            return (
                f"{said['key']} wraps the keys of recordings from now on; "
                f"{counted(said['count'], 'key was', 'keys were')} wrapped anew."
            )
        case Rotated.NONCES:
            return (
                f"A fresh secret makes the server's nonces from {moment(said['starts_at'])} on.\n"
                "Other control planes need keys/nonce.from-*.key by then."
            )
        case Rotated.TOKENS:
            return (
                f"Tokens are signed with {said['key']} from now on.\n"
                f"What was signed before is taken until {moment(said['older_until'])}."
            )


async def _rotate_authority(data: Path | None, *, take_over: bool) -> dict[str, Any]:
    async with rotating_state(data) as (folder, _):
        now = datetime.now(UTC)
        if take_over:
            key, until = authority_takes_over(folder.keys, now)
            said = f"{key} certifies from now on. The one before it is trusted until {moment(until.isoformat())}."
        else:
            key = announce_authority(folder.keys, now)
            said = (
                f"{key} is trusted from now on, by people from their next sign-in on.\n"
                "When all have signed in, a day later at least: interlock keys rotate authority --take-over"
            )
    return {"key": key, "taken_over": take_over, "said": said}


async def _rotate(data: Path | None) -> dict[str, Any]:
    async with rotating_state(data) as (folder, _):
        key, until = rotate(folder.keys, datetime.now(UTC))
    return {"key": key, "older_until": until.isoformat()}


async def _rotate_nonces(data: Path | None) -> dict[str, Any]:
    async with rotating_state(data) as (folder, _):
        starts_at = rotate_nonce_secret(folder.keys, datetime.now(UTC))
    return {"starts_at": starts_at.isoformat()}


async def _rotate_ssh(data: Path | None) -> dict[str, Any]:
    async with rotating_state(data) as (folder, _):
        key, until = rotate_ssh_authority(folder.keys, datetime.now(UTC))
    return {"key": key, "older_until": until.isoformat()}


async def _rotate_master(data: Path | None) -> dict[str, Any]:
    async with rotating_state(data) as (folder, state):
        adapters = Adapters()
        configuration = kept_plan(folder, adapters).configuration
        transit = open_transit(configuration.openbao, Credentials(configuration.resources, adapters.vaults))
        try:
            master = open_master_key(folder, configuration.openbao, transit)
            await finish_rotation(state, master, by=OPERATOR)
            key, count = await rotate_recording_keys(state, master, by=OPERATOR)
        finally:
            if transit is not None:
                await transit.close()
    return {"key": key, "count": count}
