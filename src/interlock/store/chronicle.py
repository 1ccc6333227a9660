"""What changed, read once for all that follow the ledger in this process.

A control plane has half a dozen followers: a feed for each gateway worker, the pages, the watch, the sinks. Each that
read by itself would ask the same at the same moment, and all of them would wait for the slowest, the end of a grant
too. So one reader asks, and everybody is told.

Holds to:

* INVARIANT: a follower sits down before it reads by itself up to now, and only when the reader knows from where it
  tells: what is committed in between is in one of the two, or in both
* an entity that changed again before it was told of is told once, as it now is
* a follower that is not listening costs a bounded number of entities; past it, it reads by itself again
* when the reader fails, every follower hears of it, and the next one starts it anew
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from interlock.errors import Failure
from interlock.ports.state import Entity
from interlock.store.listening import Bell
from interlock.store.rows import form_of

_MOST_WAITING = 5000


@dataclass(frozen=True, slots=True)
class Page:
    """What changed up to the position ``upto``, each with the position of its last change there; ``full`` says that
    there may be more at once."""

    upto: int
    entities: Sequence[tuple[int, Entity]]
    full: bool


class _Seat:
    """What one follower was told and has not taken yet."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self._waiting: dict[tuple[str, tuple[str, ...]], tuple[int, Entity]] = {}
        self._upto = 0
        self._behind = False
        self._failure: BaseException | None = None

    def tell(self, page: Page) -> None:
        self._upto = page.upto
        if not self._behind:
            for position, entity in page.entities:
                form = form_of(type(entity))
                key = (form.table.name, form.key_of(entity))
                # Told last, it stands last: the order is that of the last changes.
                self._waiting.pop(key, None)
                self._waiting[key] = (position, entity)
            if len(self._waiting) > _MOST_WAITING:
                self._behind = True
                self._waiting = {}
        self._told.set()

    def fail(self, failure: BaseException) -> None:
        self._failure = failure
        self._told.set()

    async def take(self) -> Page | None:
        """What was told since the last time, waiting for it; None when it was too much to keep. Raises Failure."""
        await self._told.wait()
        if self._failure is not None:
            raise Failure(*_said(self._failure)) from self._failure
        self._told.clear()
        waiting, self._waiting = self._waiting, {}
        behind, self._behind = self._behind, False
        return None if behind else Page(self._upto, list(waiting.values()), full=False)


class Chronicle:
    """``read`` reads a page after a position, ``head`` the last position."""

    def __init__(self, bell: Bell, read: Callable[[int], Awaitable[Page]], head: Callable[[], Awaitable[int]]) -> None:
        self._bell = bell
        self._read = read
        self._head = head
        self._seats: set[_Seat] = set()
        self._reader: asyncio.Task[None] | None = None
        self._begun: asyncio.Future[None] | None = None

    async def follow(self, after: int) -> AsyncGenerator[tuple[int, Sequence[Entity]]]:
        """First at once what changed after ``after``, possibly nothing; then what changes. Raises Failure."""
        async with self._sitting() as seat:
            first = behind = True
            while True:
                if behind:
                    page = await self._read(after)
                    behind = page.full
                else:
                    told = await seat.take()
                    if told is None:
                        behind = True
                        continue
                    page = told
                if first or page.upto > after:
                    # What was read by itself is not told again.
                    news = [entity for position, entity in page.entities if position > after]
                    first, after = False, page.upto
                    yield page.upto, news

    @asynccontextmanager
    async def _sitting(self) -> AsyncIterator[_Seat]:
        seat = _Seat()
        self._seats.add(seat)
        try:
            if self._reader is None or self._reader.done():
                self._begun = asyncio.get_running_loop().create_future()
                self._reader = asyncio.create_task(self._run(self._begun))
            if self._begun is not None:
                await asyncio.shield(self._begun)
            yield seat
        finally:
            self._seats.discard(seat)
            if not self._seats:
                await self.close()

    async def close(self) -> None:
        """Stop reading; whoever still follows hears that it is over."""
        for seat in self._seats:
            seat.fail(Failure("The state was closed.", "Open it again."))
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader

    async def _run(self, begun: "asyncio.Future[None]") -> None:
        try:
            async with self._bell.hearing() as heard:
                after = await self._head()
                begun.set_result(None)
                while True:
                    # INVARIANT: the bell is cleared before the read: a commit during the read rings it again.
                    heard.clear()
                    page = await self._read(after)
                    if page.upto > after:
                        after = page.upto
                        for seat in self._seats:
                            seat.tell(page)
                    if not page.full:
                        await heard.wait()
        except Exception as error:  # noqa: BLE001 -- whatever it is, nobody may go on waiting for what is not told
            if not begun.done():
                begun.set_exception(error)
            for seat in self._seats:
                seat.fail(error)
        finally:
            if not begun.done():
                begun.cancel()


def _said(failure: BaseException) -> tuple[str, str]:
    if isinstance(failure, Failure):
        return failure.sentence, failure.remedy
    return "What changes in the state is not heard any more.", "It is heard again on the next try."
