from datetime import UTC, datetime

import pytest

from interlock.domain.actions import EVERYTHING, Action, Need
from interlock.domain.decisions import Effect
from interlock.errors import ConfigurationError
from interlock.policy.cases import load_cases, run_cases
from tests.policy.example import load

NOW = datetime(2026, 12, 1, tzinfo=UTC)

CASES = """\
cases:
  - name: a reader reads
    person: dev@acme.example
    roles: [reader]
    resource: orders
    statement: SELECT 1
    expect: allow
  - person: dev@acme.example
    roles: [reader]
    resource: orders
    statement: DELETE FROM orders
    expect: deny
  - {person: dev@acme.example, roles: [writer], resource: orders, action: destroy, part: table x, expect: hold}
  - {person: dev@acme.example, roles: [reader], resource: orders, action: read, present: false, expect: deny}
  - {person: dev@acme.example, roles: [], resource: orders, action: connect, at: 2026-12-01T10:00:00Z, expect: allow}
"""


def describe(kind: str, text: str) -> tuple[Need, ...]:
    assert kind == "postgres"
    return {
        "SELECT 1": (Need(Action.READ),),
        "DELETE FROM orders": (Need(Action.WRITE, "table orders"), Need(Action.DESTROY, "table orders")),
    }.get(text, EVERYTHING)


def test_each_case_says_whether_it_went_as_expected() -> None:
    configuration = load()
    results = run_cases(configuration, load_cases(CASES, "cases.yaml", configuration), describe, now=NOW)
    assert [(result.passed, result.decision.effect) for result in results] == [
        (True, Effect.ALLOW),
        (True, Effect.DENY),
        (True, Effect.HOLD),
        (True, Effect.DENY),
        (False, Effect.DENY),
    ]
    assert results[0].sentence == "a reader reads: allow, as expected by role:reader:connect,read"
    assert results[2].sentence.startswith("case 3: hold, as expected: destroy of table x on orders is held")
    assert results[4].sentence.startswith("case 5: deny, and allow was expected: connect on orders is not allowed.")
    assert [result.case.line for result in results] == [2, 8, 13, 14, 15]


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        (
            "person: dev@acme.example",
            "person: dev@acne.example",
            "3: there is no person dev@acne.example; did you mean",
        ),
        ("resource: orders", "resource: ordres", "5: there is no resource ordres; did you mean orders?"),
        ("roles: [reader]", "roles: [raeder]", "4: there is no role raeder; did you mean reader?"),
        ("    roles: [reader]\n", "", "2: case 1 has no roles"),
        ("expect: allow", "expect: maybe", "7: expect of case 1 is maybe; known: allow, deny, hold"),
        ("    expect: allow\n", "", "2: case 1 has no expect"),
        ("statement: SELECT 1", "statement: [a]", "6: statement of case 1 is no text"),
        ("statement: SELECT 1", "{}: x", "6: "),
        ("statement: SELECT 1", "statemnt: x", "6: case 1 has an unknown key statemnt; did you mean statement?"),
        ("statement: SELECT 1", "part: table x", "2: case 1 has no action; write one of connect, read"),
        ("statement: SELECT 1", "action: raed", "6: action of case 1 is raed; did you mean read?"),
        ("statement: SELECT 1", "statement: x\n    action: read", "7: case 1 has a statement and an action"),
        ("statement: SELECT 1", "statement: x\n    part: y", "7: part of case 1 goes with an action"),
        ("present: false", "present: perhaps", "14: present of case 4 is perhaps; write true or false"),
        ("at: 2026-12-01T10:00:00Z", "at: noon", "15: at of case 5 is noon, which is no day"),
        ("cases:", "case:", "1: the file has an unknown key case; did you mean cases?"),
        (CASES, "", "1: the file is empty"),
        (CASES, "cases: []", "1: there is no case"),
        (CASES, "cases: [a]", "1: case 1 is not a mapping"),
        (CASES, "x: 1", "1: the file has no cases"),
    ],
)
def test_a_mistake_in_the_cases_is_named_with_its_line(old: str, new: str, mistake: str) -> None:
    assert old in CASES
    with pytest.raises(ConfigurationError) as caught:
        load_cases(CASES.replace(old, new, 1), "cases.yaml", load())
    assert any(line.startswith(f"cases.yaml:{mistake}") for line in caught.value.mistakes), caught.value.mistakes
