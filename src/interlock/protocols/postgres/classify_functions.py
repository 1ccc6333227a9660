"""What calls need: functions, operators, sampling methods."""

from typing import Any

from interlock.domain.actions import Action
from interlock.protocols.postgres.catalogue import (
    HARMLESS_FUNCTIONS,
    INFORMATION_SCHEMA_FUNCTIONS,
    OPERATORS,
    function_of_note,
)
from interlock.protocols.postgres.classify_names import dotted, strings
from interlock.protocols.postgres.classify_parser import Tree
from interlock.protocols.postgres.classify_settings import classify_setting, renames_application
from interlock.protocols.postgres.classify_walk import Findings, Rule, Scope

_CALL_PARTS = ("args", "agg_order", "agg_filter", "over")


def _call(findings: Findings, call: Tree, scope: Scope) -> None:
    names = strings(call["funcname"])
    name = names[-1]
    schema = names[-2] if len(names) > 1 else ""
    if name not in HARMLESS_FUNCTIONS or schema not in ("", "pg_catalog"):
        _look_up(findings, schema, name, call)
    for key in _CALL_PARTS:
        child = call.get(key)
        if child is not None:
            findings.walk(child, scope)


def _look_up(findings: Findings, schema: str, name: str, call: Tree) -> None:
    part = f"function {dotted(call['funcname'])}"
    if name == "set_config" and schema in ("", "pg_catalog"):
        _set_config(findings, call)
        return
    if name == "ts_rewrite" and schema in ("", "pg_catalog"):
        if len(call.get("args", ())) != 3:  # the form of two arguments runs the text of the second as a query
            findings.need(Action.EXECUTE, part)
            findings.lasting()
        return
    known = function_of_note(schema, name)
    if name == "lo_open" and not _opens_for_reading(call):
        findings.need(Action.WRITE, part)
    if known is not None:
        findings.need(known.action, part)
        findings.uncountable |= known.uncountable
        if not known.transactional:
            findings.transactional = False
        if not known.measurable:
            findings.beyond_rollback = True
        if known.action is Action.EXECUTE:
            findings.may_change_settings = True
            findings.changes_rows = True
    elif schema != "information_schema" or name not in INFORMATION_SCHEMA_FUNCTIONS:
        findings.call_unvetted(part)


def _opens_for_reading(call: Tree) -> bool:
    """Whether ``lo_open``'s mode is written out as INV_READ and nothing else."""
    arguments = call.get("args", [])
    mode = arguments[1] if len(arguments) == 2 else {}
    constant = mode.get("TypeCast", {}).get("arg", mode).get("A_Const", {})
    as_number = constant.get("ival", {}).get("ival") == _INV_READ
    return as_number or str(constant.get("bsval", {}).get("bsval", "")).lower() in ("x40000", "x00040000")


_INV_READ = 0x40000


def _set_config(findings: Findings, call: Tree) -> None:
    """``set_config(name, value, is_local)`` is SET with values for words: known only when they are written out."""
    arguments = call.get("args", [])
    name = value = None
    if len(arguments) == 3:
        name = _constant(arguments[0])
        if name is None:
            name = _pinned_name(findings, arguments[0])
        value = _constant(arguments[1])
    if name is None:
        findings.need(Action.EXECUTE, "function set_config")
        findings.may_change_settings = True
        return
    setting = classify_setting(name, value, as_list=True)
    for action in setting.actions:
        findings.need(action, f"setting {setting.name}")
    findings.may_change_settings |= setting.followed
    if renames_application(name):
        findings.renames[value] = None


def _constant(node: Tree) -> str | None:
    """A text that is written out. Only a cast to ``text`` leaves every text as it is."""
    while "TypeCast" in node:
        if strings(node["TypeCast"].get("typeName", {}).get("names", [])) not in (["text"], ["pg_catalog", "text"]):
            return None
        node = node["TypeCast"].get("arg", {})
    constant = node.get("A_Const", {})
    text = constant.get("sval")
    return None if text is None else str(text.get("sval", ""))


def _pinned_name(findings: Findings, argument: Tree) -> str | None:
    """The name in ``SELECT set_config(name, …) FROM pg_settings WHERE name = 'this'``, which is how pg_dump sets some.

    Only this very form: the column ``name``, that one table, and nothing but that comparison.
    """
    if not findings.selects or not _is_column_name(argument):
        return None
    select = findings.selects[-1]
    tables = select.get("fromClause", [])
    if len(tables) != 1 or "withClause" in select:
        return None
    table = tables[0].get("RangeVar", {})
    if table.get("relname") != "pg_settings" or table.get("schemaname", "pg_catalog") != "pg_catalog":
        return None
    comparison = select.get("whereClause", {}).get("A_Expr", {})
    is_equality = comparison.get("kind") == "AEXPR_OP" and strings(comparison.get("name", [])) in (
        ["="],
        ["pg_catalog", "="],
    )
    if not is_equality or not _is_column_name(comparison.get("lexpr", {})):
        return None
    return _constant(comparison.get("rexpr", {}))


def _is_column_name(node: Tree) -> bool:
    fields = node.get("ColumnRef", {}).get("fields", [])
    return len(fields) == 1 and fields[0].get("String", {}).get("sval") == "name"


def _operator(findings: Findings, names: Any, scope: Scope) -> None:
    """The field ``name`` of an expression (and its kin): an operator may be a person's own function."""
    if not isinstance(names, list):
        findings.walk(names, scope)
        return
    words = strings(names)
    if words[-1] in OPERATORS and (len(words) == 1 or words[0] == "pg_catalog"):
        return
    if words[-1] in _OPERATOR_WORDS and len(words) == 1:
        return
    findings.call_unvetted(f"operator {'.'.join(words)}")


_OPERATOR_WORDS = frozenset({"BETWEEN", "NOT BETWEEN", "BETWEEN SYMMETRIC", "NOT BETWEEN SYMMETRIC"})
"""What the grammar writes in an expression's name that is no operator of the catalogue."""


def _sampling(findings: Findings, names: list[Tree], _: Scope) -> None:
    if strings(names) not in (["bernoulli"], ["system"]):
        findings.call_unvetted(f"function {dotted(names)}")


FUNCTION_RULES: dict[str, Rule] = {
    "FuncCall": _call,
    "name": _operator,
    "operName": _operator,
    "useOp": _operator,
    "method": _sampling,
}
