"""What stands in bytes that may hold whole messages, looked at where it lies."""

HEADER_BYTES = 5
_READY = 90


def length_at(raw: bytes, at: int) -> int:
    """The length that a message's header announces, without its type byte."""
    highest = raw[at]  # in a variable of its own, which is as wide as the whole
    return (highest << 24) | (raw[at + 1] << 16) | (raw[at + 2] << 8) | raw[at + 3]


def is_empty(raw: bytes, at: int, end: int, code: int) -> bool:
    """Whether a message of type ``code`` without a body stands at ``at``."""
    return end - at >= HEADER_BYTES and raw[at] == code and length_at(raw, at + 1) == 4


def is_ready(raw: bytes, at: int, end: int) -> bool:
    """Whether a ReadyForQuery, and nothing after it, stands at ``at``."""
    return end - at == 6 and raw[at] == _READY and length_at(raw, at + 1) == 5 and raw[end - 1] in b"ITE"


def is_string(raw: bytes, at: int, end: int) -> bool:
    """Whether the bytes from ``at`` to ``end`` are one ASCII string with its NUL."""
    if end <= at or raw[end - 1]:
        return False
    while 0 < raw[at] < 128:
        at += 1
    return at == end - 1
