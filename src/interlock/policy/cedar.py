"""Roles compiled to Cedar, Cedar files read beside them, and both as one policy set that can be asked."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cedarpy

from interlock.domain.actions import Action
from interlock.domain.durations import format_duration
from interlock.domain.people import ADMINISTRATORS
from interlock.domain.resources import Selector
from interlock.domain.roles import Role
from interlock.errors import Misuse
from interlock.policy.annotations import Terms, read_terms
from interlock.policy.cedar_expressions import context_reads, entities, guaranteed_roles, role_names
from interlock.policy.cedar_text import PolicyText, quote, split_policies
from interlock.policy.configuration import Configuration, Timing
from interlock.policy.mistakes import Mistakes, did_you_mean

SCHEMA = f"""
entity Group;
entity Person in [Group] {{ name: String, employee: Bool, vendor?: String }};
entity Resource {{ name: String, kind: String }} tags String;
action {", ".join(quote(action.value) for action in Action)} appliesTo {{
  principal: [Person],
  resource: [Resource],
  context: {{ roles: Set<String>, part: String, at: datetime, present_at?: datetime }},
}};
"""
"""What Cedar policies can speak of; docs/policy.md explains each word."""

RESERVED_ID = "role:"
"""What the ids of the roles' own policies begin with; no Cedar file may use it."""


@lru_cache(maxsize=1)
def schema() -> cedarpy.Schema:
    return cedarpy.Schema.from_str(SCHEMA)


@dataclass(frozen=True, slots=True)
class Policy:
    """One Cedar policy with what is known about it without running it.

    ``actions`` are those it is about, ``roles`` those of which one must be held for it to apply (a permit always has
    some), ``reads`` the attributes of the context that matter to it. ``form`` is Cedar's JSON form.
    """

    id: str
    permits: bool
    actions: frozenset[Action]
    roles: frozenset[str]
    terms: Terms
    reads: frozenset[str]
    form: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Every policy by its id, and the handle that Cedar answers from."""

    policies: Mapping[str, Policy]
    handle: cedarpy.PolicySet
    reads: frozenset[str]


@dataclass(frozen=True, slots=True)
class Names:
    """What Cedar files may name."""

    roles: frozenset[str]
    people: frozenset[str]
    resources: frozenset[str]
    groups: frozenset[str]

    @classmethod
    def of(cls, configuration: Configuration) -> "Names":
        groups = frozenset({ADMINISTRATORS}).union(*(p.groups for p in configuration.people.values()))
        return cls(
            frozenset(configuration.roles), frozenset(configuration.people), frozenset(configuration.resources), groups
        )


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


def role_policies(roles: Iterable[Role], timing: Timing) -> Iterator[Policy]:
    """The roles' own policies. Raises Misuse if Cedar does not take what was compiled."""
    for role in roles:
        for text in compile_role(role, timing):
            mistakes = Mistakes(f"role {role.name}")
            policy = _read_policy(PolicyText(1, text), mistakes.source, None, mistakes)
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
    parts = (
        (role.allow - held - fenced, ()),
        (fenced, (f'@fence("{role.fence_rows}")',)),
        (held, ("@hold",)),
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


def read_cedar_files(cedar: Mapping[str, str], names: Names, mistakes: Mistakes) -> list[Policy]:
    """The policies of the Cedar files. What is wrong is noted with the file, and the line as near as can be told."""
    policies: dict[str, Policy] = {}
    for file, text in sorted(cedar.items()):
        if not _is_whole(file, text, mistakes):
            continue
        for written in split_policies(text):
            policy = _read_policy(written, file, names, mistakes)
            if policy is None:
                continue
            if policy.id in policies:
                mistakes.add(
                    written.line, f"there is another policy with the id {policy.id}", "give each its own", file=file
                )
            policies[policy.id] = policy
    return list(policies.values())


def _is_whole(file: str, text: str, mistakes: Mistakes) -> bool:
    """Whether the policies that the text was taken apart into are those that Cedar itself reads in it, each one.

    INVARIANT: no policy of a file is ever left out. A single policy that cannot be read is left for its own reading,
    which knows the line.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            mistakes.add(1, "this is not text", "save the file as UTF-8", file=file)
            return False
    parts = [_forms(part.text) for part in split_policies(text)]
    if None in parts:
        return True
    whole = _forms(text)
    if whole is not None and sorted(whole) == sorted(form for part in parts for form in part or ()):
        return True
    mistakes.add(
        1, "the policies cannot be told apart", "end each with ; and keep comments on lines of their own", file=file
    )
    return False


def _forms(text: str) -> list[str] | None:
    """The policies in ``text`` as canonical JSON; None when Cedar cannot read it."""
    try:
        whole = json.loads(cedarpy.policies_to_json_str(text))
    except (ValueError, RecursionError):
        return None
    policies = [*whole["staticPolicies"].values(), *whole["templates"].values()]
    return [json.dumps(policy, sort_keys=True) for policy in policies]


def _read_policy(written: PolicyText, file: str, names: Names | None, mistakes: Mistakes) -> Policy | None:
    """``names`` is None for a compiled role, which may use the reserved ids and names only what exists."""
    form = _parse(written, file, mistakes)
    if form is None or not _valid(written, file, mistakes):
        return None
    annotations: Mapping[str, str | None] = form.get("annotations") or {}
    permits = form["effect"] == "permit"
    actions = _actions(form["action"])

    def complain(name: str, sentence: str, right: str) -> None:
        mistakes.add(written.line_of(f"@{name}"), sentence, right, file=file)

    terms = read_terms(annotations, permits=permits, actions=actions, complain=complain)
    required = guaranteed_roles(form)
    identifier = annotations.get("id") or f"{file}:{written.line}"
    if names is not None:
        _check_names(form, names, written, file, mistakes)
        if permits and required is None:
            mistakes.add(
                written.line,
                "this permit applies without any grant",
                'add context.roles.contains("NAME") to its when: access rests on a role that was lent',
                file=file,
            )
        if identifier.startswith(RESERVED_ID):
            complain("id", f"ids that begin with {RESERVED_ID} belong to the roles", "choose another")
    return Policy(identifier, permits, actions, required or frozenset(), terms, context_reads(form), form)


def _parse(written: PolicyText, file: str, mistakes: Mistakes) -> dict[str, Any] | None:
    try:
        whole = json.loads(cedarpy.policies_to_json_str(written.text))
    except (ValueError, RecursionError) as error:
        sentence = str(error).splitlines()[0] if str(error) else "it cannot be parsed"
        line = written.line_of(_quoted(sentence))
        mistakes.add(
            line, f"this is not Cedar: {sentence}", "each policy is permit or forbid and ends with ;", file=file
        )
        return None
    if whole["templates"]:
        mistakes.add(written.line, "this is a template", "write ?principal and ?resource out", file=file)
        return None
    forms = list(whole["staticPolicies"].values())
    if len(forms) != 1:
        mistakes.add(
            written.line, "this is not one policy", "each policy is permit or forbid and ends with ;", file=file
        )
        return None
    form: dict[str, Any] = forms[0]
    return form


_ABOUT_ONE_ACTION = re.compile(r"""( in context)? for Action::"[a-z]+\"""")
_FOLLOWS = "unable to find an applicable action given the policy scope constraints"
"""What Cedar says besides when an action or a type in the scope is wrong, which it has already said."""


