from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from interlock.domain.actions import EVERYTHING, Action, Need
from interlock.domain.decisions import Decision, Effect, Fence, Mask, RowLimit
from interlock.errors import ConfigurationError
from interlock.policy.configuration import Configuration
from interlock.policy.decide import Decider, Question
from tests.policy.example import EXAMPLE, PAYROLL, load

AT = datetime(2026, 12, 1, 10, tzinfo=UTC)
ORDERS = "table public.orders"
READ, WRITE = Need(Action.READ, ORDERS), Need(Action.WRITE, ORDERS)
DESTROY, GRANT = Need(Action.DESTROY, ORDERS), Need(Action.GRANT)


def ask(
    configuration: Configuration,
    *needs: Need,
    roles: str = "writer",
    person: str = "dev@acme.example",
    resource: str = "orders",
    at: datetime = AT,
    present_at: datetime | None = AT,
) -> Question:
    held = frozenset(roles.split())
    return Question(configuration.people[person], configuration.resources[resource], held, needs, at, present_at)


def decide(
    *needs: Need,
    roles: str = "writer",
    person: str = "dev@acme.example",
    cedar: str = "",
    at: datetime = AT,
    present_at: datetime | None = AT,
) -> Decision:
    configuration = load(cedar={"x.cedar": cedar})
    question = ask(configuration, *needs, roles=roles, person=person, at=at, present_at=present_at)
    return Decider(configuration).decide(question)


def test_a_role_allows_what_it_says() -> None:
    decision = decide(READ)
    assert decision == Decision(Effect.ALLOW, "", ("role:writer:connect,read",), needs=(READ,))


def test_a_write_carries_its_fence() -> None:
    assert decide(READ, WRITE).obligations == (Fence(100),)


def test_a_held_action_holds_the_whole_statement_and_lifts_the_fence() -> None:
    decision = decide(WRITE, DESTROY)
    assert decision.effect is Effect.HOLD
    assert decision.roles == ("writer",)
    assert decision.obligations == ()
    assert decision.policies == ("role:writer:alter,destroy", "role:writer:write")
    assert decision.reason == (
        f"destroy of {ORDERS} on orders is held: the role writer asks that another person approve this very statement."
    )


def test_deny_wins_over_hold_and_allow() -> None:
    assert decide(READ, DESTROY, GRANT).effect is Effect.DENY


def test_nothing_needed_is_decided_as_connect() -> None:
    assert decide().effect is Effect.ALLOW
    assert decide(roles="").effect is Effect.DENY


def test_what_nobody_understood_needs_execute() -> None:
    assert decide(*EVERYTHING).effect is Effect.DENY


def test_without_a_role_nothing_is_allowed_whatever_cedar_files_say() -> None:
    assert decide(READ, roles="", cedar=PAYROLL).effect is Effect.DENY


def test_a_role_on_another_kind_of_resource_gives_nothing_here() -> None:
    assert decide(Need(Action.CONNECT), roles="shell").effect is Effect.DENY


def test_a_role_that_is_no_longer_in_the_policy_gives_nothing() -> None:
    decision = decide(READ, roles="emperor")
    assert decision.effect is Effect.DENY
    assert "You hold emperor." in decision.reason


def test_a_person_who_has_left_may_do_nothing() -> None:
    configuration = load()
    question = ask(configuration, READ)
    gone = replace(question, person=replace(question.person, ended_at=AT))
    assert Decider(configuration).decide(gone).effect is Effect.DENY


# What the person reads.


def test_a_denial_says_what_to_type() -> None:
    assert decide(WRITE, roles="reader").reason == (
        f"write of {ORDERS} on orders is not allowed. You hold reader (connect, read). "
        'To ask for it: interlock request orders --role writer --for 2h --reason "…"'
    )
    assert decide(READ, roles="").reason.endswith(
        'You hold no role here. To ask for it: interlock request orders --role reader --for 8h --reason "…"'
    )


def test_a_denial_says_when_no_role_would_help() -> None:
    assert decide(GRANT).reason.endswith("No role that is lent on orders allows grant.")
    assert (
        "is not in your contract's scope: ask lead@example.com."
        in decide(READ, roles="", person="dev@globex.example").reason
    )
    assert decide(READ, roles="", at=AT + timedelta(days=999)).reason.endswith(
        "The role reader or writer would allow it, and you work under no contract that runs now."
    )


