"""Roles compiled to Cedar, and with the Cedar files beside them one policy set that can be asked."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import cedarpy

from interlock.domain.actions import Action
from interlock.domain.durations import format_duration
from interlock.domain.resources import Selector
from interlock.domain.roles import Role
from interlock.errors import Misuse
from interlock.policy.annotations import MASKED
from interlock.policy.cedar_files import read_cedar_files
from interlock.policy.cedar_policy import RESERVED_ID, Names, Policy, read_policy
from interlock.policy.cedar_text import PolicyText, quote
from interlock.policy.configuration import Configuration, Timing
from interlock.policy.mistakes import Mistakes


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Every policy by its id, and the handle that Cedar answers from."""

    policies: Mapping[str, Policy]
    handle: cedarpy.PolicySet
    reads: frozenset[str]


def compile_policies(configuration: Configuration) -> PolicySet:
    """The policy set of ``configuration``. Raises ConfigurationError when a Cedar file is wrong."""
    mistakes = Mistakes("interlock.yaml")
    policies = [*role_policies(configuration.roles.values(), configuration.timing)]
    policies += read_cedar_files(configuration.cedar, Names.of(configuration), mistakes)
    mistakes.check()
    by_id = {policy.id: policy for policy in policies}
    if len(by_id) != len(policies):
        raise Misuse("two policies have one id")
    whole = {"staticPolicies": {p.id: p.form for p in policies}, "templates": {}, "templateLinks": []}
    reads = frozenset[str]().union(*(policy.reads for policy in policies))
    return PolicySet(by_id, cedarpy.PolicySet.from_json_str(json.dumps(whole)), reads)


def permitted_beside(configuration: Configuration) -> Mapping[str, frozenset[Action]]:
    """For each role that Cedar files permit something what that may be, at most. Raises ConfigurationError."""
    mistakes = Mistakes("interlock.yaml")
    policies = read_cedar_files(configuration.cedar, Names.of(configuration), mistakes) if configuration.cedar else []
    mistakes.check()
    found: dict[str, frozenset[Action]] = {}
    for policy in policies:
        for role in policy.roles if policy.permits else ():
            found[role] = found.get(role, frozenset()) | policy.actions
    return found


def role_policies(roles: Iterable[Role], timing: Timing) -> Iterator[Policy]:
    """The roles' own policies. Raises Misuse if Cedar does not take what was compiled."""
    for role in roles:
        for text in compile_role(role, timing):
            mistakes = Mistakes(f"role {role.name}")
            policy = read_policy(PolicyText(1, text), mistakes.source, None, mistakes)
            if policy is None or mistakes.any:
                raise Misuse(f"the role {role.name} compiled to Cedar that cannot be read:\n{text}")
            yield policy


def compile_role(role: Role, timing: Timing) -> tuple[str, ...]:
    """``role`` as Cedar text: one permit for each set of actions with the same obligations.

    A role with ``mfa`` asks for a proof of presence within the same login: no older than a login can be.
    """
    condition = _condition(role.name, role.on)
    if condition is None:
        return ()
    held = role.hold.actions & role.allow if role.hold is not None else frozenset()
    fenced = {Action.WRITE} & (role.allow - held) if role.fence_rows is not None else frozenset()
    masked = MASKED & role.allow if role.masks else frozenset()
    mask = (f'@mask("{", ".join(role.masks)}")',) if role.masks else ()
    parts = (
        (role.allow - held - fenced - masked, ()),
        (masked - held - fenced, mask),
        (fenced, (f'@fence("{role.fence_rows}")', *mask)),
        (held - masked, ("@hold",)),
        (held & masked, ("@hold", *mask)),
    )
    mfa = (f'@mfa("{format_duration(timing.login)}")',) if role.lending.mfa else ()
    return tuple(
        _permit(role.name, actions, (*annotations, *mfa), condition) for actions, annotations in parts if actions
    )


def _permit(role: str, actions: Iterable[Action], annotations: Iterable[str], condition: str) -> str:
    words = [action.value for action in Action if action in set(actions)]
    lines = [
        f"@id({quote(RESERVED_ID + role + ':' + ','.join(words))})",
        *annotations,
        "permit (",
        "  principal is Person,",
        f"  action in [{', '.join(f'Action::{quote(word)}' for word in words)}],",
        "  resource is Resource",
        ") when {",
        f"  {condition}",
        "};",
    ]
    return "\n".join(lines)


def _condition(role: str, on: Selector) -> str | None:
    """When the role's policies apply; None when its selector is empty and so matches nothing."""
    tests = []
    if on.kind is not None:
        tests.append(f"resource.kind == {quote(on.kind)}")
    if on.names:
        tests.append(f"[{', '.join(quote(name) for name in sorted(on.names))}].contains(resource.name)")
    for label, value in sorted(on.labels.items()):
        tests.append(f"resource.hasTag({quote(label)}) && resource.getTag({quote(label)}) == {quote(value)}")
    if not tests:
        return None
    return " &&\n  ".join([f"context.roles.contains({quote(role)})", *tests])
