"""How many persons or vendors a chain takes at least by its separations alone, nobody looked for.

The checker counts the same again.
"""

from collections.abc import Sequence
from itertools import combinations

from interlock.proof.index import Team
from interlock.proof.model import Duties

_MOST_SUBSETS = 8


def fewest_persons(chain: Duties) -> int:
    """By the largest separation: all of its duties are of different persons, or so many at least."""
    least = 1 if chain.duties else 0
    for separation in chain.separations:
        if separation.kind == "separate":
            least = max(least, len(set(separation.names)))
        elif separation.kind == "at_least" and separation.count is not None:
            least = max(least, separation.count)
        elif separation.kind == "independent" and separation.names:
            least = max(least, 2)
    return least


def fewest_vendors(chain: Duties) -> int:
    by_vendor = any(s.kind == "independent" and s.by == "vendor" and s.names for s in chain.separations)
    return 2 if by_vendor else min(1, len(chain.duties))


def most_absences(chain: Duties, takers: Sequence[Team]) -> int:
    """So many absences stop the chain for certain: all who could take a duty, or all but too few of those who could
    take duties that are separate."""
    fewest = min((mask.bit_count() for mask in takers), default=0)
    places = {duty: place for place, duty in enumerate(chain.duties)}
    for separation in chain.separations:
        if separation.kind != "separate":
            continue
        names = sorted(set(separation.names))
        for size in range(2, len(names) + 1):
            if len(names) > _MOST_SUBSETS and size != len(names):
                continue
            for some in combinations(names, size):
                union = 0
                for name in some:
                    union |= takers[places[name]]
                fewest = min(fewest, max(0, union.bit_count() - size + 1))
    return fewest
