"""Giving the duties of a chain to persons so that every separation holds.

The same search answers two questions: could this team do the chain, and, once some duties are done, could the rest
still be. Persons who are alike for all that is left are tried once, so what counts is the number of duties and of
kinds of persons and not of persons.
"""

from collections.abc import Mapping, Sequence

from interlock.proof.model import Duties, Member, Separated


def assign(
    chain: Duties,
    takers: Sequence[Sequence[str]],
    people: Mapping[str, Member],
    teams: Mapping[str, frozenset[str]],
) -> tuple[str, ...] | None:
    """A person for each duty in its order, or None. ``takers`` are who may take each."""
    return Assigner(chain, takers, people, teams).assign({})


class Assigner:
    """One chain and who there is, put in order once, so that questions while the chain goes on are cheap."""

    def __init__(
        self,
        chain: Duties,
        takers: Sequence[Sequence[str]],
        people: Mapping[str, Member],
        teams: Mapping[str, frozenset[str]],
    ) -> None:
        self._chain = chain
        self._people = people
        self._teams = teams
        self._rules = {
            duty: [s for s in chain.separations if duty in s.names or s.kind == "independent"] for duty in chain.duties
        }
        places: dict[str, int] = {}
        for place, names in enumerate(takers):
            for name in names:
                places[name] = places.get(name, 0) | 1 << place
        kinds: dict[tuple[object, ...], list[str]] = {}
        # Of those who are alike one for each duty is enough, beside as many who may have done one already.
        most = 2 * len(chain.duties)
        for name, mask in places.items():
            alike = kinds.setdefault((mask, people[name].vendor, teams.get(name, frozenset())), [])
            if len(alike) < most:
                alike.append(name)
        self._kinds = kinds
        self._left: int | None = None
        self._places = places
        self._numbers = {duty: place for place, duty in enumerate(chain.duties)}
        # The duties with the fewest takers first: a dead end shows early.
        sizes = [len(names) for names in takers]
        self._order = sorted(chain.duties, key=lambda duty: (sizes[self._numbers[duty]], self._numbers[duty]))

    def assign(self, fixed: Mapping[str, str], *, steps: int | None = None) -> tuple[str, ...] | None:
        """Persons for all duties when those in ``fixed`` are carried already; None when it cannot be finished.

        With ``steps`` the search is given up after so many, and None says only that no way was found.
        """
        done = dict(fixed)
        self._left = steps
        if not all(holds(self._chain, s, done, self._people, self._teams) for s in self._chain.separations):
            return None
        order = [duty for duty in self._order if duty not in done]
        if not self._give(order, 0, done):
            return None
        return tuple(done[duty] for duty in self._chain.duties)

    def _give(self, order: Sequence[str], number: int, done: dict[str, str]) -> bool:
        if number == len(order):
            return True
        duty = order[number]
        for name in self._candidates(duty, done):
            if self._left is not None:
                if self._left == 0:
                    return False
                self._left -= 1
            done[duty] = name
            fine = all(holds(self._chain, s, done, self._people, self._teams) for s in self._rules[duty])
            if fine and self._give(order, number + 1, done):
                return True
            del done[duty]
        return False

    def _candidates(self, duty: str, done: Mapping[str, str]) -> list[str]:
        """Those who have a duty already, and one fresh person of each kind."""
        bit = 1 << self._numbers[duty]
        used = dict.fromkeys(done.values())
        fresh = []
        for (mask, _, _), names in self._kinds.items():
            if isinstance(mask, int) and mask & bit:
                one = next((name for name in names if name not in used), None)
                if one is not None:
                    fresh.append(one)
        return [*fresh, *(name for name in used if self._places.get(name, 0) & bit)]


def holds(
    chain: Duties,
    separation: Separated,
    done: Mapping[str, str],
    people: Mapping[str, Member],
    teams: Mapping[str, frozenset[str]],
) -> bool:
    """Whether ``separation`` holds, or still can, when the duties in ``done`` are carried by these persons."""
    if separation.kind == "independent":
        return _independent(chain, separation, done, people, teams)
    own = [done[name] for name in separation.names if name in done]
    persons = len(set(own))
    if separation.kind == "separate":
        return persons == len(own)
    if separation.kind == "bind":
        return persons <= 1
    if separation.kind == "at_most":
        return separation.count is not None and persons <= separation.count
    if separation.kind == "at_least":
        open_ = len(separation.names) - len(own)
        return separation.count is not None and persons + open_ >= separation.count
    return False


def _independent(
    chain: Duties,
    separation: Separated,
    done: Mapping[str, str],
    people: Mapping[str, Member],
    teams: Mapping[str, frozenset[str]],
) -> bool:
    """Who does the duty differs, by vendor or by every team, from who did the one before. Employees are one house."""
    for duty in separation.names:
        before = chain.duties[chain.duties.index(duty) - 1]
        if duty not in done or before not in done:
            continue
        one, other = done[duty], done[before]
        if separation.by == "vendor" and people[one].vendor == people[other].vendor:
            return False
        if separation.by == "team" and (one == other or teams.get(one, frozenset()) & teams.get(other, frozenset())):
            return False
        if separation.by not in ("vendor", "team"):
            return False
    return True
