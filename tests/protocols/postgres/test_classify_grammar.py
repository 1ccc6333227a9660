"""The real grammar is asked what there is: what a new version of the parser brings fails here until it is decided."""

import importlib
from collections import Counter
from typing import Any

import pytest

from interlock.protocols.postgres.classify import RULES
from interlock.protocols.postgres.classify_definitions import ALTERS, DESTROYS, GUARDS
from interlock.protocols.postgres.classify_parser import read_statements
from interlock.protocols.postgres.classify_summary import OBJECT_WORDS
from interlock.protocols.postgres.classify_walk import LEAVES, PLAIN

# Imported by name: mypy stops at postgast's stub of this module.
_pg_query: Any = importlib.import_module("postgast.pg_query_pb2")
_parse: Any = importlib.import_module("postgast.parse").parse
_messages = _pg_query.DESCRIPTOR.message_types_by_name

NEVER_A_STATEMENT = {
    "RawStmt": "wraps each statement of a text; the adapter takes it off",
    "SetOperationStmt": "made by the server's analysis, not by the grammar",
    "ReplicaIdentityStmt": "part of ALTER TABLE",
    "ReturnStmt": "part of a function's body, which is not walked",
}

NEVER_PARSED = {
    # What the server makes of a tree after parsing, or puts into it itself.
    *("Aggref", "AlternativeSubPlan", "ArrayCoerceExpr", "ArrayExpr", "CallContext", "CaseTestExpr", "CoerceToDomain"),
    *("CoerceToDomainValue", "CoerceViaIO", "CollateExpr", "ConvertRowtypeExpr", "DistinctExpr", "FieldSelect"),
    *("FieldStore", "FromExpr", "FuncExpr", "InferenceElem", "InlineCodeBlock", "IntList", "JsonConstructorExpr"),
    *("JsonExpr", "JsonTablePath", "JsonTablePathScan", "JsonTableSiblingJoin", "MergeAction", "NextValueExpr"),
    *("NullIfExpr", "OidList", "OnConflictExpr", "OpExpr", "Param", "Query", "RTEPermissionInfo", "RangeTblEntry"),
    *("RangeTblFunction", "RangeTblRef", "RelabelType", "ReturningExpr", "RowCompareExpr", "RowMarkClause"),
    *("ScalarArrayOpExpr", "SortGroupClause", "SubPlan", "SubscriptingRef", "TableFunc", "TableSampleClause"),
    *("TargetEntry", "Var", "WindowClause", "WindowFunc", "WindowFuncRunCondition", "WithCheckOption"),
    # Taken apart where they stand, by the rule of what holds them.
    *("AlterTableCmd", "CommonTableExpr", "IntoClause", "WithClause"),
}


def node_types() -> set[str]:
    return {field.message_type.name for field in _messages["Node"].fields}


def test_every_kind_of_statement_is_decided() -> None:
    statements = {name for name in node_types() if name.endswith("Stmt")}
    assert statements - RULES.keys() == NEVER_A_STATEMENT.keys()


def test_every_kind_of_node_is_decided_once() -> None:
    decided = [set(RULES), set(PLAIN), set(LEAVES), NEVER_PARSED - LEAVES, set(NEVER_A_STATEMENT) - LEAVES]
    count = Counter(name for group in decided for name in group)
    assert [name for name, times in count.items() if times > 1] == []
    assert node_types() - count.keys() == set()


def test_every_field_of_a_fixed_type_is_decided() -> None:
    """A field that holds a node's fields without saying which node must be known by its name."""
    parsed = node_types() - (NEVER_PARSED - {"AlterTableCmd", "CommonTableExpr", "IntoClause", "WithClause"})
    fixed = {
        field.json_name
        for name in parsed - {"RawStmt", "SetOperationStmt", "A_Const"}
        for field in _messages[name].fields
        if field.message_type is not None and field.message_type.name != "Node"
    }
    by_their_holder = {
        *("action", "base", "funccall", "funcexpr", "identitySequence", "into", "intoClause", "larg", "rarg", "rel"),
        *("sequence", "setstmt", "table", "type_name", "typevar", "view", "viewQuery", "withClause"),
    }
    assert fixed - RULES.keys() - PLAIN - LEAVES == by_their_holder


def test_node_types_and_fields_cannot_be_taken_for_each_other() -> None:
    assert all(name[0].isupper() for name in node_types())
    for name in node_types():
        assert all(field.json_name[0].islower() for field in _messages[name].fields)


def enum(name: str) -> set[str]:
    values = {value.name for value in _pg_query.DESCRIPTOR.enum_types_by_name[name].values}
    return {value for value in values if not value.endswith("_UNDEFINED")}


