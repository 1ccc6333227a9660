import json
from typing import Any

import cedarpy
import pytest

from interlock.policy.cedar_expressions import context_reads, entities, guaranteed_roles, role_names


def form(condition: str = "true", scope: str = "principal, action, resource") -> dict[str, Any]:
    text = f"permit ({scope}) when {{ {condition} }};"
    (policy,) = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"].values()
    assert isinstance(policy, dict)
    return policy


@pytest.mark.parametrize(
    ("condition", "reads"),
    [
        ("true", set()),
        ('context.roles.contains("a")', {"roles"}),
        ('context["part"] like "x*"', {"part"}),
        ("context has present_at && context.at > context.present_at", {"at", "present_at"}),
        ("context.at.toTime() > duration(\"8h\")", {"at"}),
        ("context has present_at.foo", {"present_at"}),
        ("context == principal.x", {"*"}),
        ("(if true then context else context).at > context.at", {"*", "at"}),
        ("[context.part, \"y\"].contains(context.part)", {"part"}),
        ("{a: context}.a.at == context.at", {"*", "at"}),
    ],
)  # fmt: skip
def test_what_a_policy_reads_of_the_context_is_known(condition: str, reads: set[str]) -> None:
    assert context_reads(form(condition)) == reads


@pytest.mark.parametrize(
    ("condition", "roles"),
    [
        ('context.roles.contains("a")', {"a"}),
        ('context["roles"].contains("a") && true', {"a"}),
        ('true && (context.part == "x" && context.roles.containsAny(["a", "b"]))', {"a", "b"}),
        ('context.roles.containsAll(["a", "b"])', {"a", "b"}),
        ('context.roles.contains("a") || context.roles.contains("b")', {"a", "b"}),
        ('context.roles.contains("a") && context.roles.containsAny(["b", "c"])', {"a"}),
        ('true } when { context.roles.contains("a")', {"a"}),
        ("true", None),
        ('context.roles.contains("a") || true', None),
        ('!context.roles.contains("a")', None),
        ('if context.roles.contains("a") then true else true', None),
        ("context.roles.containsAll([])", None),
        ("context.roles.contains(context.part)", None),
        ('principal.roles.contains("a")', None),
        ('["a"].containsAny(context.roles)', None),
        ('true } unless { context.roles.contains("a")', None),
    ],
)
def test_the_roles_that_a_policy_needs_are_known(condition: str, roles: set[str] | None) -> None:
    assert guaranteed_roles(form(condition)) == roles


def test_every_named_role_and_entity_is_found() -> None:
    policy = form(
        '!context.roles.contains("a") || (principal in Group::"g" && [Resource::"r"].contains(resource))',
        'principal is Person in Group::"h", action in [Action::"read"], resource == Resource::"s"',
    )
    assert role_names(policy) == {"a"}
    assert set(entities(policy)) == {
        ("Group", "g"),
        ("Group", "h"),
        ("Resource", "r"),
        ("Resource", "s"),
        ("Action", "read"),
    }


def test_a_record_that_looks_like_an_entity_is_none() -> None:
    assert list(entities(form('{type: "Group", id: "x"} == principal.x'))) == []
