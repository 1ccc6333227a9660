import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.domain.actions import Action
from interlock.domain.approving import (
    Ask,
    No,
    Yes,
    count_approvals,
    may_approve,
    may_approve_any,
    narrow_down,
    rules_for_hold,
    sponsors_of,
    who_may,
)
from interlock.domain.people import ADMINISTRATORS, Contract, Person
from interlock.domain.resources import Selector
from interlock.domain.roles import ApprovalRule, Hold, Lending, Role

AT = datetime(2026, 12, 1, tzinfo=UTC)
LEAD = Person("lead", groups=frozenset({"dba"}))
OTHER = Person("other", groups=frozenset({"dba", ADMINISTRATORS}))
DEV = Person("dev", vendor="acme")
PEER = Person("peer", vendor="acme", groups=frozenset({"dba"}))
RIVAL = Person("rival", vendor="globex", groups=frozenset({"dba"}))
ACME = Contract("acme", "acme", "lead", AT - timedelta(days=1), AT + timedelta(days=1), frozenset({"writer"}))
GLOBEX = Contract("globex", "globex", "other", AT - timedelta(days=1), AT + timedelta(days=1), frozenset({"reader"}))
CONTRACTS = (ACME, GLOBEX)
ASK = Ask(DEV, frozenset({"writer"}))
DBA = ApprovalRule(1, group="dba")
SPONSOR = ApprovalRule(1, sponsor=True)


def code(answer: Yes | No) -> str:
    if isinstance(answer, No):
        assert answer.reason
        return answer.code
    return "yes"


@pytest.mark.parametrize(
    ("approver", "rule", "expected"),
    [
        (LEAD, DBA, "yes"),
        (LEAD, SPONSOR, "yes"),
        (OTHER, SPONSOR, "not-sponsor"),
        (RIVAL, DBA, "yes"),
        (DEV, DBA, "self-approval"),
        (DEV, ApprovalRule(1, people=frozenset({"dev"}), same_vendor=True), "self-approval"),
        (PEER, DBA, "same-vendor"),
        (PEER, replace(DBA, same_vendor=True), "yes"),
        (replace(LEAD, groups=frozenset()), DBA, "not-in-group"),
        (replace(LEAD, ended_at=AT), DBA, "person-ended"),
        (replace(RIVAL, vendor="initech"), DBA, "contract-ended"),
        (OTHER, ApprovalRule(1, group=ADMINISTRATORS), "administrators"),
        (OTHER, ApprovalRule(1, people=frozenset({"lead"})), "not-named"),
        (LEAD, ApprovalRule(1, people=frozenset({"lead"})), "yes"),
        (LEAD, ApprovalRule(1, group="dba", sponsor=True), "yes"),
        (OTHER, ApprovalRule(1, group="dba", sponsor=True), "not-sponsor"),
        (LEAD, ApprovalRule(1), "empty-rule"),
        (LEAD, ApprovalRule(1, any_of=(ApprovalRule(1, group="nobody"), SPONSOR)), "yes"),
        (PEER, ApprovalRule(1, any_of=(DBA, SPONSOR)), "same-vendor"),
        (PEER, ApprovalRule(1, any_of=(SPONSOR, replace(DBA, same_vendor=True))), "yes"),
    ],
)
def test_who_counts_for_a_rule(approver: Person, rule: ApprovalRule, expected: str) -> None:
    assert code(may_approve(ASK, approver, rule, CONTRACTS, AT)) == expected


def test_a_sponsor_counts_only_while_the_contract_runs_covers_and_names_the_role() -> None:
    assert sponsors_of(ASK, CONTRACTS, AT) == {"lead"}
    assert not sponsors_of(ASK, CONTRACTS, ACME.end)
    assert not sponsors_of(ASK, (replace(ACME, ended_at=AT),), AT)
    assert not sponsors_of(ASK, (replace(ACME, people=frozenset({"peer"})),), AT)
    assert not sponsors_of(Ask(DEV, frozenset({"reader"})), CONTRACTS, AT)
    assert not sponsors_of(Ask(DEV, frozenset({"reader", "writer"})), CONTRACTS, AT)
    assert not sponsors_of(Ask(LEAD, frozenset({"writer"})), CONTRACTS, AT)


def test_an_employee_may_be_approved_by_any_vendor() -> None:
    assert isinstance(may_approve(Ask(LEAD, frozenset({"writer"})), RIVAL, DBA, CONTRACTS, AT), Yes)


