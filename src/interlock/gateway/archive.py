"""Puts recordings into the store in segments, while their sessions live; reports them, and the sessions' ends; and
deletes journal files that nobody needs.

It works beside the sessions and from the journal's files: a session is never asked and never waits.

INVARIANT: a journal file is deleted only when every session with a frame in it is stored whole and its end is known to
the control plane. Until then a crash anywhere leaves what is needed to do it again.
"""

import asyncio
import logging
from array import array
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from interlock.errors import InterlockError
from interlock.gateway.journal import Journal
from interlock.gateway.recorder import Recording
from interlock.gateway.reporter import Reporter
from interlock.gateway.sealing import Kept, RecordingStore, keep_frames
from interlock.ports.control import SegmentReport, SessionEnd

_LOG = logging.getLogger("interlock.gateway")
_EVERY_S = 4.0
"""How often the live sessions' recordings are looked at, so that a record lies in a segment five seconds later."""
_RETRY_S = 2.0
_AT_ONCE = 2


class _GivenUpError(Exception):
    """The control plane refuses this recording for good. It stays in the journal, for a person to look at."""


@dataclass(slots=True)
class _Strip:
    """How far one recording lies in segments; ``taken`` counts the frames of it for each journal file."""

    kept: Kept = field(default_factory=Kept)
    taken: dict[int, int] = field(default_factory=dict)
    frames: int = 0
    given_up: bool = False
    working: asyncio.Lock = field(default_factory=asyncio.Lock)


class Archive:
    def __init__(self, journal: Journal, store: RecordingStore, reporter: Reporter) -> None:
        self._journal = journal
        self._store = store
        self._reporter = reporter
        self._holders: dict[int, set[str]] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._expected: set[str] = set()
        self._strips: dict[str, _Strip] = {}
        self._sealing: set[asyncio.Task[None]] = set()

    def holds(self, file: int, session: str) -> None:
        if file not in self._holders:
            self._holders[file] = set()
            self._sweep()
        self._holders[file].add(session)

    async def run(self, live: Callable[[], Iterable[Recording]]) -> None:
        """Keep what is durable of the ``live`` recordings, every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            for recording in live():
                strip = self._strip_of(recording)
                if recording.durable > strip.frames and not strip.given_up and not strip.working.locked():
                    self._start(self._keep_some(recording, strip))

    def take(self, recording: Recording, closed_at: datetime, why: str) -> None:
        """The session is over and its last record durable: store the rest, in the background, until it succeeds."""
        self._start(self._finish(recording, closed_at, why))

    def expect(self, session: str) -> None:
        """The session is open: its recording will come."""
        self._expected.add(session)

    @property
    def busy(self) -> bool:
        """Whether there are recordings that are not stored whole yet, and will be."""
        return bool(self._expected)

    @property
    def given_up(self) -> bool:
        """Whether there are recordings that only the journal has."""
        return any(strip.given_up for strip in self._strips.values())

    async def stop(self) -> None:
        for task in tuple(self._sealing):
            task.cancel()
        await asyncio.gather(*self._sealing, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._sealing.add(task)
        task.add_done_callback(self._sealing.discard)

    def _strip_of(self, recording: Recording) -> _Strip:
        return self._strips.setdefault(recording.session, _Strip())

    async def _keep_some(self, recording: Recording, strip: _Strip) -> None:
        try:
            async with strip.working:
                await self._keep(recording, strip)
        except _GivenUpError:
            return
        except (OSError, InterlockError) as error:
            _LOG.warning("The recording of %s cannot be stored yet: %s", recording.session, error)

    async def _finish(self, recording: Recording, closed_at: datetime, why: str) -> None:
        strip = self._strip_of(recording)
        async with strip.working:
            while True:
                try:
                    await self._keep(recording, strip)
                    break
                except _GivenUpError:
                    self._expected.discard(recording.session)
                    return
                except (OSError, InterlockError) as error:
                    _LOG.warning("The recording of %s cannot be stored yet: %s", recording.session, error)
                await asyncio.sleep(_RETRY_S)
        self._expected.discard(recording.session)
        del self._strips[recording.session]
        kept, tally = strip.kept, recording.tally
        end = SessionEnd(
            recording.session,
            closed_at,
            why,
            recording.statements,
            kept.head,
            rows=tally.rows,
            refused=tally.refused,
            segments=kept.segments,
        )
        self._reporter.ended(end, lambda: self._release(recording))

    async def _keep(self, recording: Recording, strip: _Strip) -> None:
        """Store what is durable and not stored yet, and let the ledger know. Raises OSError, InterlockError."""
        session = recording.session
        standing = await self._reporter.standing(session)
        if standing is None or standing.key is None:
            raise self._give_up(session, strip)
        tails = _tails(recording, strip.taken)
        if not tails:
            return
        paths = {file: self._journal.path(file) for file in tails}
        async with self._room:
            kept, stored = await asyncio.to_thread(
                keep_frames, self._store, session, standing.key, strip.kept, paths, tails
            )
        if stored:
            report = SegmentReport(session, strip.kept.segments + 1, strip.kept.head, stored)
            if not await self._reporter.kept(report):
                raise self._give_up(session, strip)
        strip.kept = kept
        for file, offsets in tails.items():
            strip.taken[file] = strip.taken.get(file, 0) + len(offsets)
            strip.frames += len(offsets)

    def _give_up(self, session: str, strip: _Strip) -> _GivenUpError:
        if not strip.given_up:
            strip.given_up = True
            _LOG.error("The recording of %s is not taken; it stays in the journal %s.", session, self._journal.folder)
        return _GivenUpError()

    def _release(self, recording: Recording) -> None:
        for file in recording.index:
            self._holders.get(file, set()).discard(recording.session)
        self._sweep()

    def _sweep(self) -> None:
        current = self._journal.file
        for file in [file for file, holders in self._holders.items() if not holders and file < current]:
            del self._holders[file]
            self._journal.path(file).unlink(missing_ok=True)


def _tails(recording: Recording, taken: dict[int, int]) -> "dict[int, array[int]]":
    """Where the frames lie that were not taken yet. Copied: the recording goes on."""
    found = {}
    for file, offsets in recording.index.items():
        done = taken.get(file, 0)
        if len(offsets) > done:
            found[file] = offsets[done:]
    return found
