"""The smallest set of units that can, for any question of which more units never say less: an implicit hitting set.

Each team that cannot is grown until one more of whoever is left would make it able: those left are a *cut*, of which
every able team has at least one. A smallest set that hits all cuts so far is tried; if it is able it is the smallest
there is, else it gives another cut. Where no set of so many hits all cuts, the cuts are the proof.

Units are bits. How long is grown is bound: a cut that is larger than it had to be is a cut all the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from interlock.proof.index import Team, cells

_MOST_TESTS = 300
_MOST_NODES = 200_000

Cut = Callable[[Team], Team | None]
"""Of a team, some of whom every able team has one and it has none; None when it is able itself."""


@dataclass(frozen=True, slots=True)
class Smallest:
    """``least``: no fewer units than these can. ``team``: so many who can, when found; None when none of all can,
    when more than the bound are needed, or when the search was given up. ``exact``: ``least`` is the true minimum.
    ``never``: all units together cannot."""

    least: int
    team: Team | None
    cuts: tuple[Team, ...]
    exact: bool
    never: bool = False


def find_smallest(cut_of: Cut, *, least: int, most: int, rounds: int, cuts: Sequence[Team] = ()) -> Smallest:
    """The smallest able team of ``least`` to ``most`` units; fewer than ``least`` are known to be unable.

    ``cuts`` are some that are known already.
    """
    known = list(cuts)
    for _ in range(rounds):
        team: Team | None = None
        while team is None:
            search = _Hitting(least)
            team = search.hit(known)
            if search.given_up:
                return Smallest(least, None, tuple(known), exact=False)
            if team is None:
                least += 1
                if least > most:
                    return Smallest(least, None, tuple(known), exact=False)
        cut = cut_of(team)
        if cut is None:
            return Smallest(team.bit_count(), team, tuple(known), exact=True)
        known.append(cut)
    return Smallest(least, None, tuple(known), exact=False)


def search(
    able: Callable[[Team], bool],
    everyone: Team,
    kinds: Sequence[Team],
    *,
    sizes: tuple[int, int],
    rounds: int,
    cuts: Sequence[Team] = (),
) -> Smallest:
    """As ``find_smallest``, by growing each team that is not ``able``; ``sizes`` are the least and the most."""

    def cut_of(team: Team) -> Team | None:
        return None if able(team) else everyone & ~grow(team, everyone, able, kinds)

    return find_smallest(cut_of, least=sizes[0], most=sizes[1], rounds=rounds, cuts=cuts)


def grow(team: Team, everyone: Team, able: Callable[[Team], bool], kinds: Sequence[Team]) -> Team:
    """``team``, which is not able, with as many more as stay unable; of one of ``kinds`` each is worth the same."""
    growth = _Growth(able, team, _MOST_TESTS)
    growth.add([kind & everyone & ~team for kind in kinds if kind & everyone & ~team])
    return growth.team


class _Growth:
    def __init__(self, able: Callable[[Team], bool], team: Team, tests: int) -> None:
        self.team = team
        self._able = able
        self._tests = tests

    def add(self, kinds: Sequence[Team]) -> None:
        """Add what can be added of ``kinds``: all at once if that goes, else one half after the other."""
        if not kinds or self._tests <= 0:
            return
        together = self.team
        for kind in kinds:
            together |= kind
        if not self._test(together):
            self.team = together
        elif len(kinds) > 1:
            half = len(kinds) // 2
            self.add(kinds[:half])
            self.add(kinds[half:])
        elif kinds[0].bit_count() > 1:
            self._add_some(kinds[0])

    def _add_some(self, kind: Team) -> None:
        # They are alike: as soon as one would make the team able, each of them would.
        while kind and self._tests > 0:
            one = kind & -kind
            if self._test(self.team | one):
                return
            self.team |= one
            kind ^= one

    def _test(self, team: Team) -> bool:
        self._tests -= 1
        return self._able(team)


class _Hitting:
    def __init__(self, size: int) -> None:
        self._size = size
        self._left = _MOST_NODES
        self.given_up = False

    def hit(self, cuts: Sequence[Team]) -> Team | None:
        """At most so many units of which every cut has one, or None."""
        return self._hit(sorted(cuts, key=int.bit_count), self._size)

    def _hit(self, cuts: Sequence[Team], size: int) -> Team | None:
        if not cuts:
            return 0
        if size == 0 or disjoint(cuts) > size:
            return None
        for hits in self._kinds(cuts):
            self._left -= 1
            if self._left <= 0:
                self.given_up = True
                return None
            rest = self._hit([cut for cut in cuts if not cut & hits], size - 1)
            if rest is not None:
                return rest | hits
        return None

    @staticmethod
    def _kinds(cuts: Sequence[Team]) -> list[Team]:
        """Of those in the first cut who hit the same cuts one, and none who hits less than another."""
        found: list[tuple[int, Team]] = []
        for part in cells(cuts[0], cuts[1:]):
            unit = part & -part
            hits = 0
            for place, cut in enumerate(cuts):
                if cut & unit:
                    hits |= 1 << place
            found.append((hits, unit))
        found.sort(key=lambda pair: -pair[0].bit_count())
        kept: list[tuple[int, Team]] = []
        for hits, unit in found:
            if not any(hits & ~other == 0 for other, _ in kept):
                kept.append((hits, unit))
        return [unit for _, unit in kept]


def disjoint(cuts: Sequence[Team]) -> int:
    """How many cuts, taken greedily, have nobody in common: so many units at least are needed."""
    taken = count = 0
    for cut in cuts:
        if not taken & cut:
            taken |= cut
            count += 1
    return count
