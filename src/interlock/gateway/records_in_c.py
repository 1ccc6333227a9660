"""What is written in C (``records_in_c.pxd``), for compiled callers; here is what it is without a compiler.

It is in C because two records are written for every statement, and most of the bytes in them are known beforehand: one
allocation for a record, in the place of a dozen strings that are joined and encoded. The clocks are read for every
statement too.
"""

import time
from array import array
from json.encoder import encode_basestring


def boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def monotonic_s() -> float:
    return time.monotonic()


def statement_record(
    head: bytes,
    n: int,
    second: bytes,
    micros: int,
    number: int,
    text: bytes,
    start: int,
    end: int,
    is_quoted: bool,
    parameters: bytes,
    decided: bytes,
) -> bytes:
    """A ``statement`` record. ``text`` from ``start`` to ``end`` is ASCII, or with ``is_quoted`` JSON already."""
    said = _said(text, start, end, is_quoted)
    return b'%b%d,"at":"%b.%06dZ","type":"statement","number":%d,"text":%b,"parameters":%b,%b}' % (
        head,
        n,
        second,
        micros,
        number,
        said,
        parameters,
        decided,
    )


def outcome_record(
    head: bytes,
    n: int,
    second: bytes,
    micros: int,
    number: int,
    rows: int,
    changed: int,
    size_bytes: int,
    tag: bytes,
    start: int,
    end: int,
    is_quoted: bool,
    error: bytes,
    took_us: int,
) -> bytes:
    """An ``outcome`` record. For ``tag`` holds what holds for a statement's text; ``error`` is JSON."""
    said = _said(tag, start, end, is_quoted)
    return (
        b'%b%d,"at":"%b.%06dZ","type":"outcome","number":%d,"rows":%d,"changed":%d,"size_bytes":%d,"tag":%b,'
        b'"error":%b,"took_us":%d}' % (head, n, second, micros, number, rows, changed, size_bytes, said, error, took_us)
    )


def list_values(values: tuple[bytes | None, ...], formats: tuple[int, ...]) -> bytes | None:
    """Bind values as JSON: text as it is, binary ones as ``\\x`` and hexadecimal digits.

    One format for all, or one for each; the rest are text. None when there is text of other characters than ASCII.
    """
    shown: list[str] = []
    for place, value in enumerate(values):
        here = 0 if len(formats) == 1 else place
        if value is None:
            shown.append("null")
        elif here < len(formats) and formats[here]:
            shown.append(f'"\\\\x{value.hex()}"')
        elif value.isascii():
            shown.append(encode_basestring(value.decode("ascii")))
        else:
            return None
    return f"[{','.join(shown)}]".encode("ascii")


def add_place(places: "array[int]", place: int) -> None:
    places.append(place)


def _said(text: bytes, start: int, end: int, is_quoted: bool) -> bytes:
    said = text[start:end]
    return said if is_quoted else encode_basestring(said.decode("ascii")).encode("ascii")
