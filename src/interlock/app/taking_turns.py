"""Several control planes and one who is told: it is the turn of one of them, and another's when that one is no more.

Whose turn it is tells, and says every two seconds in the state's database that it goes on
(:mod:`interlock.store.tellings`). One that dies, or is stopped, is followed by another after some seconds, from the
last position that it kept: what it had sent since comes again. One that cannot tell lets go, since another may be able
to.
"""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from interlock.errors import Failure, InterlockError
from interlock.store.tellings import LEASE, PostgresTellings

_LOOK_S = 1.0
_GO_ON_S = 2.0


def new_teller() -> str:
    """How this control plane is called in the tellings."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


class TakenOver(Failure):
    """Another control plane tells it by now."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How far somebody was told, and whose turn it is to tell them, in the database.

    ``key`` is theirs in the tellings, ``called`` how sentences call them. ``teller`` is how we are called there.
    Implements :class:`interlock.app.sinking.Progress`.
    """

    tellings: PostgresTellings
    teller: str
    key: str
    called: str

    async def reached(self) -> int:
        told = await self.tellings.look(self.key)
        return 0 if told is None else told.position

    async def reach(self, position: int) -> None:
        """Raises TakenOver, when it is our turn no more: nothing is moved."""
        if not await self.tellings.move(self.key, self.teller, position):
            raise self.taken_over()

    async def take(self) -> bool:
        return await self.tellings.take(self.key, self.teller)

    async def leave(self, fault: str | None = None) -> None:
        """Also when the database does not answer: it is over by itself then."""
        with suppress(InterlockError):
            await self.tellings.leave(self.key, self.teller, fault)

    def taken_over(self) -> TakenOver:
        return TakenOver(f"{self.called} is told by another control plane.", "Nothing is to be done.")


class Onlooker(Protocol):
    """Sees how the telling goes, whoever tells."""

    async def look(self) -> None:
        """Each second in which it is not our turn."""

    def failed(self) -> None:
        """We could not tell."""


async def take_turns(
    turn: Turn,
    tell: Callable[[], Coroutine[Any, Any, None]],
    log: logging.Logger,
    *,
    longest_pause_s: float,
    onlooker: Onlooker | None = None,
) -> None:
    """``tell``, which goes on until it fails, whenever it is our turn; until cancelled."""
    pause_s, not_before = 0.0, 0.0
    while True:
        begun = time.monotonic()
        try:
            if begun >= not_before and await turn.take():
                await _while_ours(turn, tell)
            if onlooker is not None:
                await onlooker.look()
        except TakenOver:
            log.warning("%s is told by another control plane from now on.", turn.called)
        except InterlockError as error:
            if onlooker is not None:
                onlooker.failed()
            if time.monotonic() - begun > longest_pause_s:
                pause_s = 0.0
            if not pause_s:
                log.warning("%s is behind and will be told later: %s", turn.called, error)
            pause_s = next_pause_s(pause_s, longest_pause_s)
            not_before = time.monotonic() + pause_s
            await turn.leave(str(error))
        await asyncio.sleep(_LOOK_S)


def next_pause_s(pause_s: float, longest_pause_s: float) -> float:
    """After a failure that came ``pause_s`` after the one before it: 1, 2, 4 … seconds."""
    return min(longest_pause_s, max(1.0, pause_s * 2))


async def _while_ours(turn: Turn, tell: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Raises Failure when it cannot be told, or it is our turn no more."""
    works = [asyncio.create_task(tell()), asyncio.create_task(_go_on(turn))]
    try:
        done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
        for work in done:
            work.result()
    except asyncio.CancelledError:
        await _end(works)
        await turn.leave()
        raise
    finally:
        await _end(works)


async def _end(works: "list[asyncio.Task[None]]") -> None:
    for work in works:
        work.cancel()
    await asyncio.gather(*works, return_exceptions=True)


async def _go_on(turn: Turn) -> None:
    """INVARIANT: ends, and the telling with it, before another may take the turn, also while nothing answers us."""
    while True:
        await asyncio.sleep(_GO_ON_S)
        try:
            async with asyncio.timeout(LEASE.total_seconds() - 2 * _GO_ON_S):
                ours = await turn.take()
        except TimeoutError as error:
            raise Failure("The state's database does not answer in time.", "`interlock doctor` looks at it.") from error
        if not ours:
            raise turn.taken_over()
