"""The ledger's way out of the database: its key, its store, and the sequencer that runs beside the API."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from interlock.app.data_folder import DataFolder
from interlock.app.witnesses import Cosigning, WitnessAddress
from interlock.errors import Failure
from interlock.identity.keys import load_or_create_secret, write_private
from interlock.ledger.notes import NotANote, SignerKey, VerifierKey, new_signer, read_signer, read_verifier
from interlock.store.sequencer import LogKey, Sequencer, no_witnesses
from interlock.store.tiles import ObjectTiles

KEY_FILE = "ledger.key"
PUBLIC_FILE = "ledger.vkey"


def open_published(folder: DataFolder) -> tuple[ObjectTiles, SignerKey]:
    """Where the ledger is published, and the key it is signed with; both made at the first start. Raises Failure."""
    path = folder.keys / KEY_FILE
    try:
        signer = read_signer(load_or_create_secret(path, lambda: _new_key().secret_text().encode()).decode())
    except (NotANote, UnicodeDecodeError) as error:
        raise Failure(f"{path} does not hold the ledger's key: {error}.", "Restore it from your backup.") from error
    write_private(folder.keys / PUBLIC_FILE, f"{signer.verifier}\n".encode())
    return ObjectTiles(str(folder.ledger), create=True), signer


def public_key_of(folder: DataFolder) -> VerifierKey:
    """The public half, as the running installation wrote it. Raises Failure."""
    path = folder.keys / PUBLIC_FILE
    try:
        return read_verifier(path.read_text())
    except (OSError, NotANote, UnicodeDecodeError) as error:
        raise Failure(f"There is no ledger key in {folder.keys}.", "Start Interlock once: it makes one.") from error


@asynccontextmanager
async def publishing(
    url: str, tiles: ObjectTiles, signer: SignerKey, witnesses: Sequence[WitnessAddress] = ()
) -> AsyncIterator[None]:
    """A sequencer runs (or waits for its election) while the block does."""
    cosigning = Cosigning(witnesses, tiles) if witnesses else None

    async def sign(text: str) -> str:
        return signer.sign(text)

    task = asyncio.create_task(Sequencer(url, tiles, LogKey(signer.verifier, sign), cosigning or no_witnesses).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if cosigning is not None:
            await cosigning.close()


def _new_key() -> SignerKey:
    # The name tells logs apart for witnesses and verifiers, so that no two installations may have one name.
    return new_signer(f"{socket.gethostname() or 'interlock'}/ledger/{secrets.token_hex(4)}")
