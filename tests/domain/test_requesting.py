from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.domain.actions import Action
from interlock.domain.approving import Ask
from interlock.domain.grants import Grant
from interlock.domain.people import Contract, Person
from interlock.domain.requesting import (
    Circumstances,
    Wish,
    contract_for,
    explain_shortage,
    find_conflict,
    refuse_at_once,
)
from interlock.domain.resources import Resource, Selector
from interlock.domain.roles import ApprovalRule, Lending, Role

AT = datetime(2026, 12, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PEOPLE = {
    "lead": Person("lead", groups=frozenset({"dba"})),
    "other": Person("other", groups=frozenset({"dba"})),
    "dev": Person("dev", vendor="acme"),
}
WRITER = Role(
    "writer",
    Selector(kind="postgres"),
    frozenset({Action.CONNECT, Action.WRITE}),
    Lending(2 * HOUR, (ApprovalRule(1, group="dba"), ApprovalRule(1, sponsor=True))),
)
READER = Role(
    "reader", Selector(kind="postgres"), frozenset({Action.READ}), Lending(8 * HOUR, (ApprovalRule(1, group="dba"),))
)
SHELL = replace(READER, name="shell", on=Selector(kind="ssh"))
ACME = Contract("acme-orders", "acme", "lead", AT - timedelta(days=9), AT + timedelta(days=9), frozenset({"writer"}))
NOW = Circumstances(
    at=AT,
    people=PEOPLE,
    resources={"orders": Resource("orders", "postgres", "h", 1)},
    roles={role.name: role for role in (WRITER, READER, SHELL)},
    contracts=(ACME,),
    conflicts=(frozenset({"writer", "auditor"}),),
)
WISH = Wish("dev", "orders", "writer", HOUR)


def grant(role: str, *, person: str = "dev", ended: bool = False) -> Grant:
    made = Grant("g-1", "r-1", person, role, "other", "key", AT - HOUR, AT + HOUR)
    return replace(made, ended_at=AT) if ended else made


def test_a_wish_that_can_be_right_may_be_asked() -> None:
    assert refuse_at_once(WISH, NOW) == ()


@pytest.mark.parametrize(
    ("wish", "now", "codes"),
    [
        (replace(WISH, person="nobody"), NOW, ["person-ended"]),
        (WISH, replace(NOW, people={**PEOPLE, "dev": replace(PEOPLE["dev"], ended_at=AT)}), ["person-ended"]),
        (replace(WISH, resource="ordres"), NOW, ["unknown-resource"]),
        (replace(WISH, role="wirter"), NOW, ["unknown-role"]),
        (replace(WISH, role="x", resource="y"), NOW, ["unknown-resource", "unknown-role"]),
        (replace(WISH, person="lead", role="shell"), NOW, ["role-not-on-resource"]),
        (replace(WISH, duration=timedelta(0)), NOW, ["no-time"]),
        (replace(WISH, duration=-HOUR), NOW, ["no-time"]),
        (replace(WISH, duration=3 * HOUR), NOW, ["too-long"]),
        (WISH, replace(NOW, at=ACME.end), ["outside-contract", "nobody-to-approve"]),
        (WISH, replace(NOW, at=ACME.start - HOUR), ["outside-contract", "nobody-to-approve"]),
        (WISH, replace(NOW, contracts=(replace(ACME, ended_at=AT),)), ["outside-contract", "nobody-to-approve"]),
        (replace(WISH, role="reader"), NOW, ["outside-scope"]),
        (replace(WISH, duration=2 * HOUR), replace(NOW, at=ACME.end - HOUR), ["past-contract"]),
        (WISH, replace(NOW, grants=(grant("auditor"),)), ["conflict"]),
        (WISH, replace(NOW, grants=(grant("auditor", ended=True), grant("writer"))), []),
        (WISH, replace(NOW, people={name: PEOPLE[name] for name in ("lead", "dev")}), ["nobody-to-approve"]),
        (replace(WISH, person="lead"), NOW, ["nobody-to-approve"]),
        (
            replace(WISH, role="reader", duration=9 * HOUR),
            replace(NOW, grants=(grant("auditor"),)),
            ["too-long", "outside-scope"],
        ),
    ],
)
def test_each_reason_is_given_at_once(wish: Wish, now: Circumstances, codes: list[str]) -> None:
    noes = refuse_at_once(wish, now)
    assert [no.code for no in noes] == codes
    assert all(no.reason.endswith(".") for no in noes)


def test_the_window_may_end_with_the_contract() -> None:
    assert refuse_at_once(WISH, replace(NOW, at=ACME.end - HOUR)) == ()


def test_the_sentences_say_what_to_do() -> None:
    (long,) = refuse_at_once(replace(WISH, duration=3 * HOUR), NOW)
    assert long.remedy == "Ask again with --for 2h."
    (scope,) = refuse_at_once(replace(WISH, role="reader"), NOW)
    assert scope.remedy == "In scope: writer."
    (past,) = refuse_at_once(replace(WISH, duration=2 * HOUR), replace(NOW, at=ACME.end - HOUR))
    assert past.remedy == "Ask again with --for 1h or less."
    early = refuse_at_once(WISH, replace(NOW, at=ACME.start - HOUR))[0]
    assert early.remedy == "Your contract acme-orders starts on 2026-11-22."
    (alone,) = refuse_at_once(WISH, replace(NOW, people={name: PEOPLE[name] for name in ("lead", "dev")}))
    assert "1 more person" in alone.reason


def test_of_several_contracts_the_one_that_ends_last_counts() -> None:
    later = replace(ACME, name="later", end=AT + timedelta(days=30))
    assert contract_for(PEOPLE["dev"], "writer", (ACME, later), AT) == later
    assert contract_for(PEOPLE["dev"], "reader", (ACME, later), AT) is None
    assert contract_for(PEOPLE["lead"], "writer", (ACME, later), AT) is None


def test_a_conflict_names_the_grant_to_end() -> None:
    no = find_conflict("writer", (grant("auditor"),), NOW.conflicts, AT)
    assert no is not None
    assert no.remedy == "Give that one up first: interlock end g-1"
    assert find_conflict("reader", (grant("auditor"),), NOW.conflicts, AT) is None
    assert find_conflict("writer", (grant("auditor"),), NOW.conflicts, AT + 2 * HOUR) is None


def test_no_rules_are_a_shortage() -> None:
    no = explain_shortage(Ask(PEOPLE["dev"], frozenset({"writer"})), (), PEOPLE.values(), (ACME,), AT)
    assert no is not None
    assert no.code == "no-rules"


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-2, 2), st.booleans()), max_size=4),
    st.lists(st.frozensets(st.sampled_from("abcd"), min_size=2, max_size=3), max_size=3),
    st.sampled_from("abcd"),
)
def test_conflicts_are_found_exactly(
    held: list[tuple[str, int, bool]], conflicts: list[frozenset[str]], role: str
) -> None:
    grants = [
        replace(grant(name, ended=ended), starts_at=AT + start * HOUR, ends_at=AT + (start + 1) * HOUR)
        for name, start, ended in held
    ]
    active = {name for name, start, ended in held if start == 0 and not ended}
    expected = any(role in conflict and (active - {role}) & conflict for conflict in conflicts)
    assert (find_conflict(role, grants, conflicts, AT) is not None) is bool(expected)
