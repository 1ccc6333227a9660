"""Why a person could do a thing: all the ways, each with the fewest others it takes; or why there is none.

A way is minimal when nobody of its team can be left out. Others who can stand for each other are named together, so
that "one of these five" is one way and not five.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, combinations_with_replacement

from interlock.proof.approving import enough
from interlock.proof.index import Team, cells, each
from interlock.proof.model import OURS, THE_POLICY, Goal, Lend, Model, Rule
from interlock.proof.reach import Lead, Reach
from interlock.proof.steps import Step
from interlock.proof.ways import Way
from interlock.proof.why_as_others import AsOther, AsOthers

_MOST_TRIED = 20_000


@dataclass(frozen=True, slots=True)
class Other:
    """``count`` of these persons, whichever."""

    count: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OneWay:
    """By ``role``; ``team`` is one that can, ``steps`` how; ``others`` who could stand in the place of whom.

    ``how`` is empty where everybody acts as themselves; else ``recovery`` or ``invitation``: they come in as others.
    """

    role: str
    team: tuple[str, ...]
    others: tuple[Other, ...]
    steps: tuple[Step, ...]
    how: str = ""


@dataclass(frozen=True, slots=True)
class Why:
    """``reasons``: for each role by which it would be possible and is not, why. ``complete``: no way is missing."""

    person: str
    action: str
    resource: str
    ways: tuple[OneWay, ...]
    reasons: tuple[str, ...]
    complete: bool


def explain_why(model: Model, person: str, action: str, resource: str) -> Why:
    """All minimal ways in which ``person``, who is one of the model's, does ``action`` on ``resource``."""
    reach, goal = Reach(model), Goal(action, resource)
    who = reach.mask([person])
    ways: list[OneWay] = []
    reasons: list[str] = []
    complete = True
    as_others = AsOthers(reach, who)
    for lead in reach.leads(goal):
        lend = model.lends[lead.number]
        found, whole = _ways_of(reach, lead, goal, who)
        if lead.way.role == THE_POLICY:
            others, all_of_others = _by_others_who_change_the_policy(reach, lead, goal, who)
            known = [way.others for way in found]
            found, whole = found + [way for way in others if way.others not in known], whole and all_of_others
        more, all_of_them = as_others.ways(lead, goal)
        found += [_as_other(reach, lead, one) for one in more]
        complete = complete and whole and all_of_them
        ways += found
        if not found:
            reasons.append(_reason(reach, lead, lend, who))
    if not reach.leads(goal):
        reasons.append(f"No role allows {action} on {resource}.")
    ways.sort(key=lambda way: len(way.team))
    return Why(person, action, resource, tuple(ways), tuple(reasons), complete)


def _as_other(reach: Reach, lead: Lead, way: AsOther) -> OneWay:
    others = tuple(Other(count, tuple(reach.members(part))) for part, count in way.others)
    return OneWay(lead.way.role, tuple(reach.members(way.team)), others, way.steps, way.how)


def _ways_of(reach: Reach, lead: Lead, goal: Goal, who: Team) -> tuple[list[OneWay], bool]:
    found: list[OneWay] = []
    complete = True
    for askers, given, held in lead.way.asking():
        if not askers & who:
            continue
        way = replace(lead.way, rules=()) if held else lead.way
        teams, complete = _minimal(reach, way, who, given)
        for chosen in teams:
            team = who
            for part, count in chosen:
                team |= _first(part, count)
            # The way is for this person alone: nobody else of the team asks.
            own = replace(lead, way=replace(lead.way, askers=lead.way.askers & who, held=lead.way.held & who))
            steps = reach.tell_way(own, goal, team)
            others = tuple(Other(count, tuple(reach.members(part))) for part, count in chosen)
            found.append(OneWay(lead.way.role, tuple(reach.members(team)), others, steps))
    return (found, complete) if found or not lead.rights else (_by_joining(reach, lead, goal, who), False)


def _by_others_who_change_the_policy(reach: Reach, lead: Lead, goal: Goal, who: Team) -> tuple[list[OneWay], bool]:
    """Somebody else proposes the change, by which it is lent to ``who``; whose own yes to it may count. Of the policy
    itself: in which that yes is needed."""
    found: dict[frozenset[tuple[Team, int]], OneWay] = {}
    complete = True
    masks = [reach.approving.anybody(place, frozenset()) for place in lead.way.rules]
    for alike in reach.approving.parts(lead.way.askers & reach.everybody & ~who, lead.way.rules):
        for part in cells(alike, masks):
            proposer = part & -part
            teams, whole = _minimal(reach, lead.way, proposer, who)
            complete = complete and whole
            for chosen in teams:
                counts = {part: 1}
                team = proposer | who
                for others, count in chosen:
                    team |= _first(others, count)
                    # Who is like the proposer stands with them: any of these proposes, any other says yes.
                    like = part if others == part & ~proposer else others
                    counts[like] = counts.get(like, 0) + count
                if any(_changes(reach, lead, team & ~one) for one in each(team) if one != who or goal.resource == OURS):
                    continue
                told = tuple(Other(count, tuple(reach.members(mask))) for mask, count in sorted(counts.items()))
                steps = reach.tell_changed_for(lead, goal, team, proposer, who)
                way = OneWay(lead.way.role, tuple(reach.members(team)), told, steps)
                found.setdefault(frozenset(counts.items()), way)
    return list(found.values()), complete


