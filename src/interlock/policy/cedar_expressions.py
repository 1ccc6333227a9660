"""What can be read off a Cedar policy in its JSON form (Cedar's "JSON policy format") without running it."""

from collections.abc import Iterator, Mapping
from typing import Any

ANYTHING = "*"
"""Stands among the reads of a policy for: the context as a whole, so that any part of it may matter."""


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in ``node``, outer ones first."""
    stack = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, dict):
            yield current
            stack.extend(current.values())
        elif isinstance(current, list):
            stack.extend(current)


def context_reads(node: Any) -> frozenset[str]:
    """Which attributes of ``context`` are looked at, and ``*`` when it is used in any other way."""
    reads: set[str] = set()
    direct = 0
    whole = 0
    for item in walk(node):
        if item.get("Var") == "context":
            whole += 1
        for operator in (".", "has"):
            inner = item.get(operator)
            if isinstance(inner, dict) and inner.get("left") == {"Var": "context"}:
                attribute = inner.get("attr")
                reads.add(attribute if isinstance(attribute, str) else ANYTHING)
                direct += 1
    return frozenset(reads | {ANYTHING}) if whole > direct else frozenset(reads)


def entities(node: Any) -> Iterator[tuple[str, str]]:
    """Every entity that is named, as (type, id)."""
    for item in walk(node):
        if item.keys() == {"type", "id"} and isinstance(item["type"], str) and isinstance(item["id"], str):
            yield item["type"], item["id"]


def role_names(node: Any) -> frozenset[str]:
    """Every role that is named in a test of ``context.roles``."""
    return frozenset(name for item in walk(node) for name in _tested_roles(item) or ())


def guaranteed_roles(policy: Mapping[str, Any]) -> frozenset[str] | None:
    """The roles of which at least one must be held for the policy to apply; None when it may apply without any."""
    found = [
        names
        for condition in policy.get("conditions", ())
        if condition.get("kind") == "when" and (names := _guaranteed(condition.get("body"))) is not None
    ]
    return min(found, key=len) if found else None


def _guaranteed(expression: Any) -> frozenset[str] | None:
    if not isinstance(expression, dict):
        return None
    if (tested := _tested_roles(expression)) is not None:
        return tested
    for operator in ("&&", "||"):
        if operator in expression:
            left = _guaranteed(expression[operator].get("left"))
            right = _guaranteed(expression[operator].get("right"))
            if operator == "||":
                return None if left is None or right is None else left | right
            sides = [names for names in (left, right) if names is not None]
            return min(sides, key=len) if sides else None
    return None


def _tested_roles(expression: Mapping[str, Any]) -> frozenset[str] | None:
    """The roles in ``context.roles.contains("a")``, ``containsAny(["a"])`` or ``containsAll(["a"])``."""
    for operator in ("contains", "containsAny", "containsAll"):
        inner = expression.get(operator)
        if not isinstance(inner, dict) or inner.get("left") != {".": {"left": {"Var": "context"}, "attr": "roles"}}:
            continue
        right = inner.get("right", {})
        literals = [right] if operator == "contains" else right.get("Set", [])
        names = [literal.get("Value") for literal in literals]
        if names and all(isinstance(name, str) for name in names):
            return frozenset(names)
    return None
