"""Statements about the session: transactions, settings, prepared statements, cursors, EXPLAIN, notifications."""

from interlock.domain.actions import Action
from interlock.protocols.postgres.classify_names import quote
from interlock.protocols.postgres.classify_parser import Tree
from interlock.protocols.postgres.classify_result import Classified, NotUnderstoodError
from interlock.protocols.postgres.classify_settings import classify_setting, renames_application
from interlock.protocols.postgres.classify_summary import summarize
from interlock.protocols.postgres.classify_walk import Findings, Rule, Scope

_FALSE_WORDS = frozenset({"false", "fals", "fal", "fa", "f", "off", "of", "no", "n", "0"})


def _transaction(findings: Findings, fields: Tree, _: Scope) -> None:
    kind = fields["kind"]
    findings.transaction_control = True
    if kind in ("TRANS_STMT_BEGIN", "TRANS_STMT_START"):
        findings.begins_transaction = True
        _transaction_modes(findings, fields.get("options", []))
    elif kind in ("TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK"):
        findings.ends_transaction = True
        findings.begins_transaction |= bool(fields.get("chain"))
    elif kind in ("TRANS_STMT_PREPARE", "TRANS_STMT_COMMIT_PREPARED", "TRANS_STMT_ROLLBACK_PREPARED"):
        findings.need(Action.EXECUTE, "prepared transaction")
        findings.ends_transaction |= kind == "TRANS_STMT_PREPARE"
        findings.outside()
    elif kind not in ("TRANS_STMT_SAVEPOINT", "TRANS_STMT_RELEASE", "TRANS_STMT_ROLLBACK_TO"):
        raise NotUnderstoodError(f"nothing is known of {kind}")


def _transaction_modes(findings: Findings, options: list[Tree]) -> None:
    for option in options:
        fields = option["DefElem"]
        setting = classify_setting(fields["defname"], _constant_text(fields.get("arg", {})))
        for action in setting.actions:
            findings.need(action, f"setting {setting.name}")
        findings.may_change_settings |= setting.followed


def _constant_text(node: Tree) -> str | None:
    """A value as SET gives it to the server; None when it is not one constant."""
    for kind, fields in node.items():
        if kind == "TypeCast":
            return _constant_text(fields.get("arg", {}))
        if kind == "A_Const":
            for of, inner in fields.items():
                if of == "sval":
                    return str(inner.get("sval", ""))
                if of == "ival":
                    return str(inner.get("ival", 0))
                if of == "fval":
                    return str(inner.get("fval", ""))
                if of == "boolval":
                    return "true" if inner.get("boolval") else "false"
        if kind == "String":
            return str(fields.get("sval", ""))
        if kind == "Integer":
            return str(fields.get("ival", 0))
        if kind == "Boolean":
            return "true" if fields.get("boolval") else "false"
    return None


def _set(findings: Findings, fields: Tree, _: Scope) -> None:
    kind, name = fields["kind"], fields.get("name", "")
    if kind == "VAR_RESET_ALL":
        findings.may_change_settings = True
    elif kind == "VAR_SET_MULTI":
        if name == "TRANSACTION SNAPSHOT":
            return
        if name not in ("TRANSACTION", "SESSION CHARACTERISTICS"):
            raise NotUnderstoodError(f"nothing is known of SET {name}")
        _transaction_modes(findings, fields.get("args", []))
    elif kind in ("VAR_SET_VALUE", "VAR_SET_DEFAULT", "VAR_SET_CURRENT", "VAR_RESET"):
        words = [_constant_text(argument) for argument in fields.get("args", [])]
        known = tuple(word for word in words if word is not None)
        if len(known) != len(words):
            raise NotUnderstoodError(f"the value of SET {name} is no constant")
        setting = classify_setting(name, known[0] if len(known) == 1 else None, words=known)
        for action in setting.actions:
            findings.need(action, f"setting {setting.name}")
        findings.may_change_settings |= setting.followed
        if kind == "VAR_SET_VALUE" and renames_application(name):
            findings.renames[known[0] if len(known) == 1 else None] = None
    else:
        raise NotUnderstoodError(f"nothing is known of {kind}")


def _show(findings: Findings, fields: Tree, _: Scope) -> None:
    findings.need(Action.READ, f"setting {quote(fields.get('name', '').lower())}")


def _discard(findings: Findings, fields: Tree, _: Scope) -> None:
    target = fields.get("target")
    if target == "DISCARD_ALL":
        findings.may_change_settings = True
        findings.deallocates_all = True
        findings.outside()
    elif target not in ("DISCARD_PLANS", "DISCARD_SEQUENCES", "DISCARD_TEMP"):
        raise NotUnderstoodError(f"nothing is known of {target}")


def _set_constraints(findings: Findings, fields: Tree, scope: Scope) -> None:
    """When a constraint is checked inside one's own transaction: nothing beyond what the transaction needed."""


def _prepare(findings: Findings, fields: Tree, _: Scope) -> None:
    inner = findings.apart()
    inner.count = 1
    inner.statement(fields["query"])
    inner.summaries.append(summarize(fields["query"]))
    classified = inner.result()
    name = _prepared_name(fields)
    findings.prepares.append((name, classified))
    findings.renames.update(dict.fromkeys(classified.renames))
    findings.prepared_here.setdefault(name, []).append(classified)


