"""What an event in the ledger is.

What is stored carries a stable ``kind`` and only ever gains fields, each new one with a default.
Times are aware UTC; ids are those of the entities.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. ``kind`` is its stable name."""

    kind: ClassVar[str] = ""
