"""Large bodies of senders that are not known before their body has been read: a few at once, and the rest wait.

A forge signs what it sends, so that all of it has to be here before it is known who it was; a cluster that asks about
images brings nothing to be known by. What such senders have under way at once is therefore bounded, over all and for
one network: whoever sends much without being anybody takes neither the memory nor every place. Small bodies need none.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

MOST_AT_ONCE = 4
MOST_OF_ONE_NETWORK = 2
WAIT_S = 10.0
"""How long one waits for a place before it is turned away. Nothing more of its body is read meanwhile."""


@dataclass(slots=True)
class LargeBodies:
    """The places of one control plane's process. ``taken`` counts those that each network has."""

    taken: dict[str, int] = field(default_factory=dict)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def enter(self, network: str, wait_s: float = WAIT_S) -> bool:
        """Take a place, when there is one or becomes one in time."""
        try:
            async with asyncio.timeout(wait_s), self._changed:
                await self._changed.wait_for(lambda: self._has_room(network))
                self.taken[network] = self.taken.get(network, 0) + 1
                self._changed.notify_all()
        except TimeoutError:
            return False
        return True

    async def leave(self, network: str) -> None:
        """Give a place back that was taken."""
        async with self._changed:
            left = self.taken[network] - 1
            if left:
                self.taken[network] = left
            else:
                del self.taken[network]
            self._changed.notify_all()

    async def until(self, holds: Callable[[Mapping[str, int]], bool]) -> None:
        """Wait until the places taken are so."""
        async with self._changed:
            await self._changed.wait_for(lambda: holds(self.taken))

    def _has_room(self, network: str) -> bool:
        return sum(self.taken.values()) < MOST_AT_ONCE and self.taken.get(network, 0) < MOST_OF_ONE_NETWORK
