"""What is read out of single messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.protocols.postgres import messages

_COMMANDS = st.sampled_from(
    ["INSERT 0", "INSERT", "UPDATE", "DELETE", "MERGE", "SELECT", "COPY", "UPDATED", "BEGIN", "DELETE ", "", " "]
)
_NUMBERS = st.one_of(
    st.integers(0, 10**20).map(str), st.sampled_from(["", "-1", "1x", "x1", "007", "1 2", "\u0661", "9" * 18, "9" * 19])
)


@given(_COMMANDS, _NUMBERS)
def test_what_a_tag_says_was_changed(command: str, number: str) -> None:
    tag = f"{command} {number}"
    words = tag.split(" ")
    counts = words[0] in ("INSERT", "UPDATE", "DELETE", "MERGE") and words[-1].isascii() and words[-1].isdecimal()
    expected = int(words[-1]) if counts and len(words[-1]) <= 18 else 0
    assert messages.count_changed(tag) == expected
    around = b"1234" + messages.encode(tag) + b"5678"
    assert messages.count_changed_in(around, 4, len(around) - 4) == expected


@pytest.mark.parametrize("tag", ["UPDATE", "9", ""])
def test_a_tag_without_a_count_counts_nothing(tag: str) -> None:
    assert messages.count_changed(tag) == 0
