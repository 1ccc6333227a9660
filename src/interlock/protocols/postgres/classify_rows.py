"""Statements that read and change rows: SELECT, INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY, LOCK, views of them."""

from typing import Any

from interlock.domain.actions import Action
from interlock.protocols.postgres.classify_condition import fails_for_all, holds_for_all, mentions_columns
from interlock.protocols.postgres.classify_names import relation_name
from interlock.protocols.postgres.classify_parser import Tree
from interlock.protocols.postgres.classify_result import NotUnderstoodError
from interlock.protocols.postgres.classify_walk import NO_CTES, Findings, Rule, Scope, walk_relation

_WITH = frozenset({"withClause"})
_TARGET = frozenset({"withClause", "relation"})


def open_scope(findings: Findings, clause: Tree, scope: Scope) -> Scope:
    """Walk a WITH clause; the scope of what comes after it."""
    expressions = [item["CommonTableExpr"] for item in clause.get("ctes", [])]
    if clause.get("recursive"):
        scope |= {expression["ctename"] for expression in expressions}
    for expression in expressions:
        findings.walk_fields(expression, scope)
        scope |= {expression["ctename"]}
    return scope


def _scope_of(findings: Findings, fields: Tree, scope: Scope) -> Scope:
    clause = fields.get("withClause")
    return scope if clause is None else open_scope(findings, clause, scope)


def _select(findings: Findings, fields: Tree, scope: Scope) -> None:
    scope = _scope_of(findings, fields, scope)
    into = fields.get("intoClause")
    if into is not None:
        _create_from_query(findings, into, "table")
    if "lockingClause" in fields:
        _lock_rows(findings, fields, scope)
    for side in ("larg", "rarg"):
        if side in fields:
            _select(findings, fields[side], scope)
    findings.selects.append(fields)
    findings.walk_fields(fields, scope, _SELECT_DONE)
    findings.selects.pop()


_SELECT_DONE = frozenset({"withClause", "intoClause", "lockingClause", "larg", "rarg"})


def _lock_rows(findings: Findings, fields: Tree, scope: Scope) -> None:
    """FOR UPDATE and its kin lock rows of the tables named, or of all in FROM."""
    clauses = [item["LockingClause"] for item in fields["lockingClause"]]
    locked = {relation["RangeVar"]["relname"] for clause in clauses for relation in clause.get("lockedRels", [])}
    locks_all = any("lockedRels" not in clause for clause in clauses)
    found = False
    for relation in _relations_below(fields.get("fromClause", [])):
        alias = relation.get("alias", {}).get("aliasname", relation.get("relname"))
        if not locks_all and alias not in locked:
            continue
        if "schemaname" not in relation and relation.get("relname") in scope:
            continue
        findings.change_relation(relation, Action.WRITE)
        found = True
    if not found:
        findings.need(Action.WRITE, "database")


def _relations_below(value: Any) -> list[Tree]:
    found: list[Tree] = []
    stack = [value]
    while stack:
        current = stack.pop()
        if isinstance(current, list):
            stack.extend(current)
        elif isinstance(current, dict):
            if "RangeVar" in current:
                found.append(current["RangeVar"])
            stack.extend(current.values())
    return found


def _create_from_query(findings: Findings, into: Tree, kind: str) -> None:
    part = f"{kind} {relation_name(into['rel'])}"
    findings.need(Action.ALTER, part)
    findings.target[part] = None
    findings.walk_fields(into, NO_CTES, frozenset({"rel"}))


def _create_table_as(findings: Findings, fields: Tree, scope: Scope) -> None:
    kind = "view" if fields.get("objtype") == "OBJECT_MATVIEW" else "table"
    _create_from_query(findings, fields["into"], kind)
    findings.walk(fields["query"], scope)


def _change_rows(findings: Findings, relation: Tree, *actions: Action) -> str:
    part = findings.change_relation(relation, *actions)
    findings.target[part] = None
    findings.changes_rows = True
    findings.impact = "run"
    return part


def _insert(findings: Findings, fields: Tree, scope: Scope) -> None:
    part = _change_rows(findings, fields["relation"], Action.WRITE)
    conflict = fields.get("onConflictClause", {})
    if "returningClause" in fields or conflict.get("action") == "ONCONFLICT_UPDATE":
        findings.need(Action.READ, part)
    findings.walk_fields(fields, _scope_of(findings, fields, scope), _TARGET)


