"""Ids: how long each kind is, and of which characters."""

import re
from typing import Literal

import pytest

from interlock.services.ids import new_id

_CROCKFORD = "[0-9a-hjkmnp-tv-z]"


@pytest.mark.parametrize(("kind", "length"), [("r", 8), ("g", 8), ("l", 8), ("s", 13)])
def test_a_kind_has_its_letter_and_its_length(kind: Literal["r", "g", "l", "s"], length: int) -> None:
    for _ in range(50):
        assert re.fullmatch(f"{kind}-{_CROCKFORD}{{{length}}}", new_id(kind))


def test_every_place_of_a_session_id_is_drawn() -> None:
    drawn = [new_id("s")[2:] for _ in range(200)]
    assert len(set(drawn)) == len(drawn)
    assert all(len({one[place] for one in drawn}) > 16 for place in range(13))
