"""Who may say yes to a request, and when the yeses are enough.

The rules that hold for every approval, whatever the policy says:

* never the requester, never the same person twice;
* never somebody who has ended, never a contractor whose contract does not run;
* never somebody of the requester's vendor, unless that one rule says ``same_vendor``;
* nobody gives by being one of the ``administrators``;
* several rules are joined by AND, and one person counts for only one of them;
* groups, contracts and sponsors are looked at as they are now, not as they were when the request was opened.

Everything here is pure: the caller reads people and contracts and the clock.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from interlock.domain.people import ADMINISTRATORS, Contract, Person
from interlock.domain.roles import ApprovalRule, Role
from interlock.domain.seating import seat


@dataclass(frozen=True, slots=True)
class Yes:
    """Nothing stands against it."""


@dataclass(frozen=True, slots=True)
class No:
    """It may not be: a stable ``code``, the ``reason`` as a sentence, and what to do next (may be empty)."""

    code: str
    reason: str
    remedy: str = ""


Answer = Yes | No


@dataclass(frozen=True, slots=True)
class Ask:
    """What approvers are asked: that ``requester`` may have, or act under, ``roles``."""

    requester: Person
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tally:
    """How far the approvals go. ``counted`` says for which rule (its place) each person counts.

    ``open`` holds the rules that are not yet met, with the number of persons each still needs. No rules at all are
    never met: an empty combination fails.
    """

    counted: Mapping[str, int]
    open: tuple[tuple[ApprovalRule, int], ...]
    rules: int

    @property
    def complete(self) -> bool:
        return self.rules > 0 and not self.open

    @property
    def missing(self) -> int:
        """How many persons are still needed."""
        return sum(count for _, count in self.open)


def may_approve(
    ask: Ask, approver: Person, rule: ApprovalRule, contracts: Iterable[Contract], at: datetime
) -> Yes | No:
    """Whether a yes of ``approver`` counts for ``rule``."""
    if approver.name == ask.requester.name:
        return No("self-approval", "Nobody approves their own request.", "Ask somebody else to look at it.")
    if not approver.active:
        return No("person-ended", f"{approver.name} has left, so their approval counts for nothing.")
    contracts = tuple(contracts)
    answer = _meets(ask, approver, rule, contracts, at)
    if isinstance(answer, No) or approver.is_employee:
        return answer
    if not any(c.covers(approver) and c.running(at) for c in contracts):
        return No("contract-ended", f"{approver.name} works under no running contract, so they approve nothing.")
    return answer


def _meets(ask: Ask, approver: Person, rule: ApprovalRule, contracts: Sequence[Contract], at: datetime) -> Yes | No:
    """Whether ``rule`` itself describes ``approver``, who is somebody else and active. Cheap questions come first."""
    vendor = ask.requester.vendor
    if vendor is not None and approver.vendor == vendor and not rule.same_vendor and not rule.any_of:
        return No(
            "same-vendor",
            f"{approver.name} comes from {vendor}, as {ask.requester.name} does; somebody from elsewhere is needed.",
        )
    if not (rule.group or rule.sponsor or rule.people or rule.any_of):
        return No("empty-rule", "The rule describes nobody, so nobody can meet it.")
    if rule.group == ADMINISTRATORS:
        return No("administrators", f"{ADMINISTRATORS} may end things; they never give anything.")
    if rule.group is not None and rule.group not in approver.groups:
        return No("not-in-group", f"{approver.name} is not in the group {rule.group}.")
    if rule.people and approver.name not in rule.people:
        return No("not-named", f"{approver.name} is not among {', '.join(sorted(rule.people))}.")
    own = (contract for contract in contracts if contract.sponsor == approver.name)
    if rule.sponsor and not sponsors_of(ask, own, at):
        return No(
            "not-sponsor",
            f"{approver.name} sponsors no running contract under which {ask.requester.name} may have "
            f"{' and '.join(sorted(ask.roles))}.",
        )
    if rule.any_of:
        return _meets_any(ask, approver, rule.any_of, contracts, at)
    return Yes()


def _meets_any(
    ask: Ask, approver: Person, rules: Sequence[ApprovalRule], contracts: Sequence[Contract], at: datetime
) -> Yes | No:
    noes = []
    for rule in rules:
        answer = _meets(ask, approver, rule, contracts, at)
        if isinstance(answer, Yes):
            return answer
        noes.append(answer)
    return noes[0]


def may_approve_any(
    ask: Ask, approver: Person, rules: Sequence[ApprovalRule], contracts: Iterable[Contract], at: datetime
) -> Yes | No:
    """Whether a yes of ``approver`` counts for at least one of ``rules``; the first rule's reason when for none."""
    contracts = tuple(contracts)
    noes = []
    for rule in rules:
        answer = may_approve(ask, approver, rule, contracts, at)
        if isinstance(answer, Yes):
            return answer
        noes.append(answer)
    return noes[0] if noes else No("no-rules", "The request has no approval rule, so nothing can approve it.")


