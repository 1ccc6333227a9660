"""Two texts beside each other, line by line."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

_MOST = 1000
_LONGEST_LINE = 1000
_KINDS = {"+": "plus", "-": "minus", "@": "place"}


@dataclass(frozen=True, slots=True)
class Change:
    """``kind`` is ``plus``, ``minus``, ``same``, ``place`` or, for what is not shown, ``left-out``."""

    kind: str
    line: str


def changes_of(before: str, after: str) -> Sequence[Change]:
    """What changed, with three lines around it; a thousand lines at most, and how many are left out."""
    # The first two name the files.
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3))[2:]
    changes = [Change(_KINDS.get(line[:1], "same"), _shortened(line)) for line in lines[:_MOST]]
    if len(lines) > _MOST:
        changes.append(Change("left-out", f"{len(lines) - _MOST:,} of {len(lines):,} lines are not shown here."))
    return changes


def _shortened(line: str) -> str:
    left_out = len(line) - _LONGEST_LINE
    return (
        line if left_out <= 0 else f"{line[:_LONGEST_LINE]} … {left_out:,} characters of this line are not shown here"
    )
