"""Whether the parts of a configuration make sense together: what each part alone cannot show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from interlock.domain.actions import Action
from interlock.domain.approving import Ask, count_approvals, narrow_down, rules_for_hold
from interlock.domain.people import Contract, Person
from interlock.domain.resources import Resource
from interlock.domain.roles import ApprovalRule, Role
from interlock.policy.annotations import READING
from interlock.policy.draft import Draft, Path
from interlock.policy.mistakes import closest
from interlock.policy.read_resources import RESERVED_LABELS


@dataclass(frozen=True, slots=True)
class Parts:
    """What was read, and can be looked at together."""

    resources: Mapping[str, Resource]
    people: Mapping[str, Person]
    contracts: Mapping[str, Contract]
    roles: Mapping[str, Role]
    conflicts: Sequence[frozenset[str]] = ()
    filled_elsewhere: frozenset[str] = frozenset()
    """Groups that a directory fills: how many are in them is not known here."""

    @property
    def sponsors(self) -> frozenset[str]:
        return frozenset(contract.sponsor for contract in self.contracts.values())


def check_together(draft: Draft, parts: Parts) -> None:
    for role in parts.roles.values():
        _check_selector(draft, role, parts.resources)
        _check_actions(draft, role)
        _check_rules(draft, role, parts)
    _refuse_conflicting_scopes(draft, parts)
    _warn_of_idle_contractors(draft, parts)
    _warn_of_twins(draft, parts.resources)
    _warn_of_unread(draft, parts)


def _check_selector(draft: Draft, role: Role, resources: Mapping[str, Resource]) -> None:
    """A role that is about no resource; the sentence points at the first condition that nothing meets."""
    if len(resources) < len(draft.declared("resources")) or any(map(role.on.matches, resources.values())):
        return
    path = ("roles", role.name, "on")
    kinds = {resource.kind for resource in resources.values()}
    if role.on.kind is not None and role.on.kind not in kinds:
        right = f"the kinds of resources here: {', '.join(sorted(kinds))}" if kinds else "add a resource"
        draft.add((*path, "kind"), f"the role {role.name} matches no resource: none is of kind {role.on.kind}", right)
        return
    for label, value in role.on.labels.items():
        values = {r.labels[label] for r in resources.values() if label in r.labels}
        if value not in values:
            labels = {name for r in resources.values() for name in r.labels} | RESERVED_LABELS
            near = closest(value, values) if values else closest(label, labels)
            right = f"did you mean {near}?" if near else f"give a resource the label {label}: {value}"
            draft.add((*path, label), f"the role {role.name} matches no resource: none has {label}: {value}", right)
            return
    draft.add(path, f"the role {role.name} matches no resource: none meets all of it together", "take a condition away")


def _check_actions(draft: Draft, role: Role) -> None:
    path = ("roles", role.name)
    if role.hold is not None:
        where = (
            (*path, "hold", "actions") if ("roles", role.name, "hold", "actions") in draft.places else (*path, "hold")
        )
        for action in sorted(role.hold.actions - role.allow):
            draft.add(
                (*where, action), f"the role {role.name} holds {action}, which it does not allow", f"allow {action} too"
            )
        for action in (Action.CONNECT, Action.REPLAY):
            if action in role.hold.actions:
                draft.add(
                    (*where, action), f"{action} cannot be held: it is no statement", "the grant's approval decides it"
                )
    if role.fence_rows is not None and Action.WRITE not in role.allow:
        draft.add(
            (*path, "fence"), f"the role {role.name} has a fence and may not write", "allow write, or drop the fence"
        )
    elif role.fence_rows is not None and role.hold is not None and Action.WRITE in role.hold.actions:
        draft.add(
            (*path, "fence"), "every write is held already, so the fence never acts", "drop the fence or that hold"
        )
    if role.masks and not role.allow & READING:
        draft.add(
            (*path, "mask"), f"the role {role.name} masks columns and may not read", "allow read, or drop the mask"
        )
    if not role.allow & {Action.CONNECT, Action.REPLAY}:
        draft.warn(
            (*path, "allow"), f"the role {role.name} does not allow connect", "it is of use only beside another role"
        )


def _check_rules(draft: Draft, role: Role, parts: Parts) -> None:
    lend: Path = ("roles", role.name, "lend", "approvals")
    sound = True
    for number, rule in enumerate(role.lending.approvals):
        sound = _check_rule(draft, role, rule, (*lend, str(number)), parts) and sound
    hold: Path = ("roles", role.name, "hold", "approvals")
    for number, rule in enumerate(role.hold.approvals if role.hold is not None else ()):
        sound = _check_rule(draft, role, rule, (*hold, str(number)), parts) and sound
    glass = role.break_glass
    if glass is not None:
        path: Path = ("roles", role.name, "break_glass")
        sound = _check_rule(draft, role, glass.review, (*path, "review"), parts) and sound
        if sound and not _someone_could(role, (glass.review,), parts):
            draft.warn((*path, "review"), f"as people stand, nobody's broken glass of {role.name} could be reviewed")
    if not sound or len(parts.contracts) < len(draft.declared("contracts")):
        return
    if not _someone_could(role, role.lending.approvals, parts):
        draft.warn(
            lend,
            f"as people stand, nobody could be lent the role {role.name}",
            "the requester, people of the same vendor and whoever already counts for another rule do not count",
        )
    elif role.hold is not None and not _someone_could(role, rules_for_hold([role]), parts):
        draft.warn(hold, f"as people stand, nobody's held statement under {role.name} could be approved")


def _check_rule(draft: Draft, role: Role, rule: ApprovalRule, path: Path, parts: Parts) -> bool:
    """Whether enough people could ever meet the rule, taken alone and for whichever requester."""
    sponsors = {c.sponsor for c in parts.contracts.values() if role.name in c.roles}
    if rule.sponsor and not sponsors:
        if len(parts.contracts) < len(draft.declared("contracts")):
            return False
        draft.add(
            (*path, "from"),
            f"no contract has the role {role.name} in its scope, so it has no sponsor to approve it",
            f"add {role.name} to a contract's roles, or name another approver",
        )
        return False
    if rule.group in parts.filled_elsewhere:
        return True
    eligible = [
        person
        for person in parts.people.values()
        if _could_meet(rule, person, parts) and (not rule.sponsor or person.name in sponsors)
    ]
    if len(eligible) >= rule.count:
        return True
    there = f"there {'is' if len(eligible) == 1 else 'are'} {len(eligible) or 'none'}"
    draft.add(
        path if path[-1] == "review" else (*path, "count"),
        f"the role {role.name} asks for {rule} and {there}",
        "lower count, or add people",
    )
    return False


_MOST_TRIES = 400
"""After so many kinds of requesters the search for one who could be approved stops: what is left is only a warning."""


def _someone_could(role: Role, rules: Sequence[ApprovalRule], parts: Parts) -> bool:
    """Whether for some person, at some moment, all the rules could be met together by others.

    Requesters who are alike in vendor and contracts get the same approvals, unless they could approve themselves.
    """
    if any(rule.group in parts.filled_elsewhere for rule in rules):
        return True
    contracts = tuple(parts.contracts.values())
    starts = sorted({c.start for c in contracts}) or [datetime.min.replace(tzinfo=UTC)]
    candidates = [person for person in parts.people.values() if any(_could_meet(rule, person, parts) for rule in rules)]
    approving = {person.name for person in candidates}
    tried: set[tuple[str | None, frozenset[str], str]] = set()
    for person in parts.people.values():
        mine = [c for c in contracts if c.covers(person)]
        alike = (person.vendor, frozenset(c.name for c in mine), person.name if person.name in approving else "")
        if alike in tried:
            continue
        tried.add(alike)
        for moment in starts if person.is_employee else sorted({c.start for c in mine}):
            running = [c for c in contracts if c.running(moment)]
            ask = Ask(person, frozenset({role.name}))
            few = narrow_down(ask, rules, candidates, running, moment)
            if count_approvals(ask, rules, few, running, moment).complete:
                return True
        if len(tried) > _MOST_TRIES:
            return True
    return False


def _could_meet(rule: ApprovalRule, person: Person, parts: Parts) -> bool:
    """Whether the rule may describe the person, for whichever requester."""
    if rule.any_of:
        return any(_could_meet(inner, person, parts) for inner in rule.any_of)
    return (
        (rule.group is None or rule.group in person.groups)
        and (not rule.people or person.name in rule.people)
        and (not rule.sponsor or person.name in parts.sponsors)
    )


def _refuse_conflicting_scopes(draft: Draft, parts: Parts) -> None:
    """A contract assigns its roles: two in static conflict are not assigned to one person."""
    for contract in parts.contracts.values():
        for roles in parts.conflicts:
            both = sorted(roles & contract.roles)
            if len(both) > 1:
                draft.add(
                    ("contracts", contract.name, "roles", both[-1]),
                    f"the contract {contract.name} has {' and '.join(both)} in its scope, which conflict",
                    "give them to two contracts with people of their own",
                )


def _warn_of_idle_contractors(draft: Draft, parts: Parts) -> None:
    if len(parts.contracts) < len(draft.declared("contracts")):
        return
    for person in parts.people.values():
        if not person.is_employee and not any(c.covers(person) for c in parts.contracts.values()):
            draft.warn(
                ("people", person.name),
                f"{person.name} comes from {person.vendor} and no contract covers them",
                "they can ask for nothing until one does",
            )


def _warn_of_twins(draft: Draft, resources: Mapping[str, Resource]) -> None:
    """Two names for the very same thing: a role on one is a role on the other."""
    seen: list[Resource] = []
    for resource in resources.values():
        for other in seen:
            same = (resource.kind, resource.host, resource.port, resource.credential, resource.settings)
            if same == (other.kind, other.host, other.port, other.credential, other.settings):
                draft.warn(
                    ("resources", resource.name),
                    f"{resource.name} is the same database or host as {other.name}, with the same credential",
                    "a role on one is a role on the other",
                )
                break
        seen.append(resource)


def _warn_of_unread(draft: Draft, parts: Parts) -> None:
    """Sessions that are recorded, and that no role lets anybody look at."""
    if len(parts.roles) < len(draft.declared("roles")):
        return
    for resource in parts.resources.values():
        here = [role for role in parts.roles.values() if role.on.matches(resource)]
        if any(Action.CONNECT in role.allow for role in here) and not any(Action.REPLAY in role.allow for role in here):
            draft.warn(
                ("resources", resource.name),
                f"no role allows replay on {resource.name}, so nobody reads what others did there",
                "add a role with allow: [replay], which others approve",
            )