def _changes(reach: Reach, lead: Lead, team: Team) -> bool:
    return lead.way.find(reach.approving, team, frozenset()) is not None


def _by_joining(reach: Reach, lead: Lead, goal: Goal, who: Team) -> list[OneWay]:
    """One way by which somebody joins a group first; there may be others."""
    own = replace(lead, way=replace(lead.way, askers=lead.way.askers & who, held=lead.way.held & who))
    if not reach.can(reach.everybody, [own]):
        return []
    team = reach.everybody
    for one in each(reach.everybody & ~who):
        if reach.can(team & ~one, [own]):
            team &= ~one
    others = tuple(Other(1, (name,)) for name in reach.members(team & ~who))
    return [OneWay(lead.way.role, tuple(reach.members(team)), others, reach.tell_way(own, goal, team))]


Chosen = tuple[tuple[Team, int], ...]


def _minimal(reach: Reach, way: Way, who: Team, given: Team) -> tuple[list[Chosen], bool]:
    """The minimal choices of others: so many of each of some parts; and whether these are all."""
    if way.holds == ():
        return [], True
    own, more = reach.approving.masks(who, way.rules, way.holds, reach.everybody, frozenset(), given)
    first, second = [mask & ~who for mask in own], [mask & ~who for mask in more]
    counts = [place.count for place in way.rules], [place.count for place in way.holds or ()]
    able = 0
    for mask in (*first, *second):
        able |= mask
    parts = list(cells(able & ~given, (*first, *second)))
    found: list[tuple[int, ...]] = []
    tried = 0
    for size in range(sum(counts[0]) + sum(counts[1]) + 1):
        for chosen in combinations_with_replacement(range(len(parts)), size):
            tried += 1
            if tried > _MOST_TRIED:
                return [_counted(parts, one) for one in found], False
            if any(_within(less, chosen) for less in found):
                continue
            team = 0
            for place in set(chosen):
                team |= _first(parts[place], chosen.count(place))
            if team.bit_count() == size and _met(first, counts[0], team | given) and _met(second, counts[1], team):
                found.append(chosen)
    return [_counted(parts, one) for one in found], True


def _counted(parts: Sequence[Team], chosen: tuple[int, ...]) -> Chosen:
    return tuple((parts[place], chosen.count(place)) for place in sorted(set(chosen)))


def _within(less: tuple[int, ...], more: tuple[int, ...]) -> bool:
    return all(less.count(place) <= more.count(place) for place in set(less))


def _met(masks: Sequence[Team], counts: Sequence[int], team: Team) -> bool:
    return not masks or enough([mask & team for mask in masks], counts)


def _first(part: Team, count: int) -> Team:
    team = 0
    for number, one in enumerate(each(part)):
        if number == count:
            break
        team |= one
    return team


def _reason(reach: Reach, lead: Lead, lend: Lend, who: Team) -> str:
    """Why ``who`` cannot go this way, whoever helps."""
    name, way = reach.index.name(who), lead.way
    if not way.askers & who and not way.held & who:
        return f"{lend.role}: {name} may not ask for it, and does not have it."
    if not way.rules and not way.held & who:
        return f"{lend.role}: it is lent to nobody."
    if way.holds == ():
        return f"{lend.role}: what it holds is approved by nobody."
    own, more = reach.approving.masks(who, way.rules, way.holds, reach.everybody, frozenset(), 0)
    contractor = reach.index.vendor(who) is not None
    asked = [] if way.held & who else _short(lend.rules, own, who, contractor=contractor)
    held = [] if way.holds is None else _short(lend.hold_rules, more, who, contractor=contractor)
    what = [*(f"to be lent it, {one}" for one in asked), *(f"for the statement itself, {one}" for one in held)]
    return f"{lend.role}: {'; '.join(what) or 'the yeses that it takes cannot be had together'}."


def _short(rules: Sequence[Rule], masks: Sequence[Team], who: Team, *, contractor: bool) -> list[str]:
    """Each rule that finds too few; where there is none, the fewest that do together."""
    for size in range(1, len(rules) + 1):
        found = []
        for places in combinations(range(len(rules)), size):
            union = 0
            for place in places:
                union |= masks[place] & ~who
            if union.bit_count() < sum(max(1, rules[place].count) for place in places):
                names = ", and ".join(describe_rule(rules[place], contractor=contractor) for place in places)
                found.append(f"{names} would have to say yes, and there is {_so_many(union.bit_count())}")
        if found:
            return found
    return []


def _so_many(count: int) -> str:
    return "nobody who could" if not count else f"only {count} who could"


def describe_rule(rule: Rule, *, contractor: bool = True) -> str:
    """Whose yes a rule asks for, as a person reads it; ``contractor`` is whether one of a vendor asks."""
    count = max(1, rule.count)
    parts = ["one person" if count == 1 else f"{count} persons"]
    if rule.group is not None:
        parts.append(f"of the group {rule.group}")
    if rule.people:
        parts.append(f"among {', '.join(sorted(rule.people))}")
    if rule.sponsors is not None:
        parts.append("who sponsors the asker")
    if rule.any_of:
        parts.append(f"who is {' or '.join(describe_rule(inner, contractor=contractor) for inner in rule.any_of)}")
    if contractor and not rule.same_vendor and not rule.any_of:
        parts.append("and is not of the asker's vendor")
    return " ".join(parts)