def test_one_person_counts_for_one_rule() -> None:
    alone = count_approvals(ASK, (DBA, SPONSOR), (LEAD, LEAD), CONTRACTS, AT)
    assert not alone.complete
    assert alone.missing == 1
    both = count_approvals(ASK, (DBA, SPONSOR), (LEAD, OTHER), CONTRACTS, AT)
    assert both.complete
    assert both.counted == {"lead": 1, "other": 0}
    assert count_approvals(ASK, (DBA, SPONSOR), (OTHER, LEAD), CONTRACTS, AT) == both


def test_no_rules_are_never_met() -> None:
    assert not count_approvals(ASK, (), (LEAD, OTHER), CONTRACTS, AT).complete
    assert code(may_approve_any(ASK, LEAD, (), CONTRACTS, AT)) == "no-rules"


def test_a_count_below_one_asks_for_one_all_the_same() -> None:
    assert not count_approvals(ASK, (replace(DBA, count=0),), (), CONTRACTS, AT).complete


def test_among_many_only_a_few_are_looked_at() -> None:
    many = [Person(f"p{number}", groups=frozenset({"dba"})) for number in range(500)]
    few = narrow_down(ASK, (replace(DBA, count=2), SPONSOR), [*many, LEAD], CONTRACTS, AT)
    assert [person.name for person in few] == ["p0", "p1", "p2", "lead"]
    assert count_approvals(ASK, (replace(DBA, count=2), SPONSOR), few, CONTRACTS, AT).complete


def test_who_may_names_each_person_once_in_order() -> None:
    people = (RIVAL, LEAD, DEV, OTHER, PEER)
    assert who_may(ASK, (DBA, SPONSOR), people, CONTRACTS, AT) == ("lead", "other", "rival")


def role(name: str, approvals: tuple[ApprovalRule, ...], hold: Hold | None = None) -> Role:
    allow = frozenset({Action.WRITE})
    return Role(name, Selector(kind="toy"), allow, Lending(timedelta(hours=1), approvals), hold)


def test_a_held_statement_asks_who_could_approve_the_role() -> None:
    two = replace(DBA, count=2)
    assert rules_for_hold([role("a", (two,))]) == (DBA,)
    (either,) = rules_for_hold([role("a", (two, SPONSOR))])
    assert either == ApprovalRule(1, any_of=(DBA, SPONSOR))
    assert str(either) == "1 person of the group dba or who sponsors the contract"


def test_a_held_statement_asks_the_holds_own_rules_where_there_are_some() -> None:
    hold = Hold(frozenset({Action.WRITE}), (SPONSOR,))
    assert rules_for_hold([role("a", (DBA,), hold)]) == (SPONSOR,)
    assert rules_for_hold([role("a", (DBA,), hold), role("b", (DBA,)), role("c", (DBA,))]) == (SPONSOR, DBA)


# Against brute force.

GROUPS = st.frozensets(st.sampled_from(["dba", "ops", ADMINISTRATORS]), max_size=3)
PEOPLE = st.builds(
    Person,
    name=st.sampled_from("abcdefg"),
    vendor=st.sampled_from([None, "acme", "globex"]),
    groups=GROUPS,
    ended_at=st.sampled_from([None, None, None, AT]),
)
SIMPLE = st.builds(
    ApprovalRule,
    count=st.integers(1, 3),
    group=st.sampled_from([None, "dba", "ops"]),
    sponsor=st.booleans(),
    people=st.frozensets(st.sampled_from("abcdefg"), max_size=4),
    same_vendor=st.booleans(),
)
RULES = SIMPLE | st.builds(
    ApprovalRule, count=st.integers(1, 2), any_of=st.lists(SIMPLE, min_size=1, max_size=2).map(tuple)
)
CONTRACT = st.builds(
    Contract,
    name=st.just("c"),
    vendor=st.sampled_from(["acme", "globex"]),
    sponsor=st.sampled_from("abcdefg"),
    start=st.sampled_from([AT - timedelta(days=2), AT + timedelta(days=1)]),
    end=st.just(AT + timedelta(days=2)),
    roles=st.frozensets(st.sampled_from(["writer", "reader"]), max_size=2),
    people=st.frozensets(st.sampled_from("abcdefg"), max_size=2),
)
TEAMS = st.lists(PEOPLE, max_size=7, unique_by=lambda person: person.name)


