"""Names of objects, as they are written in a ``Need``'s part."""

import re
from typing import Any

from interlock.protocols.postgres.classify_parser import Tree

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*\Z", re.ASCII)


def quote(identifier: str) -> str:
    """``identifier``, in double quotes unless it is plain: no name can look like a qualified one."""
    if _PLAIN.match(identifier):
        return identifier
    return '"' + identifier.replace('"', '""') + '"'


def relation_name(relation: Tree) -> str:
    """``public.orders``, or ``orders`` when no schema is written, of a RangeVar's fields."""
    name = quote(relation.get("relname", ""))
    schema = relation.get("schemaname")
    return f"{quote(schema)}.{name}" if schema else name


def strings(nodes: list[Tree]) -> list[str]:
    """The texts of a list of String nodes."""
    return [node["String"].get("sval", "") for node in nodes]


def dotted(nodes: list[Tree]) -> str:
    """A list of String nodes as one name."""
    return ".".join(quote(name) for name in strings(nodes))


def role_name(role: Tree) -> str:
    """The name of a RoleSpec's fields, or what stands for it, such as ``CURRENT_USER``."""
    name = role.get("rolename")
    return quote(name) if name else str(role.get("roletype", "")).removeprefix("ROLESPEC_")


def object_name(node: Any) -> str:
    """The name of an object, whatever form the grammar gives it; empty when it has none."""
    if isinstance(node, str):
        return quote(node)
    if isinstance(node, list):
        return ".".join(name for name in map(object_name, node) if name)
    for kind, fields in node.items():
        if kind == "String":
            return quote(fields.get("sval", ""))
        if kind in ("RangeVar", "relname", "schemaname"):
            return relation_name(fields if kind == "RangeVar" else node)
        if kind == "List":
            return object_name(fields.get("items", []))
        if kind == "TypeName":
            return object_name(fields.get("names", []))
        if kind == "ObjectWithArgs":
            return object_name(fields.get("objname", []))
        if kind == "RoleSpec":
            return role_name(fields)
        if kind in ("names", "objname"):
            return object_name(fields)
        if kind in ("rolename", "roletype"):
            return role_name(node)
        if kind == "Integer":
            return str(fields.get("ival", 0))
        if kind == "Float":
            return str(fields.get("fval", ""))
    return ""
