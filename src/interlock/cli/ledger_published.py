"""Commands about the published ledger: its checkpoint, its key, a copy of it, a proof of one entry."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.client import Client, ServerOption, signed_in
from interlock.cli.home import Home, open_home
from interlock.cli.ledger_source import ServerSource, read_key
from interlock.cli.output import JsonOption, emit, note, say
from interlock.cli.shown import counted
from interlock.errors import Failure, Refusal
from interlock.ledger.audit import Trust, current_checkpoint, find_current
from interlock.ledger.notes import NotANote, SignedCheckpoint, VerifierKey, read_checkpoint, read_verifier
from interlock.ledger.proofs import write_proof
from interlock.ledger.succession import Chain, handover_path
from interlock.ledger.tiles import (
    CHECKPOINT,
    WIDTH,
    DamagedError,
    Source,
    body_path,
    bundle_path,
    read_bundle,
    stands_for,
    tile_path,
)
from interlock.ledger.verify import Broken
from interlock.store.tiles import ObjectTiles

_KEPT_KEY = "ledger.vkey"


def key(server: ServerOption = None, json: JsonOption = False) -> None:
    """The newest key with which the ledger's checkpoints are signed: keep it where the server's people cannot reach."""
    with signed_in(server) as client:
        found = str(client.get("/v1/ledger/key")["key"])
    emit({"key": found}, lambda _: say(found))


def checkpoint(
    out: Annotated[Path | None, typer.Option("--out", help="Keep it in this file, for `verify --from`.")] = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """The newest signed checkpoint. Kept elsewhere, it shows later that nothing before it was rewritten."""
    with signed_in(server) as client:
        signed = asyncio.run(newest(ServerSource(client), known_key(client)))
    if out is not None:
        keep_private(out, str(signed.note))
    found = signed.checkpoint
    document = {"origin": found.origin, "size": found.size, "root": found.root.hex(), "note": str(signed.note)}
    emit(document, lambda _: say(str(signed.note).rstrip("\n")))


def export(
    folder: Annotated[Path, typer.Argument(help="Where the copy goes; what is there already is not fetched again.")],
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """A copy of the published ledger, which anybody can verify who has the key."""
    with signed_in(server) as client:
        trust = known_key(client)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Failure(f"{folder} cannot be made: {error.strerror}.", "Name another folder.") from error
        size = asyncio.run(_copy(ServerSource(client), trust, ObjectTiles(str(folder), create=True)))
    emit(
        {"folder": str(folder), "size": size},
        lambda _: say(f"{folder} has {counted(size, 'entry', 'entries')}. Check it: interlock ledger verify {folder}"),
    )


def known_key(client: Client) -> VerifierKey:
    """The ledger's key as this home knows it: the first one it is told is kept, and another one only when the kept one
    handed over to it."""
    told = str(client.get("/v1/ledger/key")["key"])
    kept = kept_key(client.home)
    try:
        found = read_verifier(told)
    except NotANote as error:
        raise Failure(f"The server tells no key of its ledger: {error}.", "Ask its operator.") from error
    if kept is None:
        client.home.write(_KEPT_KEY, f"{found}\n")
        note(f"The key of the ledger {found.name} is kept in this home from now on; compare it with its operator's.")
    elif kept != found:
        return _follow(client, kept, found)
    return found


def _follow(client: Client, kept: VerifierKey, told: VerifierKey) -> VerifierKey:
    """Keep the newest key, which by signatures of ``kept`` follows it in the published ledger: ``told``, or one that
    has followed that meanwhile. Raises Refusal."""
    current = asyncio.run(find_current(ServerSource(client), Trust(kept)))
    if isinstance(current, Broken) or kept == current.key or told not in current.chain.keys:
        why = current.reason if isinstance(current, Broken) else "The published ledger is signed with another one."
        raise Refusal(
            "other-key",
            f"The ledger's key is not the one that this home knows: it was {kept.name}+{kept.number.hex()}, and "
            f"nothing that was signed with that hands over. {why}",
            f"If its operator says that it was replaced, remove {client.home.root / _KEPT_KEY}.",
        )
    client.home.write(_KEPT_KEY, f"{current.key}\n")
    note(followed(current.chain, kept, current.key))
    return current.key


def followed(chain: Chain, older: VerifierKey, newest: VerifierKey) -> str:
    """A sentence on how one key came after another."""
    entries = [str(step.position) for step in chain.steps[chain.keys.index(older) :]]
    word = "entry" if len(entries) == 1 else "entries"
    return (
        f"The ledger's key {older.number.hex()} was replaced by {newest.number.hex()} ({word} {', '.join(entries)}), "
        "in a tree that the older one signed. From now on verify with the newer one:\n"
        f"{newest}"
    )


def kept_key(home: Home) -> VerifierKey | None:
    """The key that this home has kept, None when it has none."""
    path = home.root / _KEPT_KEY
    try:
        return read_verifier(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, NotANote, UnicodeDecodeError) as error:
        raise Failure(f"{path} does not hold a ledger's key.", "Remove it, or put the right one there.") from error


def trusted_key(path: Path | None) -> VerifierKey:
    """The key in the file, else the one that this home has kept. Raises Refusal when there is neither."""
    found = read_key(path) if path else kept_key(open_home())
    if found is None:
        raise Refusal(
            "no-key",
            "Whose ledger is it? Without its key a copy says nothing: whoever made it can have signed it.",
            "Name the key with --key FILE. `interlock ledger key` tells it to who is signed in.",
        )
    return found


async def newest(source: Source, key: VerifierKey) -> SignedCheckpoint:
    """The checkpoint as it is published, its signature checked. Raises Failure."""
    signed = await current_checkpoint(source, Trust(key))
    if isinstance(signed, Broken):
        raise Failure(signed.reason, "See `interlock doctor` on the server.")
    return signed


async def prove(source: Source, position: int, body: bytes) -> str:
    """The proof file's text. Raises Failure when the entry is not published yet, or the tiles do not hold."""
    content = await source.read(CHECKPOINT)
    try:
        signed = read_checkpoint(content or b"")
        if position > signed.checkpoint.size:
            raise Failure(f"Entry {position} is not published yet.", "Try again in a second.")
        return await write_proof(source, signed, position, body)
    except (NotANote, DamagedError) as error:
        raise Failure(f"The published ledger does not hold: {error}.", "Type: interlock ledger verify") from error


