"""When a request for a grant can never be right: refused at once, with every reason, and nobody is bothered.

Pure: the caller reads people, contracts, grants and the clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from interlock.domain.approving import Ask, No, count_approvals, narrow_down
from interlock.domain.durations import format_duration
from interlock.domain.grants import Grant
from interlock.domain.people import Contract, Person
from interlock.domain.resources import Resource
from interlock.domain.roles import ApprovalRule, Role


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for: a role on a resource for a time, by name."""

    person: str
    resource: str
    role: str
    duration: timedelta


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the answer to a wish depends on, as it is at ``at``.

    ``grants`` are the person's own grants, ended ones may be among them; ``conflicts`` the sets of roles of which a
    person may hold only one at a time.
    """

    at: datetime
    people: Mapping[str, Person]
    resources: Mapping[str, Resource]
    roles: Mapping[str, Role]
    contracts: Iterable[Contract] = ()
    conflicts: Sequence[frozenset[str]] = ()
    grants: Sequence[Grant] = field(default_factory=tuple)


def refuse_at_once(wish: Wish, now: Circumstances, *, emergency: bool = False) -> tuple[No, ...]:
    """Every reason for which no approval could make the wish right; empty when it may be asked.

    Conditions: the person is known and has not ended · resource and role exist and belong together · the time is
    longer than nothing and no longer than the role is lent · a contractor has a running contract with the role in
    its scope, and the window ends before it does · no conflict with a role held now · other persons could meet all
    approval rules together. In an ``emergency`` the last is not asked, and the role is lent no longer than its
    ``break_glass`` says, to those whom that names.
    """
    person = now.people.get(wish.person)
    if person is None or not person.active:
        return (No("person-ended", f"{wish.person} has left or was never known here, so nothing is lent to them."),)
    noes = [*_unknown_names(wish, now)]
    role = now.roles.get(wish.role)
    resource = now.resources.get(wish.resource)
    if role is None or resource is None:
        return tuple(noes)
    if not role.on.matches(resource):
        fitting = sorted(name for name, other in now.roles.items() if other.on.matches(resource))
        remedy = f"The roles on {resource.name} are {', '.join(fitting)}." if fitting else "No role is lent on it."
        noes.append(No("role-not-on-resource", f"The role {role.name} does not concern {resource.name}.", remedy))
    contracts = tuple(now.contracts)
    objections = (
        _no_glass(wish, person, role) if emergency else None,
        _too_long(wish, role, emergency=emergency),
        _outside_contract(wish, person, contracts, now.at),
        find_conflict(wish.role, now.grants, now.conflicts, now.at),
        None if emergency else _nobody_to_approve(person, role, now, contracts),
    )
    noes.extend(objection for objection in objections if objection is not None)
    return tuple(noes)


def _unknown_names(wish: Wish, now: Circumstances) -> Iterable[No]:
    hint = "`interlock resources` lists what there is."
    if wish.resource not in now.resources:
        yield No("unknown-resource", f"There is no resource {wish.resource}.", hint)
    if wish.role not in now.roles:
        yield No("unknown-role", f"There is no role {wish.role}.", hint)


def _no_glass(wish: Wish, person: Person, role: Role) -> No | None:
    glass = role.break_glass
    if glass is None:
        return No("no-glass", f"The role {role.name} is never taken without approval.", "Ask for it: interlock request")
    named = (not glass.by.people or person.name in glass.by.people) and (
        glass.by.group is None or glass.by.group in person.groups
    )
    if not named:
        return No(
            "not-your-glass",
            f"{wish.person} may not take {role.name} without approval: that is for those {glass.by.who}.",
            "Ask for it: interlock request, or one of those.",
        )
    return None


def _too_long(wish: Wish, role: Role, *, emergency: bool = False) -> No | None:
    longest = role.lending.longest
    if emergency and role.break_glass is not None:
        longest = min(longest, role.break_glass.longest)
    if wish.duration <= timedelta(0):
        return No("no-time", "A grant of no time gives nothing.", f"Ask for up to {format_duration(longest)}.")
    if wish.duration > longest:
        return No(
            "too-long",
            f"The role {role.name} is lent for {format_duration(longest)} at most.",
            f"Ask again with --for {format_duration(longest)}.",
        )
    return None


def contract_for(person: Person, role: str, contracts: Iterable[Contract], at: datetime) -> Contract | None:
    """The running contract under which ``person`` may have ``role``; of several the one that ends last."""
    fitting = [c for c in contracts if c.running(at) and c.covers(person) and role in c.roles]
    return max(fitting, key=lambda c: (c.end, c.name), default=None)


def _outside_contract(wish: Wish, person: Person, contracts: Sequence[Contract], at: datetime) -> No | None:
    if person.is_employee:
        return None
    running = [c for c in contracts if c.running(at) and c.covers(person)]
    if not running:
        coming = min(
            (c for c in contracts if c.covers(person) and c.ended_at is None and c.start > at),
            default=None,
            key=lambda c: c.start,
        )
        remedy = f"Your contract {coming.name} starts on {coming.start:%Y-%m-%d}." if coming else "Ask your sponsor."
        return No("outside-contract", f"{person.name} works under no contract that runs now.", remedy)
    contract = contract_for(person, wish.role, running, at)
    if contract is None:
        scope = sorted(frozenset[str]().union(*(c.roles for c in running)))
        names = " and ".join(sorted(c.name for c in running))
        return No(
            "outside-scope",
            f"The role {wish.role} is not in the scope of {names}.",
            f"In scope: {', '.join(scope)}.",
        )
    if at + wish.duration > contract.end:
        left = format_duration(contract.end - at)
        return No(
            "past-contract",
            f"The contract {contract.name} ends at {contract.end:%Y-%m-%d %H:%M} UTC, before such a grant would.",
            f"Ask again with --for {left} or less.",
        )
    return None


def find_conflict(role: str, grants: Iterable[Grant], conflicts: Iterable[frozenset[str]], at: datetime) -> No | None:
    """The reason why ``role`` may not be held beside the active ones of ``grants``, or None.

    Static separation: of the roles in one set a person holds one at a time, on whichever resources.
    """
    held = {grant.role: grant for grant in grants if grant.active(at) and grant.role != role}
    for conflict in conflicts:
        if role not in conflict:
            continue
        for other in sorted(conflict & held.keys()):
            return No(
                "conflict",
                f"The role {role} conflicts with {other}, which {held[other].person} holds until "
                f"{held[other].ends_at:%Y-%m-%d %H:%M} UTC.",
                f"Give that one up first: interlock end {held[other].id}",
            )
    return None


def _nobody_to_approve(person: Person, role: Role, now: Circumstances, contracts: Sequence[Contract]) -> No | None:
    return explain_shortage(
        Ask(person, frozenset({role.name})), role.lending.approvals, now.people.values(), contracts, now.at
    )


def explain_shortage(
    ask: Ask, rules: Sequence[ApprovalRule], people: Iterable[Person], contracts: Iterable[Contract], at: datetime
) -> No | None:
    """Why all of ``people`` together could not meet ``rules``, saying who is missing; None when they could."""
    contracts = tuple(contracts)
    tally = count_approvals(ask, rules, narrow_down(ask, rules, people, contracts, at), contracts, at)
    if tally.complete:
        return None
    if not rules:
        return No("no-rules", f"Nobody is named who could approve {' and '.join(sorted(ask.roles))}.")
    missing = "; ".join(
        f"{count} more {'person' if count == 1 else 'persons'} {rule.who}" for rule, count in tally.open
    )
    return No(
        "nobody-to-approve",
        f"Nobody could approve this for {ask.requester.name}. Missing: {missing}. One person counts for one rule only, "
        "nobody for their own request or for somebody of their own vendor.",
        "Whoever keeps the policy can add people or change the rule.",
    )