def _valid(written: PolicyText, file: str, mistakes: Mistakes) -> bool:
    """Whether the policy fits the schema. Cedar says the same thing once for each action; here it is said once."""
    result = cedarpy.validate_policies(written.text, schema())
    if result.validation_passed:
        return True
    said = (re.sub(r"^for policy `[^`]*`, ", "", error.error) for error in result.errors)
    sentences = sorted({_ABOUT_ONE_ACTION.sub(r"\1", sentence) for sentence in said}) or ["Cedar does not accept it"]
    for sentence in sentences:
        if sentence != _FOLLOWS or len(sentences) == 1:
            mistakes.add(written.line_of(_quoted(sentence)), sentence, "docs/policy.md has the schema", file=file)
    return False


def _quoted(sentence: str) -> str:
    found = re.search(r"`([^`]+)`", sentence)
    return found[1] if found else ""


def _actions(scope: Mapping[str, Any]) -> frozenset[Action]:
    named = [name for kind, name in entities(dict(scope)) if kind == "Action"]
    return frozenset(Action(name) for name in named) if named else frozenset(Action)


def _check_names(form: Mapping[str, Any], names: Names, written: PolicyText, file: str, mistakes: Mistakes) -> None:
    known = {"Person": names.people, "Group": names.groups, "Resource": names.resources}
    named = [("role", role, names.roles) for role in role_names(form)]
    named += [(kind.lower(), name, known[kind]) for kind, name in entities(dict(form)) if kind in known]
    for noun, name, existing in sorted(set(named), key=lambda item: item[:2]):
        if name not in existing:
            line = written.line_of(f'"{name}"')
            mistakes.add(line, f"there is no {noun} {name}", did_you_mean(name, existing), file=file)