def describes(rule: ApprovalRule, ask: Ask, person: Person, contracts: Sequence[Contract]) -> bool:
    """The rule said again, as a formula."""
    if rule.any_of:
        return any(describes(inner, ask, person, contracts) for inner in rule.any_of)
    sponsors = {
        c.sponsor
        for c in contracts
        if c.start <= AT < c.end
        and c.vendor == ask.requester.vendor
        and (not c.people or ask.requester.name in c.people)
        and "writer" in c.roles
    }
    return (
        (rule.group is not None or rule.sponsor or bool(rule.people))
        and (ask.requester.vendor is None or person.vendor != ask.requester.vendor or rule.same_vendor)
        and (rule.group is None or rule.group in person.groups)
        and (not rule.people or person.name in rule.people)
        and (not rule.sponsor or person.name in sponsors)
    )


def is_free(ask: Ask, person: Person, contracts: Sequence[Contract]) -> bool:
    covered = any(
        c.start <= AT < c.end and c.vendor == person.vendor and (not c.people or person.name in c.people)
        for c in contracts
    )
    return person.name != ask.requester.name and person.ended_at is None and (person.vendor is None or covered)


@settings(max_examples=200, deadline=None)
@given(PEOPLE, RULES, PEOPLE, st.lists(CONTRACT, max_size=3))
def test_may_approve_is_what_the_formula_says(
    requester: Person, rule: ApprovalRule, approver: Person, contracts: list[Contract]
) -> None:
    ask = Ask(requester, frozenset({"writer"}))
    expected = is_free(ask, approver, contracts) and describes(rule, ask, approver, contracts)
    assert isinstance(may_approve(ask, approver, rule, contracts, AT), Yes) is expected


NESTED = st.builds(ApprovalRule, count=st.just(1), any_of=st.lists(RULES, min_size=1, max_size=2).map(tuple))


@settings(max_examples=200, deadline=None)
@given(PEOPLE, st.lists(RULES | NESTED, max_size=3), TEAMS, st.lists(CONTRACT, max_size=2))
def test_nobody_who_may_is_passed_over(
    requester: Person, rules: list[ApprovalRule], team: list[Person], contracts: list[Contract]
) -> None:
    ask = Ask(requester, frozenset({"writer"}))
    each = [person.name for person in team if isinstance(may_approve_any(ask, person, rules, contracts, AT), Yes)]
    assert list(who_may(ask, rules, team, contracts, AT)) == sorted(each)


@settings(max_examples=150, deadline=None)
@given(PEOPLE, st.lists(RULES, max_size=3), TEAMS, st.lists(CONTRACT, max_size=2))
def test_the_tally_fills_as_many_places_as_any_assignment_could(
    requester: Person, rules: list[ApprovalRule], team: list[Person], contracts: list[Contract]
) -> None:
    ask = Ask(requester, frozenset({"writer"}))
    choices = [
        [None]
        + [
            place
            for place, rule in enumerate(rules)
            if is_free(ask, person, contracts) and describes(rule, ask, person, contracts)
        ]
        for person in team
    ]
    best = max(
        sum(min(rule.count, chosen.count(place)) for place, rule in enumerate(rules))
        for chosen in itertools.product(*choices)
    )
    tally = count_approvals(ask, rules, team, contracts, AT)
    few = narrow_down(ask, rules, team, contracts, AT)
    assert count_approvals(ask, rules, few, contracts, AT).missing == tally.missing
    assert tally.missing == sum(rule.count for rule in rules) - best
    assert tally.complete is (bool(rules) and tally.missing == 0)
    for name, place in tally.counted.items():
        person = next(p for p in team if p.name == name)
        assert isinstance(may_approve(ask, person, rules[place], contracts, AT), Yes)
    places = list(tally.counted.values())
    assert all(places.count(place) <= rule.count for place, rule in enumerate(rules))
    assert [count for _, count in tally.open] == [
        rule.count - places.count(place) for place, rule in enumerate(rules) if places.count(place) < rule.count
    ]


@settings(max_examples=100, deadline=None)
@given(PEOPLE, st.lists(RULES, min_size=1, max_size=3), TEAMS, PEOPLE)
def test_one_more_approval_never_takes_anything_away(
    requester: Person, rules: list[ApprovalRule], team: list[Person], late: Person
) -> None:
    ask = Ask(requester, frozenset({"writer"}))
    before = count_approvals(ask, rules, team, CONTRACTS, AT)
    if late.name not in {person.name for person in team}:
        after = count_approvals(ask, rules, [*team, late], CONTRACTS, AT)
        assert after.missing <= before.missing <= after.missing + 1
