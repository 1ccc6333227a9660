"""One request before its judges: who may say yes to it, and whether those who did are enough.

INVARIANT: approvals must meet the rules that the request was opened with *and* the rules of the policy that is active
now. A policy that became stricter since counts; one that became looser does not help a request opened before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from interlock.domain.approving import (
    Ask,
    No,
    Tally,
    Yes,
    candidates,
    count_approvals,
    may_approve_any,
    rules_for_hold,
    who_may,
)
from interlock.domain.grants import Approval, Request, RequestKind
from interlock.domain.people import Contract, Person
from interlock.domain.requesting import explain_shortage
from interlock.domain.roles import ApprovalRule, BreakGlass, Role
from interlock.errors import Refusal
from interlock.policy.configuration import Configuration
from interlock.ports.state import Reading
from interlock.services.desk import Desk
from interlock.services.ending_rights import is_administrator


@dataclass(frozen=True, slots=True)
class Case:
    """A request with everything that judging it depends on, as it is at ``at``."""

    request: Request
    ask: Ask
    role_now: Role | None
    rules_now: tuple[ApprovalRule, ...]
    people: Mapping[str, Person]
    contracts: Sequence[Contract]
    at: datetime

    def may_approve(self, person: Person) -> Yes | No:
        """Whether a yes of ``person`` could count, under the rules of the opening and under those of now."""
        if person.name in recorded_in(self.request):
            return No("own-recording", f"{person.name} was recorded there, and has no say in what becomes of it.")
        if person.name in involved_in(self.request):
            return No("part-of-it", f"{person.name} had a part in what this is about, and has no say in it.")
        for rules in (self.request.rules, self.rules_now):
            answer = may_approve_any(self.ask, person, rules, self.contracts, self.at)
            if isinstance(answer, No):
                return answer
        return answer

    def tally(self, approvals: Iterable[Approval]) -> Tally:
        """How far ``approvals`` go; of the two sets of rules the one that is further from being met."""
        persons = [
            self.people[a.person]
            for a in approvals
            if a.request == self.request.id and a.digest == self.request.digest and a.person in self.people
        ]
        opening, now = (
            count_approvals(self.ask, rules, persons, self.contracts, self.at)
            for rules in (self.request.rules, self.rules_now)
        )
        return opening if now.complete or (not opening.complete and opening.missing >= now.missing) else now

    def judges(self) -> tuple[str, ...]:
        """Who could say yes now, sorted by name."""
        people = candidates(self.request.rules, self.people.values(), self.contracts)
        return tuple(sorted(person.name for person in people if isinstance(self.may_approve(person), Yes)))


async def open_case(desk: Desk, reading: Reading, request: Request, at: datetime) -> Case:
    (case,) = await open_cases(desk, reading, (request,), at)
    return case


async def open_cases(desk: Desk, reading: Reading, requests: Iterable[Request], at: datetime) -> Sequence[Case]:
    people = {person.name: person for person in await reading.people()}
    contracts = await reading.contracts()
    return [
        Case(
            request=request,
            ask=Ask(people[request.person], roles_of(request)),
            role_now=desk.configuration.roles.get(request.role),
            rules_now=_rules_now(desk.configuration, request, people.values()),
            people=people,
            contracts=contracts,
            at=at,
        )
        for request in requests
    ]


def recorded_in(request: Request) -> frozenset[str]:
    """Whose recordings a request to delete, or to lift a hold, is about: they do not judge it."""
    if request.kind is RequestKind.DELETION:
        named = request.content.get("recordings")
        listed = named if isinstance(named, list) else []
        return frozenset(str(one["person"]) for one in listed if isinstance(one, Mapping))
    recorded = request.content.get("recorded") if request.kind is RequestKind.LIFTING else None
    return frozenset(map(str, recorded)) if isinstance(recorded, list) else frozenset()


def involved_in(request: Request) -> frozenset[str]:
    """Who wrote what an emergency deployment brings, and, in its review, who confirmed it."""
    named = request.content.get("involved")
    return frozenset(map(str, named)) if isinstance(named, list) else frozenset()


def confirming(glass: BreakGlass) -> ApprovalRule:
    """Who confirms an emergency deployment: another of those who may break the glass."""
    return replace(glass.by, count=1)


def roles_of(request: Request) -> frozenset[str]:
    """The roles that a request is about: one for a grant, those that ask for the hold for a statement."""
    if request.kind is RequestKind.POLICY:
        return frozenset()
    roles = request.content.get("roles")
    if request.kind is RequestKind.STATEMENT and isinstance(roles, list):
        return frozenset(str(role) for role in roles)
    return frozenset({request.role})


def rules_for_policy(configuration: Configuration, people: Iterable[Person]) -> tuple[ApprovalRule, ...]:
    """Who approves a change of the policy: as it says itself, else one of the employees among the administrators."""
    if configuration.policy_approvals:
        return configuration.policy_approvals
    names = frozenset(p.name for p in people if p.is_employee and is_administrator(p))
    return (ApprovalRule(1, people=names),) if names else ()


def _rules_now(configuration: Configuration, request: Request, people: Iterable[Person]) -> tuple[ApprovalRule, ...]:
    """The rules of the active policy; none, which nobody can meet, when it no longer has one of the roles.

    A review goes on by the rule it was opened with when the role, or its glass, is gone: it has to be closed anyway.
    """
    if request.kind is RequestKind.POLICY:
        return rules_for_policy(configuration, people)
    if request.kind is RequestKind.REVIEW:
        role = configuration.roles.get(request.role)
        return request.rules if role is None or role.break_glass is None else (role.break_glass.review,)
    if request.kind in (RequestKind.DELETION, RequestKind.LIFTING):
        return configuration.retention.approvals
    roles = [configuration.roles.get(name) for name in sorted(roles_of(request))]
    known = [role for role in roles if role is not None]
    if len(known) < len(roles):
        return ()
    if request.kind is RequestKind.STATEMENT:
        return rules_for_hold(known)
    if request.content.get("emergency"):
        glass = known[0].break_glass
        return () if glass is None else (confirming(glass),)
    return known[0].lending.approvals


def describe_judges(
    ask: Ask, rules: Sequence[ApprovalRule], people: Iterable[Person], contracts: Iterable[Contract], at: datetime
) -> str:
    """Who may approve, in words: ``one of lead@example.com, dba2@example.com``, one such part for each rule.

    Raises Refusal when all of them together could not meet the rules.
    """
    people, contracts = tuple(people), tuple(contracts)
    shortage = explain_shortage(ask, rules, people, contracts, at)
    if shortage is not None:
        raise Refusal(shortage.code, shortage.reason, shortage.remedy)
    parts = []
    for rule in rules:
        names = who_may(ask, (rule,), people, contracts, at)
        count = "one" if rule.count <= 1 else str(rule.count)
        parts.append(names[0] if len(names) == 1 else f"{count} of {', '.join(names)}")
    return ", and ".join(parts)


def refuse(case: Case, no: No) -> Refusal:
    """A pure rule's no as the refusal that a person meets, with what to do next."""
    judges = ", ".join(case.judges())
    return Refusal(no.code, no.reason, no.remedy or f"Who may: {judges or 'nobody at this moment'}.")
