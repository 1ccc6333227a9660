"""The checker of certificates. It shares no code with the prover: it imports nothing but the standard library.

A certificate holds the model, the claims and, for each that is proven, *cuts*: sets of persons of which every team that
can do the thing is said to have one. The checker finds out by itself, in three steps:

1. for each cut, that all persons outside of it together cannot do the thing;
2. that no team smaller than claimed has one of each cut;
3. hence, since more persons never reach less, that no smaller team can.

A claim on absences is the same with both sides turned: each cut is a set of persons who can do the chain without
anybody else, and no set of so few persons touches all of them. Where all together cannot do a thing, the only cut is
empty, and step 1 says it.
"""

import json
from typing import Any

Names = frozenset[str]


class World:
    """The model of a certificate, worked on as sets of names."""

    def __init__(self, model: dict[str, Any], away: Names) -> None:
        self.model = model
        self.people: dict[str, dict[str, Any]] = model["people"]
        self.present = frozenset(self.people) - away

    def who(self, names: Any) -> Names:
        return frozenset(self.model["accounts"].get(name, name) for name in names) & frozenset(self.people)

    def employee(self, who: str) -> bool:
        return self.people[who]["vendor"] is None

    def group(self, name: str, joined: Names, team: Names) -> Names:
        seen: set[str] = set()
        waiting = [name]
        found: set[str] = set()
        while waiting:
            group = waiting.pop()
            if group in seen:
                continue
            seen.add(group)
            found |= self.who(self.model["groups"].get(group, ()))
            if group in joined:
                found |= team
            waiting.extend(self.model["nested"].get(group, ()))
        return frozenset(found)

    def meets(self, who: str, rule: dict[str, Any], asker: str, joined: Names, team: Names) -> bool:
        if rule["nobody"] or rule["group"] == "administrators":
            return False
        described = rule["group"] is not None or rule["people"] or rule["sponsors"] is not None or rule["any_of"]
        if not described:
            return False
        vendor = self.people[asker]["vendor"]
        if (
            vendor is not None
            and vendor == self.people[who]["vendor"]
            and not rule["same_vendor"]
            and not rule["any_of"]
        ):
            return False
        if rule["group"] is not None and who not in self.group(rule["group"], joined, team):
            return False
        if rule["people"] and who not in self.who(rule["people"]):
            return False
        if rule["sponsors"] is not None and who not in self.who(rule["sponsors"].get(asker, ())):
            return False
        return not rule["any_of"] or any(self.meets(who, inner, asker, joined, team) for inner in rule["any_of"])

    def approved(self, rules: Any, asker: str, team: Names, given: Names, joined: Names) -> bool:
        """Whether every place of every rule finds a person of its own, by augmenting paths from the places."""
        if not rules:
            return False
        others = [who for who in sorted(team | given) if who != asker and self.people[who]["approves"]]
        holder: dict[str, int] = {}
        places = [rule for rule in rules for _ in range(max(1, rule["count"]))]
        fits: list[list[str]] = []
        for rule in rules:
            fitting = [who for who in others if self.meets(who, rule, asker, joined, team)]
            fits += [fitting[: len(places)]] * max(1, rule["count"])

        def find(place: int, tried: set[str]) -> bool:
            for who in fits[place]:
                if who in tried:
                    continue
                tried.add(who)
                if who not in holder or find(holder[who], tried):
                    holder[who] = place
                    return True
            return False

        return all(find(place, set()) for place in range(len(places)))

    def joined(self, team: Names) -> Names:
        joined: set[str] = set()
        grew = True
        while grew:
            grew = False
            for power in self.model["powers"]:
                if power["group"] in joined:
                    continue
                known = frozenset(joined)
                for holder in sorted(self.group(power["holder"], known, team) & team):
                    if not power["rules"] or self.approved(power["rules"], holder, team, frozenset(), known):
                        joined.add(power["group"])
                        grew = True
                        break
        return frozenset(joined)

    def can(self, team: Names, goal: dict[str, str]) -> bool:
        joined = self.joined(team)
        if goal["chain"]:
            (chain,) = [chain for chain in self.model["chains"] if chain["name"] == goal["chain"]]
            return self.can_chain(team, chain, joined)
        return any(
            self.can_by(team, lend, action, joined)
            for lend in self.model["lends"]
            if goal["resource"] in lend["resources"]
            for action in (goal["action"], "execute")
            if action in lend["actions"]
        )

    def can_by(self, team: Names, lend: dict[str, Any], action: str, joined: Names) -> bool:
        named = self.who(lend["contractors"])
        askers = frozenset(w for w in team if (lend["employees"] if self.employee(w) else w in named))
        held = self.who(lend["held"]) & team
        given: dict[str, Names] = {}
        for account, yes in lend["given"].items():
            for who in self.who([account]):
                given[who] = given.get(who, Names()) | self.who(yes)
        for asker in sorted(askers | held):
            if asker not in held and not self.approved(lend["rules"], asker, team, given.get(asker, Names()), joined):
                continue
            if action not in lend["holds"] or self.approved(lend["hold_rules"], asker, team, Names(), joined):
                return True
        return False

    def can_chain(self, team: Names, chain: dict[str, Any], joined: Names) -> bool:
        """By trying persons for duty after duty; of those about whom the model says the same, only as many as fit."""
        teams: dict[str, Names] = {}
        if any(s["by"] == "team" for s in chain["separations"]):
            for group in {*self.model["groups"], *self.model["nested"]}:
                for who in self.group(group, Names(), Names()):
                    teams[who] = teams.get(who, Names()) | {group}
        columns = []
        for duty in chain["duties"]:
            rule = chain["takers"].get(duty)
            columns.append(
                [w for w in sorted(team) if self.people[w]["approves"] and self.takes(w, rule, joined, team)]
            )
        rows: dict[Any, list[str]] = {}
        for who in sorted(team):
            kind = (tuple(who in column for column in columns), self.people[who]["vendor"], teams.get(who, Names()))
            rows.setdefault(kind, []).append(who)
        kept = {who for names in rows.values() for who in names[: len(columns)]}
        columns = [[who for who in column if who in kept] for column in columns]

        def give(done: list[str]) -> bool:
            if not self.allowed(chain, done, teams):
                return False
            return len(done) == len(columns) or any(give([*done, who]) for who in columns[len(done)])

        return give([])

    def takes(self, who: str, rule: Any, joined: Names, team: Names) -> bool:
        if rule is None:
            return True
        if rule["group"] is not None and who not in self.group(rule["group"], joined, team):
            return False
        return not rule["people"] or who in self.who(rule["people"])

    def allowed(self, chain: dict[str, Any], done: list[str], teams: dict[str, Names]) -> bool:
        by = dict(zip(chain["duties"], done, strict=False))
        for rule in chain["separations"]:
            own = [by[name] for name in rule["names"] if name in by]
            different, still = len(set(own)), len(rule["names"]) - len(own)
            fine = {
                "separate": different == len(own),
                "bind": different <= 1,
                "at_most": different <= (rule["count"] or 0),
                "at_least": different + still >= (rule["count"] or 0),
                "independent": all(self.apart(chain, rule, name, by, teams) for name in rule["names"]),
            }
            if not fine[rule["kind"]]:
                return False
        return True

    def apart(self, chain: dict[str, Any], rule: Any, name: str, by: dict[str, str], teams: dict[str, Names]) -> bool:
        before = chain["duties"][chain["duties"].index(name) - 1]
        if name not in by or before not in by:
            return True
        one, two = by[name], by[before]
        if rule["by"] == "vendor":
            return bool(self.people[one]["vendor"] != self.people[two]["vendor"])
        return one != two and not teams.get(one, Names()) & teams.get(two, Names())

    def units(self, counted: str) -> dict[str, Names]:
        if counted != "vendors":
            return {name: frozenset({name}) for name in self.present}
        units: dict[str, set[str]] = {"(employees)": set()}
        for name, person in self.people.items():
            unit = units.setdefault(person["vendor"] or "(employees)", set())
            if name in self.present:
                unit.add(name)
        return {unit: frozenset(names) for unit, names in units.items()}


