"""Which duties of a chain the same person carries: the divisions that its separations allow, by a SAT solver.

A variable for each two duties says that one person carries both; it is transitive. What a separation says of numbers of
persons is counted over the first duty of each person. Who the persons are is asked elsewhere (``seats``), only for a
division that was found; when nobody fits, the part that does not is excluded, and another is looked for.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise
from math import comb

from pysat.solvers import Solver

from interlock.proof.model import Duties, Separated

_MOST_CLAUSES = 2_000


class GivenUp(Exception):
    """The search took longer than it may."""


class Partitions:
    def __init__(self, chain: Duties) -> None:
        self.size = len(chain.duties)
        self._places = {duty: place for place, duty in enumerate(chain.duties)}
        self._same = {pair: number for number, pair in enumerate(combinations(range(self.size), 2), start=1)}
        self._last = len(self._same)
        self._solver = Solver(name="glucose4")
        self._counted: list[int] = []
        self._transitive()
        for separation in chain.separations:
            self._separate(separation)

    def new(self) -> int:
        self._last += 1
        return self._last

    def same(self, one: int, other: int) -> int:
        """The variable that says that one person carries both."""
        return self._same[(one, other) if one < other else (other, one)]

    def add(self, clause: Sequence[int]) -> None:
        self._solver.add_clause(clause)

    def at_most(self, persons: int) -> list[int]:
        """What to assume so that all duties together are carried by so many."""
        if persons >= self.size:
            return []
        if not self._counted:
            self._counted = self._count(range(self.size), self.size)
        return [-self._counted[persons]]

    def find(self, assumed: Sequence[int], *, conflicts: int | None = None) -> list[int] | None:
        """For each duty the first duty of the same person; None when no division is left. Raises GivenUp."""
        if conflicts is None:
            answer: bool | None = self._solver.solve(assumptions=assumed)
        else:
            self._solver.conf_budget(conflicts)
            answer = self._solver.solve_limited(assumptions=assumed)
        if answer is None:
            raise GivenUp
        model = self._solver.get_model() if answer else None
        if model is None:
            return None
        first = list(range(self.size))
        for (one, other), variable in self._same.items():
            if variable <= len(model) and model[variable - 1] > 0 and first[other] > one:
                first[other] = one
        return first

    def excluding(self, groups: Sequence[Sequence[int]]) -> list[int]:
        """A clause that no division meets in which each of ``groups`` is of one person, and no two of one."""
        clause = [-self.same(one, other) for group in groups for one, other in pairwise(group)]
        clause += [self.same(one[0], other[0]) for one, other in combinations(groups, 2)]
        return clause

    def _transitive(self) -> None:
        clauses: list[list[int]] = []
        for one, two, three in combinations(range(self.size), 3):
            first, second, third = self._same[one, two], self._same[two, three], self._same[one, three]
            clauses += ([-first, -second, third], [-first, second, -third], [first, -second, -third])
        self._solver.append_formula(clauses)

    def _separate(self, separation: Separated) -> None:
        places = sorted(self._places[name] for name in separation.names)
        if separation.kind == "independent":
            for place in places:
                before = (place - 1) % self.size
                self.add([] if before == place else [-self.same(before, place)])
        elif separation.kind == "separate":
            for one, other in combinations(places, 2):
                self.add([-self.same(one, other)])
        elif separation.kind == "bind":
            for one, other in combinations(places, 2):
                self.add([self.same(one, other)])
        elif separation.kind == "at_most" and separation.count is not None:
            self._at_most(places, separation.count)
        elif separation.kind == "at_least" and separation.count is not None:
            self._at_least(places, separation.count)
        else:
            # What is not understood is never met.
            self.add([])

    def _firsts(self, places: Iterable[int]) -> list[int]:
        """For each place a variable: whether no earlier one is of the same person."""
        firsts: list[int] = []
        known: list[int] = []
        for place in places:
            first = self.new()
            earlier = [self.same(before, place) for before in known]
            self.add([first, *earlier])
            for variable in earlier:
                self.add([-first, -variable])
            firsts.append(first)
            known.append(place)
        return firsts

    def _count(self, places: Iterable[int], most: int) -> list[int]:
        """Variables that are true when more than 0, 1, 2 … persons carry ``places``; up to ``most`` of them."""
        counted = [self.new() for _ in range(most)]
        row: list[int] = []
        for first in self._firsts(places):
            fresh = [self.new() for _ in range(min(most, len(row) + 1))]
            for number, variable in enumerate(fresh):
                if number < len(row):
                    self.add([-row[number], variable])
                self.add([-first, variable] if number == 0 else [-first, -row[number - 1], variable])
            row = fresh
        for variable, total in zip(row, counted, strict=False):
            self.add([-variable, total])
        return counted

    def _at_most(self, places: Sequence[int], count: int) -> None:
        """Of any ``count`` + 1 of the places two are of one person: clauses without a counter, which propagate best."""
        if count >= len(places):
            return
        if comb(len(places), count + 1) > _MOST_CLAUSES:
            self.add([-self._count(places, count + 1)[count]])
            return
        for some in combinations(places, count + 1):
            self.add([self.same(one, other) for one, other in combinations(some, 2)])

    def _at_least(self, places: Sequence[int], count: int) -> None:
        """At most so many of the places are not the first of their person."""
        spare = len(places) - count
        if spare < 0:
            self.add([])
            return
        firsts = self._firsts(places)
        row: list[int] = []
        for first in firsts:
            fresh = [self.new() for _ in range(min(spare + 1, len(row) + 1))]
            for number, variable in enumerate(fresh):
                if number < len(row):
                    self.add([-row[number], variable])
                self.add([first, variable] if number == 0 else [first, -row[number - 1], variable])
            row = fresh
        if spare < len(row):
            self.add([-row[spare]])