def sponsors_of(ask: Ask, contracts: Iterable[Contract], at: datetime) -> frozenset[str]:
    """The sponsors of contracts that run now, cover the requester and have every one of the roles in scope."""
    return frozenset(
        contract.sponsor
        for contract in contracts
        if contract.running(at) and contract.covers(ask.requester) and ask.roles <= contract.roles
    )


def count_approvals(
    ask: Ask, rules: Sequence[ApprovalRule], approvers: Iterable[Person], contracts: Iterable[Contract], at: datetime
) -> Tally:
    """Which rules the approvals of ``approvers`` meet when each person counts for one rule at most.

    As many places are filled as any assignment could fill, so nobody has to say yes in a special order. Who cannot
    approve counts for nothing; a person who is named twice counts once.
    """
    contracts = tuple(contracts)
    persons = {person.name: person for person in approvers}
    fits = {
        name: [
            place for place, rule in enumerate(rules) if isinstance(may_approve(ask, person, rule, contracts, at), Yes)
        ]
        for name, person in sorted(persons.items())
    }
    room = [max(1, rule.count) for rule in rules]
    seated = seat(fits, room)
    return Tally(
        counted={name: place for place, names in enumerate(seated) for name in names},
        open=tuple(
            (rule, places - len(names))
            for rule, places, names in zip(rules, room, seated, strict=True)
            if len(names) < places
        ),
        rules=len(rules),
    )


def narrow_down(
    ask: Ask, rules: Sequence[ApprovalRule], people: Iterable[Person], contracts: Iterable[Contract], at: datetime
) -> tuple[Person, ...]:
    """As few of ``people`` as give the same tally as all of them would.

    A rule for which as many persons are found as all rules ask for together can always be met after the others, so
    no more of them are looked for. It makes the question whether anybody could approve cheap among thousands.
    """
    contracts = tuple(contracts)
    people = tuple(people)
    places = sum(max(1, rule.count) for rule in rules)
    found: dict[str, Person] = {}
    for rule in rules:
        fitting: set[str] = set()
        for person in people:
            if isinstance(may_approve(ask, person, rule, contracts, at), Yes):
                found[person.name] = person
                fitting.add(person.name)
                if len(fitting) == places:
                    break
    return tuple(found.values())


def who_may(
    ask: Ask, rules: Sequence[ApprovalRule], people: Iterable[Person], contracts: Iterable[Contract], at: datetime
) -> tuple[str, ...]:
    """The names of those whose yes would count for at least one of ``rules``, sorted."""
    contracts = tuple(contracts)
    fitting = candidates(rules, people, contracts)
    return tuple(sorted(p.name for p in fitting if isinstance(may_approve_any(ask, p, rules, contracts, at), Yes)))


def candidates(
    rules: Iterable[ApprovalRule], people: Iterable[Person], contracts: Iterable[Contract]
) -> Sequence[Person]:
    """Those of ``people`` whom one of ``rules`` could describe: no more than a cheap look at each of thousands.

    Whether a yes of theirs would count, :func:`may_approve` says; of nobody else's would it.
    """
    flat = [part for rule in rules for part in _alternatives(rule)]
    groups = frozenset(rule.group for rule in flat if rule.group is not None)
    names = frozenset[str]().union(*(rule.people for rule in flat))
    if any(rule.sponsor for rule in flat):
        names |= {contract.sponsor for contract in contracts}
    return [p for p in people if p.name in names or not groups.isdisjoint(p.groups)]


def _alternatives(rule: ApprovalRule) -> Iterator[ApprovalRule]:
    """The rules of which one at least describes whoever meets ``rule``."""
    if not rule.any_of:
        yield rule
    for part in rule.any_of:
        yield from _alternatives(part)


def rules_for_hold(roles: Iterable[Role]) -> tuple[ApprovalRule, ...]:
    """The rules under which a statement held by ``roles`` may run.

    A role's own ``hold.approvals``; without them one person who could approve the role itself. Rules that several
    roles share are asked once.
    """
    rules: dict[ApprovalRule, None] = {}
    for role in roles:
        if role.hold is not None and role.hold.approvals:
            rules.update(dict.fromkeys(role.hold.approvals))
            continue
        lending = tuple(dict.fromkeys(replace(rule, count=1) for rule in role.lending.approvals))
        rules[lending[0] if len(lending) == 1 else ApprovalRule(count=1, any_of=lending)] = None
    return tuple(rules)
