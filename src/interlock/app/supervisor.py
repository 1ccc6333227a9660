"""Keeps a set of programs running: started in stages, restarted with back-off, stopped in the opposite order.

A stage starts when every program of the one before is ready. A program that fails before the whole was ready once is
a mistake of the installation and stops the start with its sentence; later it is an accident and is mended: the program
is started again, at once the first time, then after 0.2, 0.4 … 5 s, until it has run for ten seconds.
"""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from interlock.app.children import Child, Program
from interlock.errors import Failure, InterlockError

START_S = 60.0
_LONGEST_PAUSE_S = 5.0
_SETTLED_S = 10.0


class Supervisor:
    """Runs ``stages`` until told to stop."""

    def __init__(self, stages: Sequence[Sequence[Program]]) -> None:
        self._stages = stages
        self._children: dict[str, Child] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}

    @property
    def pids(self) -> dict[str, int]:
        """The process number of each program that runs now."""
        return {name: child.pid for name, child in self._children.items() if not child.ended.done()}

    async def start(self) -> None:
        """Start everything and wait until it answers. Raises Failure when something does not; nothing then runs."""
        try:
            for stage in self._stages:
                for program in stage:
                    self._children[program.name] = Child(program)
                await asyncio.gather(*(self._children[program.name].ready(START_S) for program in stage))
                # From here on an end is an accident; earlier stages are kept while later ones start.
                for program in stage:
                    self._keepers[program.name] = asyncio.create_task(self._keep(program))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything, the last stage first. May be called more than once."""
        for stage in reversed(self._stages):
            await asyncio.gather(*(self._stop(program.name) for program in stage))

    async def _stop(self, name: str) -> None:
        keeper = self._keepers.pop(name, None)
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait({keeper})
        child = self._children.pop(name, None)
        if child is not None:
            await child.stop()

    async def _keep(self, program: Program) -> None:
        pause_s, started = 0.0, time.monotonic()
        told = ""
        while True:
            code = await asyncio.shield(self._children[program.name].ended)
            if time.monotonic() - started > _SETTLED_S:
                pause_s, told = 0.0, ""
            if not told:
                _say(f"{program.name} ended ({_how(code)}) and is started again.")
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, max(0.2, pause_s * 2))
            started = time.monotonic()
            try:
                child = self._children[program.name] = Child(program)
                await child.ready(START_S)
            except InterlockError as error:
                if str(error) != told:
                    _say(f"{program.name}: {error} Trying again.")
                told = str(error)
                await self._children[program.name].stop()


@asynccontextmanager
async def stop_signals() -> AsyncIterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set while the block runs."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    try:
        yield asked
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def start_unless_stopped(supervisor: Supervisor, asked: asyncio.Event) -> bool:
    """Start; False when a stop was asked for meanwhile (nothing runs then)."""
    starting = asyncio.create_task(supervisor.start())
    stopping = asyncio.create_task(asked.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if starting.done():
        starting.result()
        return True
    starting.cancel()
    await asyncio.wait({starting})
    if not starting.cancelled() and (error := starting.exception()) is not None:
        raise Failure(str(error)) from error
    return False


def _how(code: int) -> str:
    if code >= 0:
        return f"code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


def _say(sentence: str) -> None:
    sys.stderr.write(f"interlock: {sentence}\n")
    sys.stderr.flush()