def test_every_form_of_alter_table_is_decided() -> None:
    made_by_the_server = {
        *("AT_AddColumnToView", "AT_CookedColumnDefault", "AT_ReAddComment", "AT_ReAddConstraint"),
        *("AT_ReAddDomainConstraint", "AT_ReAddIndex", "AT_ReAddStatistics"),
    }
    assert enum("AlterTableType") == ALTERS | GUARDS | DESTROYS | made_by_the_server
    assert len(ALTERS) + len(GUARDS) + len(DESTROYS) == len(ALTERS | GUARDS | DESTROYS)


def test_every_kind_of_object_has_a_word() -> None:
    without_statements = {
        *("OBJECT_AMOP", "OBJECT_AMPROC", "OBJECT_DEFACL", "OBJECT_DEFAULT", "OBJECT_PUBLICATION_NAMESPACE"),
        *("OBJECT_PUBLICATION_REL", "OBJECT_USER_MAPPING"),
    }
    assert enum("ObjectType") == OBJECT_WORDS.keys() | without_statements


@pytest.mark.parametrize(
    ("name", "known"),
    [
        (
            "TransactionStmtKind",
            "BEGIN START COMMIT ROLLBACK SAVEPOINT RELEASE ROLLBACK_TO PREPARE COMMIT_PREPARED ROLLBACK_PREPARED",
        ),
        ("VariableSetKind", "VAR_SET_VALUE VAR_SET_DEFAULT VAR_SET_CURRENT VAR_SET_MULTI VAR_RESET VAR_RESET_ALL"),
        ("DiscardMode", "DISCARD_ALL DISCARD_PLANS DISCARD_SEQUENCES DISCARD_TEMP"),
        (
            "MergeMatchKind",
            "MERGE_WHEN_MATCHED MERGE_WHEN_NOT_MATCHED_BY_SOURCE MERGE_WHEN_NOT_MATCHED_BY_TARGET",
        ),
        ("BoolTestType", "IS_TRUE IS_NOT_TRUE IS_FALSE IS_NOT_FALSE IS_UNKNOWN IS_NOT_UNKNOWN"),
        ("GrantTargetType", "ACL_TARGET_OBJECT ACL_TARGET_ALL_IN_SCHEMA ACL_TARGET_DEFAULTS"),
    ],
)
def test_the_words_that_rules_look_at_are_all_there_are(name: str, known: str) -> None:
    assert {word.removeprefix("TRANS_STMT_") for word in enum(name)} == set(known.split())


@pytest.mark.parametrize(
    "text",
    [
        "select a.b, count(*) from a join b using (c) where x in (1, 2) and f(y) or z is null group by 1 for update",
        "with recursive a as (select 1 union all select a + 1 from a) delete from b using a where b.i = a.i",
        "merge into a using (values (1)) b (i) on a.i = b.i when matched then delete when not matched then do nothing",
        "create table a (i int primary key default f(), t text collate \"C\" check (t <> ''), u int references b)",
        "alter table a add column x int default 1, drop column y cascade; alter table a attach partition z default",
        "copy (select 1) to program 'x' with (format csv, header)",
        "explain (analyze, costs off) execute p(1, array[2], row(3, null))",
        "create function f(i int default g()) returns int language sql begin atomic select 1; end",
        "grant select (a), update on table b, c to d with grant option",
        "set local search_path = a, \"B\"; reset all; show x; begin read write; select 'ü'' \\ \t', E'\\n', 1.5e3",
    ],
)
def test_the_tree_is_the_parsers_own(text: str) -> None:
    """The JSON form holds every node that the protobuf form of the same parser holds."""
    from_messages: Counter[str] = Counter()
    for raw in _parse(text).stmts:
        _count_in_message(raw.stmt, from_messages)
    from_tree: Counter[str] = Counter()
    for statement in read_statements(text):
        _count_in_tree(statement, from_tree)
    assert from_tree == from_messages


def _count_in_message(message: Any, counts: "Counter[str]") -> None:
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for child in value if field.is_repeated else [value]:
            if message.DESCRIPTOR.name == "Node":
                counts[child.DESCRIPTOR.name] += 1
            _count_in_message(child, counts)


def _count_in_tree(value: Any, counts: "Counter[str]") -> None:
    if isinstance(value, list):
        for child in value:
            _count_in_tree(child, counts)
    elif isinstance(value, dict):
        counts.update(key for key in value if key[0].isupper())
        for child in value.values():
            _count_in_tree(child, counts)
