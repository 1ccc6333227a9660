"""Every domain type goes to plain JSON and comes back as it was; nothing else comes in."""

import contextlib
import dataclasses
import json
import types
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from enum import Enum, StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.domain.actions import Action
from interlock.domain.codec import from_plain, to_plain
from interlock.domain.decisions import Decision
from interlock.domain.grants import Activity, Approval, Grant, Login, Request
from interlock.domain.people import Contract, Identity, Person, Vendor
from interlock.domain.resources import Resource, Selector
from interlock.domain.roles import ApprovalRule, Hold, Lending, Role
from interlock.domain.signin import (
    Attempts,
    ConnectionPass,
    ConnectionPassword,
    Enrolment,
    GatewayIdentity,
    LocalCredential,
)
from interlock.domain.snapshot import HeldRequest, PolicyText, Snapshot, UpstreamCredential

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
MOMENTS = st.integers(0, 7 * 10**15).map(lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us))
DURATIONS = st.timedeltas(timedelta(0), timedelta(days=999))
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-(2**53), 2**53),
    bool: st.booleans(),
    datetime: MOMENTS,
    timedelta: DURATIONS,
    Any: PLAIN,
    object: PLAIN,
}


def values_of(kind: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Every value that the annotation ``kind`` allows, nested not too deep."""
    if kind in LEAVES:
        return LEAVES[kind]
    args = get_args(kind)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return st.one_of([st.none() if arg is type(None) else values_of(arg, depth) for arg in args])
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(TEXT, values_of(args[1], depth), max_size=2)
    if origin is frozenset:
        return st.frozensets(values_of(args[0], depth), max_size=2)
    if origin is tuple:
        return st.just(()) if depth > 2 else st.lists(values_of(args[0], depth), max_size=2).map(tuple)
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    hints = get_type_hints(kind)
    fields = {field.name: values_of(hints[field.name], depth + 1) for field in dataclasses.fields(kind)}
    return st.builds(kind, **fields)


STORED: list[type] = [
    Activity,
    Approval,
    Attempts,
    ConnectionPassword,
    ConnectionPass,
    Contract,
    Enrolment,
    GatewayIdentity,
    Grant,
    HeldRequest,
    Hold,
    Identity,
    Lending,
    LocalCredential,
    Login,
    Person,
    PolicyText,
    Request,
    Resource,
    Role,
    Selector,
    Snapshot,
    UpstreamCredential,
    Vendor,
]


@pytest.mark.parametrize("kind", STORED, ids=lambda kind: str(kind.__name__))
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_is_stored_comes_back_as_it_was(kind: type, data: st.DataObject) -> None:
    value = data.draw(values_of(kind))
    assert from_plain(kind, json.loads(json.dumps(to_plain(value)))) == value


def test_a_rule_with_alternatives_comes_back_as_it_was() -> None:
    rule = ApprovalRule(1, any_of=(ApprovalRule(1, group="dba"), ApprovalRule(1, sponsor=True)))
    assert from_plain(ApprovalRule, to_plain(rule)) == rule


def test_a_time_of_day_comes_back_as_it_was() -> None:
    assert to_plain(time(7, 30)) == "07:30:00"
    assert from_plain(time, "07:30:00") == time(7, 30)


def test_an_older_snapshot_lacks_fields_and_a_newer_one_has_more() -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    snapshot = Snapshot(7, at, PolicyText(1, "d", "yaml"), people={"a": Person("a", groups=frozenset({"dba"}))})
    plain = to_plain(snapshot)
    assert from_plain(Snapshot, {**plain, "weather": "fine"}) == snapshot
    assert from_plain(Snapshot, {key: plain[key] for key in ("version", "at", "policy", "people")}) == snapshot


def test_times_are_written_in_utc_with_microseconds() -> None:
    assert to_plain(datetime(2026, 11, 1, 12, tzinfo=UTC)) == "2026-11-01T12:00:00.000000Z"
    with pytest.raises(TypeError, match="zone"):
        to_plain(datetime(2026, 11, 1))  # noqa: DTZ001 - a time without a zone is what is refused
    with pytest.raises(ValueError, match="zone"):
        from_plain(datetime, "2026-11-01T12:00:00")


def test_bytes_are_base64url_without_padding() -> None:
    assert to_plain(b"\xff\xfe\xfd\xfc") == "__79_A"
    assert from_plain(bytes, "__79_A") == b"\xff\xfe\xfd\xfc"


class Colour(StrEnum):
    RED = "red"


@dataclasses.dataclass(frozen=True)
class Mixed:
    colour: Colour
    pair: tuple[int, str]
    share: float
    names: Mapping[str, frozenset[Action]]
    note: str | None = None


def test_each_rule_of_the_module_holds() -> None:
    mixed = Mixed(Colour.RED, (1, "a"), 2.0, {"x": frozenset({Action.WRITE, Action.ALTER})})
    plain = to_plain(mixed)
    assert plain == {
        "colour": "red",
        "pair": [1, "a"],
        "share": 2.0,
        "names": {"x": ["alter", "write"]},
        "note": None,
    }
    assert from_plain(Mixed, {**plain, "share": 2}) == mixed


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        (Person, None),
        (Person, []),
        (Person, {}),
        (Person, {"name": 3}),
        (Person, {"name": "a", "groups": "dba"}),
        (Person, {"name": "a", "groups": [1]}),
        (Person, {"name": "a", "ended_at": 5}),
        (Hold, {"actions": ["fly"]}),
        (Mixed, {"colour": "red", "pair": [1], "share": 1, "names": {}}),
        (Mixed, {"colour": "red", "pair": [True, "a"], "share": 1, "names": {}}),
        (Decision, {"effect": "allow", "reason": "", "policies": "x"}),
        (timedelta, "soon"),
        (timedelta, 10**15),
        (datetime, "0001-01-01T00:00:00+23:00"),
        (bytes, 4),
        (bytes, "a"),
    ],
)
def test_what_does_not_fit_is_refused(kind: type, plain: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_plain(kind, plain)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(STORED), PLAIN)
def test_arbitrary_json_is_read_or_refused(kind: type, plain: Any) -> None:
    with contextlib.suppress(ValueError):
        from_plain(kind, plain)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_record_is_read_or_refused(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(STORED))
    plain = to_plain(data.draw(values_of(kind)))
    if plain:
        plain[data.draw(st.sampled_from(sorted(plain)))] = data.draw(PLAIN)
    with contextlib.suppress(ValueError):
        from_plain(kind, plain)


def test_types_without_a_plain_form_are_refused() -> None:
    with pytest.raises(TypeError, match="no plain form"):
        to_plain(object())
