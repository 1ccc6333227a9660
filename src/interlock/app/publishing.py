"""The ledger's way out of the database: its key, its store, and the sequencer that runs beside the API."""

import logging
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from obstore.store import ObjectStore

from interlock.app.background import beside
from interlock.app.data_folder import DataFolder
from interlock.app.places import Places
from interlock.app.witnesses import Cosigning, WitnessAddress
from interlock.errors import Failure
from interlock.ledger.notes import NotANote, VerifierKey, read_verifier
from interlock.ports.log_keys import LogKeys
from interlock.store.sequencer import Sequencer
from interlock.store.tiles import ObjectTiles
from interlock.wire.objects import NoConditionsError, open_objects

KEY_FILE = "ledger.key"
PUBLIC_FILE = "ledger.vkey"
_log = logging.getLogger("interlock.control")


def public_key_of(folder: DataFolder) -> VerifierKey:
    """The public half, as the running installation wrote it. Raises Failure."""
    path = folder.keys / PUBLIC_FILE
    try:
        return read_verifier(path.read_text())
    except (OSError, NotANote, UnicodeDecodeError) as error:
        raise Failure(f"There is no ledger key in {folder.keys}.", "Start Interlock once: it makes one.") from error


@asynccontextmanager
async def publishing(
    url: str, tiles: ObjectTiles, keys: LogKeys, witnesses: Callable[[], Sequence[WitnessAddress]]
) -> AsyncIterator[None]:
    """A sequencer runs (or waits for its election) while the block does."""
    cosigning = Cosigning(witnesses, tiles)
    try:
        async with beside(Sequencer(url, tiles, keys, cosigning).run()):
            yield
    finally:
        await cosigning.close()


async def open_stores(places: Places) -> tuple[ObjectTiles, ObjectStore]:
    """The stores of the ledger and of the recordings. Raises Failure for one in which a ledger could be forked.

    One that does not answer now is tried again for as long as it takes, and nothing is published meanwhile."""
    published = ObjectTiles(places.ledger, create=True)
    recordings = open_objects(places.recordings, "The store for recordings", create=True)
    try:
        await published.check()
    except NoConditionsError:
        raise
    except Failure as failure:
        _log.warning("The ledger is not published yet: %s", failure)
    return published, recordings


def new_log_name() -> str:
    """The name tells logs apart for witnesses and verifiers, so that no two installations may have one name."""
    return f"{socket.gethostname() or 'interlock'}/ledger/{secrets.token_hex(4)}"
