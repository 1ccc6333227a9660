"""Finishes what dead workers left: their sessions are sealed and their ends reported.

A journal whose lock can be had belongs to nobody any more. Its files are read up to the first torn frame; what lies
behind was never said to be durable, so no statement depended on it.
"""

import asyncio
import fcntl
import json
import logging
import mmap
import os
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from interlock.domain.codec import from_plain
from interlock.errors import InterlockError
from interlock.gateway.journal import LOCK, SUFFIX, remove_journal
from interlock.gateway.reporter import Reporter
from interlock.gateway.sealing import RecordingStore, seal
from interlock.ports.control import SessionEnd, SessionStart
from interlock.wire.frames import scan

_LOG = logging.getLogger("interlock.gateway")
_RETRY_S = 2.0
WHY = "the gateway stopped"


@dataclass(slots=True)
class Remains:
    """What a dead worker's journal says of one session."""

    session: str
    index: "dict[int, array[int]]" = field(default_factory=dict)
    start: SessionStart | None = None
    statements: int = 0
    rows: int = 0
    refused: int = 0
    last: int = 0
    last_at: str = ""
    close: Mapping[str, Any] | None = None

    @property
    def more(self) -> Sequence[Mapping[str, Any]]:
        """The record that the worker could not write any more."""
        if self.close is not None:
            return ()
        ending = {"type": "close", "why": WHY, "statements": self.statements}
        return ({"session": self.session, "n": self.last + 1, "at": self.last_at, **ending},)

    def add(self, file: int, offset: int, payload: bytes) -> None:
        record = json.loads(payload)
        self.index.setdefault(file, array("Q")).append(offset)
        if record["n"] <= self.last:
            return
        self.last, self.last_at = record["n"], record["at"]
        match record["type"]:
            case "open":
                self.start = _start_of(record)
            case "statement":
                self.statements += 1
                self.refused += record["effect"] == "deny"
            case "released":
                self.refused += record["effect"] == "deny"
            case "outcome":
                self.rows += record["rows"] + record["changed"]
            case "close":
                self.close = record


def _start_of(record: Mapping[str, Any]) -> SessionStart:
    return from_plain(SessionStart, {**record, "id": record["session"], "opened_at": record["at"]})


def files_of(folder: Path) -> dict[int, Path]:
    return {int(path.stem): path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def read_journal(folder: Path) -> dict[str, Remains]:
    """Every session that the journal in ``folder`` knows of. Blocks."""
    found: dict[str, Remains] = {}
    for file, path in files_of(folder).items():
        size = path.stat().st_size
        if size == 0:
            continue
        end = 0
        with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            content = memoryview(mapped)
            try:
                for one in scan(content):
                    end = one.end
                    payload = bytes(one.payload)
                    one.payload.release()
                    session = str(json.loads(payload)["session"])
                    found.setdefault(session, Remains(session)).add(file, one.offset, payload)
            finally:
                content.release()
        if end and end < size:
            _LOG.warning("The journal %s has a torn end: %d bytes are cut off.", path, size - end)
    return found


class Recovery:
    """Looks for journals of dead workers once, when a worker starts."""

    def __init__(self, journals: Path, own: Path, store: RecordingStore, reporter: Reporter) -> None:
        self._journals = journals
        self._own = own
        self._store = store
        self._reporter = reporter

    async def run(self) -> None:
        for folder in sorted(self._journals.glob("w-*")):
            if folder == self._own:
                continue
            lock = _lock_of_dead(folder)
            if lock is None:
                continue
            try:
                await self._finish(folder)
            except (OSError, ValueError, KeyError, InterlockError) as error:
                # The others are finished all the same; this one stays for a person to look at.
                _LOG.error("The journal %s cannot be finished and stays as it is: %s", folder, error)
            finally:
                os.close(lock)

    async def _finish(self, folder: Path) -> None:
        remains = await asyncio.to_thread(read_journal, folder)
        paths = files_of(folder)
        reported = []
        for one in remains.values():
            digest = await self._seal(one, paths)
            if digest is None:
                return
            reported.append(self._report(one, digest))
        if remains:
            _LOG.info("Finished %d sessions of a worker that stopped.", len(remains))
        await asyncio.gather(*reported)
        await asyncio.to_thread(remove_journal, folder)

    async def _seal(self, one: Remains, paths: Mapping[int, Path]) -> str | None:
        while True:
            try:
                return await asyncio.to_thread(seal, self._store, one.session, paths, one.index, one.more)
            except (OSError, InterlockError) as error:
                _LOG.warning("The recording of %s cannot be sealed yet: %s", one.session, error)
            await asyncio.sleep(_RETRY_S)

    def _report(self, one: Remains, digest: str) -> asyncio.Future[None]:
        landed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        why = WHY if one.close is None else str(one.close["why"])
        if one.start is not None:
            self._reporter.started(one.start)
        closed_at = datetime.fromisoformat(one.last_at)
        end = SessionEnd(one.session, closed_at, why, one.statements, digest, one.rows, one.refused)
        self._reporter.ended(end, lambda: landed.set_result(None))
        return landed


def _lock_of_dead(folder: Path) -> int | None:
    """The lock of a journal, now ours; None when its worker lives or somebody else finishes it."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    if os.fstat(lock).st_nlink == 0:
        # Somebody finished it and took it away between our opening and locking it.
        os.close(lock)
        return None
    return lock