def check_certificate(text: str) -> list[tuple[str, bool, str]]:
    """For each claim: what it says, whether the certificate proves it, and why not. Raises ValueError, KeyError or
    TypeError for what is no certificate."""
    document = json.loads(text)
    world = World(document["model"], frozenset(document["away"]))
    return [_check(world, verdict) for verdict in document["verdicts"]]


def _check(world: World, verdict: dict[str, Any]) -> tuple[str, bool, str]:
    claim = verdict["claim"]
    goal, counted, least = claim["goal"], claim["counted"], claim["least"]
    thing = f"the chain {goal['chain']}" if goal["chain"] else f"{goal['action']} on {goal['resource']}"
    says = f"{thing} takes {least} {counted} at least"
    if counted == "absences":
        says = f"{thing} can be done with any {least} persons absent"
    if verdict["outcome"] != "proven":
        return says, False, f"the certificate itself says: {verdict['outcome']}"
    units = world.units(counted)
    cuts = [frozenset(cut) for cut in verdict["cuts"]]
    for cut in cuts:
        if not cut <= frozenset(units):
            return says, False, f"a cut names {', '.join(sorted(cut - frozenset(units)))}, who is nobody here"
        if counted == "absences":
            if not world.can(cut, goal):
                return says, False, f"{', '.join(sorted(cut))} cannot do it alone"
            continue
        outside = frozenset(name for unit, names in units.items() if unit not in cut for name in names)
        if world.can(outside, goal):
            return says, False, f"it can be done without {', '.join(sorted(cut))}"
    few = least if counted == "absences" else least - 1
    if _touches_all(cuts, few):
        return says, False, f"{few} could be in every cut: the cuts prove less than is claimed"
    return says, True, ""


def _touches_all(cuts: list[Names], few: int) -> bool:
    """Whether some ``few`` names are in all cuts together: one of the first cut, and then of those it is not in."""
    if not cuts:
        return True
    if few == 0:
        return False
    first = min(cuts, key=len)
    tried: set[tuple[bool, ...]] = set()
    for name in first:
        pattern = tuple(name in cut for cut in cuts)
        if pattern not in tried:
            tried.add(pattern)
            if _touches_all([cut for cut in cuts if name not in cut], few - 1):
                return True
    return False
