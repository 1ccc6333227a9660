"""What is in C against what it is in Python: the same of any journal, whole or damaged."""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.errors import Failure
from interlock.gateway import in_c
from interlock.gateway.sealing import Kept, RecordingStore, gather, keep_frames, keep_records, read_records
from interlock.ports.control import KeptSegment
from interlock.wire.frames import MAGIC, frame
from interlock.wire.segments import open_segment, segment_path

KEY = bytes(32)


def _payload(number: int, filling: bytes) -> bytes:
    return b'{"session":"s-1","n":%d,"text":"%s"}' % (number, filling)


def _laid_down(payloads: list[bytes]) -> "tuple[bytes, array[int]]":
    content, offsets = MAGIC, array("Q")
    for payload in payloads:
        offsets.append(len(content))
        content += frame(payload)
    return content, offsets


_fillings = st.lists(st.binary(max_size=60), min_size=1, max_size=20)


@given(_fillings, st.integers(0, 25), st.integers(1, 400))
def test_whole_frames_are_gathered_alike(fillings: list[bytes], last: int, most: int) -> None:
    content, offsets = _laid_down([_payload(number, filling) for number, filling in enumerate(fillings, 1)])
    at, seen = 0, []
    while at < len(offsets):
        gathered = gather(content, offsets, at, last, most)
        assert gathered == in_c.gather_lines(content, offsets, at, last, most)
        at, _, last, lines, damaged = gathered
        assert damaged == -1
        seen.append(lines)
    assert len(seen) <= len(fillings)


@given(_fillings, st.data())
def test_whatever_is_damaged_is_found_alike(fillings: list[bytes], data: st.DataObject) -> None:
    content, offsets = _laid_down([_payload(number, filling) for number, filling in enumerate(fillings, 1)])
    broken = bytearray(content)
    at = data.draw(st.integers(len(MAGIC), len(content) - 1))
    broken[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(at + 1, len(content)))
    taken: tuple[Any, ...] = gather(bytes(broken[:cut]), offsets, 0, 0, 1 << 20)
    assert taken[4] >= 0
    assert taken[3] == b""
    plain = in_c.gather_lines(bytes(broken[:cut]), offsets, 0, 0, 1 << 20)
    assert plain[4] >= 0


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"n":1}', b',"n":', b',"n":x'])
def test_a_frame_that_is_no_record_is_damage(payload: bytes) -> None:
    content, offsets = _laid_down([payload])
    assert gather(content, offsets, 0, 0, 100)[3:] == (b"", offsets[0])
    assert in_c.gather_lines(content, offsets, 0, 0, 100)[3:] == (b"", offsets[0])


def test_offsets_beyond_the_file_are_damage() -> None:
    content, _ = _laid_down([_payload(1, b"x")])
    for offset in (len(content), len(content) - 4, 2**63, 2**64 - 1):
        offsets = array("Q", [offset])
        assert gather(content, offsets, 0, 0, 100)[3] == b""


def _opened(store: Path, stored: Sequence[KeptSegment]) -> bytes:
    return b"".join(open_segment(KEY, (store / segment_path(one.digest)).read_bytes())[1] for one in stored)


def test_frames_become_the_segments_that_their_records_would(tmp_path: Path) -> None:
    # a record comes twice, as after a disk that failed in between
    payloads = [_payload(number, b"x" * 300_000) for number in (1, 2, 2, 3, 4, 5, 6, 7)]
    content, offsets = _laid_down(payloads)
    (tmp_path / "1").write_bytes(content)
    paths, index = {1: tmp_path / "1"}, {1: offsets}
    store = RecordingStore(str(tmp_path / "store"))
    kept, stored = keep_frames(store, "s-1", KEY, Kept(), paths, index)
    assert (kept.segments, kept.records) == (len(stored), 7)
    plain, also = keep_records(store, "s-1", KEY, Kept(), read_records(paths, index))
    assert (plain.segments, plain.records) == (len(also), 7)
    assert _opened(tmp_path / "store", stored) == _opened(tmp_path / "store", also)
    again, nothing = keep_frames(store, "s-1", KEY, kept, paths, index)
    assert (again, nothing) == (kept, ())


def test_damage_stops_the_sealing_with_a_sentence(tmp_path: Path) -> None:
    content, offsets = _laid_down([_payload(1, b"x"), _payload(2, b"y")])
    (tmp_path / "1").write_bytes(content[:-3])
    with pytest.raises(Failure, match=f"is damaged at byte {offsets[1]}"):
        keep_frames(RecordingStore(str(tmp_path / "store")), "s-1", KEY, Kept(), {1: tmp_path / "1"}, {1: offsets})
