"""What the OpenAPI description says of the bodies of answers, made of the very types that the codec writes.

``told(kind)`` describes an answer: a dataclass of the domain, a collection of them, or a :class:`Shape` for an object
that a call puts together. The rules are those of ``domain.codec``; every field is there, and no other.
"""

import types
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from interlock.errors import Misuse
from interlock.web.described import Responses

Schema = dict[str, Any]

COMPONENTS: Final[dict[str, Schema]] = {}
"""The named forms of all answers that were described so far."""

_OWNERS: Final[dict[str, object]] = {}
_PLAIN: Final[Mapping[object, Schema]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "description": "base64url without padding"},
    type(None): {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
    timedelta: {"type": "number", "description": "seconds"},
    Any: {},
    object: {},
    dict: {"type": "object"},
}


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """An object that a call puts together: its ``name`` in the description, its ``members`` with their types.

    Those of ``optional`` may be missing. ``closed``: there is no other.
    """

    name: str
    members: Mapping[str, Any]
    optional: frozenset[str] = frozenset()
    closed: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Many:
    """A list of what is no type of Python's."""

    kind: Any


def shape(name: str, /, *, optional: Sequence[str] = (), closed: bool = True, **members: Any) -> Shape:
    return Shape(name, members, frozenset(optional), closed)


def joined_shape(
    name: str, kind: type, /, *, without: AbstractSet[str] = frozenset(), optional: Sequence[str] = (), **more: Any
) -> Shape:
    """What ``models.joined`` makes: an entity's own fields with others beside them."""
    own = {field: hint for field, hint in _hints(kind).items() if field not in without}
    return Shape(name, {**own, **more}, frozenset(optional))


def told(kind: Any, *, status: int = 200, words: str = "", example: object = None) -> Responses:
    """For ``responses`` of a route: its answer is a ``kind``."""
    content: dict[str, Any] = {"schema": schema_of(kind)}
    if example is not None:
        content["example"] = example
    return {status: {"description": words or "done", "content": {"application/json": content}}}


def schema_of(kind: Any) -> Schema:
    """The JSON Schema of what the codec writes for a ``kind``. Raises Misuse for a type that it does not write."""
    if isinstance(kind, Shape):
        return _named(kind.name, kind, kind.members, kind)
    if isinstance(kind, Many):
        return {"type": "array", "items": schema_of(kind.kind)}
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(one) for one in inner]}
    if origin is Literal:
        return {"enum": list(inner)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": schema_of(inner[1])}
    if origin is tuple and inner[-1] is not Ellipsis:
        parts = [schema_of(one) for one in inner]
        return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}
    if isinstance(origin, type) and issubclass(origin, Sequence | AbstractSet):
        return {"type": "array", "items": schema_of(inner[0])}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"type": "string", "enum": [one.value for one in kind]}
    if isinstance(kind, type) and is_dataclass(kind):
        return _named(kind.__name__, kind, _hints(kind), None)
    raise Misuse(f"an answer of a type that is written by no rule: {kind!r}")


def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _named(name: str, owner: object, members: Mapping[str, Any], made: Shape | None) -> Schema:
    """A reference to the form, which is described once. Of two types of one name the second has its module's too."""
    if _OWNERS.get(name, owner) is not owner and isinstance(owner, type):
        name = f"{owner.__module__.rpartition('.')[2]}.{name}"
    if _OWNERS.setdefault(name, owner) is not owner:
        raise Misuse(f"two forms of answers are called {name}")
    if name not in COMPONENTS:
        # First the name: a type may hold itself.
        COMPONENTS[name] = {}
        optional = frozenset[str]() if made is None else made.optional
        COMPONENTS[name] |= {
            "type": "object",
            "properties": {member: schema_of(kind) for member, kind in members.items()},
            "required": [member for member in members if member not in optional],
            "additionalProperties": made is not None and not made.closed,
        }
    return {"$ref": f"#/components/schemas/{name}"}
