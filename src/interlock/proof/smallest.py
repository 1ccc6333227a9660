"""The smallest set of units that can, for any question of which more units never say less: an implicit hitting set.

Each team that cannot is grown until one more of whoever is left would make it able: those left are a *cut*, of which
every able team has at least one. A smallest set that hits all cuts so far is tried; if it is able it is the smallest
there is, else it gives another cut. Where no set of so many hits all cuts, the cuts are the proof.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Units = frozenset[str]
_MOST_ROUNDS = 5000


@dataclass(frozen=True, slots=True)
class Smallest:
    """``least``: no fewer units than these can. ``team``: so many who can, when found; None when none of all can,
    when more than the bound are needed, or when the search was given up. ``exact``: ``least`` is the true minimum.
    ``never``: all units together cannot."""

    least: int
    team: Units | None
    cuts: tuple[Units, ...]
    exact: bool
    never: bool = False


def find_smallest(
    units: Sequence[str], able: Callable[[Units], bool], *, most: int, alike: Mapping[str, object] | None = None
) -> Smallest:
    """The smallest team of ``units`` for which ``able`` holds, looked for up to ``most`` of them.

    ``able`` is monotone. ``alike`` gives units that can stand for each other the same value.
    """
    everyone = frozenset(units)
    if able(frozenset()):
        return Smallest(0, frozenset(), (), exact=True)
    if not able(everyone):
        return Smallest(len(everyone) + 1, None, (frozenset(),), exact=False, never=True)
    kinds: dict[object, list[str]] = {}
    for unit in units:
        kinds.setdefault(unit if alike is None else alike[unit], []).append(unit)
    cuts: list[Units] = [_cut(frozenset(), everyone, able, kinds)]
    least = 1
    for _ in range(_MOST_ROUNDS):
        team = hit_all(cuts, least)
        while team is None:
            least += 1
            if least > most:
                return Smallest(least, None, tuple(cuts), exact=False)
            team = hit_all(cuts, least)
        if able(team):
            return Smallest(least, team, tuple(cuts), exact=True)
        cuts.append(_cut(team, everyone, able, kinds))
    return Smallest(least, None, tuple(cuts), exact=False)


def _cut(team: Units, everyone: Units, able: Callable[[Units], bool], kinds: Mapping[object, list[str]]) -> Units:
    """Who is left when ``team``, which is not able, is grown as far as it stays so."""
    grown = set(team)
    _grow(grown, list(kinds.values()), able)
    return everyone - grown


def _grow(grown: set[str], kinds: Sequence[list[str]], able: Callable[[Units], bool]) -> None:
    """Add what can be added of ``kinds``: all at once if that goes, else one half after the other."""
    rest = [name for names in kinds for name in names if name not in grown]
    if not rest:
        return
    if not able(frozenset(grown).union(rest)):
        grown.update(rest)
        return
    if len(kinds) > 1:
        half = len(kinds) // 2
        _grow(grown, kinds[:half], able)
        _grow(grown, kinds[half:], able)
        return
    # Those who are left are alike: as soon as one would make the team able, each of them would.
    while rest and not able(frozenset(grown | {rest[0]})):
        grown.add(rest.pop(0))


def hit_all(cuts: Sequence[Units], size: int) -> Units | None:
    """At most ``size`` units of which every cut has one, or None."""
    open_ = sorted(cuts, key=len)
    return _hit(open_, size)


def _hit(cuts: Sequence[Units], size: int) -> Units | None:
    if not cuts:
        return frozenset()
    if size == 0 or _disjoint(cuts) > size:
        return None
    seen: set[tuple[bool, ...]] = set()
    for unit in sorted(cuts[0]):
        # Units that hit the same cuts are worth the same.
        hits = tuple(unit in cut for cut in cuts)
        if hits in seen:
            continue
        seen.add(hits)
        rest = _hit([cut for cut, hit in zip(cuts, hits, strict=True) if not hit], size - 1)
        if rest is not None:
            return rest | {unit}
    return None


def _disjoint(cuts: Sequence[Units]) -> int:
    """How many cuts, taken greedily, have nobody in common: so many units at least are needed."""
    taken: set[str] = set()
    count = 0
    for cut in cuts:
        if taken.isdisjoint(cut):
            taken |= cut
            count += 1
    return count