def test_a_denial_of_much_is_short() -> None:
    needs = [Need(Action.GRANT, f"table t{number}") for number in range(9)]
    assert "and 6 more on orders" in decide(*needs).reason


def test_a_forbid_gives_its_reason_or_its_name() -> None:
    payroll = Need(Action.READ, "table payroll.salaries")
    decision = decide(payroll, cedar=PAYROLL)
    assert decision.reason == f"read of {payroll.part} on orders is not allowed. Payroll is read by finance alone."
    assert decision.policies == ("no-payroll",)
    bare = decide(READ, cedar="forbid (principal, action, resource);")
    assert bare.reason.endswith("The policy x.cedar:1 forbids it.")
    assert bare.policies == ("x.cedar:1",)


def test_a_part_that_is_everything_can_be_forbidden_too() -> None:
    assert decide(Need(Action.READ), cedar=PAYROLL).effect is Effect.DENY
    assert decide(READ, cedar=PAYROLL).effect is Effect.ALLOW


# Presence.


@pytest.mark.parametrize(
    ("present_at", "effect"),
    [
        (None, Effect.DENY),
        (AT - timedelta(hours=4), Effect.ALLOW),
        (AT - timedelta(hours=4, microseconds=1), Effect.DENY),
        (AT + timedelta(seconds=30), Effect.ALLOW),
        (AT + timedelta(minutes=2), Effect.DENY),
    ],
)
def test_a_role_with_mfa_asks_for_presence_within_a_login(present_at: datetime | None, effect: Effect) -> None:
    decision = decide(READ, roles="reader", present_at=present_at)
    assert decision.effect is effect
    if effect is Effect.DENY:
        assert decision.reason.endswith("Type: interlock login")
        assert decision.obligations == ()


def test_a_role_without_mfa_asks_for_none() -> None:
    assert decide(READ, present_at=None).effect is Effect.ALLOW


def test_the_freshest_presence_that_any_policy_asks_for_counts() -> None:
    cedar = '@mfa("1m") permit (principal, action, resource) when { context.roles.contains("writer") };'
    late = AT - timedelta(minutes=2)
    assert decide(READ, roles="reader writer", cedar=cedar, present_at=AT).effect is Effect.ALLOW
    assert decide(READ, roles="reader writer", cedar=cedar, present_at=late).effect is Effect.DENY
    assert decide(READ, roles="reader", cedar=cedar, present_at=late).effect is Effect.ALLOW


def test_presence_is_looked_at_anew_for_a_remembered_decision() -> None:
    configuration = load()
    decider = Decider(configuration)
    question = ask(configuration, READ, roles="reader")
    assert decider.decide(question).effect is Effect.ALLOW
    assert decider.decide(replace(question, at=AT + timedelta(hours=5))).effect is Effect.DENY
    assert decider.decide(replace(question, present_at=None)).effect is Effect.DENY
    assert decider.decide(question).effect is Effect.ALLOW


# Cedar files.

STRICT = """
@fence("10") @limit("50") @mask("a.b.c")
permit (principal, action in [Action::"read", Action::"write", Action::"grant"], resource)
when { context.roles.contains("writer") };
@fence("500") @limit("20") @mask("a.b.a, a.b.c")
permit (principal, action in [Action::"read", Action::"write"], resource) when { context.roles.contains("writer") };
"""


def test_the_strictest_of_all_obligations_counts() -> None:
    decision = decide(READ, WRITE, cedar=STRICT)
    assert decision.obligations == (Fence(10), RowLimit(20), Mask(("a.b.a", "a.b.c")))


def test_obligations_come_with_the_action_that_they_speak_of() -> None:
    assert decide(READ, cedar=STRICT).obligations == (RowLimit(20), Mask(("a.b.a", "a.b.c")))
    assert decide(WRITE, cedar=STRICT).obligations == (Fence(10), Mask(("a.b.a", "a.b.c")))
    assert decide(GRANT, cedar=STRICT).obligations == ()


