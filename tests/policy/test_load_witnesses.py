"""The section witnesses: what is read, and what is no witness."""

import base64

import pytest

from interlock.errors import ConfigurationError
from interlock.policy.load import load_configuration


def _key(name: str, public: bytes, kind: int = 4) -> str:
    return f"{name}+0123abcd+{base64.b64encode(bytes([kind]) + public).decode()}"


_ONE, _TWO = _key("w.example/1", b"1" * 32), _key("w.example/2", b"\xfb\xef" * 16)


def _section(*keys: str, need: int = 1) -> str:
    of = ", ".join(f"{{url: 'https://{number}.example', key: '{key}'}}" for number, key in enumerate(keys))
    return f"witnesses: {{need: {need}, of: [{of}]}}\n"


def test_what_is_written_is_read() -> None:
    found = load_configuration(_section(_ONE, _TWO, need=2), "i.yaml").witnesses
    assert (found.need, [one.key for one in found.of]) == (2, [_ONE, _TWO])


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (_section(_key("the/ledger", b"1" * 32, kind=1)), "key of witness 1 is no witness's key"),
        (_section(_ONE, _key("w.example/another", b"1" * 32)), "a witness is named twice"),
        (_section(_ONE, need=2), "need of witnesses is 2, and 1 are named"),
        (_section("w.example+0123abcd+short"), "key of witness 1 is no witness's key"),
    ],
)
def test_a_mistake_is_said(section: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(section, "i.yaml")
    assert said in str(caught.value)
