"""The section workloads: which jobs are let in."""

import pytest

from interlock.errors import ConfigurationError
from interlock.policy.configuration import Workload
from interlock.policy.diff import describe_changes
from interlock.policy.load import load_configuration

_PEOPLE = "people: {ops@example.com: {}}\n"
_GITHUB = "https://token.actions.githubusercontent.com"
_GOOD = (
    f"workloads: {{w: {{owner: ops@example.com, issuer: '{_GITHUB}', "
    "claims: {repository: acme/orders, ref: [refs/heads/main, refs/heads/x], run_attempt: 1}}}\n"
)


def test_a_workload_is_what_the_file_says() -> None:
    configuration = load_configuration(_PEOPLE + _GOOD, "interlock.yaml")
    claims = {
        "repository": frozenset({"acme/orders"}),
        "ref": frozenset({"refs/heads/main", "refs/heads/x"}),
        "run_attempt": frozenset({"1"}),
    }
    assert configuration.workloads == {"w": Workload("w", "ops@example.com", _GITHUB, claims)}
    before = load_configuration(_PEOPLE, "interlock.yaml")
    assert describe_changes(before, configuration) == ("The workload w is new.",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_GOOD.replace("ops@example.com", "opps@example.com"), "there is no person opps@example.com"),
        (_GOOD.replace("https:", "http:"), "is no https address"),
        (_GOOD.replace("acme/orders", "acme/*"), "compared exactly"),
        (_GOOD.replace("repository: acme/orders, ", ""), "anybody's job"),
        (_GOOD.replace("repository:", "aud:"), "looked at in any case"),
        (_GOOD.replace("[refs/heads/main, refs/heads/x]", "[]"), "write the values"),
        (
            _GOOD.replace("{repository: acme/orders, ref: [refs/heads/main, refs/heads/x], run_attempt: 1}", "{}"),
            "claims",
        ),
        (_GOOD.replace("owner", "owners"), "unknown key"),
        ("workloads: {w: {owner: ops@example.com}}\n", "has no issuer"),
    ],
)
def test_what_is_no_workload(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(_PEOPLE + text, "interlock.yaml")
    assert said in str(caught.value)


def test_an_owner_may_come_from_the_directory() -> None:
    text = _GOOD.replace("ops@example.com", "cy@example.com") + "scim: {secret: env:S}\n"
    assert load_configuration(_PEOPLE + text, "interlock.yaml").workloads["w"].owner == "cy@example.com"
