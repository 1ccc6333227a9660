"""Segments: what was sealed comes back, what was touched does not, and nothing of it is readable without the key."""

import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.wire.segments import Header, NotASegmentError, open_segment, read_header, seal_segment, segment_path

KEY = secrets.token_bytes(32)
RECORDS = [b'{"session":"s-1","n":1,"text":"select secret from vault"}', b'{"session":"s-1","n":2,"text":"x"}']
HEADER = Header("s-1", 2, "ab" * 32, 1, 2)


@given(st.lists(st.binary(max_size=200).map(lambda raw: raw.replace(b"\n", b" ")), max_size=20))
@settings(max_examples=50, deadline=None)
def test_what_was_sealed_comes_back(records: list[bytes]) -> None:
    segment = seal_segment(KEY, HEADER, records)
    header, lines = open_segment(KEY, segment.content)
    assert header == segment.header
    assert lines == b"".join(record + b"\n" for record in records)
    assert segment_path(segment.digest) == f"{segment.digest[:2]}/{segment.digest}"


def test_every_bit_counts() -> None:
    content = seal_segment(KEY, HEADER, RECORDS).content
    for place in range(len(content)):
        touched = bytearray(content)
        touched[place] ^= 1
        with pytest.raises(NotASegmentError):
            open_segment(KEY, bytes(touched))
    for length in range(len(content)):
        with pytest.raises(NotASegmentError):
            open_segment(KEY, content[:length])
    with pytest.raises(NotASegmentError):
        open_segment(KEY, content + b"\0")
    with pytest.raises(NotASegmentError):
        open_segment(secrets.token_bytes(32), content)


def test_the_same_records_are_never_the_same_bytes() -> None:
    """Each segment has a key of its own, so that no nonce is used twice, whatever is sealed under one number."""
    sealed = [seal_segment(KEY, HEADER, RECORDS) for _ in range(50)]
    assert len({segment.header.salt for segment in sealed}) == 50
    assert len({segment.content[-40:] for segment in sealed}) == 50


def test_nothing_of_a_statement_is_readable() -> None:
    content = seal_segment(KEY, HEADER, RECORDS * 20).content
    assert b"secret" not in content
    assert b"select" not in content
    assert read_header(content)[0].session == "s-1"


@pytest.mark.parametrize("forged", [b"", b"{}", b"[]", b'{"session":1}', b"\xff", b'{"a":1}'])
def test_a_header_that_says_what_cannot_be_is_no_header(forged: bytes) -> None:
    content = seal_segment(KEY, HEADER, RECORDS).content
    magic = content[: content.index(b"\n") + 1]
    with pytest.raises(NotASegmentError):
        read_header(magic + len(forged).to_bytes(4, "little") + forged)
    with pytest.raises(NotASegmentError):
        read_header(magic + b"\xff\xff\xff\xff" + forged)
