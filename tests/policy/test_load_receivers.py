"""The section receivers: who is told by security events."""

import pytest

from interlock.errors import ConfigurationError
from interlock.policy.configuration import Receiver
from interlock.policy.diff import describe_changes
from interlock.policy.load import load_configuration

_GOOD = "receivers: {idp: {to: 'https://idp.example/events', audience: us, secret: env:IDP_TOKEN}}\n"
_EMPTY = "people: {a@example.com: {}}\n"


def test_a_receiver_is_what_the_file_says() -> None:
    configuration = load_configuration(_GOOD + _EMPTY, "interlock.yaml")
    assert configuration.receivers == {"idp": Receiver("idp", "https://idp.example/events", "us", "env:IDP_TOKEN")}
    before = load_configuration(_EMPTY, "interlock.yaml")
    assert describe_changes(before, configuration) == ("The receiver of security events idp is new.",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_GOOD.replace("https:", "http:"), "is no https address"),
        (_GOOD.replace("env:IDP_TOKEN", "hunter2"), "where the secret is kept"),
        (_GOOD.replace("audience: us, ", ""), "has no audience"),
        (_GOOD.replace("audience", "audiences"), "unknown key"),
    ],
)
def test_what_is_no_receiver(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(text + _EMPTY, "interlock.yaml")
    assert said in str(caught.value)
