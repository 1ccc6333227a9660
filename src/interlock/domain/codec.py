"""The domain's types as plain JSON and back: one rule for the feed, the ledger and the state.

datetime ↔ ISO 8601 in UTC with microseconds and ``Z`` · time ↔ ISO 8601 · timedelta ↔ seconds (int when whole) ·
Enum ↔ its value · frozenset ↔ sorted list · tuple ↔ list · bytes ↔ base64url without padding · Mapping ↔ object ·
dataclass ↔ object.
A field that is missing takes its default, an unknown one is left out: what is stored only ever gains fields.
"""

import base64
import dataclasses
import types
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_AS_THEY_ARE = frozenset({types.NoneType, bool, int, float, str})


def to_plain(value: object) -> Any:
    """``value`` in JSON's own types. Raises TypeError on a type the rule does not name."""
    kind: Any = type(value)
    if kind in _AS_THEY_ARE:
        return value
    names = _names(kind)
    if names is not None:
        return {name: to_plain(getattr(value, name)) for name in names}
    if isinstance(value, bool | int | float | str) and not isinstance(value, Enum):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("a time without a zone cannot be stored")
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds.is_integer() else seconds
    if isinstance(value, bytes):
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted((to_plain(item) for item in value), key=str)
    if isinstance(value, Sequence):
        return [to_plain(item) for item in value]
    raise TypeError(f"no plain form for {type(value).__name__}")


@lru_cache(maxsize=256)
def _names(kind: type[Any]) -> tuple[str, ...] | None:
    """The fields of a dataclass; None for any other type."""
    return tuple(field.name for field in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else None


def from_plain(kind: type[T], plain: Any) -> T:
    """A ``kind`` from what :func:`to_plain` gave. Raises ValueError when it does not fit."""
    try:
        result: T = _read(kind, plain)
    except (TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a {getattr(kind, '__name__', kind)}: {error}") from error
    return result


@lru_cache(maxsize=256)
def _fields(kind: type) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((f.name, hints[f.name]) for f in dataclasses.fields(kind))


def _read(kind: Any, plain: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _read_union(get_args(kind), plain)
    if origin is not None:
        return _read_collection(origin, get_args(kind), plain)
    if kind in (Any, object):
        return plain
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if not isinstance(plain, Mapping):
            raise TypeError("an object was expected")
        return kind(**{name: _read(hint, plain[name]) for name, hint in _fields(kind) if name in plain})
    return _read_scalar(kind, plain)


def _read_union(options: tuple[Any, ...], plain: Any) -> Any:
    if plain is None:
        if type(None) in options:
            return None
        raise TypeError("null was not expected")
    rest = [option for option in options if option is not type(None)]
    if len(rest) != 1:
        raise TypeError("a union of several types has no plain form")
    return _read(rest[0], plain)


def _read_collection(origin: Any, args: tuple[Any, ...], plain: Any) -> Any:
    if issubclass(origin, Mapping):
        return {key: _read(args[1], item) for key, item in plain.items()}
    if not isinstance(plain, list):
        raise TypeError("a list was expected")
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return tuple(_read(args[0], item) for item in plain)
    if origin is tuple:
        if len(plain) != len(args):
            raise TypeError(f"{len(args)} items were expected")
        return tuple(_read(arg, item) for arg, item in zip(args, plain, strict=True))
    if origin is frozenset:
        return frozenset(_read(args[0], item) for item in plain)
    return [_read(args[0], item) for item in plain]


def _read_scalar(kind: Any, plain: Any) -> Any:
    if kind is datetime:
        moment = datetime.fromisoformat(plain)
        if moment.tzinfo is None:
            raise TypeError("a time without a zone")
        return moment.astimezone(UTC)
    if kind is time:
        return time.fromisoformat(plain)
    if kind is timedelta:
        return timedelta(seconds=plain)
    if kind is bytes:
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(plain)
    if kind is float and isinstance(plain, int) and not isinstance(plain, bool):
        return float(plain)
    if not isinstance(plain, kind) or (kind is int and isinstance(plain, bool)):
        raise TypeError(f"{kind.__name__} was expected")
    return plain
