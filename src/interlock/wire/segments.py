"""A recording's segments: how records lie in the store, encrypted, each tied to the one before it.

A segment is one object, named by the SHA-256 of its bytes (:func:`segment_path`)::

    magic    :data:`MAGIC`
    length   u32, little-endian: of the header, in bytes
    header   JSON: ``session``, ``number`` (from 1), ``previous`` (the hash of the segment before it, empty for the
             first), ``first`` and ``last`` (numbers of records), ``size`` (of what follows) and ``salt``
    sealed   AES-256-GCM over one zstd frame, which holds the records, one JSON object a line

The key of a segment is HKDF-SHA256 (RFC 5869) of the recording's key with the segment's own 32 random bytes of salt.
INVARIANT: a segment's key seals one message and no other, so its nonce (zeros) is never used twice. Magic, length and
header are authenticated with it (AES-GCM's associated data, RFC 5116), and readable without a key: whose segment an
object is can be told by who may not read it.
"""

import hashlib
import json
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"interlock segment 1\n"
KEY_BYTES = 32
LARGEST_BYTES = 1024 * 1024
"""How much of records goes into one segment. A record that is longer has one for itself."""
LONGEST_RECORD_BYTES = 6 * 128 * LARGEST_BYTES + LARGEST_BYTES
"""More than any record is long: the longest statement that a gateway takes (128 MiB), each byte of it an escape of six
in JSON, and what is said about it."""
LONGEST_BYTES = LONGEST_RECORD_BYTES + 64 * 1024
"""More than any segment is long, as it is stored."""

_LENGTH = struct.Struct("<I")
_LONGEST_HEADER = 4096
_SALT_BYTES = 32
_TAG_BYTES = 16
_NONCE = bytes(12)
_LEVEL = 3


class NotASegmentError(ValueError):
    """The object is no segment, or was changed. Says what is wrong with it, without its name."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment says of itself in the clear. ``size`` is that of the sealed part, in bytes; ``salt`` is hex."""

    session: str
    number: int
    previous: str
    first: int
    last: int
    size: int = 0
    salt: str = ""


_FIELDS = tuple(sorted(Header.__annotations__))


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it is stored. ``digest`` is its SHA-256 (hex), which is its name."""

    header: Header
    content: bytes
    digest: str


def segment_path(digest: str) -> str:
    """Where a segment lies in the store."""
    return f"{digest[:2]}/{digest}"


def seal_segment(key: bytes, header: Header, records: Sequence[bytes]) -> Segment:
    """``records`` are JSON objects without a line break; ``size`` and ``salt`` of ``header`` are filled in here."""
    salt = secrets.token_bytes(_SALT_BYTES)
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(b"\n".join((*records, b"")))
    filled = Header(
        header.session,
        header.number,
        header.previous,
        header.first,
        header.last,
        len(packed) + _TAG_BYTES,
        salt.hex(),
    )
    written = json.dumps({name: getattr(filled, name) for name in _FIELDS}, separators=(",", ":")).encode()
    clear = MAGIC + _LENGTH.pack(len(written)) + written
    content = clear + AESGCM(_derive(key, salt)).encrypt(_NONCE, packed, clear)
    return Segment(filled, content, hashlib.sha256(content).hexdigest())


def read_header(content: bytes) -> tuple[Header, int]:
    """The header of a segment, of which ``content`` is at least the beginning, and where its sealed part begins.

    Raises NotASegmentError.
    """
    if not content.startswith(MAGIC):
        raise NotASegmentError("it does not begin like a segment")
    start = len(MAGIC) + _LENGTH.size
    if len(content) < start:
        raise NotASegmentError("it is cut off within its header")
    (length,) = _LENGTH.unpack_from(content, len(MAGIC))
    if length > _LONGEST_HEADER:
        raise NotASegmentError("its header is too long")
    if len(content) < start + length:
        raise NotASegmentError("it is cut off within its header")
    try:
        plain = json.loads(content[start : start + length])
        header = Header(**plain)
    except (ValueError, TypeError) as error:
        raise NotASegmentError("its header cannot be read") from error
    if not all(type(getattr(header, name)) is kind for name, kind in Header.__annotations__.items()):
        raise NotASegmentError("its header cannot be read")
    return header, start + length


def open_segment(key: bytes, content: bytes) -> tuple[Header, bytes]:
    """The header, and the records one a line. Raises NotASegmentError when a bit of it is not as it was sealed.

    INVARIANT: no more is unpacked than a segment holds, and no memory taken for more, whatever whoever sealed it wrote.
    """
    header, start = read_header(content)
    if len(content) - start != header.size:
        raise NotASegmentError(f"it has {len(content) - start} of {header.size} sealed bytes")
    try:
        salt = bytes.fromhex(header.salt)
        packed = AESGCM(_derive(key, salt)).decrypt(_NONCE, content[start:], content[:start])
        return header, _unpack(packed, header)
    except NotASegmentError:
        raise
    except (InvalidTag, ValueError, zstandard.ZstdError) as error:
        raise NotASegmentError("it cannot be opened with the recording's key: it was changed, or is another's") from (
            error
        )


def _unpack(packed: bytes, header: Header) -> bytes:
    # one line's end more than the records themselves
    most = (LONGEST_RECORD_BYTES if header.first == header.last else LARGEST_BYTES) + 1
    # A frame without its size says a number that is larger than any. The decompressor takes no more than is said.
    size = zstandard.get_frame_parameters(packed).content_size
    if size > most:
        raise NotASegmentError(f"it would unpack to more than the {most - 1} bytes that a segment of its kind holds")
    return zstandard.ZstdDecompressor().decompress(packed)


def _derive(key: bytes, salt: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=MAGIC).derive(key)