def test_a_cedar_file_may_hold_and_names_the_role() -> None:
    decision = decide(READ, person="lead@example.com", cedar=PAYROLL)
    assert (decision.effect, decision.roles) == (Effect.HOLD, ("writer",))
    assert decision.obligations == (RowLimit(1000), Mask(("*.*.secret", "public.customers.card")))
    assert decide(READ, cedar=PAYROLL).effect is Effect.ALLOW


def test_an_error_in_a_forbid_denies_though_cedar_would_allow() -> None:
    """Cedar leaves out a policy that errors; only arithmetic can still err after validation."""
    overflow = 'forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 && context.part == "" };'
    decision = decide(READ, cedar=overflow)
    assert decision.effect is Effect.DENY
    assert any("overflow" in error for error in decision.errors)
    assert "could not be evaluated" in decision.reason
    assert decision.policies == ()


def test_an_error_in_another_permit_denies_as_well() -> None:
    overflow = (
        'permit (principal, action, resource) when { context.roles.contains("writer") && 9223372036854775807 + 1 > 0 };'
    )
    assert decide(READ, cedar=overflow).effect is Effect.DENY
    assert decide(READ, roles="reader", cedar=overflow).effect is Effect.ALLOW


def test_an_empty_policy_set_denies() -> None:
    configuration = load()
    empty = replace(configuration, roles={})
    assert Decider(empty).decide(ask(configuration, READ)).effect is Effect.DENY


def test_policies_see_person_groups_vendor_and_labels() -> None:
    for test, person, effect in (
        ('principal in Group::"dba"', "lead@example.com", Effect.DENY),
        ('principal in Group::"dba"', "dev@acme.example", Effect.ALLOW),
        ("principal.employee", "lead@example.com", Effect.DENY),
        ('principal has vendor && principal.vendor == "acme"', "dev@acme.example", Effect.DENY),
        ('principal == Person::"dev@acme.example"', "dev@acme.example", Effect.DENY),
        (
            'resource.hasTag("environment") && resource.getTag("environment") == "production"',
            "lead@example.com",
            Effect.DENY,
        ),
        ('resource.name == "scratch"', "lead@example.com", Effect.ALLOW),
        ('context.at.toTime() >= duration("10h")', "lead@example.com", Effect.DENY),
        ('context.at < datetime("2026-12-01T10:00:00Z")', "lead@example.com", Effect.ALLOW),
        ("!(context has present_at)", "lead@example.com", Effect.ALLOW),
    ):
        cedar = f"forbid (principal, action, resource) when {{ {test} }};"
        assert decide(READ, person=person, cedar=cedar).effect is effect, test


def test_a_wrong_cedar_file_stops_the_decider_too() -> None:
    broken = replace(load(), cedar={"x.cedar": "forbid ("})
    with pytest.raises(ConfigurationError, match=r"x\.cedar:1"):
        Decider(broken)


def test_reach_is_what_a_session_might_ever_do() -> None:
    configuration = load(cedar={"x.cedar": PAYROLL})
    decider = Decider(configuration)
    orders, scratch = configuration.resources["orders"], configuration.resources["scratch"]
    assert decider.reach({"reader"}, orders) == {Action.CONNECT, Action.READ}
    assert decider.reach({"reader"}, scratch) == set()
    assert decider.reach({"writer"}, orders) == configuration.roles["writer"].allow | {Action.EXPORT}
    assert decider.reach({"emperor"}, orders) == decider.reach(set(), orders) == set()


def test_roles_with_many_resources_and_labels_compile() -> None:
    many = ", ".join(f"r{number}" for number in range(900))
    extra = "".join(f"  r{number}: {{kind: toy, address: h:1}}\n" for number in range(900))
    labels = ", ".join(f"label{number}: x" for number in range(16))
    text = EXAMPLE.replace("vendors:\n", f"{extra}vendors:\n").replace("[bastion]}", f"[bastion, {many}]}}")
    text = text.replace("labels: {environment: production}", f"labels: {{environment: production, {labels}}}")
    text = text.replace(
        "environment: production}\n    allow: [connect, read]", f"{labels}}}\n    allow: [connect, read]"
    )
    configuration = load(text)
    assert Decider(configuration).decide(ask(configuration, READ, roles="reader")).effect is Effect.ALLOW
