"""The timers of one session, by name: each is set anew or cleared, and all go with the session."""

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable


class Timers:
    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._handles: dict[str, TimerHandle] = {}

    def set(self, name: str, after_s: float, then: Callable[[], None]) -> None:
        """Call ``then`` once after ``after_s`` seconds, in place of what was set under ``name`` before."""
        self.clear(name)
        self._handles[name] = self._loop.call_later(after_s, then)

    def clear(self, *names: str) -> None:
        for name in names:
            handle = self._handles.pop(name, None)
            if handle is not None:
                handle.cancel()

    def clear_all(self) -> None:
        self.clear(*self._handles)
