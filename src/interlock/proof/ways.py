"""A way to a goal: one role on one resource, asked for, lent and used. What it takes at least, and a team that does it.

What it takes at least is counted, nobody looked for: who asks, and as many besides as its rules ask for. Rules that
share nobody who could meet both add up. The checker counts the same again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement

from interlock.proof.approving import Approving, Asked, Place, enough
from interlock.proof.groups import Open
from interlock.proof.index import Index, Team, cells
from interlock.proof.model import Lend

NEVER = 1 << 30
"""More than any number of persons."""
_MOST_TRIED = 20_000
_MOST_COMBINED = 6


@dataclass(frozen=True, slots=True)
class Way:
    """``askers`` may ask; ``held`` have it; ``given`` are those who said yes to somebody already.

    ``holds`` None: the action runs without a second yes.
    """

    role: str
    askers: Team
    held: Team
    given: tuple[tuple[Team, Team], ...]
    rules: tuple[Place, ...]
    holds: tuple[Place, ...] | None

    @property
    def key(self) -> tuple[object, ...]:
        """The same for two ways that differ in nothing but their names."""
        holds = None if self.holds is None else tuple(place.key for place in self.holds)
        return (self.askers, self.held, self.given, tuple(place.key for place in self.rules), holds)

    def groups(self) -> Iterator[str]:
        for place in (*self.rules, *(self.holds or ())):
            yield from place.groups()

    def asking(self) -> Iterator[tuple[Team, Team, bool]]:
        """Who asks, what was said for them already, and whether they have it already."""
        yield self.held, 0, True
        rest = self.askers & ~self.held
        for asker, given in self.given:
            if asker & rest:
                yield asker, given, False
                rest &= ~asker
        yield rest, 0, False

    def find(self, approving: Approving, team: Team, opened: Open) -> tuple[Asked, bool, bool] | None:
        """How ``team`` alone does it: who says yes, whether the role is held, whether yeses were given already."""
        for askers, given, held in self.asking():
            own = askers & team
            if own:
                found = approving.find(own, None if held else self.rules, self.holds, team, opened, given)
                if found is not None:
                    return found, held, bool(given)
        return None


def compile_way(lend: Lend, rules: tuple[Place, ...], holds: tuple[Place, ...] | None, index: Index) -> Way:
    """``holds`` are the places of the rules for the statement itself, None when it runs without."""
    askers = index.named(lend.contractors) & ~index.employees | (index.employees if lend.employees else 0)
    given: dict[Team, Team] = {}
    for who, yes in lend.given.items():
        # Two accounts of one person: what was said to either counts for both.
        if asker := index.bit(who):
            given[asker] = given.get(asker, 0) | index.mask(yes)
    held = index.named(lend.held)
    return Way(lend.role, askers, held, tuple(given.items()), rules, holds)


def bound(way: Way, approving: Approving, present: Team, opened: Open) -> int:
    """How many persons at least ``way`` takes, when ``opened`` are all groups that anybody could join."""
    rules = [(approving.anybody(place, opened), place.count) for place in way.rules]
    holds = [(approving.anybody(place, opened), place.count) for place in way.holds or ()]
    least = NEVER
    for askers, given, held in way.asking():
        if askers & present and (held or way.rules) and way.holds != ():
            least = min(least, 1 + _needed([] if held else rules, holds, given))
    return least


def _needed(rules: Sequence[tuple[Team, int]], holds: Sequence[tuple[Team, int]], given: Team) -> int:
    """The most that some of ``rules`` and some of ``holds`` that share nobody ask for together."""
    most = 0
    for some in _subsets(rules):
        union = _union(some)
        own = max(0, sum(count for _, count in some) - (union & given).bit_count())
        for others in _subsets(holds):
            more = sum(count for _, count in others)
            both = own + more if not union & _union(others) else max(own, more)
            most = max(most, both)
    return most


def _subsets(rules: Sequence[tuple[Team, int]]) -> Iterator[Sequence[tuple[Team, int]]]:
    sizes = range(len(rules) + 1) if len(rules) <= _MOST_COMBINED else (0, len(rules))
    for size in sizes:
        yield from combinations(rules, size)


def _union(rules: Sequence[tuple[Team, int]]) -> Team:
    union = 0
    for mask, _ in rules:
        union |= mask
    return union


def find_least(way: Way, approving: Approving, present: Team, *, most: int, enough_at: int) -> Team | None:
    """A small team for ``way``, nobody joining a group: of up to ``most``, the first of up to ``enough_at``."""
    best: Team | None = None
    for askers, given, held in way.asking():
        if not askers & present or way.holds == () or not (held or way.rules):
            continue
        rules = () if held else way.rules
        for part in approving.parts(askers & present, (*rules, *(way.holds or ()))):
            room = most if best is None else best.bit_count() - 1
            if room < enough_at:
                return best
            found = _least_for(part, rules, way.holds or (), approving, present, given, room)
            best = found if found is not None else best
    return best


def _least_for(
    part: Team,
    rules: tuple[Place, ...],
    holds: tuple[Place, ...],
    approving: Approving,
    present: Team,
    given: Team,
    most: int,
) -> Team | None:
    own, more = approving.masks(part & -part, rules, holds, present, frozenset(), given)
    counts = [place.count for place in rules], [place.count for place in holds]
    if not (_met(own, counts[0]) and _met(more, counts[1])):
        return None
    best: Team | None = None
    for cell in cells(part, (*own, *more)):
        asker = cell & -cell
        masks = [mask & ~asker for mask in own], [mask & ~asker for mask in more]
        room = most if best is None else best.bit_count() - 1
        found = _choose(masks, counts, present & ~asker, given, room - 1)
        best = best if found is None else asker | found
    return best


def _choose(
    masks: tuple[list[Team], list[Team]], counts: tuple[list[int], list[int]], able: Team, given: Team, most: int
) -> Team | None:
    """The fewest, of ``able``, who meet both together; those whose yes is given already need not be among them."""
    if not (_met(masks[0], counts[0]) and _met(masks[1], counts[1])):
        return None
    all_masks = (*masks[0], *masks[1])
    able &= _union([(mask, 0) for mask in all_masks])
    parts = sorted(cells(able, all_masks), key=lambda part: -sum(bool(part & mask) for mask in all_masks))
    tried = 0
    for size in range(most + 1):
        for chosen in combinations_with_replacement(range(len(parts)), size):
            tried += 1
            if tried > _MOST_TRIED:
                return None
            team = _take(parts, chosen)
            if team is None:
                continue
            own = [mask & (team | given) for mask in masks[0]]
            if _met(own, counts[0]) and _met([mask & team for mask in masks[1]], counts[1]):
                return team
    return None


def _take(parts: Sequence[Team], chosen: Sequence[int]) -> Team | None:
    team = 0
    for place in chosen:
        left = parts[place] & ~team
        if not left:
            return None
        team |= left & -left
    return team


def _met(masks: Sequence[Team], counts: Sequence[int]) -> bool:
    return not masks or enough(masks, counts)
