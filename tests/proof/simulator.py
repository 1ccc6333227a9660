"""An oracle that shares no code with the prover: it plays a team move by move, through every state it can come to.

A state is what has happened so far: who is in which group, which requests are open with which yeses, who holds which
role, which statements wait with which yeses, which are done. A move is one act of one person. The oracle reads the
plain JSON of a model and knows no masks, no Hall's condition and no classes of persons: whether yeses suffice it finds
out by trying every way to divide them among the rules.
"""

from collections.abc import Iterator
from itertools import combinations, permutations
from typing import Any

State = frozenset[tuple[str, ...]]


class Simulator:
    def __init__(self, plain: dict[str, Any], team: tuple[str, ...]) -> None:
        self.plain = plain
        self.team = team
        self.people = plain["people"]

    def person(self, account: str) -> str:
        name: str = self.plain["accounts"].get(account, account)
        return name

    def accounts(self, person: str) -> set[str]:
        return {person, *(account for account, owner in self.plain["accounts"].items() if owner == person)}

    def listed(self, person: str, names: list[str]) -> bool:
        return any(account in names for account in self.accounts(person))

    def belongs(self, person: str, group: str, state: State, seen: tuple[str, ...] = ()) -> bool:
        if ("member", person, group) in state or self.listed(person, self.plain["groups"].get(group, [])):
            return True
        inner = self.plain["nested"].get(group, [])
        return any(self.belongs(person, other, state, (*seen, group)) for other in inner if other not in seen)

    def counts(self, who: str, asker: str, rule: dict[str, Any], state: State) -> bool:
        return who != asker and self.people[who]["approves"] and self.fits(who, asker, rule, state)

    def fits(self, who: str, asker: str, rule: dict[str, Any], state: State) -> bool:
        if rule["nobody"] or rule["group"] == "administrators":
            return False
        tests = []
        if rule["group"] is not None:
            tests.append(self.belongs(who, rule["group"], state))
        if rule["people"]:
            tests.append(self.listed(who, rule["people"]))
        if rule["sponsors"] is not None:
            tests.append(self.listed(who, rule["sponsors"].get(asker, [])))
        if rule["any_of"]:
            tests.append(any(self.fits(who, asker, inner, state) for inner in rule["any_of"]))
        if not tests:
            return False
        if not rule["any_of"] and not rule["same_vendor"] and self.people[asker]["vendor"] is not None:
            tests.append(self.people[who]["vendor"] != self.people[asker]["vendor"])
        return all(tests)

    def enough(self, yeses: set[str], asker: str, rules: list[dict[str, Any]], state: State) -> bool:
        places = [rule for rule in rules for _ in range(max(1, rule["count"]))]
        if not places:
            return False
        return any(
            all(self.counts(who, asker, rule, state) for who, rule in zip(order, places, strict=True))
            for order in permutations(sorted(yeses), len(places))
        )

    def moves(self, state: State) -> Iterator[tuple[str, ...]]:
        for person in self.team:
            for number, power in enumerate(self.plain["powers"]):
                if not self.belongs(person, power["holder"], state):
                    continue
                yield ("proposes", str(number), person)
                yeses = {fact[3] for fact in state if fact[:3] == ("agreed", str(number), person)}
                if not power["rules"] or self.enough(yeses, person, power["rules"], state):
                    for other in self.team:
                        yield ("member", other, power["group"])
            for number, lend in enumerate(self.plain["lends"]):
                yield from self.lend_moves(person, str(number), lend, state)
        for fact in state:
            if fact[0] in ("asked", "proposes", "waits"):
                for other in self.team:
                    if other != fact[-1] and self.people[other]["approves"]:
                        yield ({"asked": "yes", "proposes": "agreed", "waits": "passed"}[fact[0]], *fact[1:], other)

    def lend_moves(self, person: str, number: str, lend: dict[str, Any], state: State) -> Iterator[tuple[str, ...]]:
        contractor = self.people[person]["vendor"] is not None
        may = self.listed(person, lend["contractors"]) if contractor else lend["employees"]
        if may:
            yield ("asked", number, person)
        before = {
            self.person(yes)
            for account, given in lend["given"].items()
            if self.person(account) == person
            for yes in given
        }
        yeses = {fact[3] for fact in state if fact[:3] == ("yes", number, person)} | before
        holds = self.listed(person, lend["held"])
        if ("asked", number, person) in state and self.enough(yeses, person, lend["rules"], state):
            yield ("holds", number, person)
        if holds or ("holds", number, person) in state:
            for action in lend["actions"]:
                if action not in lend["holds"]:
                    yield ("did", number, action)
                    continue
                yield ("waits", number, action, person)
                passed = {fact[4] for fact in state if fact[:4] == ("passed", number, action, person)}
                if self.enough(passed, person, lend["hold_rules"], state):
                    yield ("did", number, action)

    def can(self, goal: dict[str, str]) -> bool:
        """Plays until nothing new can happen. Nothing that happened stands in the way of anything else, so one order
        of moves suffices."""
        state: set[tuple[str, ...]] = set()
        while True:
            if self.takes_over(frozenset(state)):
                self.team = tuple(sorted(name for name in self.people if not self.people[name].get("guest")))
            self.team = (*self.team, *self.invited())
            fresh = set(self.moves(frozenset(state))) - state
            if not fresh:
                break
            state |= fresh
        if goal["chain"]:
            return self.chain(goal["chain"], frozenset(state))
        return any(
            fact[0] == "did"
            and fact[2] in (goal["action"], "execute")
            and goal["resource"] in self.plain["lends"][int(fact[1])]["resources"]
            for fact in state
        )

    def invited(self) -> list[str]:
        """Whom the team brings in, a sponsor of theirs and another employee being in it."""
        hosts = [person for person in self.team if self.people[person]["vendor"] is None]
        return sorted(
            {
                guest
                for invitation in self.plain.get("invitations", [])
                for guest in map(self.person, invitation["guests"])
                if guest in self.people and guest not in self.team and self.people[guest]["vendor"] is not None
                if any(self.listed(host, invitation["sponsors"]) and len(hosts) > 1 for host in hosts)
            }
        )

    def takes_over(self, state: State) -> bool:
        """Whether enough of the team can let them all in as anybody else."""
        employees = [person for person in self.team if self.people[person]["vendor"] is None]
        return any(
            sum(self.belongs(person, takeover["group"], state) for person in employees) >= max(1, takeover["count"])
            for takeover in self.plain["takeovers"]
        )

    def chain(self, name: str, state: State) -> bool:
        (chain,) = [chain for chain in self.plain["chains"] if chain["name"] == name]
        return any(self.fine(chain, done, state) for done in _choices(list(self.team), len(chain["duties"])))

    def fine(self, chain: dict[str, Any], done: tuple[str, ...], state: State) -> bool:
        by = dict(zip(chain["duties"], done, strict=True))
        for duty, person in by.items():
            rule = chain["takers"].get(duty)
            if not self.people[person]["approves"]:
                return False
            if rule is not None and rule["group"] is not None and not self.belongs(person, rule["group"], state):
                return False
            if rule is not None and rule["people"] and not self.listed(person, rule["people"]):
                return False
        for rule in chain["separations"]:
            persons = {by[duty] for duty in rule["names"]}
            if rule["kind"] == "separate" and len(persons) < len(rule["names"]):
                return False
            if rule["kind"] == "bind" and len(persons) > 1:
                return False
            if rule["kind"] == "at_least" and len(persons) < rule["count"]:
                return False
            if rule["kind"] == "at_most" and len(persons) > rule["count"]:
                return False
            if rule["kind"] == "independent" and not self.independent(chain, rule, by):
                return False
        return True

    def independent(self, chain: dict[str, Any], rule: dict[str, Any], by: dict[str, str]) -> bool:
        for duty in rule["names"]:
            one = by[duty]
            other = by[chain["duties"][chain["duties"].index(duty) - 1]]
            if rule["by"] == "vendor" and self.people[one]["vendor"] == self.people[other]["vendor"]:
                return False
            groups = {*self.plain["groups"], *self.plain["nested"]}
            nobody: State = frozenset()
            shared = any(self.belongs(one, g, nobody) and self.belongs(other, g, nobody) for g in groups)
            if rule["by"] == "team" and (one == other or shared):
                return False
        return True


def _choices(people: list[str], length: int) -> Iterator[tuple[str, ...]]:
    if length == 0:
        yield ()
        return
    for rest in _choices(people, length - 1):
        for person in people:
            yield (*rest, person)


def least_team(plain: dict[str, Any], goal: dict[str, str], most: int) -> tuple[str, ...] | None:
    """A smallest team of up to ``most`` persons that can, by trying all of them in the order of their size."""
    for size in range(most + 1):
        for team in combinations(sorted(n for n in plain["people"] if not plain["people"][n].get("guest")), size):
            if Simulator(plain, team).can(goal):
                return team
    return None