def _execute(findings: Findings, fields: Tree, scope: Scope) -> None:
    """What the name may stand for: what the session prepared, and what this very text did before.

    When a text prepares a name that the session already has, the server refuses it and the old one stays: both count.
    """
    name = _prepared_name(fields)
    meant = list(findings.prepared_here.get(name, ()))
    if name in findings.context.prepared:
        meant.append(findings.context.prepared[name])
    if not meant:
        raise NotUnderstoodError(f"no prepared statement {quote(name)} is known in this session")
    if findings.executes is None:
        findings.executes = name
    for inner in meant:
        _absorb(findings, inner)
    findings.walk(fields.get("params", []), scope)


def _absorb(findings: Findings, inner: Classified) -> None:
    if inner.unknown:
        raise NotUnderstoodError(inner.unknown)
    for need in inner.needs:
        if need.action is not Action.CONNECT:
            findings.need(need.action, need.part)
    findings.target.update(dict.fromkeys(inner.target))
    findings.unvetted.update(dict.fromkeys(inner.unvetted))
    findings.impact = inner.impact
    findings.transactional &= inner.transactional
    findings.beyond_rollback |= not inner.transactional and not inner.impact
    findings.wipes |= inner.changes and not inner.fenceable and not inner.transaction_control
    findings.changes_rows |= inner.changes_rows
    findings.begins_transaction |= inner.begins_transaction
    findings.ends_transaction |= inner.ends_transaction
    findings.transaction_control |= inner.transaction_control
    findings.may_change_settings |= inner.may_change_settings
    findings.copies_in |= inner.copies_in
    findings.copies_out |= inner.copies_out
    findings.deallocates_all |= inner.deallocates_all
    findings.deallocates.extend(inner.deallocates)
    findings.prepares.extend(inner.prepares)
    findings.fetches.update(dict.fromkeys(inner.fetches))
    findings.renames.update(dict.fromkeys(inner.renames))
    findings.uncountable |= inner.uncountable


def _prepared_name(fields: Tree) -> str:
    """A name in letters that every server reads alike: others are folded and cut by the encoding of its database."""
    name: str = fields["name"]
    if not name.isascii():
        raise NotUnderstoodError("the name of a prepared statement holds other characters than ASCII")
    return name


def _deallocate(findings: Findings, fields: Tree, _: Scope) -> None:
    if fields.get("isall") or "name" not in fields:
        findings.deallocates_all = True
    else:
        findings.deallocates.append(_prepared_name(fields))


def _explain(findings: Findings, fields: Tree, _: Scope) -> None:
    """With ANALYZE the statement runs. Without, tables are only read from; functions may still be, by the planner."""
    if _is_analyzed(fields.get("options", [])):
        findings.statement(fields["query"])
        return
    inner = findings.apart()
    inner.statement(fields["query"])
    for action, part in inner.needs:
        on_function = part.startswith(("function ", "operator ", "setting "))
        findings.need(action if on_function or action is Action.GRANT else Action.READ, part)
    if not inner.needs:
        findings.need(Action.READ, "database")
    inner.needs.clear()
    inner.target.clear()
    inner.impact = ""
    inner.wipes = inner.changes_rows = inner.outside_transaction = False
    if not inner.unvetted:
        # What is not run leaves nothing behind. A function may be: the planner calls what it takes for constant.
        inner.transactional, inner.beyond_rollback, inner.may_change_settings = True, False, False
    else:
        inner.changes_rows = True
    findings.absorb(inner)


def _is_analyzed(options: list[Tree]) -> bool:
    """Whether any ANALYZE option is not written as false; the server takes the last one."""
    for option in options:
        fields = option["DefElem"]
        if fields["defname"].lower() != "analyze":
            continue
        value = _constant_text(fields.get("arg", {}))
        if value is None or value.lower() not in _FALSE_WORDS:
            return True
    return False


def _declare_cursor(findings: Findings, fields: Tree, _: Scope) -> None:
    """What its query calls is called when rows are fetched, and would not be counted here."""
    findings.statement(fields["query"])
    findings.uncountable |= bool(findings.unvetted)


def _fetch(findings: Findings, fields: Tree, _: Scope) -> None:
    name = fields.get("portalname", "")
    findings.fetches[name] = None
    findings.need(Action.READ, f"cursor {quote(name)}")


def _close(findings: Findings, fields: Tree, scope: Scope) -> None:
    """A cursor is closed; whatever it stood for is over."""


def _notify(findings: Findings, fields: Tree, _: Scope) -> None:
    findings.need(Action.WRITE, f"channel {quote(fields['conditionname'])}")


def _listen(findings: Findings, fields: Tree, _: Scope) -> None:
    findings.need(Action.READ, f"channel {quote(fields['conditionname'])}")


def _unlisten(findings: Findings, fields: Tree, scope: Scope) -> None:
    """The session hears less."""


SESSION_RULES: dict[str, Rule] = {
    "TransactionStmt": _transaction,
    "VariableSetStmt": _set,
    "VariableShowStmt": _show,
    "DiscardStmt": _discard,
    "ConstraintsSetStmt": _set_constraints,
    "PrepareStmt": _prepare,
    "ExecuteStmt": _execute,
    "DeallocateStmt": _deallocate,
    "ExplainStmt": _explain,
    "DeclareCursorStmt": _declare_cursor,
    "FetchStmt": _fetch,
    "ClosePortalStmt": _close,
    "NotifyStmt": _notify,
    "ListenStmt": _listen,
    "UnlistenStmt": _unlisten,
}
