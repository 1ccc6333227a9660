"""The sections recordings and retention: what is read, and what is refused with its line."""

from datetime import timedelta

import pytest

from interlock.domain.resources import Selector
from interlock.domain.retention import Retention, RetentionClass
from interlock.errors import ConfigurationError
from interlock.policy.configuration import Configuration
from interlock.policy.load import load_configuration
from tests.policy.example import CHECKS

BASE = """\
resources:
  orders: {kind: postgres, address: "127.0.0.1:5432", credential: {user: u, secret: "env:X"}}
people:
  one: {groups: [records]}
  two: {groups: [records]}
"""


def load(more: str) -> Configuration:
    return load_configuration(BASE + more, "interlock.yaml", check_settings=CHECKS)


def test_what_is_written_is_read() -> None:
    read = load(
        "recordings: {own: refuse, readers: [records]}\n"
        "retention:\n"
        "  approvals: [{from: {group: records}, count: 2}]\n"
        "  classes:\n"
        "    orders: {on: {resources: [orders]}, keep: 400d}\n"
        "    others: {keep: 90d}\n"
    )
    assert (read.own_recordings, read.recording_readers) == (False, frozenset({"records"}))
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
        ("recordings: {readers: [nobody]}\n", "there is no group nobody"),
        ("recordings: {readers: []}\n", "readers of recordings"),
    ],
)
def test_a_mistake_is_said_with_its_line(more: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(more)
    assert said in str(caught.value)