def _update_or_delete(findings: Findings, fields: Tree, scope: Scope) -> None:
    part = _change_rows(findings, fields["relation"], Action.WRITE)
    condition = fields.get("whereClause")
    if holds_for_all(condition):
        findings.need(Action.DESTROY, part)
    if "returningClause" in fields or mentions_columns(condition) or mentions_columns(_new_values(fields)):
        findings.need(Action.READ, part)
    findings.walk_fields(fields, _scope_of(findings, fields, scope), _TARGET)


def _new_values(fields: Tree) -> list[Tree]:
    return [item["ResTarget"].get("val", {}) for item in fields.get("targetList", [])]


def _merge(findings: Findings, fields: Tree, scope: Scope) -> None:
    part = _change_rows(findings, fields["relation"], Action.WRITE)
    findings.need(Action.READ, part)
    join = fields.get("joinCondition")
    for item in fields.get("mergeWhenClauses", []):
        clause = item["MergeWhenClause"]
        if clause.get("commandType") not in ("CMD_UPDATE", "CMD_DELETE") or not holds_for_all(clause.get("condition")):
            continue
        # What no source row matches goes as a whole: with an empty source that is every row.
        if clause.get("matchKind") == "MERGE_WHEN_NOT_MATCHED_BY_SOURCE" or holds_for_all(join) or fails_for_all(join):
            findings.need(Action.DESTROY, part)
    findings.walk_fields(fields, _scope_of(findings, fields, scope), _TARGET)


def _truncate(findings: Findings, fields: Tree, _: Scope) -> None:
    for relation in fields["relations"]:
        findings.target[findings.change_relation(relation["RangeVar"], Action.DESTROY)] = None
    findings.wipes = True
    findings.changes_rows = True
    findings.impact = "describe"


def _lock(findings: Findings, fields: Tree, scope: Scope) -> None:
    only_shared = fields.get("mode", 0) == _ACCESS_SHARE
    for relation in fields.get("relations", []):
        if only_shared:
            findings.read_relation(relation["RangeVar"], scope)
        else:
            findings.change_relation(relation["RangeVar"], Action.WRITE)


_ACCESS_SHARE = 1


def _copy(findings: Findings, fields: Tree, scope: Scope) -> None:
    to_server = fields.get("is_program", False) or "filename" in fields
    if "relation" in fields:
        parts = [_copy_table(findings, fields)]
    else:
        inner = findings.apart()
        inner.statement(fields["query"])
        parts = [part for action, part in inner.needs if action is Action.READ] or ["database"]
        findings.absorb(inner)
    findings.walk_fields(fields, scope, frozenset({"relation", "query"}))
    if to_server:
        findings.need(Action.EXECUTE, "server program" if fields.get("is_program") else "server file")
        findings.lasting()
    if fields.get("is_from"):
        findings.copies_in = not to_server
    else:
        for part in parts:
            findings.need(Action.EXPORT, part)
        findings.copies_out = not to_server
    findings.impact = ""


def _copy_table(findings: Findings, fields: Tree) -> str:
    relation = fields["relation"]
    if not fields.get("is_from"):
        findings.read_relation(relation)
        return f"table {relation_name(relation)}"
    part = _change_rows(findings, relation, Action.WRITE)
    if mentions_columns(fields.get("whereClause")):
        findings.need(Action.READ, part)
    return part


def _assignment(_: Findings, __: Tree, ___: Scope) -> None:
    raise NotUnderstoodError("an assignment is no statement of its own")


ROW_RULES: dict[str, Rule] = {
    "RangeVar": walk_relation,
    "relation": walk_relation,
    "SelectStmt": _select,
    "InsertStmt": _insert,
    "UpdateStmt": _update_or_delete,
    "DeleteStmt": _update_or_delete,
    "MergeStmt": _merge,
    "TruncateStmt": _truncate,
    "LockStmt": _lock,
    "CopyStmt": _copy,
    "CreateTableAsStmt": _create_table_as,
    "PLAssignStmt": _assignment,
}
