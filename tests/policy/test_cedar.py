from dataclasses import replace

import pytest

from interlock.domain.actions import Action
from interlock.domain.resources import Selector
from interlock.domain.roles import Hold
from interlock.errors import ConfigurationError
from interlock.policy.annotations import Terms
from interlock.policy.cedar import compile_policies, compile_role
from interlock.policy.configuration import Timing
from tests.policy.example import EXAMPLE, PAYROLL, load

READER = """\
@id("role:reader:connect,read")
@mfa("4h")
permit (
  principal is Person,
  action in [Action::"connect", Action::"read"],
  resource is Resource
) when {
  context.roles.contains("reader") &&
  resource.kind == "postgres" &&
  resource.hasTag("environment") && resource.getTag("environment") == "production"
};"""


def test_a_role_compiles_to_one_permit_for_each_set_of_obligations() -> None:
    configuration = load()
    assert compile_role(configuration.roles["reader"], configuration.timing) == (READER,)
    policies = compile_policies(configuration).policies
    assert {name: policy.terms for name, policy in policies.items() if "writer" in name} == {
        "role:writer:connect,read": Terms(),
        "role:writer:write": Terms(fence=100),
        "role:writer:alter,destroy": Terms(hold=frozenset({Action.ALTER, Action.DESTROY})),
    }
    assert policies["role:writer:write"].roles == {"writer"}


def test_a_mask_goes_with_what_reads() -> None:
    masked = replace(load().roles["writer"], masks=("public.people.email", "*.*.salary"))
    timing = load().timing
    assert [text.split("permit")[0] for text in compile_role(masked, timing)] == [
        '@id("role:writer:connect")\n',
        '@id("role:writer:read")\n@mask("public.people.email, *.*.salary")\n',
        '@id("role:writer:write")\n@fence("100")\n@mask("public.people.email, *.*.salary")\n',
        '@id("role:writer:alter,destroy")\n@hold\n',
    ]
    held = replace(masked, hold=Hold(frozenset({Action.READ})), fence_rows=None)
    assert [text.split("permit")[0] for text in compile_role(held, timing)][1:] == [
        '@id("role:writer:write")\n@mask("public.people.email, *.*.salary")\n',
        '@id("role:writer:read")\n@hold\n@mask("public.people.email, *.*.salary")\n',
    ]


def test_names_and_labels_of_any_kind_are_compiled() -> None:
    text = EXAMPLE.replace("environment: production", 'environment: "it\'s \\"prod\\" \\\\ é"')
    assert set(compile_policies(load(text)).policies) == set(compile_policies(load()).policies)
    (policy,) = compile_role(load().roles["shell"], Timing())[1:]
    assert '["bastion"].contains(resource.name)' in policy


def test_a_role_on_nothing_compiles_to_nothing() -> None:
    assert compile_role(replace(load().roles["reader"], on=Selector()), Timing()) == ()


def test_cedar_files_stand_beside_the_roles() -> None:
    compiled = compile_policies(load(cedar={"payroll.cedar": PAYROLL}))
    forbid = compiled.policies["no-payroll"]
    assert not forbid.permits
    assert forbid.actions == {Action.READ, Action.EXPORT}
    assert forbid.terms == Terms(reason="Payroll is read by finance alone.")
    permit = compiled.policies["payroll.cedar:7"]
    assert permit.terms == Terms(
        hold=frozenset({Action.READ, Action.EXPORT}), limit=1000, mask=("public.customers.card", "*.*.secret")
    )
    assert permit.permits
    assert permit.roles == {"writer"}
    assert compiled.reads == {"roles", "part"}


WHEN = 'when { context.roles.contains("writer") };'
FORBID = "forbid (principal, action, resource) when"
CASES = [
    ("permit (principal, action, resource);", "1: this permit applies without any grant"),
    ('permit (principal, action, resource) unless { context.roles.contains("writer") };', "1: this permit applies"),
    (f"\n@hlod permit (principal, action, resource) {WHEN}", "2: there is no annotation @hlod; did you mean hold?"),
    (f'@id("a")\n@mfa("x")\npermit (principal, action, resource) {WHEN}', "2: @mfa('x') says no duration"),
    (f'@id("role:writer:read")\npermit (principal, action, resource) {WHEN}', "1: ids that begin with role: belong"),
    ('@id("a") forbid (principal, action, resource);' * 2, "1: there is another policy with the id a"),
    ('forbid (principal, action, resource)\nwhen { context.roles.contains("wirter") };', "2: there is no role wirter"),
    ('forbid (\n  principal in Group::"dbas", action, resource);', "2: there is no group dbas; did you mean dba?"),
    ('forbid (principal == Person::"lead@exmple.com", action, resource);', "1: there is no person lead@exmple.com"),
    ('forbid (principal, action, resource == Resource::"ordres");', "1: there is no resource ordres; did you mean"),
    ('forbid (principal,\n action == Action::"raed", resource);', '2: unrecognized action `Action::"raed"`'),
    ("forbid (principal is Human, action, resource);", "1: unrecognized entity type `Human`"),
    ("forbid (principal, action, resource)\n  when { context.mfa };", "2: attribute `mfa` in context not found"),
    ("forbid (principal, action, resource) when { principal.name };", "1: "),
    ("forbid (principal, action, resource) when { resource.getTag(\"x\") == \"y\" };", "1: "),
    ("forbid (principal, action, resource) when { context.present_at < context.at };", "1: unable to guarantee safety"),
    ("\n\nforbid (principal, action resource);", "3: this is not Cedar: unexpected token `resource`"),
    ("forbid (principal, action, resource)", "1: this is not Cedar: unexpected end of input"),
    (";", "1: this is not Cedar"),
    ("forbid (principal == ?principal, action, resource);", "1: this is a template"),
    ('forbid (principal, action, resource) when { context.part == "', "1: this is not Cedar"),
    ("forbid (principal, action, resource);\ud800", "1: this is not text"),
    ("(" * 5000, "1: the policy has more than 32 brackets open at once; say it in several policies"),
    (f"{FORBID} {{ {'(' * 5000}true{')' * 5000} }};", "1: the policy has more than 32 brackets"),
    (f"{FORBID} {{ {'true && ' * 200}true }};", "1: the policy is nested too deep; say it in several policies"),
    (f"{FORBID} {{ {'true && ' * 900}true }};", "1: the policy is nested too deep; say it in several policies"),
    (f"{FORBID} {{ {'true && ' * 9000}true }};", "1: the policy is longer than 16384 characters"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), CASES, ids=range(len(CASES)))
def test_a_mistake_in_a_cedar_file_is_named_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(cedar={"x.cedar": text})
    assert any(mistake.startswith(f"x.cedar:{sentence}") for mistake in caught.value.mistakes), caught.value.mistakes
    for mistake in caught.value.mistakes:
        assert mistake.startswith("x.cedar:")


def test_cedar_says_the_same_for_each_action_and_people_read_it_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(cedar={"x.cedar": "forbid (principal, action, resource) when { context.mfa };"})
    assert len(caught.value.mistakes) == 1


def test_mistakes_of_yaml_and_cedar_come_together() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(EXAMPLE.replace("kind: toy", "kind: tyo"), {"a.cedar": "x;", "b.cedar": "y;"})
    assert [mistake.split(":")[0] for mistake in caught.value.mistakes] == ["interlock.yaml", "a.cedar", "b.cedar"]
