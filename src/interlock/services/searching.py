"""A look of the prover's that a page waits for: not longer than it may, and one at a time with all other searches."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from interlock.proof.partitions import GivenUp
from interlock.services.prove_state import TURN

_Found = TypeVar("_Found")


async def search_within(seconds: float, look: Callable[[], _Found]) -> _Found | None:
    """What ``look`` finds, in a thread of its own; None when it was not found out in time, or was given up.

    A search that is not waited for any more keeps its turn until it ends, so that none piles up on another.
    """
    try:
        async with asyncio.timeout(seconds):
            await TURN.acquire()
    except TimeoutError:
        return None
    searching = asyncio.ensure_future(asyncio.to_thread(_or_none, look))
    searching.add_done_callback(lambda _: TURN.release())
    done, _ = await asyncio.wait({searching}, timeout=seconds)
    return searching.result() if done else None


def _or_none(look: Callable[[], _Found]) -> _Found | None:
    try:
        return look()
    except GivenUp:
        return None
