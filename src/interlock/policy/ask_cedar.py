"""Asks Cedar: one request for each need, answered with the policies that decided it or the errors that stopped it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import cedarpy

from interlock.domain.actions import Need
from interlock.domain.people import Person
from interlock.domain.resources import Resource
from interlock.policy.cedar import PolicySet
from interlock.policy.cedar_policy import schema


@dataclass(frozen=True, slots=True)
class Ruling:
    """Cedar's answer to one need. ``policies`` are the ids of those that permitted or, on a no, forbade it.

    A no without policies and errors means that nothing permitted it. With any error it is a no.
    """

    permits: bool
    policies: tuple[str, ...]
    errors: tuple[str, ...] = ()


def ask_cedar(
    policies: PolicySet,
    entities: cedarpy.Entities,
    person: Person,
    resource: Resource,
    roles: frozenset[str],
    needs: Sequence[Need],
    at: datetime,
    present_at: datetime | None,
) -> list[Ruling]:
    """The rulings on ``needs``, in their order."""
    context: dict[str, Any] = {"roles": sorted(roles), "at": _moment(at)}
    if present_at is not None:
        context["present_at"] = _moment(present_at)
    requests = [
        {
            "principal": {"type": "Person", "id": person.name},
            "action": {"type": "Action", "id": need.action.value},
            "resource": {"type": "Resource", "id": resource.name},
            "context": {**context, "part": need.part},
        }
        for need in needs
    ]
    answers = cedarpy.is_authorized_batch(requests, policies.handle, entities, schema())
    return [_ruling(answer) for answer in answers]


def _ruling(answer: cedarpy.AuthzResult) -> Ruling:
    """What the answer means. Cedar's ``Allow`` beside an error is a no: the policy in error might have forbidden."""
    errors = tuple(str(error) for error in answer.diagnostics.errors)
    if answer.decision is cedarpy.Decision.NoDecision and not errors:
        errors = ("Cedar came to no decision",)
    permits = answer.decision is cedarpy.Decision.Allow and not errors
    return Ruling(permits, tuple(sorted(answer.diagnostics.reasons)), errors)


def describe_entities(person: Person, resource: Resource) -> cedarpy.Entities:
    """Person and resource as Cedar knows them. Raises ValueError when they do not fit the schema."""
    attributes: dict[str, Any] = {"name": person.name, "employee": person.is_employee}
    if person.vendor is not None:
        attributes["vendor"] = person.vendor
    groups = [{"type": "Group", "id": group} for group in sorted(person.groups)]
    described = [
        {"uid": {"type": "Person", "id": person.name}, "attrs": attributes, "parents": groups},
        *({"uid": group, "attrs": {}, "parents": []} for group in groups),
        {
            "uid": {"type": "Resource", "id": resource.name},
            "attrs": {"name": resource.name, "kind": resource.kind},
            "parents": [],
            "tags": dict(resource.labels),
        },
    ]
    return cedarpy.Entities.from_json_str(json.dumps(described), schema())


def _moment(at: datetime) -> dict[str, Any]:
    """Cedar's ``datetime`` has milliseconds (Cedar RFC 80)."""
    text = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"__extn": {"fn": "datetime", "arg": text}}
