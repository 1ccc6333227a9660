"""What a team could come to do: the least fixed point of what its members can ask for, approve and administer.

Persons are bits of an integer, so that a question about ten thousand of them is a few operations. INVARIANT: more
persons never reach less; all of the search rests on it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from interlock.domain.seating import seat
from interlock.errors import Misuse
from interlock.proof.assign import assign
from interlock.proof.model import EMPLOYEES, WIDEST, Duties, Goal, Lend, Model, Rule

Team = int
"""Persons as bits, by their place in ``Reach.names``."""

_NEVER_GIVES = "administrators"
_MOST_RULES = 12


@dataclass(frozen=True, slots=True)
class Step:
    """``person`` does ``what`` (join, ask, approve, run, approve-statement, duty) to ``target``; ``for_whom`` else."""

    person: str
    what: str
    target: str
    for_whom: str = ""


class Reach:
    """One model, compiled. Raises Misuse for a rule set too large to decide."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.names = tuple(sorted(model.people))
        self._bit = {name: 1 << place for place, name in enumerate(self.names)}
        for account, person in model.accounts.items():
            if person in model.people:
                self._bit[account] = self._bit[person]
        self.everybody = (1 << len(self.names)) - 1
        self._approvers = self.mask(name for name, member in model.people.items() if member.approves)
        self._vendors: dict[str, Team] = {}
        for name, member in model.people.items():
            if member.vendor is not None:
                self._vendors[member.vendor] = self._vendors.get(member.vendor, 0) | self._bit[name]
        self._groups = self._close_groups()
        self._people_masks: dict[int, Team] = {}
        self._employees = self.units()[EMPLOYEES]
        self._lends = _by_resource(model.lends)
        self._chains = {chain.name: chain for chain in model.chains}

    def mask(self, names: Iterable[str]) -> Team:
        """The persons behind ``names``; a name that is nobody's is left out."""
        team = 0
        for name in names:
            team |= self._bit.get(name, 0)
        return team

    def members(self, team: Team) -> Iterator[str]:
        for bit in _bits(team):
            yield self.names[bit.bit_length() - 1]

    def units(self) -> Mapping[str, Team]:
        """The vendors with their persons, and the employees together."""
        employees = self.everybody
        for mask in self._vendors.values():
            employees &= ~mask
        return {**self._vendors, EMPLOYEES: employees}

    def kinds(self) -> Mapping[str, object]:
        """For each person what the model says of them; persons with the same value can stand for each other."""
        said: dict[str, list[object]] = {name: [member] for name, member in self.model.people.items()}
        for group, mask in self._direct.items():
            for name in self.members(mask):
                said[name].append(group)
        for place, lend in enumerate(self.model.lends):
            for name in self.members(self._singled_out(lend)):
                said[name].append(place)
                if lend.given or lend.held or lend.sponsored:
                    said[name].append(name)
        for named in {mask for rule in self._rules() if (mask := self._named(rule.people))}:
            for name in self.members(named):
                said[name].append(("named", named))
        return {name: tuple(parts) for name, parts in said.items()}

    def _singled_out(self, lend: Lend) -> Team:
        mask = self._named(lend.contractors) | self._named(lend.held) | self.mask(lend.given)
        for yes in lend.given.values():
            mask |= self.mask(yes)
        for rule in (*lend.rules, *lend.hold_rules):
            mask |= self.mask(rule.everybody_sponsoring())
        return mask

    def _rules(self) -> Iterator[Rule]:
        for lend in self.model.lends:
            for rule in (*lend.rules, *lend.hold_rules):
                yield from rule.flat()
        for power in self.model.powers:
            for rule in power.rules:
                yield from rule.flat()
        for chain in self.model.chains:
            for rule in chain.takers.values():
                yield from rule.flat()

    def works(self, team: Team, goal: Goal) -> bool:
        """Whether ``team`` alone could do ``goal``; nobody else says yes to anything any more."""
        return self.plan(team, goal) is not None

    def plan(self, team: Team, goal: Goal) -> tuple[Step, ...] | None:
        """How ``team`` could do ``goal``, step by step; None when it cannot."""
        joined, steps = self._administer(team)
        if goal.chain:
            rest = self._do_chain(team, self._chains[goal.chain], joined)
            return None if rest is None else (*steps, *rest)
        for lend in self.ways(goal):
            rest = self._do(team, lend, goal, joined)
            if rest is not None:
                return (*steps, *rest)
        return None

    def ways(self, goal: Goal) -> list[Lend]:
        return [
            lend for lend in self._lends.get(goal.resource, ()) if goal.action in lend.actions or WIDEST in lend.actions
        ]

    def shape(self, lend: Lend, goal: Goal) -> object:
        """The same for two ways that differ in nothing but their names."""
        able = tuple(action in lend.holds for action in (goal.action, WIDEST) if action in lend.actions)
        given = tuple(sorted((who, tuple(yes)) for who, yes in lend.given.items()))
        return (self._may_ask(lend), id(lend.rules), id(lend.hold_rules), self._named(lend.held), given, able)

    def _close_groups(self) -> dict[str, Team]:
        model = self.model
        inner = {group: set(model.nested.get(group, ())) for group in {*model.groups, *model.nested}}
        for children in list(inner.values()):
            for child in children:
                inner.setdefault(child, set())
        for power in model.powers:
            inner.setdefault(power.group, set())
            inner.setdefault(power.holder, set())
        self._below: dict[str, frozenset[str]] = {}
        for group in inner:
            seen, waiting = {group}, [group]
            while waiting:
                fresh = inner[waiting.pop()] - seen
                seen |= fresh
                waiting.extend(fresh)
            self._below[group] = frozenset(seen)
        direct = {group: self.mask(model.groups.get(group, ())) for group in inner}
        self._direct = direct
        masks = {}
        for group, below in self._below.items():
            mask = 0
            for child in below:
                mask |= direct[child]
            masks[group] = mask
        return masks

    def _in_group(self, group: str, team: Team, joined: frozenset[str]) -> Team:
        """Who is in ``group``, when all of ``team`` have joined the groups ``joined``."""
        mask = self._groups.get(group, 0)
        return mask | team if joined and self._below.get(group, frozenset()) & joined else mask

    def _administer(self, team: Team) -> tuple[frozenset[str], tuple[Step, ...]]:
        joined: frozenset[str] = frozenset()
        steps: list[Step] = []
        moved = bool(self.model.powers)
        while moved:
            moved = False
            for power in self.model.powers:
                if power.group in joined:
                    continue
                for holder in self._askers(self._in_group(power.holder, team, joined) & team, power.rules):
                    yeses = self._met(power.rules, holder, team, joined) if power.rules else ()
                    if yeses is None:
                        continue
                    name = self.names[holder.bit_length() - 1]
                    steps.extend(Step(yes, "approve", f"joining {power.group}", name) for yes in yeses)
                    steps.extend(Step(name, "join", power.group, who) for who in self.members(team))
                    joined, moved = joined | {power.group}, True
                    break
        return joined, tuple(steps)

    def _askers(self, candidates: Team, rules: tuple[Rule, ...]) -> Iterator[Team]:
        """One of ``candidates`` after another; of several who are alike to ``rules``, one."""
        seen: set[tuple[object, ...]] = set()
        for person in _bits(candidates):
            kind = self._kind(person, rules)
            if kind not in seen:
                seen.add(kind)
                yield person

    def _kind(self, person: Team, rules: tuple[Rule, ...]) -> tuple[object, ...]:
        name = self.names[person.bit_length() - 1]
        return (self.model.people[name], *(part for rule in rules for part in self._part(person, name, rule)))

    def _part(self, person: Team, name: str, rule: Rule) -> Iterator[object]:
        yield bool(rule.group is not None and self._groups.get(rule.group, 0) & person)
        yield bool(rule.people and self._named(rule.people) & person)
        if rule.sponsors is not None:
            yield self.mask(rule.sponsors.get(name, ()))
            yield name if self._sponsoring(rule.sponsors) & person else ""
        for inner in rule.any_of:
            yield from self._part(person, name, inner)

    def _named(self, people: frozenset[str]) -> Team:
        # By identity: the model keeps the set alive, and hashing it would cost as much as making the mask.
        mask = self._people_masks.get(id(people))
        if mask is None:
            mask = self._people_masks[id(people)] = self.mask(people)
        return mask

    def _sponsoring(self, sponsors: Mapping[str, tuple[str, ...]]) -> Team:
        mask = self._people_masks.get(id(sponsors))
        if mask is None:
            names = dict.fromkeys(name for some in sponsors.values() for name in some)
            mask = self._people_masks[id(sponsors)] = self.mask(names)
        return mask

    def _may_ask(self, lend: Lend) -> Team:
        return self._named(lend.contractors) & ~self._employees | (self._employees if lend.employees else 0)

    def _fits(self, rule: Rule, asker: Team, team: Team, joined: frozenset[str]) -> Team:
        """Whose yes counts for ``rule``, whoever is in the team."""
        return self._described(rule, asker, team, joined) & self._approvers & ~asker

    def _described(self, rule: Rule, asker: Team, team: Team, joined: frozenset[str]) -> Team:
        if rule.nobody or rule.group == _NEVER_GIVES:
            return 0
        if rule.group is None and not rule.people and rule.sponsors is None and not rule.any_of:
            return 0
        mask = self.everybody
        name = self.names[asker.bit_length() - 1]
        vendor = self.model.people[name].vendor
        if vendor is not None and not rule.same_vendor and not rule.any_of:
            mask &= ~self._vendors[vendor]
        if rule.group is not None:
            mask &= self._in_group(rule.group, team, joined)
        if rule.people:
            mask &= self._named(rule.people)
        if rule.sponsors is not None:
            mask &= self.mask(rule.sponsors.get(name, ()))
        if rule.any_of:
            inner = 0
            for other in rule.any_of:
                inner |= self._described(other, asker, team, joined)
            mask &= inner
        return mask

    def _met(
        self, rules: tuple[Rule, ...], asker: Team, team: Team, joined: frozenset[str], given: Team = 0
    ) -> tuple[str, ...] | None:
        """Who of the team says yes so that ``rules`` are met beside what ``given`` said; None when they cannot be.

        Hall's condition: any rules together find as many persons as they ask for together.
        """
        if not rules:
            return None
        if len(rules) > _MOST_RULES:
            raise Misuse(f"more than {_MOST_RULES} approval rules at once cannot be proved")
        masks = [self._fits(rule, asker, team, joined) & (team | given) for rule in rules]
        counts = [max(1, rule.count) for rule in rules]
        for size in range(1, len(rules) + 1):
            for places in combinations(range(len(rules)), size):
                union = 0
                for place in places:
                    union |= masks[place]
                if union.bit_count() < sum(counts[place] for place in places):
                    return None
        return self._choose(masks, counts, given)

    def _choose(self, masks: list[Team], counts: list[int], given: Team) -> tuple[str, ...]:
        total = sum(counts)
        some: dict[str, list[int]] = {}
        for mask in masks:
            for part in (mask & given, mask & ~given):
                for number, name in enumerate(self.members(part)):
                    if number >= total:
                        break
                    some.setdefault(name, [])
        for name, places in some.items():
            places.extend(place for place, mask in enumerate(masks) if mask & self._bit[name])
        already = set(self.members(given))
        seated = seat({name: some[name] for name in sorted(some, key=lambda n: n not in already)}, counts)
        return tuple(name for names in seated for name in names if name not in already)

    def _do(self, team: Team, lend: Lend, goal: Goal, joined: frozenset[str]) -> tuple[Step, ...] | None:
        able = [action for action in (goal.action, WIDEST) if action in lend.actions]
        for action in sorted(able, key=lambda action: action in lend.holds):
            found = self._do_by(team, lend, action, goal.resource, joined)
            if found is not None:
                return found
        return None

    def _do_by(
        self, team: Team, lend: Lend, action: str, resource: str, joined: frozenset[str]
    ) -> tuple[Step, ...] | None:
        askers = team & self._may_ask(lend)
        held = self._named(lend.held) & team
        given: dict[Team, Team] = {}
        for who, yes in lend.given.items():
            # Two accounts of one person: what was said to either counts for both.
            if who in self._bit:
                given[self._bit[who]] = given.get(self._bit[who], 0) | self.mask(yes)
        hold = action in lend.holds
        asked = [person for person in given if person & askers & ~held]
        rules = (*lend.rules, *(lend.hold_rules if hold else ()))
        for asker in (*_bits(held), *asked, *self._askers(askers & ~held, rules)):
            known = bool(asker & held)
            yeses = () if known else self._met(lend.rules, asker, team, joined, given.get(asker, 0))
            more = self._met(lend.hold_rules, asker, team, joined) if hold else ()
            if yeses is None or more is None:
                continue
            name = self.names[asker.bit_length() - 1]
            role = f"{lend.role} on {resource}"
            steps = [] if known or asker in given else [Step(name, "ask", role)]
            steps += [Step(yes, "approve", role, name) for yes in yeses]
            steps += [Step(yes, "approve-statement", f"{action} on {resource}", name) for yes in more]
            return (*steps, Step(name, "run", f"{action} on {resource}"))
        return None

    def _do_chain(self, team: Team, chain: Duties, joined: frozenset[str]) -> tuple[Step, ...] | None:
        takers = []
        for duty in chain.duties:
            rule = chain.takers.get(duty)
            mask = team if rule is None else team & self._takers(rule, team, joined)
            takers.append([self.names[bit.bit_length() - 1] for bit in _bits(mask & self._approvers)])
        found = assign(chain, takers, self.model.people, self.teams if chain.by_team else {})
        if found is None:
            return None
        return tuple(
            Step(person, "duty", f"{duty} of {chain.name}") for duty, person in zip(chain.duties, found, strict=True)
        )

    @cached_property
    def teams(self) -> Mapping[str, frozenset[str]]:
        """The groups of each person, those above included; what can be joined later is not among them."""
        found: dict[str, set[str]] = {}
        for group, mask in self._groups.items():
            for name in self.members(mask):
                found.setdefault(name, set()).add(group)
        return {name: frozenset(groups) for name, groups in found.items()}

    def _takers(self, rule: Rule, team: Team, joined: frozenset[str]) -> Team:
        mask = self.everybody
        if rule.group is not None:
            mask &= self._in_group(rule.group, team, joined)
        if rule.people:
            mask &= self._named(rule.people)
        return mask


def _bits(team: Team) -> Iterator[Team]:
    while team:
        low = team & -team
        yield low
        team ^= low


def _by_resource(lends: Iterable[Lend]) -> dict[str, list[Lend]]:
    found: dict[str, list[Lend]] = {}
    for lend in lends:
        for resource in lend.resources:
            found.setdefault(resource, []).append(lend)
    return found
