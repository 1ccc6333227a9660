"""One Cedar policy, read and checked against the schema and the names that exist."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cedarpy

from interlock.domain.actions import Action
from interlock.domain.people import ADMINISTRATORS
from interlock.policy.annotations import Terms, read_terms
from interlock.policy.cedar_expressions import context_reads, entities, guaranteed_roles, role_names
from interlock.policy.cedar_text import PolicyText, quote, too_much
from interlock.policy.configuration import Configuration
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

_EACH = "each policy is permit or forbid and ends with ;"


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


def read_policy(written: PolicyText, file: str, names: Names | None, mistakes: Mistakes) -> Policy | None:
    """The policy, or None when it cannot be used, with the reason noted.

    ``names`` is None for a compiled role, which may use the reserved ids, names only what exists and is never deep.
    """
    problem = too_much(written.text) if names is not None else ""
    if problem:
        mistakes.add(written.line, problem, "say it in several policies", file=file)
        return None
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
    except RecursionError:
        mistakes.add(written.line, "the policy is nested too deep", "say it in several policies", file=file)
        return None
    except ValueError as error:
        sentence = str(error).splitlines()[0] if str(error) else "it cannot be parsed"
        line = written.line_of(_quoted(sentence))
        mistakes.add(line, f"this is not Cedar: {sentence}", _EACH, file=file)
        return None
    try:
        cedarpy.PolicySet.from_json_str(json.dumps(whole))
    except (ValueError, RecursionError):
        mistakes.add(written.line, "the policy is nested too deep", "say it in several policies", file=file)
        return None
    if whole["templates"]:
        mistakes.add(written.line, "this is a template", "write ?principal and ?resource out", file=file)
        return None
    forms = list(whole["staticPolicies"].values())
    if len(forms) != 1:
        mistakes.add(written.line, "this is not one policy", _EACH, file=file)
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
