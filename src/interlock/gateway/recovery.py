"""Finishes what dead workers left: the rest of their sessions' recordings is stored and their ends reported.

A journal whose lock can be had belongs to nobody any more. Its files are read up to the first torn frame; what lies
behind was never said to be durable, so no statement depended on it. The control plane says how far it knows each
recording; what the journal has beyond that goes into segments that follow on.
"""

import asyncio
import fcntl
import json
import logging
import mmap
import os
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from interlock.domain.codec import from_plain
from interlock.errors import Failure, InterlockError
from interlock.gateway.journal import LOCK, remove_journal
from interlock.gateway.pen import SUFFIX
from interlock.gateway.reporter import Reporter
from interlock.gateway.sealing import Kept, RecordingStore, keep_records, read_records, write_record
from interlock.ports.control import SegmentReport, SessionEnd, SessionStart
from interlock.wire.frames import MAGIC, scan

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

    def payloads(self, paths: Mapping[int, Path]) -> Iterator[bytes]:
        """Its records in order, with the one that the worker could not write any more."""
        yield from read_records(paths, self.index)
        if self.close is None:
            ending = {"type": "close", "why": WHY, "statements": self.statements}
            yield write_record({"session": self.session, "n": self.last + 1, "at": self.last_at, **ending})

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
        end, torn = len(MAGIC), 0
        with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            content = memoryview(mapped)
            try:
                for one in scan(content):
                    end = one.end
                    payload = bytes(one.payload)
                    one.payload.release()
                    session = str(json.loads(payload)["session"])
                    found.setdefault(session, Remains(session)).add(file, one.offset, payload)
                # A file has room ahead, which is zeros.
                torn = len(bytes(content[end:]).rstrip(b"\0"))
            finally:
                content.release()
        if torn:
            _LOG.warning("The journal %s has a torn end: %d bytes are cut off.", path, torn)
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
        # All at once, so that their starts and segments are told in few reports.
        finished = await asyncio.gather(*(self._finish_or_say(one, paths, folder) for one in remains.values()))
        _LOG.info("Finished %d of %d sessions of a worker that stopped.", sum(finished), len(remains))
        if all(finished):
            await asyncio.to_thread(remove_journal, folder)

    async def _finish_or_say(self, one: Remains, paths: Mapping[int, Path], folder: Path) -> bool:
        try:
            await (await self._finish_one(one, paths))
        except Failure as error:
            _LOG.error("The recording of %s stays in the journal %s: %s", one.session, folder, error)
            return False
        return True

    async def _finish_one(self, one: Remains, paths: Mapping[int, Path]) -> "asyncio.Future[None]":
        """Store the rest of one recording; the future is done when its end is known. Raises Failure."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        standing = None
        if one.start is not None:
            self._reporter.started(one.start)
            standing = await self._reporter.standing(one.session)
        if standing is None or (standing.key is None and not standing.closed):
            raise Failure(f"The control plane does not take {one.session}.", "Look into its log.")
        if standing.closed:
            ended.set_result(None)
            return ended
        before = Kept(standing.segments, standing.head, standing.records)
        kept = await self._keep(one, standing.key or b"", before, paths)
        closed_at = datetime.fromisoformat(one.last_at)
        why = WHY if one.close is None else str(one.close["why"])
        end = SessionEnd(one.session, closed_at, why, one.statements, kept.head, one.rows, one.refused, kept.segments)
        self._reporter.ended(end, lambda: ended.set_result(None))
        return ended

    async def _keep(self, one: Remains, key: bytes, before: Kept, paths: Mapping[int, Path]) -> Kept:
        while True:
            try:
                kept, stored = await asyncio.to_thread(
                    keep_records, self._store, one.session, key, before, one.payloads(paths)
                )
                break
            except (OSError, InterlockError) as error:
                _LOG.warning("The recording of %s cannot be stored yet: %s", one.session, error)
            await asyncio.sleep(_RETRY_S)
        report = SegmentReport(one.session, before.segments + 1, before.head, stored)
        if stored and not await self._reporter.kept(report):
            raise Failure(f"The control plane does not take the recording of {one.session}.", "Look into its log.")
        return kept


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
