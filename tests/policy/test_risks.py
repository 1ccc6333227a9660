"""The matrix of conflicts goes out and comes back the same, and whoever writes such a file cannot make it act."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.errors import ConfigurationError
from interlock.policy.configuration import (
    ConflictKind,
    Control,
    Mitigation,
    Risk,
    Separation,
    SeparationKind,
)
from interlock.policy.load import load_configuration
from interlock.policy.risk_exchange import read_csv, read_xacml, write_csv, write_xacml, write_yaml

UNTIL = datetime(2027, 1, 31, tzinfo=UTC)
RISKY = Separation(
    SeparationKind.CONFLICT,
    ("payments-maker", "payments-checker"),
    conflict=ConflictKind.HISTORIC,
    risk=Risk(
        "One person pays themself <&\"'>",
        "lead@example.com",
        Mitigation("=weekly report", Control.DETECTIVE, UNTIL, frozenset({"dev@example.com", "ops@example.com"})),
    ),
)
PLAIN = Separation(SeparationKind.CONFLICT, ("a", "b", "c"))
POLICY = """
resources: {orders: {kind: postgres, address: "127.0.0.1:1"}}
people: {lead@example.com: {groups: [dba]}, dev@example.com: {groups: [dba]}, ops@example.com: {groups: [dba]}}
roles:
  payments-maker: {on: {kind: postgres}, allow: [connect], lend: {longest: 1h, approvals: [{from: {group: dba}}]}}
  payments-checker: {on: {kind: postgres}, allow: [connect], lend: {longest: 1h, approvals: [{from: {group: dba}}]}}
"""

_OWNED = "risk: r, owner: lead@example.com"

_names = st.sampled_from(["a", "maker", "checker", "payments-maker", "lead@example.com", "x.y_z"])
_texts = st.text("ab =+-@'<&>\"\u00e9,;", max_size=12)
_mitigations = st.builds(
    Mitigation,
    st.text("ab =+-@'<&>\"\u00e9,;", min_size=1, max_size=12),
    st.sampled_from(Control),
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- bounds
    st.frozensets(_names, min_size=1, max_size=3),
)
_separations = st.builds(
    Separation,
    st.just(SeparationKind.CONFLICT),
    st.lists(_names, min_size=2, max_size=4, unique=True).map(tuple),
    conflict=st.sampled_from(ConflictKind),
    risk=st.builds(Risk, _texts, _names, st.none() | _mitigations),
)


@given(st.lists(_separations, min_size=1, max_size=4).map(tuple))
def test_csv_and_xacml_come_back_the_same(separations: tuple[Separation, ...]) -> None:
    assert read_csv(write_csv(separations)) == separations
    assert read_xacml(write_xacml(separations)) == separations


def test_a_spreadsheet_calculates_nothing() -> None:
    assert "'=weekly report" in write_csv([RISKY])


def test_the_yaml_is_the_policys_own() -> None:
    assert load_configuration(POLICY + write_yaml([]), "interlock.yaml").separations == ()
    found = load_configuration(POLICY + write_yaml([RISKY]), "interlock.yaml").separations
    assert found == (RISKY,)


def test_the_xacml_denies_two_of_the_roles() -> None:
    text = write_xacml([PLAIN])
    assert 'Effect="Deny"' in text
    assert text.count('<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">a</AttributeValue>') == 1
    assert "integer-greater-than" in text


def test_a_policy_of_somebody_elses_without_our_obligation_is_a_static_conflict() -> None:
    text = write_xacml([PLAIN])
    start, end = text.index("    <ObligationExpressions>"), text.index("  </Policy>")
    assert read_xacml(text[:start] + text[end:]) == (PLAIN,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('<!DOCTYPE x [<!ENTITY a "aaaa">]><PolicySet/>', "document type"),
        ("<PolicySet/>", "does not begin with a PolicySet of XACML 3.0"),
        ("no xml", "no XACML 3.0"),
        (write_xacml([]), "there is no policy in it"),
        (write_xacml([RISKY]).replace("historic", "sometimes"), "policy 1"),
        (write_xacml([replace(PLAIN, names=("a",))]), "a conflict needs two roles"),
    ],
)
def test_what_is_no_matrix_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        read_xacml(text)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("roles,kind", "kind,roles", "the columns are"),
        ("historic", "sometimes", "line 2"),
        ("2027-01-31T00:00:00.000000Z", "2027-01-31", "until has no zone"),
        ("detective", "magic", "line 2"),
        ("lead@example.com,", "", "cells"),
    ],
)
def test_a_wrong_cell_is_named_by_its_line(before: str, after: str, says: str) -> None:
    text = write_csv([RISKY])
    assert before in text
    with pytest.raises(ConfigurationError, match=says):
        read_csv(text.replace(before, after))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("risk: r, owner: nobody@example.com", "there is no person nobody@example.com"),
        (
            "mitigation: {control: c, kind: detective, until: 2027-01-01, people: [dev@example.com]}",
            "without a risk and an owner",
        ),
        (
            f"{_OWNED}, mitigation: {{control: c, kind: magic, until: 2027-01-01, people: [dev@example.com]}}",
            "kind of mitigation",
        ),
        (
            f"{_OWNED}, mitigation: {{control: c, kind: detective, people: [dev@example.com]}}",
            "has no until",
        ),
        (
            f"{_OWNED}, mitigation: {{control: c, kind: detective, until: 2027-01-01, people: [x]}}",
            "there is no person x",
        ),
    ],
)
def test_a_mitigation_has_an_end_an_owner_and_people(line: str, says: str) -> None:
    text = POLICY + f"separations:\n  - {{conflict: [payments-maker, payments-checker], {line}}}\n"
    with pytest.raises(ConfigurationError, match=says):
        load_configuration(text, "interlock.yaml")


def test_an_expired_mitigation_mitigates_nothing() -> None:
    assert RISKY.mitigated("dev@example.com", datetime(2027, 1, 30, 23, 59, 59, tzinfo=UTC))
    assert not RISKY.mitigated("dev@example.com", UNTIL)
    assert not RISKY.mitigated("lead@example.com", datetime(2026, 1, 1, tzinfo=UTC))