def keep_private(path: Path, content: str | bytes) -> None:
    """What speaks of people is for its owner's eyes."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}.", "Name another file.") from error


async def _copy(source: Source, key: VerifierKey, folder: ObjectTiles) -> int:
    signed = await newest(source, key)
    size = signed.checkpoint.size
    level, count = 0, size
    while count or level == 0:
        for number in range((count + WIDTH - 1) // WIDTH):
            width = min(WIDTH, count - number * WIDTH)
            await _copy_one(source, folder, tile_path(level, number, width), tile_path(level, number))
            if level == 0:
                content = await _copy_one(source, folder, bundle_path(number, width), bundle_path(number))
                for entry in read_bundle(content, bundle_path(number), width):
                    digest = stands_for(entry)
                    if digest is not None:
                        await _copy_one(source, folder, body_path(digest), body_path(digest))
        level, count = level + 1, count // WIDTH
    await _copy_handovers(source, folder)
    await folder.write(CHECKPOINT, str(signed.note).encode())
    return size


async def _copy_handovers(source: Source, folder: ObjectTiles) -> None:
    number = 0
    while (content := await source.read(handover_path(number))) is not None:
        await folder.write(handover_path(number), content)
        number += 1


async def _copy_one(source: Source, folder: ObjectTiles, path: str, full: str) -> bytes:
    kept = await folder.read(path)
    if kept is not None:
        return kept
    for name in dict.fromkeys((path, full)):
        content = await source.read(name)
        if content is not None:
            await folder.write(name, content)
            return content
    raise Failure(f"{path} is missing from the published ledger.", "Type: interlock ledger verify")
