"""Rows on their way to the client, with the values of masked columns covered (PostgreSQL documentation, "Message
Formats": RowDescription, DataRow).

A text comes as ``***``, everything else as NULL: the one value that every type has, in both formats. Whether there was
a value or none is covered too. Rows are put together before they go on, so that one larger than a limit ends the
session.
"""

import struct

from interlock.errors import PeerError

LONGEST_ROW_BYTES = 64 * 1024 * 1024

COVER = b"***"

_TEXTS = frozenset({18, 19, 25, 1042, 1043})
""""char", name, text, character and character varying (pg_type)."""

_KEPT, _AS_TEXT, _AS_NULL = range(3)
_ROW = b"D"[0]
_NULL = b"\xff\xff\xff\xff"
_COVERED = len(COVER).to_bytes(4, "big") + COVER
_PLACES = struct.Struct("!ihihih")


class RowMask:
    """What becomes of the rows of one statement. ``covers`` says whether anything is covered.

    ``description`` is the RowDescription that the server gave before (empty: it shows none of what is masked), which
    the one that comes with the rows has to be again. ``masked`` are columns by their relation and their place in it.
    """

    def __init__(self, description: bytes, masked: frozenset[tuple[int, int]]) -> None:
        self._description = description
        self._how = bytes(
            _KEPT if (relation, place) not in masked else _AS_TEXT if kind in _TEXTS else _AS_NULL
            for relation, place, kind in read_description(description)
        )
        self.covers = any(self._how)
        self._rest = b""

    def check(self, description: bytes) -> None:
        """The RowDescription that comes with the rows. Raises PeerError for another than was announced."""
        if self.covers and description != self._description:
            raise PeerError("The columns of a statement became others after it was decided which of them are masked.")

    def take(self, raw: bytes) -> bytes:
        """The rows that ``raw`` completes, covered. Raises PeerError for what is no row of the statement."""
        if not self.covers:
            return raw
        whole = self._rest + raw if self._rest else raw
        covered: list[bytes] = []
        at = 0
        end = len(whole)
        while end - at >= 5:
            after = at + 1 + _number_at(whole, at + 1)
            if whole[at] != _ROW or after > at + LONGEST_ROW_BYTES:
                raise PeerError("A row is larger than 64 MiB, or none: its masked columns cannot be covered.")
            if after > end:
                break
            self._cover(whole, at, after, covered)
            at = after
        self._rest = whole[at:]
        return b"".join(covered)

    def _cover(self, whole: bytes, start: int, end: int, covered: list[bytes]) -> None:
        """One row, which lies in ``whole`` from ``start`` to ``end``."""
        how = self._how
        parts: list[bytes] = []
        size = 0
        count = (whole[start + 5] << 8) | whole[start + 6] if end - start >= 7 else -1
        if count != len(how):
            raise _odd()
        at = start + 7
        kept_from = at
        for column in range(count):
            if end - at < 4:
                raise _odd()
            length = _number_at(whole, at)
            after = at + 4 + (0 if length == 0xFFFFFFFF else length)
            if after > end:
                raise _odd()
            if how[column] != _KEPT:
                parts.append(whole[kept_from:at])
                parts.append(_COVERED if how[column] == _AS_TEXT else _NULL)
                kept_from = after
            at = after
        if at != end:
            raise _odd()
        parts.append(whole[kept_from:end])
        for part in parts:
            size += len(part)
        covered.append(b"D" + (size + 6).to_bytes(4, "big"))
        covered.append(whole[start + 5 : start + 7])
        covered.extend(parts)


def read_description(raw: bytes) -> list[tuple[int, int, int]]:
    """Of each column its relation and its place in it (0 for what is none), and its type. Raises PeerError."""
    columns: list[tuple[int, int, int]] = []
    if not raw:
        return columns
    try:
        (count,) = struct.unpack_from("!h", raw, 5)
        at = 7
        for _ in range(count):
            at = raw.index(0, at) + 1
            relation, place, kind, _, _, _ = _PLACES.unpack_from(raw, at)
            columns.append((relation & 0xFFFFFFFF, place, kind & 0xFFFFFFFF))
            at += _PLACES.size
    except (struct.error, ValueError):
        raise PeerError("The RowDescription message does not follow PostgreSQL's protocol.") from None
    if at != len(raw):
        raise PeerError("The RowDescription message does not follow PostgreSQL's protocol.")
    return columns


def _odd() -> PeerError:
    return PeerError("A row has other columns than were announced: what is masked in it cannot be covered.")


def _number_at(raw: bytes, at: int) -> int:
    highest = raw[at]  # in a variable of its own, which is as wide as the whole
    return (highest << 24) | (raw[at + 1] << 16) | (raw[at + 2] << 8) | raw[at + 3]
