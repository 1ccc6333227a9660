"""Whether a resource can be reached with its credential, found out by connecting to it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from interlock.domain.resources import Resource


@dataclass(frozen=True, slots=True)
class Tried:
    """``doubtful``: it works, and something about it should not be so. Nothing here ever holds a secret."""

    works: bool
    sentence: str
    remedy: str = ""
    doubtful: bool = False


TryUpstream = Callable[[Resource], Awaitable[Tried]]
