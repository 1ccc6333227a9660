"""Whether bodies are in their canonical form, judged a bundle at a time.

Most bodies differ only in plain values: text of printable ASCII without an escape, and small whole numbers. Whatever
such a value is, it is written in one way only, so whether the body is canonical depends on the rest: its shape. A
shape is judged once, by the whole body that first had it.
"""

import json
import re
from collections.abc import Sequence

from interlock.ledger.canonical import NotCanonical, read_canonical

# INVARIANT: only values are taken out. Without a backslash each quote opens or closes a text, and one after a letter or
# a digit closes it: what is before the colon is a name, which stays, and what is after it is the whole of a value.
_PLAIN_VALUE = re.compile(rb'(?<=[a-z0-9_]":)(?:"[ !#-\[\]-~]*"|(?:0|[1-9][0-9]{0,14})(?=[,}]))')
_MOST_SHAPES = 4096
_LONGEST_SHAPE_BYTES = 1024


class _SlowWayError(ValueError):
    """A number whose writing needs the careful look."""


def _slow_way(_text: str) -> float:
    raise _SlowWayError


def _small_integer(text: str) -> int:
    if len(text) > 15:
        raise _SlowWayError
    return int(text)


# Made once: json.loads and json.dumps make them for each call, which is half of their time.
_DECODER = json.JSONDecoder(parse_float=_slow_way, parse_int=_small_integer, parse_constant=_slow_way)
_ENCODER = json.JSONEncoder(separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def is_canonical(body: bytes) -> bool:
    """As ``read_canonical`` judges; with a fast way for what is ASCII and has small whole numbers only."""
    try:
        if body.isascii():
            text = body.decode()
            return _ENCODER.encode(_DECODER.decode(text)) == text
    except _SlowWayError:
        pass
    except (ValueError, RecursionError):
        return False
    try:
        read_canonical(body)
    except NotCanonical:
        return False
    return True


class Forms:
    """The shapes that were seen to be canonical: a bounded number of them."""

    def __init__(self) -> None:
        self._shapes: set[bytes] = set()

    def all_hold(self, bodies: Sequence[bytes]) -> bool:
        """Whether each of ``bodies`` is canonical."""
        joined = b"\n".join(bodies)
        if b"\\" in joined or joined.count(b"\n") != len(bodies) - 1:
            return all(map(is_canonical, bodies))
        shapes = _PLAIN_VALUE.sub(b"0", joined).split(b"\n")
        if self._shapes.issuperset(shapes):
            return True
        return all(self._holds(shape, body) for shape, body in zip(shapes, bodies, strict=True))

    def _holds(self, shape: bytes, body: bytes) -> bool:
        if shape in self._shapes:
            return True
        holds = is_canonical(body)
        if holds and len(self._shapes) < _MOST_SHAPES and len(shape) <= _LONGEST_SHAPE_BYTES:
            self._shapes.add(shape)
        return holds
