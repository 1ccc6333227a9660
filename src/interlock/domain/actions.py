"""The one small vocabulary of what can be done to a resource, for every protocol."""

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What is done to a resource."""

    CONNECT = "connect"
    READ = "read"
    WRITE = "write"
    ALTER = "alter"
    DESTROY = "destroy"
    GRANT = "grant"
    EXECUTE = "execute"
    EXPORT = "export"
    REPLAY = "replay"
    """The reading of what was recorded there: replayed, watched or searched. No statement needs it."""

    @property
    def changes(self) -> bool:
        """Whether the action can leave the resource other than it was."""
        return self not in _HARMLESS


_HARMLESS = frozenset({Action.CONNECT, Action.READ, Action.EXPORT, Action.REPLAY})


@dataclass(frozen=True, slots=True)
class Need:
    """One action that a statement needs, and on which part of the resource.

    ``part`` is the protocol's own name for the part, such as ``table public.orders``; empty means the whole
    resource, which is also what an unknown statement needs.
    """

    action: Action
    part: str = ""

    def __str__(self) -> str:
        return f"{self.action} on {self.part or 'everything'}"


EVERYTHING = (Need(Action.EXECUTE),)
"""What a statement needs that nobody understood: the widest action, on everything."""
