"""Two texts beside each other, line by line."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

_MOST = 1000
_KINDS = {"+": "plus", "-": "minus", "@": "place"}


@dataclass(frozen=True, slots=True)
class Change:
    """``kind`` is ``plus``, ``minus``, ``same`` or ``place``."""

    kind: str
    line: str


def changes_of(before: str, after: str) -> Sequence[Change]:
    """What changed, with three lines around it; a thousand lines at most."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    # The first two name the files.
    return [Change(_KINDS.get(line[:1], "same"), line) for line in islice(lines, 2, 2 + _MOST)]
