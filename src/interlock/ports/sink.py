"""What a sink is: a place outside of Interlock that is told what happened."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class OpenSink(Protocol):
    async def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Hand over OCSF events, in order. Returns when the other side has them as far as its protocol can tell.

        Raises Failure; the same events are then sent again, so that each arrives at least once.
        """

    async def close(self) -> None: ...


class SinkAdapter(Protocol):
    """A kind of sink. ``name`` is the ``kind`` in the configuration. ``here`` when what it tells stays on this machine:
    then every control plane tells its own."""

    @property
    def name(self) -> str: ...

    @property
    def here(self) -> bool: ...

    def open(self, to: str, secret: str | None) -> OpenSink:
        """``to`` is where events go. Raises Failure when that is no place of this kind."""
