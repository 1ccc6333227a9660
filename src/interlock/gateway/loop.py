"""The loop of a worker: asyncio's own, which waits through a pump, so that sessions need it only for what is no byte.

The pump's epoll holds the one of asyncio's selector. While only sessions have something to do the loop does not run at
all: no handle is made, no context entered, no timer looked at for what a socket brings.
"""

import asyncio
import selectors
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import TypeVarTuple

from interlock.gateway.pump import Pump

_Args = TypeVarTuple("_Args")
_Events = list[tuple[selectors.SelectorKey, int]]


class PumpLoop(asyncio.SelectorEventLoop):
    """Anything may be done on it that may be done on asyncio's loop."""

    def __init__(self) -> None:
        selector = _Selector()
        self.pump = selector.pump = Pump(self, selector.fileno())
        super().__init__(selector)

    # What is asked for in the middle of a turn has to be looked at before the pump waits again.

    def call_soon(
        self, callback: Callable[[*_Args], object], *args: *_Args, context: Context | None = None
    ) -> asyncio.Handle:
        self.pump.asked = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*_Args], object], *args: *_Args, context: Context | None = None
    ) -> asyncio.TimerHandle:
        self.pump.asked = True
        return super().call_at(when, callback, *args, context=context)

    def close(self) -> None:
        if not self.is_closed():
            self.pump.close()
        super().close()


class _Selector(selectors.EpollSelector):
    """asyncio's selector, asked only when the pump says that it has something."""

    pump: Pump | None = None

    def select(self, timeout: float | None = None) -> _Events:
        if self.pump is not None and not self.pump.work(timeout):
            return []
        return super().select(0)


@contextmanager
def pump_of(loop: asyncio.AbstractEventLoop) -> Iterator[Pump]:
    """The loop's own pump; any other loop gets one for as long as the block runs."""
    if isinstance(loop, PumpLoop):
        yield loop.pump
        return
    pump = Pump(loop)
    loop.add_reader(pump.handle, pump.turn, 0)
    try:
        yield pump
    finally:
        loop.remove_reader(pump.handle)
        pump.close()
