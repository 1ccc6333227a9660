"""The section recovery: whose members let somebody in again."""

import pytest

from interlock.errors import ConfigurationError
from interlock.policy.diff import describe_changes
from interlock.policy.load import load_configuration

_PEOPLE = "people: {a@example.com: {groups: [helpers]}}\n"


def test_nobody_is_let_in_by_others_unless_it_is_said() -> None:
    before = load_configuration(_PEOPLE, "interlock.yaml")
    assert before.recovery == ""
    after = load_configuration(_PEOPLE + "recovery: {group: helpers}\n", "interlock.yaml")
    assert after.recovery == "helpers"
    assert "two of the group helpers" in " ".join(describe_changes(before, after))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("recovery: {group: helper}\n", "there is no group helper"),
        ("recovery: {}\n", "has no group"),
        ("recovery: {groups: [helpers]}\n", "unknown key"),
    ],
)
def test_what_is_no_group(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(_PEOPLE + text, "interlock.yaml")
    assert said in str(caught.value)
