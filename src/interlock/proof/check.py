"""The checker of certificates. It shares no code with the prover: it imports nothing but the standard library.

A certificate holds the model, the claims and, for each that is proven, *cuts*: sets of persons of which every team that
can do the thing is said to have one. The checker finds out by itself, in three steps:

1. how many it takes by counting alone: who asks, and those whose yes the rules ask for; the duties that are separate.
   What takes as many as claimed needs no cut;
2. for each cut, that all persons outside of it together cannot do the thing by what is left;
3. that no team smaller than claimed has one of each cut; hence, since more persons never reach less, that no smaller
   team can. Where a certificate gives no cuts, smaller teams are tried: all that have somebody of each of the sets of
   which every team that can has one;
4. that no fewer can come in as others, who could.

A claim on absences is the same with both sides turned: each cut is a set of persons who can do the chain without
anybody else, and no set of so few persons touches all of them. Where all together cannot do a thing, the only cut is
empty, and step 2 says it.
"""

import json
from itertools import combinations
from typing import Any

Names = frozenset[str]
_NEVER = 1 << 30
_MOST_COMBINED = 6
_MOST_TRIED = 50_000


class World:
    """The model of a certificate, worked on as sets of names."""

    def __init__(self, model: dict[str, Any], away: Names) -> None:
        self.model = model
        self.people: dict[str, dict[str, Any]] = model["people"]
        self.present = frozenset(self.people) - away
        self.approving = frozenset(who for who, person in self.people.items() if person["approves"])
        self.groups: dict[tuple[str, Names], tuple[Names, bool]] = {}
        self.counts: dict[tuple[int, bool], int] = {}
        self.by_resource: dict[str, list[dict[str, Any]]] = {}
        for lend in model["lends"]:
            for resource in lend["resources"]:
                self.by_resource.setdefault(resource, []).append(lend)
        self.everybody_joined = self.joined(self.present)

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
        fitting = frozenset(self.people)
        if rule["group"] is not None:
            fitting &= self.group(rule["group"], joined, team)
        if rule["people"]:
            fitting &= self.who(rule["people"])
        if rule["sponsors"] is not None:
            askers = rule["sponsors"] if asker is None else (asker,)
            fitting &= self.who(name for one in askers for name in rule["sponsors"].get(one, ()))
        if rule["any_of"]:
            fitting &= frozenset().union(*(self.fitting(inner, asker, joined, team) for inner in rule["any_of"]))
        elif asker is not None and self.people[asker]["vendor"] is not None and not rule["same_vendor"]:
            vendor = self.people[asker]["vendor"]
            fitting = frozenset(who for who in fitting if self.people[who]["vendor"] != vendor)
        return fitting & self.approving

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
        named: Names = frozenset().union(*(_sponsored(rule) for rule in rules))
        anybody = [self.fitting(inner, None, joined, team) for rule in rules for inner in _flat(rule)]
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
        askers = frozenset(w for w in self.present if (lend["employees"] if self.employee(w) else w in named))
        given: dict[str, Names] = {}
        for account, yes in lend["given"].items():
            for who in self.who([account]):
                given[who] = given.get(who, Names()) | self.who(yes)
        return askers, self.who(lend["held"]) & self.present, given

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

    def counted(self, lend: dict[str, Any], action: str) -> int:
        """How many a way takes at least: who asks, and as many as its rules ask for; rules that nobody could meet two
        of add up. All who are there are taken to have joined what they could."""
        key = (id(lend), action in lend["holds"])
        if key not in self.counts:
            askers, held, given = self.asking(lend)
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
            members = self.group(takeover["group"], self.everybody_joined, frozenset(self.people)) & self.present
            fewer = (1 if counted == "vendors" else count) < least
            if fewer and len([w for w in members if self.employee(w)]) >= count and self.can(Names(self.people), goal):
                return f"{count} of {takeover['group']}, who can come in as anybody,"
        return ""

    def can_few(self, lend: dict[str, Any], action: str, most: int) -> bool:
        """Whether any team of up to ``most`` persons can go this way, by trying all that have one of each set of which
        such a team has one: who asks, whose yes each rule takes, and who makes the first move into a group."""
        holds = lend["hold_rules"] if action in lend["holds"] else []
        askers, held, given = self.asking(lend)
        waiting = Names(who for who in given if who in askers) - held
        for asking, rules in ((held, holds), (waiting, holds), (askers - held - waiting, [*lend["rules"], *holds])):
            if not asking or (asking is not held and not lend["rules"]) or (action in lend["holds"] and not holds):
                continue
            starts = [[(asking, 1), *self.voices(rules, Names())]]
            for power in self.model["powers"]:
                first = [(self.group(power["holder"], Names(), Names()) & self.present, 1)]
                later = self.voices(rules, self.everybody_joined)
                starts.append([*first, *self.voices(power["rules"], Names()), (asking, 1), *later])
            known = self.alike([lend["rules"], holds, *(power["rules"] for power in self.model["powers"])], lend)
            for needs in starts:
                trial = Trial(self, lend, action, needs, known)
                if trial.can(Names(), most):
                    return True
        return False

    def voices(self, rules: Any, joined: Names) -> list[tuple[Names, int]]:
        everybody = frozenset(self.people)
        return [(self.fitting(rule, None, joined, everybody), max(1, rule["count"])) for rule in rules]

    def alike(self, rules: list[Any], lend: dict[str, Any]) -> dict[str, Any]:
        """For each person what the model says of them that could matter: those of whom it says the same are alike."""
        askers, held, given = self.asking(lend)
        flat = [inner for some in rules for rule in some for inner in _flat(rule)]
        sets = [self.group(rule["group"], Names(), Names()) for rule in flat if rule["group"] is not None]
        sets += [self.approving, *(self.who(rule["people"]) for rule in flat)]
        sets += [self.group(power["holder"], Names(), Names()) for power in self.model["powers"]]
        sets += [askers, held, *given.values()]
        named = Names(given).union(*(_sponsored(rule) | _sponsoring(rule) for some in rules for rule in some))
        return {
            who: (person["vendor"], tuple(who in one for one in sets), who if who in self.who(named) else "")
            for who, person in self.people.items()
        }

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


