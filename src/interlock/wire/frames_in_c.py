"""What is written in C (``frames_in_c.pxd``), for compiled callers; here is what it is without a compiler."""

import struct
import zlib

_HEADER = struct.Struct("<II")
_LENGTH = struct.Struct("<I")


def add_frame(out: bytearray, payload: bytes) -> None:
    """Append ``payload``, which is not longer than a frame can say, as one frame."""
    size = len(payload)
    out += _HEADER.pack(size, zlib.crc32(payload, zlib.crc32(_LENGTH.pack(size))))
    out += payload
