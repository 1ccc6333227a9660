"""The checker's own trial of teams that bring in guests: a sponsor, another employee, and more, fewer than claimed.

All such teams are tried, with all guests whom they can bring in; of persons about whom the model says the same only
one. It shares no code with the prover: it imports nothing but the standard library.
"""

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

from interlock.proof.check_few import Few
from interlock.proof.check_world import Names, World, sponsored, sponsoring

_MOST_TRIED = 50_000


class Hosts:
    """Those who can bring in guests."""

    def __init__(self, world: World, few: Few) -> None:
        self.world = world
        self.few = few
        self.guests = world.all_guests
        self.sponsors = [sponsors for sponsors, _ in world.brought]

    def can(self, goal: dict[str, str], counted: str, most: int) -> bool:
        """Whether up to ``most`` persons or vendors can, with guests. Raises ValueError when there are too many."""
        if not self.guests or most < (1 if counted == "vendors" else 2):
            return False
        if counted == "vendors":
            return self.vendors_can(goal, most)
        if goal["chain"]:
            return self.carry(self.world.chain(goal), most)
        return any(
            self.go(lend, action, most)
            for lend, action in self.world.ways(goal)
            if self.counted(lend, action) <= most and not self.remembered(lend, action, most)
        )

    def vendors_can(self, goal: dict[str, str], most: int) -> bool:
        units = self.world.units("vendors")
        own = units.pop("(employees)")
        return any(
            self.world.can(self.world.with_guests(own.union(*chosen)), goal)
            for chosen in combinations(units.values(), min(most - 1, len(units)))
        )

    def counted(self, lend: dict[str, Any], action: str) -> int:
        """How many persons a way takes at least by which a guest asks or says yes."""
        world = self.world
        rules = [*lend["rules"], *(lend["hold_rules"] if action in lend["holds"] else [])]
        voices = Names().union(*(names for names, _ in self.few.voices(rules, Names())))
        if world.model["powers"] or voices & self.guests:
            return 2
        askers, held, _ = world.asking(lend)
        if not (askers | held) & self.guests:
            return 1 << 30
        return max(2, world.counted(lend, action, world.with_all_guests) - 1)

    def remembered(self, lend: dict[str, Any], action: str, most: int) -> bool:
        """Whether it is known already that so many cannot go this way: many resources share it."""
        return self.few.answers.get((id(lend), action in lend["holds"], -most)) is False

    def go(self, lend: dict[str, Any], action: str, most: int) -> bool:
        world, rules = self.world, [*lend["rules"], *lend["hold_rules"]]
        askers, held, given = world.asking(lend)
        sets = [askers, held, *given.values(), *self.few.told(rules)]
        named = Names(given).union(*(sponsored(rule) | sponsoring(rule) for rule in (*rules, *self.few.rules)))
        found = self.tried(
            lambda team: world.can_by(team, lend, action, world.joined(team)), sets, world.who(named), most
        )
        self.few.answers[id(lend), action in lend["holds"], -most] = found
        return found

    def carry(self, chain: dict[str, Any], most: int) -> bool:
        world = self.world
        rules = [rule for rule in chain["takers"].values() if rule is not None]
        sets = self.few.told(rules)
        if any(one["by"] == "team" for one in chain["separations"]):
            sets += [world.group(name, Names(), Names()) for name in {*world.model["groups"], *world.model["nested"]}]
        named = Names().union(*(sponsored(rule) | sponsoring(rule) for rule in self.few.rules))
        return self.tried(lambda team: world.can_chain(team, chain, world.joined(team)), sets, world.who(named), most)

    def tried(self, able: Callable[[Names], bool], sets: list[Names], named: Names, most: int) -> bool:
        powers = self.world.model["powers"]
        more = [self.world.group(name, Names(), Names()) for one in powers for name in (one["holder"], one["group"])]
        kinds: dict[Any, list[str]] = {}
        for who in sorted(self.world.present):
            brought = [guests for _, guests in self.world.brought]
            own = tuple(who in one for one in (*self.sponsors, *brought, *sets, *more))
            kinds.setdefault((self.few.kind(who), own, who if who in named else ""), []).append(who)
        for number, team in enumerate(self.teams(list(kinds.values()), most)):
            if number == _MOST_TRIED:
                raise ValueError("too many teams to try")
            if able(self.world.with_guests(team)):
                return True
        return False

    def teams(self, kinds: list[list[str]], size: int) -> Iterator[Names]:
        sponsors = Names().union(*self.sponsors)
        for sponsor in self.others(kinds, Names()):
            if sponsor in sponsors and self.world.employee(sponsor):
                for other in self.others(kinds, Names({sponsor})):
                    if self.world.employee(other):
                        yield from self.grown(kinds, Names({sponsor, other}), size - 2)

    def grown(self, kinds: list[list[str]], team: Names, more: int) -> Iterator[Names]:
        # Whom they bring in anyway need not be one of them.
        others = self.others(kinds, self.world.with_guests(team)) if more else []
        if not others:
            yield team
        for who in others:
            yield from self.grown(kinds, team | {who}, more - 1)

    @staticmethod
    def others(kinds: list[list[str]], team: Names) -> list[str]:
        """Of each kind one who is not in ``team``."""
        left = [next((who for who in kind if who not in team), "") for kind in kinds]
        return [who for who in left if who]
