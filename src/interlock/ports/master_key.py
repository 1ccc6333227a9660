"""The key that wraps the keys of recordings: in a file of the control plane's host, or in a key management service."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A wrapped key, and the version of the master key that it needs."""

    text: str
    master: str


class MasterKey(Protocol):
    """``context`` is what the key is for (a session's number): what was wrapped for one thing opens for no other.

    All of it raises ``Failure``: the master key cannot be had, or does not open this.
    """

    async def wrap(self, key: bytes, context: str) -> Wrapped: ...

    async def unwrap(self, wrapped: Wrapped, context: str) -> bytes: ...

    async def current(self) -> str:
        """The version that wraps now."""

    async def rotated(self) -> str | None:
        """The same, when it took the place of one before it."""

    async def rotate(self) -> str:
        """A fresh version wraps from here on; what older ones wrapped still opens. Returns the fresh one's name."""

    async def forget(self, keep: frozenset[str]) -> None:
        """Remove the versions that are neither named, nor current, nor the one before it."""
