"""One more entry in a section of the configuration, as text: what stands there stays as it was written."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from interlock.policy.mistakes import Mistakes
from interlock.policy.nodes import Node, Scalar, Table, read_tree

_WIDE = 1 << 20


class NotInsertable(ValueError):
    """The section is not written in a form to which an entry can be added, or has the name already."""


def write_entry(section: str, name: str, entry: Mapping[str, Any]) -> str:
    """The entry alone, as it could stand in a file of its own."""
    return _dump({section: {name: dict(entry)}}, flow=False)


def insert_entry(text: str, section: str, name: str, entry: Mapping[str, Any]) -> str:
    """``text`` with ``name: entry`` in ``section``, which is made where there is none. Raises NotInsertable.

    The result means what it did and the entry besides: whoever uses it reads it as any other configuration.
    """
    found = _find(text, section)
    if found is None:
        separator = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{separator}{write_entry(section, name, entry)}"
    line, node = found
    if isinstance(node, Table) and any(key.text == name for key, _ in node.entries):
        raise NotInsertable(f"{section} has {name} already")
    lines = text.split("\n")
    head, rest = _split(lines[line - 1], section)
    if rest.startswith("{"):
        inner = rest[1:].lstrip()
        comma = "" if inner.startswith("}") else ", "
        lines[line - 1] = f"{head} {{{_flow(name, entry)}{comma}{inner}"
    elif not rest or rest.startswith("#"):
        lines[line - 1] = f"{head} {rest}".rstrip()
        indent = _indent_under(lines, line)
        block = write_entry("x", name, entry).split("\n")[1:-1]
        lines[line:line] = [f"{indent}{one[2:]}" for one in block]
    else:
        raise NotInsertable(f"{section} is written in a way that is not added to here")
    return "\n".join(lines)


def _find(text: str, section: str) -> tuple[int, Node] | None:
    tree = read_tree(text, Mistakes("interlock.yaml"))
    for key, node in () if tree is None else tree.entries:
        if key.text == section:
            return key.line, Scalar(key.line, "") if isinstance(node, Scalar) and node.empty else node
    return None


def _split(line: str, section: str) -> tuple[str, str]:
    """``section:`` and what stands behind it."""
    match = re.match(rf"(?P<head>['\"]?{re.escape(section)}['\"]?\s*:)\s*(?P<rest>.*)$", line)
    if match is None:
        raise NotInsertable(f"{section} is written in a way that is not added to here")
    rest = match["rest"].strip()
    return match["head"], "" if rest in ("~", "null") else rest


def _indent_under(lines: list[str], line: int) -> str:
    for below in lines[line:]:
        bare = below.lstrip(" ")
        if bare and not bare.startswith("#"):
            return below[: len(below) - len(bare)] or "  "
    return "  "


def _flow(name: str, entry: Mapping[str, Any]) -> str:
    return _dump({name: dict(entry)}, flow=True).strip()[1:-1]


def _dump(plain: Mapping[str, Any], *, flow: bool) -> str:
    """What cannot be printed is written as escapes: U+0085 and its like end a line, and are folded to a space."""
    for as_it_is in (True, False):
        said = str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=as_it_is, width=_WIDE, default_flow_style=flow))
        if said.replace("\n", "").isprintable():
            break
    return said
