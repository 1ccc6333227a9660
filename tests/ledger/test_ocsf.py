"""Every kind of event, as OCSF, holds to OCSF's own published schema."""

import dataclasses
import importlib
import json
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import jsonschema
import pytest

from interlock.domain.event import Event
from interlock.domain.events import EVENTS
from interlock.domain.sensitivity import Sensitivity
from interlock.ledger.entries import Recorded
from interlock.ledger.ocsf import VERSION, as_ocsf

NOW = datetime(2026, 11, 1, tzinfo=UTC)
NAMES = {3001: "account_change", 3002: "authentication", 3004: "entity_management", 3005: "user_access"}


@cache
def validator(class_uid: int) -> Any:
    published: Any = importlib.import_module("ocsf_json_schema")  # has no types
    schemas = published.OcsfJsonSchemaEmbedded(published.get_ocsf_schema(VERSION))
    schema = schemas.get_class_schema(NAMES[class_uid])
    return jsonschema.Draft202012Validator(schema)


def sample(kind: type[Event]) -> Event:
    hints = get_type_hints(kind)
    return kind(**{field.name: _value(hints[field.name], field.name) for field in dataclasses.fields(kind)})


def _value(hint: Any, name: str) -> Any:
    if hint is int:
        return 3
    if hint is datetime or datetime in get_args(hint):
        return NOW
    if get_origin(hint) is tuple:
        return (f"{name} one", f"{name} two")
    if get_origin(hint) is not None and str in get_args(hint) and object in get_args(hint):
        return {"statement": "select 'secret'"}
    return f"some {name}"


@pytest.mark.parametrize("kind", sorted(EVENTS))
@pytest.mark.parametrize("show", list(Sensitivity))
@pytest.mark.parametrize("actor", ["system", "gateway:one", "dev@acme.example"])
def test_every_kind_holds_to_the_published_schema(kind: str, show: Sensitivity, actor: str) -> None:
    event = as_ocsf(Recorded(7, NOW, actor, sample(EVENTS[kind])), show)
    validator(event["class_uid"]).validate(event)
    assert event["metadata"]["sequence"] == 7


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_nothing_of_a_higher_class_is_shown(kind: str) -> None:
    recorded = Recorded(7, NOW, "dev@acme.example", sample(EVENTS[kind]))
    public = json.dumps(as_ocsf(recorded, Sensitivity.PUBLIC))
    for text in ("some person", "some reason", "some by", "some address", "dev@acme.example", "select"):
        assert text not in public
    assert "select" not in json.dumps(as_ocsf(recorded, Sensitivity.SENSITIVE))
