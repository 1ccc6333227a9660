"""RFC 8785: the vectors of its text and its appendix B, and what has no canonical form."""

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.ledger.canonical import NotCanonical, canonical, number, read_canonical

APPENDIX_B = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]

DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | DOUBLES | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(("bits", "printed"), APPENDIX_B)
def test_numbers_of_appendix_b(bits: str, printed: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert number(value) == printed


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_have_no_form(value: float) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


def test_the_sample_of_section_3_2_2() -> None:
    sample = (
        '{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
        '"string": "\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/",'
        '"literals": [null, true, false]}'
    )
    assert (
        canonical(json.loads(sample))
        == (
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


def test_names_are_ordered_by_utf_16_code_units() -> None:
    """Section 3.2.3's sample: the emoji (a surrogate pair) stands before U+FB33, though its code point is larger."""
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    ordered = [*json.loads(canonical(dict.fromkeys(names, 0)))]
    assert ordered == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@pytest.mark.parametrize(
    "value", [2**53 + 1, -(2**53) - 1, "\ud800", {"\udc00": 1}, {1: 2}, b"bytes", {1, 2}, object], ids=repr
)
def test_what_has_no_canonical_form(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


def test_depth_is_a_refusal_and_no_crash() -> None:
    nested: object = 0
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(NotCanonical, match="deep"):
        canonical(nested)
    with pytest.raises(NotCanonical):
        read_canonical(b"[" * 100_000 + b"]" * 100_000)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" 1",
        b"1 ",
        b"1.0",
        b"-0",
        b"1E2",
        b"01",
        b"NaN",
        b"Infinity",
        b"9007199254740993",
        b"1" * 5000,
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a": 1}',
        b'"\\u0041"',
        b'"\\/"',
        b'"\xff"',
        b'"\\ud800"',
        b"\xef\xbb\xbf1",
        b"nul",
    ],
)
def test_only_the_canonical_form_is_read(body: bytes) -> None:
    with pytest.raises(NotCanonical):
        read_canonical(body)


@settings(max_examples=200)
@given(VALUES)
def test_what_is_written_reads_back_to_the_same_bytes(value: object) -> None:
    body = canonical(value)
    assert canonical(read_canonical(body)) == body
    assert read_canonical(body) == value


@settings(max_examples=300)
@given(DOUBLES)
def test_a_number_reads_back_as_the_same_double(value: float) -> None:
    assert float(number(value)) == value
