"""The sections recordings and retention: what is read, and what is refused with its line."""

from datetime import timedelta

import pytest

from interlock.domain.resources import Selector
from interlock.domain.retention import Retention, RetentionClass
from interlock.errors import ConfigurationError
from interlock.policy.configuration import Configuration
from interlock.policy.diff import describe_changes
from interlock.policy.load import load_configuration
from tests.policy.example import CHECKS

BASE = """\
resources:
  orders: {kind: postgres, address: "127.0.0.1:5432", credential: {user: u, secret: "env:X"}}
people:
  one: {groups: [records]}
  two: {groups: [records]}
"""


AUDITOR = """\
roles:
  auditor:
    on: {kind: postgres}
    allow: [replay]
    lend: {longest: 1h, approvals: [{from: {group: records}}]}
"""


def load(more: str) -> Configuration:
    return load_configuration(BASE + more, "interlock.yaml", check_settings=CHECKS)


def test_what_is_written_is_read() -> None:
    read = load(
        "recordings: {own: refuse}\n"
        "retention:\n"
        "  approvals: [{from: {group: records}, count: 2}]\n"
        "  classes:\n"
        "    orders: {on: {resources: [orders]}, keep: 400d}\n"
        "    others: {keep: 90d}\n"
    )
    assert not read.own_recordings
    assert [rule.count for rule in read.retention.approvals] == [2]
    assert read.retention.classes == (
        RetentionClass("orders", timedelta(days=400), Selector(names=frozenset({"orders"}))),
        RetentionClass("others", timedelta(days=90)),
    )
    assert load("").retention == Retention()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "retention: {approvals: [{from: {group: records}}]}\n",
            "interlock.yaml:6: approvals of retention asks",
        ),
        ("retention: {approvals: []}\n", "interlock.yaml:6"),
        ("retention: {classes: {a: {keep: 1d}}}\n", "interlock.yaml:6"),
        ("retention: {approvals: [{from: {group: nobody}, count: 2}]}\n", "there is no group nobody"),
        ("retention: {approvals: [{from: {group: administrators}, count: 2}]}\n", "administrators"),
        ("retention: {approvals: [{from: {group: records}, count: 2}], classes: {a: {}}}\n", "keep"),
        (
            "retention: {approvals: [{from: {group: records}, count: 2}], classes: {a: {keep: soon}}}\n",
            "keep of the class a",
        ),
        ("retention: {approvals: [{from: {group: records}, count: 2}], older: 1}\n", "older"),
        ("recordings: {readers: [records]}\n", "readers"),
        (AUDITOR.replace("[replay]", "[replay]\n    hold: [replay]"), "replay cannot be held"),
    ],
)
def test_a_mistake_is_said_with_its_line(more: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(more)
    assert said in str(caught.value)


def test_a_role_that_only_replays_is_whole_and_where_it_comes_and_goes_the_difference_says_so() -> None:
    without, with_role = load(""), load(AUDITOR)
    assert with_role.warnings == ()
    assert (without.replay_roles("orders"), with_role.replay_roles("orders")) == (frozenset(), frozenset({"auditor"}))
    assert with_role.replay_roles("nothing") == frozenset()
    assert "Recordings of orders can be read under a role." in describe_changes(without, with_role)
    back = "No role lets recordings of orders be read any more: nobody reads what others did there."
    assert back in describe_changes(with_role, without)
