"""Frames: what was whole is read back, and nothing that was torn ever is."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.wire import frames, frames_in_c
from interlock.wire.frames import MAGIC, add_frame, after_frame, frame, scan

payloads = st.lists(st.binary(max_size=200), max_size=8)


def _read(content: bytes) -> list[bytes]:
    return [bytes(found.payload) for found in scan(memoryview(content))]


@given(payloads)
def test_what_was_written_is_read_back(written: list[bytes]) -> None:
    content = MAGIC + b"".join(map(frame, written))
    assert _read(content) == written
    offsets = [(found.offset, found.end) for found in scan(memoryview(content))]
    assert all(end == start for (_, end), (start, _) in pairwise(offsets))


@given(payloads, st.data())
def test_a_tail_torn_at_any_byte_loses_only_what_was_torn(written: list[bytes], data: st.DataObject) -> None:
    content = MAGIC + b"".join(map(frame, written))
    cut = data.draw(st.integers(0, len(content)))
    ends, end = [], len(MAGIC)
    for one in written:
        end += len(frame(one))
        ends.append(end)
    whole = [one for one, one_ends in zip(written, ends, strict=True) if one_ends <= cut]
    assert _read(content[:cut]) == whole
    # A crash may leave zeros behind; where zeros were torn off they complete the frame again.
    zeroed = _read(content[:cut] + b"\0" * 64)
    assert zeroed in (whole, written[: len(whole) + 1])


@given(payloads.filter(bool), st.data())
def test_a_changed_byte_is_found(written: list[bytes], data: st.DataObject) -> None:
    content = bytearray(MAGIC + b"".join(map(frame, written)))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    found = _read(bytes(content))
    assert found != written
    assert found == written[: len(found)]


def test_zeros_are_not_a_frame() -> None:
    assert _read(MAGIC + b"\0" * 4096) == []


def test_a_payload_that_no_frame_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "LONGEST_BYTES", 3)
    assert len(frame(b"abc")) == 11
    with pytest.raises(ValueError, match="holds 3 bytes at most, not 4"):
        frame(b"abcd")


@given(payloads)
def test_frames_are_laid_down_alike_with_and_without_a_compiler(written: list[bytes]) -> None:
    gathered, plain, ends = bytearray(), bytearray(), [0]
    for payload in written:
        add_frame(gathered, payload)
        frames_in_c.add_frame(plain, payload)
        assert after_frame(gathered, ends[-1]) == len(plain)
        ends.append(len(plain))
    assert gathered == plain


def test_a_checksum_is_zlibs_at_every_length() -> None:
    """It is worked out in blocks of sixteen and of eight bytes, and the rest alone."""
    content = bytes(value * 31 % 251 for value in range(5000))
    for size in [*range(300), 4095, 4096, 4097, 5000]:
        for start in range(0, 16, 5):
            laid_down, plain = bytearray(), bytearray()
            add_frame(laid_down, content[start : start + size])
            frames_in_c.add_frame(plain, content[start : start + size])
            assert laid_down == plain, (size, start)
