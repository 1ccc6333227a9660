"""Whether a condition may be true of every row without looking at any.

``WHERE true``, ``1 = 1``, ``$1``, ``now() > '2020-01-01'`` and ``id = 5 OR true`` may: they hold for all rows or for
none. ``id = id`` looks at rows, and ``false`` or ``1 = 2`` is never true.
"""

from typing import Any

from interlock.protocols.postgres.classify_names import strings
from interlock.protocols.postgres.classify_parser import Tree
from interlock.protocols.postgres.classify_template import Literal

_LOOKS_AT_ROWS = frozenset({"ColumnRef", "CurrentOfExpr", "RangeVar"})
_TRUE_WORDS = frozenset({"t", "tr", "tru", "true", "y", "ye", "yes", "on", "1"})


def holds_for_all(condition: Tree | None) -> bool:
    """Whether ``condition`` (a node; None is no condition) may be true of all rows, whatever they hold."""
    return condition is None or _may_be(condition, True)


def fails_for_all(condition: Tree | None) -> bool:
    """Whether ``condition`` may be untrue of all rows, whatever they hold."""
    return condition is not None and _may_be(condition, False)


def mentions(value: Any, kinds: frozenset[str]) -> bool:
    """Whether a node of one of ``kinds`` is anywhere in ``value``."""
    stack = [value]
    while stack:
        current = stack.pop()
        if isinstance(current, list):
            stack.extend(current)
        elif isinstance(current, dict) and type(current) is not Literal:
            if not kinds.isdisjoint(current):
                return True
            stack.extend(current.values())
    return False


def mentions_columns(value: Any) -> bool:
    return mentions(value, _LOOKS_AT_ROWS)


def _may_be(node: Tree, wanted: bool) -> bool:
    """Whether ``node`` may be ``wanted`` (false stands for null too) whatever the rows hold."""
    kind: str = next(iter(node), "")
    fields: Tree = node.get(kind, {})
    if kind == "BoolExpr":
        return _may_be_boolean(fields, wanted)
    if kind == "A_Const":
        return _constant_may_be(fields, wanted)
    if kind == "TypeCast" and "A_Const" in fields.get("arg", {}):
        return _constant_may_be(fields["arg"]["A_Const"], wanted)
    if kind == "CaseExpr":
        return _case_may_be(fields, wanted)
    if kind == "CoalesceExpr":
        return _coalesce_may_be(fields.get("args", []), wanted)
    if kind == "BooleanTest":
        true_like = fields.get("booltesttype") in ("IS_TRUE", "IS_NOT_FALSE")
        if fields.get("booltesttype") not in ("IS_UNKNOWN", "IS_NOT_UNKNOWN"):
            return _may_be(fields["arg"], wanted is true_like)
    if mentions(node, _LOOKS_AT_ROWS):
        return False
    known = _compare(fields) if kind == "A_Expr" else None
    return known is None or known is wanted


def _may_be_boolean(fields: Tree, wanted: bool) -> bool:
    operation, arguments = fields.get("boolop"), fields.get("args", [])
    if operation == "NOT_EXPR":
        return _may_be(arguments[0], not wanted)
    needs_all = (operation == "AND_EXPR") is wanted
    return (all if needs_all else any)(_may_be(argument, wanted) for argument in arguments)


def _constant_may_be(constant: Tree, wanted: bool) -> bool:
    if constant.get("isnull"):
        return not wanted
    if "boolval" in constant:
        return bool(constant["boolval"].get("boolval", False)) is wanted
    if "sval" in constant:
        return (constant["sval"].get("sval", "").strip().lower() in _TRUE_WORDS) is wanted
    if "ival" in constant:
        return (constant["ival"].get("ival", 0) != 0) is wanted
    return True


def _case_may_be(fields: Tree, wanted: bool) -> bool:
    """The branches that rows may take must all be ``wanted``, up to one that is taken whatever the rows hold."""
    for item in fields["args"]:
        when = item["CaseWhen"]
        if not _may_be(when.get("result", {}), wanted):
            return _passes_over(when) and _case_may_be({**fields, "args": fields["args"][1:]}, wanted)
        if "arg" not in fields and _may_be(when.get("expr", {}), True):
            return True
    return _may_be(fields["defresult"], wanted) if "defresult" in fields else not wanted


def _passes_over(when: Tree) -> bool:
    """Whether a branch may be skipped whatever the rows hold."""
    return _may_be(when.get("expr", {}), False)


def _coalesce_may_be(arguments: list[Tree], wanted: bool) -> bool:
    for argument in arguments:
        if _may_be(argument, wanted):
            return True
        if mentions(argument, _LOOKS_AT_ROWS):
            return False
    return False


def _compare(fields: Tree) -> bool | None:
    """The truth of a comparison of two constants of one kind; None when it is not known here."""
    if fields.get("kind") != "AEXPR_OP":
        return None
    left, right = _number_or_text(fields.get("lexpr", {})), _number_or_text(fields.get("rexpr", {}))
    names = strings(fields.get("name", []))
    if left is None or right is None or type(left) is not type(right) or len(names) != 1:
        return None
    if names[0] == "=":
        return left == right
    if names[0] == "<>":
        return left != right
    if isinstance(left, int) and isinstance(right, int) and names[0] in ("<", ">"):
        return left < right if names[0] == "<" else left > right
    return None


def _number_or_text(node: Tree) -> int | str | None:
    constant = node.get("A_Const", {})
    if "ival" in constant:
        return int(constant["ival"].get("ival", 0))
    return None
