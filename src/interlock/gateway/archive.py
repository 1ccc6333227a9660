"""Seals recordings of sessions that are over, reports their ends, and deletes journal files that nobody needs.

INVARIANT: a journal file is deleted only when every session with a frame in it is sealed and its end is known to the
control plane. Until then a crash anywhere leaves what is needed to do it again.
"""

import asyncio
import logging
from datetime import datetime

from interlock.errors import InterlockError
from interlock.gateway.journal import Journal
from interlock.gateway.recorder import Recording
from interlock.gateway.reporter import Reporter
from interlock.gateway.sealing import RecordingStore, seal
from interlock.ports.control import SessionEnd

_LOG = logging.getLogger("interlock.gateway")
_RETRY_S = 2.0
_AT_ONCE = 2


class Archive:
    def __init__(self, journal: Journal, store: RecordingStore, reporter: Reporter) -> None:
        self._journal = journal
        self._store = store
        self._reporter = reporter
        self._holders: dict[int, set[str]] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._expected: set[str] = set()
        self._sealing: set[asyncio.Task[None]] = set()

    def holds(self, file: int, session: str) -> None:
        if file not in self._holders:
            self._holders[file] = set()
            self._sweep()
        self._holders[file].add(session)

    def take(self, recording: Recording, closed_at: datetime, why: str) -> None:
        """The session is over and its last record durable: seal it, in the background, until it succeeds."""
        task = asyncio.create_task(self._seal(recording, closed_at, why))
        self._sealing.add(task)
        task.add_done_callback(self._sealing.discard)

    def expect(self, session: str) -> None:
        """The session is open: its recording will come."""
        self._expected.add(session)

    @property
    def busy(self) -> bool:
        """Whether there are recordings that are not sealed yet."""
        return bool(self._expected)

    async def stop(self) -> None:
        for task in tuple(self._sealing):
            task.cancel()
        await asyncio.gather(*self._sealing, return_exceptions=True)

    async def _seal(self, recording: Recording, closed_at: datetime, why: str) -> None:
        paths = {file: self._journal.path(file) for file in recording.index}
        while True:
            async with self._room:
                try:
                    digest = await asyncio.to_thread(seal, self._store, recording.session, paths, recording.index)
                    break
                except (OSError, InterlockError) as error:
                    _LOG.warning("The recording of %s cannot be sealed yet: %s", recording.session, error)
            await asyncio.sleep(_RETRY_S)
        self._expected.discard(recording.session)
        tally = recording.tally
        end = SessionEnd(recording.session, closed_at, why, recording.statements, digest, tally.rows, tally.refused)
        self._reporter.ended(end, lambda: self._release(recording))

    def _release(self, recording: Recording) -> None:
        for file in recording.index:
            self._holders.get(file, set()).discard(recording.session)
        self._sweep()

    def _sweep(self) -> None:
        current = self._journal.file
        for file in [file for file, holders in self._holders.items() if not holders and file < current]:
            del self._holders[file]
            self._journal.path(file).unlink(missing_ok=True)
