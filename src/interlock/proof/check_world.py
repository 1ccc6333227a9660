"""What the checker of certificates knows of a model, worked out anew from its JSON on sets of names.

It shares no code with the prover: it imports nothing but the standard library.
"""

from itertools import combinations
from typing import Any

Names = frozenset[str]
_NEVER = 1 << 30
_MOST_COMBINED = 6


class World:
    """The model of a certificate, worked on as sets of names."""

    def __init__(self, model: dict[str, Any], away: Names) -> None:
        self.model = model
        self.people: dict[str, dict[str, Any]] = model["people"]
        self.guests = frozenset(who for who, person in self.people.items() if person.get("guest"))
        self.persons = frozenset(self.people) - self.guests
        self.present = self.persons - away
        self.brought: list[tuple[Names, Names]] = [
            (self.who(one["sponsors"]), frozenset(who for who in self.who(one["guests"]) if not self.employee(who)))
            for one in model.get("invitations", ())
        ]
        """Who sponsors, and who could be brought in with them: some are known here already."""
        self.approving = frozenset(who for who, person in self.people.items() if person["approves"])
        self.groups: dict[tuple[str, Names], tuple[Names, bool]] = {}
        self.counts: dict[tuple[int, bool, Names], int] = {}
        self.by_resource: dict[str, list[dict[str, Any]]] = {}
        for lend in model["lends"]:
            for resource in lend["resources"]:
                self.by_resource.setdefault(resource, []).append(lend)
        self.everybody_joined = self.joined(self.present)
        self.all_guests = self.guests_of(self.present)
        """Whom all who are there could bring in."""
        self.with_all_guests = self.present | self.all_guests

    def who(self, names: Any) -> Names:
        return frozenset(self.model["accounts"].get(name, name) for name in names) & frozenset(self.people)

    def employee(self, who: str) -> bool:
        return self.people[who]["vendor"] is None

    def group(self, name: str, joined: Names, team: Names) -> Names:
        key = (name, joined)
        if key not in self.groups:
            seen: set[str] = set()
            waiting = [name]
            found: set[str] = set()
            while waiting:
                group = waiting.pop()
                if group not in seen:
                    seen.add(group)
                    found |= self.who(self.model["groups"].get(group, ()))
                    waiting.extend(self.model["nested"].get(group, ()))
            self.groups[key] = frozenset(found), bool(seen & joined)
        known, entered = self.groups[key]
        return known | team if entered else known

    def fitting(self, rule: dict[str, Any], asker: str | None, joined: Names, team: Names) -> Names:
        """Who meets ``rule`` when ``asker`` asks; without an asker, whoever could for anybody."""
        described = rule["group"] is not None or rule["people"] or rule["sponsors"] is not None or rule["any_of"]
        if rule["nobody"] or rule["group"] == "administrators" or not described:
            return Names()
        parts = [self.approving]
        if rule["group"] is not None:
            parts.append(self.group(rule["group"], joined, team))
        if rule["people"]:
            parts.append(self.who(rule["people"]))
        if rule["sponsors"] is not None:
            askers = rule["sponsors"] if asker is None else (asker,)
            parts.append(self.who(name for one in askers for name in rule["sponsors"].get(one, ())))
        if rule["any_of"]:
            parts.append(frozenset().union(*(self.fitting(inner, asker, joined, team) for inner in rule["any_of"])))
        fitting = frozenset.intersection(*sorted(parts, key=len))
        if not rule["any_of"] and asker is not None and not rule["same_vendor"]:
            vendor = self.people[asker]["vendor"]
            if vendor is not None:
                fitting = frozenset(who for who in fitting if self.people[who]["vendor"] != vendor)
        return fitting

    def approved(self, rules: Any, asker: str, team: Names, given: Names, joined: Names) -> bool:
        """Whether every place of every rule finds a person of its own, by augmenting paths from the places."""
        if not rules:
            return False
        holder: dict[str, int] = {}
        total = sum(max(1, rule["count"]) for rule in rules)
        fits: list[list[str]] = []
        for rule in rules:
            fitting = (self.fitting(rule, asker, joined, team) & (team | given)) - {asker}
            fits += [sorted(fitting)[:total]] * max(1, rule["count"])

        def find(place: int, tried: set[str]) -> bool:
            for who in fits[place]:
                if who in tried:
                    continue
                tried.add(who)
                if who not in holder or find(holder[who], tried):
                    holder[who] = place
                    return True
            return False

        return all(find(place, set()) for place in range(total))

    def different(self, askers: Names, rules: Any, joined: Names, team: Names) -> list[str]:
        """Of ``askers`` to whom the same persons say yes, and who say it to others in the same places, one."""
        named: Names = frozenset().union(*(sponsored(rule) for rule in rules))
        anybody = [self.fitting(inner, None, joined, team) for rule in rules for inner in flat(rule)]
        found: dict[Any, str] = {}
        for who in sorted(askers):
            places = tuple(who in fitting for fitting in anybody)
            found.setdefault((self.people[who]["vendor"], places, who if who in named else ""), who)
        return list(found.values())

    def joined(self, team: Names) -> Names:
        joined: set[str] = set()
        grew = True
        while grew:
            grew = False
            for power in self.model["powers"]:
                if power["group"] in joined:
                    continue
                known = frozenset(joined)
                holders = self.group(power["holder"], known, team) & team
                if any(
                    not power["rules"] or self.approved(power["rules"], holder, team, frozenset(), known)
                    for holder in self.different(holders, power["rules"], known, team)
                ):
                    joined.add(power["group"])
                    grew = True
        return frozenset(joined)

    def can(self, team: Names, goal: dict[str, str], below: int | None = None) -> bool:
        """Whether ``team`` can; with ``below``, by one of the ways that need not take so many."""
        joined = self.joined(team)
        if goal["chain"]:
            return self.can_chain(team, self.chain(goal), joined)
        return any(
            self.can_by(team, lend, action, joined)
            for lend, action in self.ways(goal)
            if below is None or self.counted(lend, action) < below
        )

    def chain(self, goal: dict[str, str]) -> dict[str, Any]:
        (chain,) = [chain for chain in self.model["chains"] if chain["name"] == goal["chain"]]
        found: dict[str, Any] = chain
        return found

    def ways(self, goal: dict[str, str]) -> list[tuple[dict[str, Any], str]]:
        return [
            (lend, action)
            for lend in self.by_resource.get(goal["resource"], ())
            for action in dict.fromkeys((goal["action"], "execute"))
            if action in lend["actions"]
        ]

    def asking(self, lend: dict[str, Any]) -> tuple[Names, Names, dict[str, Names]]:
        """Who may ask, who has it already, and what was said already for whom."""
        named = self.who(lend["contractors"])
        everybody = self.present | self.all_guests
        askers = frozenset(w for w in everybody if (lend["employees"] if self.employee(w) else w in named))
        given: dict[str, Names] = {}
        for account, yes in lend["given"].items():
            for who in self.who([account]):
                given[who] = given.get(who, Names()) | self.who(yes)
        return askers, self.who(lend["held"]) & everybody, given

    def with_guests(self, team: Names) -> Names:
        """``team`` and whom it could bring in."""
        return team | self.guests_of(team)

    def guests_of(self, team: Names) -> Names:
        """Whom ``team`` could bring in: a sponsor of theirs and another employee are in it."""
        hosts = [who for who in team if self.employee(who)]
        found = Names()
        for sponsors, guests in self.brought:
            if len(hosts) > 1 and not sponsors.isdisjoint(hosts):
                found |= guests
        return found

    def can_by(self, team: Names, lend: dict[str, Any], action: str, joined: Names) -> bool:
        askers, held, given = self.asking(lend)
        hold_rules = lend["hold_rules"] if action in lend["holds"] else []
        known = (held | frozenset(given)) & team
        for asker in (
            *self.different(known & held, hold_rules, joined, team),
            *sorted(known - held),
            *self.different((askers & team) - known, [*lend["rules"], *hold_rules], joined, team),
        ):
            if asker not in held | askers:
                continue
            if asker not in held and not self.approved(lend["rules"], asker, team, given.get(asker, Names()), joined):
                continue
            if action not in lend["holds"] or self.approved(lend["hold_rules"], asker, team, Names(), joined):
                return True
        return False

    def counted(self, lend: dict[str, Any], action: str, among: Names | None = None) -> int:
        """How many a way takes at least: who asks, and as many as its rules ask for; rules that nobody could meet two
        of add up. All who are there are taken to have joined what they could. ``among`` are who may ask."""
        there = self.present if among is None else among
        key = (id(lend), action in lend["holds"], there)
        if key not in self.counts:
            askers, held, given = self.asking(lend)
            askers, held = askers & there, held & there
            everybody = self.everybody_joined
            rules, holds = (
                [(self.fitting(rule, None, everybody, frozenset(self.people)), max(1, rule["count"])) for rule in some]
                for some in (lend["rules"], lend["hold_rules"] if action in lend["holds"] else [])
            )
            possible = not (action in lend["holds"] and not lend["hold_rules"])
            sizes = [1 + _needed([], holds, Names())] if held and possible else []
            if lend["rules"] and possible:
                waiting = [who for who in given if who in askers and who not in held]
                sizes += [1 + _needed(rules, holds, given[who]) for who in waiting]
                if askers - held - frozenset(waiting):
                    sizes.append(1 + _needed(rules, holds, Names()))
            self.counts[key] = min(sizes, default=_NEVER)
        return self.counts[key]

    def taken_over(self, goal: dict[str, str], counted: str, least: int) -> str:
        """Who are fewer than ``least``, and could do it by coming in as others; empty when nobody."""
        for takeover in self.model.get("takeovers", ()):
            count = max(1, takeover["count"])
            joined = self.joined(self.with_all_guests)
            members = self.group(takeover["group"], joined, frozenset(self.people)) & self.present
            fewer = (1 if counted == "vendors" else count) < least
            able = len([w for w in members if self.employee(w)]) >= count
            if fewer and able and self.can(self.with_guests(self.persons), goal):
                return f"{count} of {takeover['group']}, who can come in as anybody,"
        return ""

    def least(self, goal: dict[str, str], counted: str) -> int:
        """How many persons or vendors it takes by counting alone."""
        if not goal["chain"]:
            return min((self.counted(*way) for way in self.ways(goal)), default=_NEVER) if counted == "persons" else 1
        rules = self.chain(goal)["separations"]
        if counted == "vendors":
            return 2 if any(r["kind"] == "independent" and r["by"] == "vendor" and r["names"] for r in rules) else 1
        sizes = [len(set(rule["names"])) for rule in rules if rule["kind"] == "separate"]
        sizes += [rule["count"] or 0 for rule in rules if rule["kind"] == "at_least"]
        sizes += [2 for rule in rules if rule["kind"] == "independent" and rule["names"]]
        return max(sizes, default=1)

    def can_chain(self, team: Names, chain: dict[str, Any], joined: Names) -> bool:
        """By trying persons for duty after duty; of those about whom the model says the same, only as many as fit."""
        teams: dict[str, Names] = {}
        if any(s["by"] == "team" for s in chain["separations"]):
            for group in {*self.model["groups"], *self.model["nested"]}:
                for who in self.group(group, Names(), Names()):
                    teams[who] = teams.get(who, Names()) | {group}
        columns = [sorted(self.takers(chain["takers"].get(duty), joined, team)) for duty in chain["duties"]]
        members = [Names(column) for column in columns]
        rows: dict[Any, list[str]] = {}
        for who in sorted(Names().union(*members)):
            kind = (tuple(who in own for own in members), self.people[who]["vendor"], teams.get(who, Names()))
            rows.setdefault(kind, []).append(who)
        kept = {who for names in rows.values() for who in names[: len(columns)]}
        columns = [[who for who in column if who in kept] for column in columns]

        def give(done: list[str]) -> bool:
            if not self.allowed(chain, done, teams):
                return False
            return len(done) == len(columns) or any(give([*done, who]) for who in columns[len(done)])

        return give([])

    def takers(self, rule: Any, joined: Names, team: Names) -> Names:
        """Who of ``team`` may take a duty."""
        able = team & self.approving
        if rule is not None and rule["group"] is not None:
            able &= self.group(rule["group"], joined, team)
        if rule is not None and rule["people"]:
            able &= self.who(rule["people"])
        return able

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