class Trial:
    """Teams that could go one way, one after another; of persons who are alike one. Raises ValueError when there are
    too many to try."""

    def __init__(
        self,
        world: World,
        lend: dict[str, Any],
        action: str,
        needs: list[tuple[Names, int]],
        known: dict[str, Any],
    ) -> None:
        self.world = world
        self.way = lend, action
        self.needs = needs
        self.known = known
        self.left = _MOST_TRIED

    def can(self, team: Names, more: int) -> bool:
        """Whether ``team`` can, with up to ``more`` others."""
        world, (lend, action) = self.world, self.way
        unmet = [(names & world.present) - team for names, count in self.needs if len(names & team) < count]
        if not unmet and world.can_by(team, lend, action, world.joined(team)):
            return True
        if more == 0:
            return False
        able = min(unmet, key=len, default=world.present - team)
        if more == 1:
            able = able.intersection(*unmet)
        alike: set[Any] = set()
        for who in sorted(able):
            if self.known[who] in alike:
                continue
            alike.add(self.known[who])
            self.left -= 1
            if self.left < 0:
                raise ValueError("too many teams to try")
            if self.can(team | {who}, more - 1):
                return True
        return False


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
    over = "" if counted == "absences" else world.taken_over(goal, counted, least)
    if over:
        return says, False, f"{over} could do it"
    if counted != "absences" and world.least(goal, counted) >= least:
        return says, True, ""
    if counted == "persons" and not goal["chain"] and not verdict["cuts"]:
        return says, *_try_few(world, goal, least)
    units = world.units(counted)
    cuts = [frozenset(units) - Names(cut["names"]) if cut["but"] else Names(cut["names"]) for cut in verdict["cuts"]]
    for cut in cuts:
        if not cut <= frozenset(units):
            return says, False, f"a cut names {', '.join(sorted(cut - frozenset(units)))}, who is nobody here"
        if counted == "absences":
            if not world.can(cut, goal):
                return says, False, f"{', '.join(sorted(cut))} cannot do it alone"
            continue
        outside = frozenset(name for unit, names in units.items() if unit not in cut for name in names)
        if world.can(outside, goal, least if counted == "persons" else None):
            return says, False, f"it can be done without {', '.join(sorted(cut))}"
    few = least if counted == "absences" else least - 1
    if _touches_all(cuts, few):
        return says, False, f"{few} could be in every cut: the cuts prove less than is claimed"
    return says, True, ""


def _try_few(world: World, goal: dict[str, str], least: int) -> tuple[bool, str]:
    try:
        for lend, action in world.ways(goal):
            if world.counted(lend, action) < least and world.can_few(lend, action, least - 1):
                return False, "a smaller team can do it, and the certificate gives no cuts"
    except ValueError as error:
        return False, str(error)
    return True, ""


def _sponsoring(rule: dict[str, Any]) -> Names:
    names = Names(name for some in (rule["sponsors"] or {}).values() for name in some)
    return names.union(*(_sponsoring(inner) for inner in rule["any_of"]))


def _sponsored(rule: dict[str, Any]) -> Names:
    return Names(rule["sponsors"] or ()).union(*(_sponsored(inner) for inner in rule["any_of"]))


def _flat(rule: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule, *(one for inner in rule["any_of"] for one in _flat(inner))]


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
