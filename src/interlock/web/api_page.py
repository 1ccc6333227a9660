"""docs/api-forms.md, made from the calls themselves: `python -m interlock.web.api_page > docs/api-forms.md`.

With ``--openapi`` the OpenAPI description of all calls, as JSON.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from interlock.web.api import describe_api

_HEAD = """\
# The forms of the API

Made from the calls themselves (`python -m interlock.web.api_page`): what they take and answer, by field and type.
What each is for stands in [api.md](api.md). As an OpenAPI 3.1 document: `python -m interlock.web.api_page --openapi`.

A field with `?` may be left away. A time is ISO 8601 in UTC. Every error of a call under `/v1` is an `ErrorAnswer`.
"""
_WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "yes or no", "null": "null"}
_YES = ("200", "201", "202", "303")


def page(described: Mapping[str, Any] | None = None) -> str:
    described = describe_api() if described is None else described
    forms = described["components"]["schemas"]
    out = [_HEAD, "## Calls\n", "| call | takes | answers |", "| --- | --- | --- |"]
    for path, calls in sorted(described["paths"].items()):
        for method, call in sorted(calls.items()):
            out.append(f"| `{method.upper()} {path}` | {_taken(call)} | {_answered(call)} |")
    out.append("\n## Forms\n")
    for name in sorted(forms, key=str.casefold):
        if name not in ("HTTPValidationError", "ValidationError"):
            out += [f"### {name}\n", *_fields_of(forms[name]), ""]
    return "\n".join(out).rstrip() + "\n"


def _taken(call: Mapping[str, Any]) -> str:
    asked = [f"`{one['name']}`" for one in call.get("parameters", ()) if one["in"] == "query"]
    bodies = (call.get("requestBody") or {}).get("content", {})
    return ", ".join([*asked, *(_type(content.get("schema", {})) for content in bodies.values())])


def _answered(call: Mapping[str, Any]) -> str:
    for status in _YES:
        said = call["responses"].get(status)
        if said is not None:
            kinds = said.get("content", {})
            known = kinds.get("application/json", {}).get("schema")
            return _type(known) if known else ", ".join(f"`{kind}`" for kind in kinds)
    return ""


def _fields_of(form: Mapping[str, Any]) -> Iterator[str]:
    needed = form.get("required", ())
    for name, kind in form.get("properties", {}).items():
        yield f"- `{name}`{'' if name in needed else '?'}: {_type(kind)}"
    if not form.get("properties"):
        yield "No fields." if form.get("type") == "object" else _type(form)
    if form.get("additionalProperties") is True and form.get("properties"):
        yield "- and others"


def _type(kind: Mapping[str, Any]) -> str:
    if "$ref" in kind:
        name = kind["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower().replace('.', '')})"
    if "anyOf" in kind:
        return " or ".join(_type(one) for one in kind["anyOf"])
    if "enum" in kind:
        return "one of " + ", ".join(f"`{one}`" for one in kind["enum"])
    if kind.get("type") == "array":
        return f"list of {_type(kind['items'])}" if "items" in kind else _pair(kind)
    if kind.get("type") == "object":
        more = kind.get("additionalProperties")
        return f"object of {_type(more)}" if isinstance(more, Mapping) and more else "object"
    if kind.get("format") == "date-time":
        return "time"
    said = _WORDS.get(str(kind.get("type")), "anything")
    return f"{said} ({kind['description']})" if "description" in kind else said


def _pair(kind: Mapping[str, Any]) -> str:
    return "list of " + " and ".join(_type(one) for one in kind["prefixItems"])


if __name__ == "__main__":
    if sys.argv[1:] == ["--openapi"]:
        sys.stdout.write(json.dumps(describe_api(), indent=1, sort_keys=True) + "\n")
    else:
        sys.stdout.write(page())
