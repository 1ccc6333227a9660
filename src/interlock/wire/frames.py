"""Frames of an append-only file: how a record is laid down so that a torn tail can be told from a whole one.

A file starts with :data:`MAGIC`. A frame is a header of eight bytes, little-endian, and its payload::

    length   u32   of the payload, in bytes
    checksum u32   CRC-32 (zlib) over the four bytes of the length and the payload

Eight zero bytes are not a frame, so a file that a crash left filled with zeros ends where the zeros start. What
follows the first frame that does not fit is never looked at: nothing behind a torn frame was ever said to be durable.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

from interlock.wire import frames_in_c

MAGIC = b"interlock journal 1\n"
LONGEST_BYTES = 0x7FFF_FFFF
_HEADER = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
HEADER_BYTES = _HEADER.size
_USUAL_BYTES = 2048
_BEGUN = [zlib.crc32(_LENGTH.pack(size)) for size in range(_USUAL_BYTES)]
"""The checksum over the length alone, by the length, of usual payloads."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a whole frame lies: ``offset`` of its header, and its payload."""

    offset: int
    payload: memoryview

    @property
    def end(self) -> int:
        return self.offset + HEADER_BYTES + len(self.payload)


def frame(payload: bytes) -> bytes:
    """``payload`` as one frame. Raises ValueError when it is longer than a frame can say."""
    out = bytearray()
    add_frame(out, payload)
    return bytes(out)


def add_frame(out: bytearray, payload: bytes) -> None:
    """Append ``payload`` as one frame. Raises ValueError when it is longer than a frame can say."""
    size = len(payload)
    if size > LONGEST_BYTES:
        raise ValueError(f"a frame holds {LONGEST_BYTES} bytes at most, not {size}")
    frames_in_c.add_frame(out, payload)


def after_frame(content: bytearray, offset: int) -> int:
    """Where the frame ends whose header lies at ``offset``, and which is whole."""
    high = content[offset + 3]  # in a variable of its own, which is as wide as the whole
    length = content[offset] | (content[offset + 1] << 8) | (content[offset + 2] << 16) | (high << 24)
    return offset + HEADER_BYTES + length


def read_frame(content: memoryview, offset: int) -> Frame | None:
    """The frame whose header lies at ``offset``, or None when there is no whole one."""
    if offset + HEADER_BYTES > len(content):
        return None
    length, checksum = _HEADER.unpack_from(content, offset)
    end = offset + HEADER_BYTES + length
    if length > LONGEST_BYTES or end > len(content):
        return None
    payload = content[offset + HEADER_BYTES : end]
    if zlib.crc32(payload, zlib.crc32(content[offset : offset + _LENGTH.size])) != checksum:
        return None
    return Frame(offset, payload)


def read_payload(content: mmap | bytes, offset: int) -> bytes | None:
    """A copy of the payload of the frame whose header lies at ``offset``, or None when there is no whole one."""
    if offset + HEADER_BYTES > len(content):
        return None
    length, checksum = _HEADER.unpack_from(content, offset)
    start = offset + HEADER_BYTES
    payload = content[start : start + length]
    if length > LONGEST_BYTES or len(payload) != length:
        return None
    begun = _BEGUN[length] if length < _USUAL_BYTES else zlib.crc32(_LENGTH.pack(length))
    return payload if zlib.crc32(payload, begun) == checksum else None


def scan(content: memoryview) -> Iterator[Frame]:
    """Every whole frame from the start of a file, up to the first that is torn. Nothing at all without the magic."""
    if bytes(content[: len(MAGIC)]) != MAGIC:
        return
    offset = len(MAGIC)
    while (found := read_frame(content, offset)) is not None:
        # Whoever takes the frame may release its payload before asking for the next.
        offset = found.end
        yield found
