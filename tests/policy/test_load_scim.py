"""The section scim: what a directory may do."""

import pytest

from interlock.errors import ConfigurationError
from interlock.policy.configuration import Scim
from interlock.policy.diff import describe_changes
from interlock.policy.load import load_configuration

_REST = """
resources:
  orders: {kind: postgres, address: "127.0.0.1:5432"}
people:
  lead@example.com: {groups: [ops]}
roles:
  reader:
    on: {kind: postgres}
    allow: [connect, read]
    lend: {longest: 8h, approvals: [{from: {group: dba}, count: 2}]}
"""
_SCIM = "scim: {secret: env:SCIM, groups: [dba], most_ends: 5}\n"


def test_a_group_that_the_directory_fills_may_approve() -> None:
    configuration = load_configuration(_SCIM + _REST, "interlock.yaml")
    assert configuration.scim == Scim("env:SCIM", frozenset({"dba"}), 5)
    assert [line for line in configuration.warnings if "replay" not in line] == []
    with pytest.raises(ConfigurationError):
        load_configuration(_REST, "interlock.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scim: {groups: [dba]}", "secret"),
        ("scim: {secret: hunter2, groups: [dba]}", "does not say where the secret is kept"),
        ('scim: {secret: env:S, groups: ["d b a", dba]}', "is no name of a group"),
        ("scim: {secret: env:S, groups: [dba], most_ends: 0}", "most_ends"),
        ("scim: {secret: env:S, groups: [dba], extra: 1}", "unknown key"),
    ],
)
def test_mistakes(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(text + _REST, "interlock.yaml")
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_what_changes_is_said() -> None:
    old = load_configuration(_SCIM + _REST, "interlock.yaml")
    new = load_configuration(_SCIM.replace("5", "9") + _REST, "interlock.yaml")
    (sentence,) = describe_changes(old, new)
    assert "9 ends an hour" in sentence
    assert "as before" in sentence
    assert describe_changes(old, old) == ()
