"""Canonical JSON (RFC 8785): one sequence of bytes for one value, so that it can be hashed.

Values are JSON's own: None, bool, int, float, str, list or tuple, and mappings with str keys. Integers are exact up
to 2**53 either way, as RFC 8785 section 3.2.2.3 takes every number for an IEEE 754 double; larger ones are refused.
"""

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

_EXACT = 2**53


class NotCanonical(ValueError):
    """A value that has no canonical form, or bytes that are not one."""


def canonical(value: object) -> bytes:
    """The canonical bytes of ``value``. Raises NotCanonical for what JSON cannot hold exactly."""
    parts: list[str] = []
    try:
        _write(value, parts)
        return "".join(parts).encode()
    except UnicodeEncodeError as error:
        raise NotCanonical("half of a surrogate pair stands alone in the text") from error
    except RecursionError as error:
        raise NotCanonical("the value is nested too deeply") from error


def read_canonical(body: bytes) -> Any:
    """The value of which ``body`` is the canonical form. Raises NotCanonical for any other bytes."""
    try:
        value = json.loads(body.decode(), parse_int=_read_integer, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise NotCanonical(f"byte {error.start + 1} is not UTF-8") from error
    except RecursionError as error:
        raise NotCanonical("the value is nested too deeply") from error
    except ValueError as error:
        raise NotCanonical(f"it is not JSON: {error}") from error
    if canonical(value) != body:
        raise NotCanonical("it is JSON, but not in its canonical form")
    return value


def number(value: float) -> str:
    """A double as ECMAScript's Number::toString prints it (ECMA-262, 6.1.6.1.20)."""
    if not math.isfinite(value):
        raise NotCanonical("a number that is not finite has no JSON form")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    # repr gives the shortest digits that read back as the same double, which is what ECMAScript asks for
    _, figures, exponent = Decimal(repr(abs(value))).normalize().as_tuple()
    if not isinstance(exponent, int):
        raise NotCanonical("a number that is not finite has no JSON form")
    digits = "".join(map(str, figures))
    point = len(digits) + exponent
    if len(digits) <= point <= 21:
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def _write(value: object, parts: list[str]) -> None:
    match value:
        case None:
            parts.append("null")
        case bool():
            parts.append("true" if value else "false")
        case str():
            parts.append(encode_basestring(value))
        case int():
            if abs(value) > _EXACT:
                raise NotCanonical(f"the integer {value} is beyond what a JSON number holds exactly")
            parts.append(int.__repr__(value))
        case float():
            parts.append(number(value))
        case Mapping():
            _write_object(value, parts)
        case list() | tuple():
            for index, item in enumerate(value):
                parts.append("," if index else "[")
                _write(item, parts)
            parts.append("]" if value else "[]")
        case _:
            raise NotCanonical(f"{type(value).__name__} is not one of JSON's types")


def _write_object(value: Mapping[Any, object], parts: list[str]) -> None:
    for name in value:
        if not isinstance(name, str):
            raise NotCanonical("the names in a JSON object are text")
    # RFC 8785 section 3.2.3: names are ordered by their UTF-16 code units, not by their code points
    for index, name in enumerate(sorted(value, key=lambda text: text.encode("utf-16-be"))):
        parts.append("," if index else "{")
        parts.append(encode_basestring(name))
        parts.append(":")
        _write(value[name], parts)
    parts.append("}" if value else "{}")


def _read_integer(text: str) -> int | float:
    if len(text) > 400:
        raise NotCanonical("a number is too long")
    value = int(text)
    return value if abs(value) <= _EXACT else float(text)


def _no_constant(text: str) -> float:
    raise NotCanonical(f"{text} is not JSON")
