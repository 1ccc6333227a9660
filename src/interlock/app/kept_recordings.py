"""Sealed recordings as a verifier sees them: objects in a folder or an object store, each with its SHA-256."""

import asyncio
import hashlib
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from interlock.domain.work_events import SessionClosed
from interlock.errors import Failure
from interlock.ledger.entries import Unreadable, read_body

_MARK = b'"kind":"session.closed"'


class KeptRecordings:
    """``check`` is a :data:`interlock.ledger.audit.BodyCheck`."""

    def __init__(self, where: str) -> None:
        folder = None if "://" in where else Path(where)
        if folder is not None and not folder.is_dir():
            raise Failure(f"There is no folder {where}.", "Give the folder or the URL of the recordings.")
        try:
            self._store = from_url(where) if folder is None else LocalStore(folder)
        except (BaseError, ValueError, OSError) as error:
            raise Failure(f"The recordings' store {where} cannot be opened: {error}.", "Mend its address.") from error
        self.count = 0

    async def check(self, position: int, body: bytes) -> str:
        """A sentence when the recording that an entry speaks of is not the one whose hash it holds."""
        if _MARK not in body:
            return ""
        try:
            event = read_body(body).event
        except Unreadable as error:
            return f"Entry {position} cannot be read: {error}."
        if not isinstance(event, SessionClosed) or not event.recording:
            return ""
        self.count += 1
        try:
            digest = await asyncio.to_thread(self._digest, f"{event.session}.jsonl.zst")
        except FileNotFoundError:
            return f"The recording of {event.session}, which entry {position} speaks of, is missing."
        except (BaseError, OSError) as error:
            raise Failure(f"The recording of {event.session} cannot be read: {error}.", "Mend the store.") from error
        if digest != event.recording:
            return f"The recording of {event.session} is not the one that entry {position} speaks of: it was changed."
        return ""

    def _digest(self, name: str) -> str:
        digest = hashlib.sha256()
        for part in obstore.get(self._store, name).stream():
            digest.update(part)
        return digest.hexdigest()
