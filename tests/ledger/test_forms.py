"""Judging a bundle by its shapes gives for each body what the careful look gives."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.ledger.canonical import NotCanonical, canonical, read_canonical
from interlock.ledger.forms import Forms, is_canonical

_TEXTS = st.text(st.sampled_from('ab0:",{}[]\\ \n\x7fé'), max_size=5)
_VALUES = st.recursive(
    st.none() | st.booleans() | _TEXTS | st.integers(-(2**60), 2**60) | st.floats(allow_nan=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)
_WRITTEN = st.one_of(
    _VALUES.map(lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()),
    _VALUES.map(lambda value: json.dumps(value).encode()),
    st.text(st.sampled_from('a0:",{}[] \n'), max_size=14).map(str.encode),
)


def careful(body: bytes) -> bool:
    try:
        read_canonical(body)
    except NotCanonical:
        return False
    return True


@given(st.lists(_WRITTEN, min_size=1, max_size=6))
def test_each_is_judged_as_by_the_careful_look(bodies: list[bytes]) -> None:
    forms = Forms()
    for body in bodies:
        assert is_canonical(body) == careful(body)
        assert forms.all_hold([body]) == careful(body)
    assert forms.all_hold(bodies) == all(map(careful, bodies))


@pytest.mark.parametrize(
    "forged",
    [
        b'{"a":"x" ,"b":1}',
        b'{"a":"x","b":01}',
        b'{"a":"x","b":1.0}',
        b'{"a":"x","b":-0}',
        b'{"a":"x","b":NaN}',
        b'{"a":"x","b":9007199254740993}',
        b'{"a":"x\t","b":1}',
        b'{"a":"\\u0078","b":1}',
        b'{"b":1,"a":"x"}',
        b'{"a":"x","a":"x","b":1}',
        b'{"a":"x","b":1}\n',
        b'{"a":"x","b":1}\n{"a":"x","b":1}',
        b'{":9,":1,":1,b":2}',
        b'{"a:":"x" ,"b":1}',
        b'{"a":"\xff","b":1}',
    ],
)
def test_a_known_shape_lets_nothing_else_through(forged: bytes) -> None:
    forms = Forms()
    known = canonical({"a": "x", "b": 1})
    assert forms.all_hold([known, canonical({"a": "y z", "b": 22}), canonical({":0,": 0, ":1,b": 0})])
    assert not forms.all_hold([forged])
    assert not forms.all_hold([known, forged, known])
