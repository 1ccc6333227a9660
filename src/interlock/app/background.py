"""Work that goes on beside the requests: it begins and ends with a block, and begins again after a fault."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from interlock.errors import InterlockError
from interlock.store.election import check_elected, elected

_TELL_AGAIN_S = 600.0
_LOOK_S = 1.0
_T = TypeVar("_T", bound=Hashable)

Check = Callable[[], Awaitable[None]]
"""Raises Failure when another one was elected."""


@asynccontextmanager
async def beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """All of ``works`` run while the block does."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        await _end(tasks)


async def for_good(work: Callable[[], Awaitable[None]], trouble: str, log: logging.Logger, *, pause_s: float) -> None:
    """``work``, which goes on until cancelled, and again ``pause_s`` after it failed.

    ``trouble`` says what is not done meanwhile; the same failure is told once in ten minutes.
    """
    told, told_at = "", 0.0
    while True:
        try:
            await work()
        except InterlockError as error:
            if str(error) != told or time.monotonic() - told_at > _TELL_AGAIN_S:
                told, told_at = str(error), time.monotonic()
                log.warning("%s: %s", trouble, told)
        except Exception:
            log.exception("%s, by a fault of ours.", trouble)
        await asyncio.sleep(pause_s)


async def follow(wanted: Callable[[], Iterable[_T]], work: Callable[[_T], Coroutine[Any, Any, None]]) -> None:
    """``work`` for each of what is wanted, while it is wanted; until cancelled. It is looked at every second.

    INVARIANT: what went is over before what comes begins: two of one name may share what they keep.
    """
    at_work: dict[_T, asyncio.Task[None]] = {}
    try:
        while True:
            now = dict.fromkeys(wanted())
            await _end(at_work.pop(one) for one in [*at_work] if one not in now)
            for one in now:
                if one not in at_work:
                    at_work[one] = asyncio.create_task(work(one))
            await asyncio.sleep(_LOOK_S)
    finally:
        await _end(at_work.values())


async def _end(tasks: "Iterable[asyncio.Task[None]]") -> None:
    ended = list(tasks)
    for task in ended:
        task.cancel()
    for task in ended:
        with suppress(asyncio.CancelledError):
            await task


async def when_elected(url: str, lock: tuple[int, int], work: Callable[[Check], Awaitable[None]]) -> None:
    """``work`` of which one control plane does everything: waits to be elected for it."""
    async with elected(url, lock) as connection:
        await work(partial(check_elected, connection))
