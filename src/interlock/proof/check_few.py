"""The checker's own trial of small teams, where a certificate gives no cuts.

Every team that can go a way has somebody of each of some sets: who asks, whose yes each rule takes and, when a group is
joined, who makes the first move. All teams with one of each are tried; of persons about whom the model says the same
only one. It shares no code with the prover: it imports nothing but the standard library.
"""

from collections.abc import Iterator
from typing import Any

from interlock.proof.check_world import Names, World, flat, sponsored, sponsoring

_MOST_TRIED = 50_000
Needs = list[tuple[Names, int]]


class Few:
    """One model; ways that many resources share are tried once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.answers: dict[tuple[int, bool, int], bool] = {}
        powers = world.model["powers"]
        self.first: list[Needs] = [
            [(world.group(one["holder"], Names(), Names()), 1), *self.voices(one["rules"], Names())] for one in powers
        ]
        self.rules = [rule for one in powers for rule in one["rules"]]
        self.sets = [holders for (holders, _), *_ in self.first] + self.told(self.rules)
        self.keys: dict[str, tuple[Any, ...]] = {}

    def can(self, lend: dict[str, Any], action: str, most: int) -> bool:
        """Whether any team of up to ``most`` persons can go this way. Raises ValueError when there are too many."""
        key = (id(lend), action in lend["holds"], most)
        if key not in self.answers:
            rules = [*lend["rules"], *lend["hold_rules"]]
            askers, held, given = self.world.asking(lend)
            sets = [askers, held, *given.values(), *self.told(rules)]
            named = Names(given).union(*(sponsored(rule) | sponsoring(rule) for rule in (*rules, *self.rules)))
            trial = _Trial(self, lend, action, sets, self.world.who(named))
            self.answers[key] = any(trial.can(needs, Names(), most) for needs in self.needs(lend, action))
        return self.answers[key]

    def needs(self, lend: dict[str, Any], action: str) -> Iterator[Needs]:
        """What any team needs: joining nothing, or with each first move."""
        holds = lend["hold_rules"] if action in lend["holds"] else []
        askers, held, given = self.world.asking(lend)
        waiting = Names(who for who in given if who in askers) - held
        ways = [(held, holds)]
        if lend["rules"]:
            ways += [(waiting, holds), (askers - held - waiting, [*lend["rules"], *holds])]
        if action in lend["holds"] and not holds:
            return
        for asking, rules in ways:
            if asking:
                yield [(asking, 1), *self.voices(rules, Names())]
                later = [(asking, 1), *self.voices(rules, self.world.everybody_joined)]
                yield from ([*first, *later] for first in self.first)

    def voices(self, rules: Any, joined: Names) -> Needs:
        everybody = frozenset(self.world.people)
        return [(self.world.fitting(rule, None, joined, everybody), max(1, rule["count"])) for rule in rules]

    def told(self, rules: list[Any]) -> list[Names]:
        every = [inner for rule in rules for inner in flat(rule)]
        groups = [self.world.group(rule["group"], Names(), Names()) for rule in every if rule["group"] is not None]
        return [*groups, *(self.world.who(rule["people"]) for rule in every)]

    def kind(self, who: str) -> tuple[Any, ...]:
        """What the model says of a person, but for one way."""
        if who not in self.keys:
            vendor = self.world.people[who]["vendor"]
            self.keys[who] = (vendor, who in self.world.approving, tuple(who in one for one in self.sets))
        return self.keys[who]


class _Trial:
    def __init__(self, few: Few, lend: dict[str, Any], action: str, sets: list[Names], named: Names) -> None:
        self.few = few
        self.way = lend, action
        self.sets = sets
        self.named = named
        self.left = _MOST_TRIED

    def can(self, needs: Needs, team: Names, more: int) -> bool:
        """Whether ``team`` can, with up to ``more`` others."""
        world, (lend, action) = self.few.world, self.way
        unmet = [names for names, count in needs if len(team & names) < count]
        if not unmet and world.can_by(team, lend, action, world.joined(team)):
            return True
        if more == 0:
            return False
        alike: set[Any] = set()
        for who in min(unmet, key=len, default=world.present):
            if who in team or who not in world.present or (more == 1 and not all(who in names for names in unmet)):
                continue
            kind = (self.few.kind(who), tuple(who in one for one in self.sets), who if who in self.named else "")
            if kind in alike:
                continue
            alike.add(kind)
            self.left -= 1
            if self.left < 0:
                raise ValueError("too many teams to try")
            if self.can(needs, team | {who}, more - 1):
                return True
        return False
