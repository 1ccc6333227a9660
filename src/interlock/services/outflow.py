"""Whether what happens reaches the places that must be told of it (sinks with ``enforced: true``).

Holds to:

* a sink that must be told and is not stops the gateways: nothing is decided and no session is opened until it is told
  again. It counts as not told from the first failure, and when what waits for it has waited for ``PATIENCE_S``
* one that was never told since the start is not told: a start with such a sink down is a stopped one
* a sink without ``enforced`` stops nothing, whatever becomes of it
"""

import asyncio
import time
from collections.abc import Callable, Iterable

PATIENCE_S = 10.0


class Outflow:
    """``must`` names the enforced sinks. All calls are of one loop's thread."""

    def __init__(self, must: Iterable[str] = (), steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._waiting: dict[str, float | None] = dict.fromkeys(must)
        self._down = set(self._waiting)
        self._news: set[asyncio.Event] = set()

    def follow(self, must: Iterable[str]) -> None:
        """From now on these must be told. One that is new is not told until it is."""
        names = set(must)
        if names == self._waiting.keys():
            return
        self._down = {name for name in names if name in self._down or name not in self._waiting}
        self._waiting = {name: self._waiting.get(name) for name in names}
        self._tell()

    def sending(self, sink: str) -> None:
        """Something waits for the sink."""
        if sink in self._waiting and self._waiting[sink] is None:
            self._waiting[sink] = self._steady()

    def told(self, sink: str) -> None:
        """The sink has everything that there was."""
        if sink in self._waiting:
            self._waiting[sink] = None
            self._down.discard(sink)
            self._tell()

    def failed(self, sink: str) -> None:
        if sink in self._waiting and sink not in self._down:
            self._down.add(sink)
            self._tell()

    @property
    def why_stopped(self) -> str:
        """A clause for people, such as ``the sink siem cannot be told what happens``; empty while all is well."""
        since = self._steady() - PATIENCE_S
        late = {sink for sink, at in self._waiting.items() if at is not None and at < since}
        names = sorted(self._down | late)
        if not names:
            return ""
        return f"the sink {' and '.join(names)} cannot be told what happens, and must be"

    async def changed(self, within_s: float) -> None:
        """Return when it may have changed, or after a while: what only waits too long makes no noise."""
        news = asyncio.Event()
        self._news.add(news)
        try:
            async with asyncio.timeout(within_s):
                await news.wait()
        except TimeoutError:
            return
        finally:
            self._news.discard(news)

    def _tell(self) -> None:
        for news in self._news:
            news.set()