def sponsoring(rule: dict[str, Any]) -> Names:
    names = Names(name for some in (rule["sponsors"] or {}).values() for name in some)
    return names.union(*(sponsoring(inner) for inner in rule["any_of"]))


def sponsored(rule: dict[str, Any]) -> Names:
    return Names(rule["sponsors"] or ()).union(*(sponsored(inner) for inner in rule["any_of"]))


def flat(rule: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule, *(one for inner in rule["any_of"] for one in flat(inner))]


def _needed(rules: list[tuple[Names, int]], holds: list[tuple[Names, int]], given: Names) -> int:
    """The most that some of ``rules`` and some of ``holds`` ask for that nobody could meet one of each of."""
    most = 0
    for some in _some(rules):
        union = Names().union(*(names for names, _ in some))
        own = max(0, sum(count for _, count in some) - len(union & given))
        for others in _some(holds):
            more = sum(count for _, count in others)
            apart = union.isdisjoint(Names().union(*(names for names, _ in others)))
            most = max(most, own + more if apart else max(own, more))
    return most


def _some(rules: list[tuple[Names, int]]) -> list[tuple[tuple[Names, int], ...]]:
    sizes = range(len(rules) + 1) if len(rules) <= _MOST_COMBINED else (0, len(rules))
    return [some for size in sizes for some in combinations(rules, size)]
