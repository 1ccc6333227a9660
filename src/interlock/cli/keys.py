"""Commands about the keys of the installation, on the server's own machine."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from interlock.app.data_folder import DataFolder
from interlock.app.installation import Adapters, running_state
from interlock.app.key_service import open_log_keys, open_master_key, open_transit
from interlock.app.places import places_of
from interlock.app.plan import kept_plan
from interlock.app.rotations import OPERATOR, rotating_state
from interlock.cli.output import JsonOption, emit, moment
from interlock.cli.shown import counted
from interlock.domain.durations import parse_duration
from interlock.identity.authority_rotation import announce as announce_authority
from interlock.identity.authority_rotation import take_over as authority_takes_over
from interlock.identity.key_ring import rotate
from interlock.identity.nonce_secrets import rotate_nonce_secret
from interlock.identity.openbao import Transit
from interlock.identity.ssh_authority import rotate as rotate_ssh_authority
from interlock.policy.configuration import Configuration
from interlock.services.credentials import Credentials
from interlock.services.recording_keys import finish_rotation, rotate_recording_keys
from interlock.services.rotate_ledger_key import rotate_ledger_key
from interlock.store.tiles import ObjectTiles

_LEDGER_OVERLAP = timedelta(days=30)
"""Witnesses and those who verify are other people's: they need time to take the newer key."""
_LONGEST_OVERLAP = timedelta(days=3650)

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
    LEDGER = "ledger"


def rotate_keys(
    which: Annotated[
        Rotated,
        typer.Argument(
            help="The key that signs tokens, the authority that certifies, the one that does for SSH, the "
            "master key of recordings, the secret of the server's nonces, or the key of the ledger's checkpoints."
        ),
    ] = Rotated.TOKENS,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="With authority: the announced one certifies now, a day later at least."),
    ] = False,
    overlap: Annotated[
        str | None,
        typer.Option(
            "--overlap",
            metavar="DURATION",
            help="With ledger: for so long the last key signs as well (30d unless told; 0s when it leaked).",
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", envvar="INTERLOCK_DATA", readable=False, help="The data folder.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Take a fresh key: for tokens (what the last one signed is taken for a day: nobody is signed out), for recordings
    (their keys are wrapped anew; no recording changes), for the authority (announced first, then taking over), for SSH
    (what the last one certified is taken for a day), for the server's nonces (ten minutes later), or for the ledger's
    checkpoints (the last one hands over, and signs as well for 30 days)."""
    if take_over and which is not Rotated.AUTHORITY:
        raise typer.BadParameter("--take-over goes with authority")
    if overlap is not None and which is not Rotated.LEDGER:
        raise typer.BadParameter("--overlap goes with ledger")
    works: Mapping[Rotated, Callable[[Path | None], Coroutine[Any, Any, dict[str, Any]]]] = {
        Rotated.TOKENS: _rotate,
        Rotated.AUTHORITY: partial(_rotate_authority, take_over=take_over),
        Rotated.SSH: _rotate_ssh,
        Rotated.RECORDINGS: _rotate_master,
        Rotated.NONCES: _rotate_nonces,
        Rotated.LEDGER: partial(_rotate_ledger, overlap=_overlap(overlap)),
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
        case Rotated.LEDGER:
            return _ledger_sentences(said)
        case Rotated.TOKENS:
            return (
                f"Tokens are signed with {said['key']} from now on.\n"
                f"What was signed before is taken until {moment(said['older_until'])}."
            )


def _ledger_sentences(said: Mapping[str, Any]) -> str:
    signing = [f"{_number(one['key'])} signs as well until {moment(one['until'])}." for one in said["signing"]]
    if not any(one["key"] == said["older"] for one in said["signing"]):
        signing.insert(0, f"{_number(said['older'])}, the last one, signs the entry that says so, and no more.")
    kept = "Back up keys/ now, and copy ledger*.key to other control planes: one without it publishes nothing."
    if said["in_openbao"]:
        kept = "It is a version of the same key in OpenBao: back OpenBao up now."
    return "\n".join(
        (
            "This key signs the ledger's checkpoints from now on. Give it to those who verify, and to witnesses:",
            str(said["key"]),
            *signing,
            kept,
        )
    )


def _number(key: str) -> str:
    return key.split("+")[1]


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


def _overlap(text: str | None) -> timedelta:
    try:
        found = _LEDGER_OVERLAP if text is None else parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if found > _LONGEST_OVERLAP:
        raise typer.BadParameter(f"--overlap is {_LONGEST_OVERLAP.days}d at most")
    return found


async def _rotate_ledger(data: Path | None, *, overlap: timedelta) -> dict[str, Any]:
    async with running_state(data) as (folder, state), _transit_of(folder) as (configuration, transit):
        section = configuration.openbao
        keys = await open_log_keys(folder, section, transit)
        published = ObjectTiles(places_of(folder, configuration).ledger)
        now = datetime.now(UTC)
        done = await rotate_ledger_key(state, keys, published, now=now, overlap=overlap, by=OPERATOR)
    signing = [(key, until) for key, until in (*done.others, (done.older, done.older_until)) if now < until]
    return {
        "key": str(done.key),
        "older": str(done.older),
        "older_until": done.older_until.isoformat(),
        "signing": [{"key": str(key), "until": until.isoformat()} for key, until in signing],
        "in_openbao": transit is not None and section is not None and bool(section.ledger),
    }


async def _rotate_master(data: Path | None) -> dict[str, Any]:
    async with rotating_state(data) as (folder, state), _transit_of(folder) as (configuration, transit):
        master = open_master_key(folder, configuration.openbao, transit)
        await finish_rotation(state, master, by=OPERATOR)
        key, count = await rotate_recording_keys(state, master, by=OPERATOR)
    return {"key": key, "count": count}


@asynccontextmanager
async def _transit_of(folder: DataFolder) -> AsyncIterator[tuple[Configuration, Transit | None]]:
    """The configuration that was started, and the OpenBao that it names."""
    adapters = Adapters()
    configuration = kept_plan(folder, adapters).configuration
    transit = open_transit(configuration.openbao, Credentials(configuration.resources, adapters.vaults))
    try:
        yield configuration, transit
    finally:
        if transit is not None:
            await transit.close()
