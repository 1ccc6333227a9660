"""The key passwords: who has a provider has no passwords of Interlock's own unless it is said."""

import pytest

from interlock.errors import ConfigurationError
from interlock.policy.diff import describe_changes
from interlock.policy.load import load_configuration

_EMPTY = "people: {a@example.com: {}}\n"
_PROVIDER = "providers: {corp: {issuer: 'https://idp.example', client_id: interlock}}\n"


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        (_EMPTY, True),
        (_EMPTY + _PROVIDER, False),
        (_EMPTY + _PROVIDER + "passwords: allow\n", True),
        (_EMPTY + "passwords: refuse\n", False),
    ],
)
def test_passwords_are_where_the_file_says(text: str, allowed: bool) -> None:
    configuration = load_configuration(text, "interlock.yaml")
    assert configuration.passwords is allowed
    before = load_configuration(_EMPTY, "interlock.yaml")
    said = "People no longer sign in with passwords of Interlock's own."
    assert (said in describe_changes(before, configuration)) is not allowed


def test_anything_else_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="neither allow nor refuse"):
        load_configuration(_EMPTY + "passwords: true\n", "interlock.yaml")
