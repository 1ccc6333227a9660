"""Segments: what was sealed comes back, what was touched does not, and nothing of it is readable without the key."""

import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, replace

import pytest
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.wire.segments import (
    LARGEST_BYTES,
    LONGEST_RECORD_BYTES,
    MAGIC,
    Header,
    NotASegmentError,
    open_segment,
    read_header,
    seal_segment,
    segment_path,
)

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


def _sealed_by_a_stranger(header: Header, packed: bytes) -> bytes:
    """What whoever holds the recording's key can seal: anything."""
    salt = bytes(32)
    written = json.dumps(asdict(replace(header, size=len(packed) + 16, salt=salt.hex()))).encode()
    clear = MAGIC + len(written).to_bytes(4, "little") + written
    own = HKDF(algorithm=SHA256(), length=32, salt=salt, info=MAGIC).derive(KEY)
    return clear + AESGCM(own).encrypt(bytes(12), packed, clear)


def _packed(pieces: Iterable[bytes], size: int = -1) -> bytes:
    packing = zstandard.ZstdCompressor().compressobj(size=size)
    return b"".join(map(packing.compress, pieces)) + packing.flush()


ONE = replace(HEADER, last=HEADER.first)


@pytest.mark.parametrize(
    ("header", "size"), [(HEADER, LARGEST_BYTES + 2), (HEADER, LONGEST_RECORD_BYTES), (ONE, LONGEST_RECORD_BYTES + 2)]
)
def test_no_more_is_unpacked_than_a_segment_holds(header: Header, size: int) -> None:
    whole = bytes(LARGEST_BYTES)
    packed = _packed((whole[: size - at] for at in range(0, size, LARGEST_BYTES)), size)
    assert len(packed) < 100_000, "a small object"
    with pytest.raises(NotASegmentError, match="it would unpack to more than"):
        open_segment(KEY, _sealed_by_a_stranger(header, packed))


@pytest.mark.parametrize("header", [HEADER, ONE])
def test_what_does_not_say_how_large_it_is_or_says_less_is_not_unpacked(header: Header) -> None:
    with pytest.raises(NotASegmentError, match="it would unpack to more than"):
        open_segment(KEY, _sealed_by_a_stranger(header, _packed([bytes(LARGEST_BYTES)] * 8)))
    honest = _packed([bytes(1000)], 1000)
    assert honest[4:7] == b"\x60\xe8\x02", "the size less 256, in two bytes (RFC 8878, section 3.1.1.1)"
    with pytest.raises(NotASegmentError):
        open_segment(KEY, _sealed_by_a_stranger(header, honest[:5] + b"\x01\x00" + honest[7:]))


def test_a_record_longer_than_a_segment_has_one_for_itself() -> None:
    record = b"x" * (2 * LARGEST_BYTES)
    assert open_segment(KEY, seal_segment(KEY, ONE, [record]).content)[1] == record + b"\n"
    with pytest.raises(NotASegmentError, match="it would unpack to more than"):
        open_segment(KEY, seal_segment(KEY, HEADER, [record]).content)
    full = b"x" * LARGEST_BYTES
    assert open_segment(KEY, seal_segment(KEY, HEADER, [full]).content)[1] == full + b"\n"
