"""Statements that define, alter and drop things, and that run code or the server's own commands.

Most are one line of a table: which actions, on what kind of object, and in which field its name stands. Everything
else in the statement is walked, since a default, a check, an index or a policy can call a function.
"""

from dataclasses import dataclass
from typing import Any

from interlock.domain.actions import Action
from interlock.protocols.postgres.catalogue import is_system_relation
from interlock.protocols.postgres.classify_names import object_name, quote, relation_name, role_name
from interlock.protocols.postgres.classify_parser import Tree
from interlock.protocols.postgres.classify_result import NotUnderstoodError
from interlock.protocols.postgres.classify_summary import OBJECT_WORDS
from interlock.protocols.postgres.classify_walk import Findings, Rule, Scope

_ALTER = (Action.ALTER,)
_CODE = (Action.ALTER, Action.EXECUTE)
_RIGHTS = (Action.GRANT,)
_GUARD = (Action.ALTER, Action.GRANT)


@dataclass(frozen=True, slots=True)
class _Definition:
    """``field`` holds the name of the object, ``kind`` is its word; ``outside``: no transaction takes it."""

    actions: tuple[Action, ...]
    kind: str
    field: str = ""
    outside: bool = False
    unwalked: tuple[str, ...] = ()


_DEFINITIONS = {
    # The form of tables, views, types and what hangs on them.
    "CreateSeqStmt": _Definition(_ALTER, "sequence", "sequence"),
    "AlterSeqStmt": _Definition(_ALTER, "sequence", "sequence"),
    "ViewStmt": _Definition(_ALTER, "view", "view"),
    "RefreshMatViewStmt": _Definition(_ALTER, "view", "relation"),
    "CompositeTypeStmt": _Definition(_ALTER, "type", "typevar"),
    "CreateEnumStmt": _Definition(_ALTER, "type", "typeName"),
    "AlterEnumStmt": _Definition(_ALTER, "type", "typeName"),
    "CreateDomainStmt": _Definition(_ALTER, "type", "domainname"),
    "CreateStatsStmt": _Definition(_ALTER, "statistics", "defnames"),
    "AlterStatsStmt": _Definition(_ALTER, "statistics", "defnames"),
    "AlterCollationStmt": _Definition(_ALTER, "collation", "collname"),
    "AlterTSDictionaryStmt": _Definition(_ALTER, "text search dictionary", "dictname"),
    "AlterTSConfigurationStmt": _Definition(_ALTER, "text search configuration", "cfgname", unwalked=("dicts",)),
    "AlterTableMoveAllStmt": _Definition(_ALTER, "tablespace", "orig_tablespacename"),
    # What can later run as somebody else, reach other servers, or the server's own machine.
    "CreateFunctionStmt": _Definition(_CODE, "function", "funcname", unwalked=("options", "sql_body")),
    "AlterFunctionStmt": _Definition(_CODE, "function", "func", unwalked=("actions",)),
    "CreateTrigStmt": _Definition(_CODE, "table", "relation", unwalked=("args",)),
    "CreateEventTrigStmt": _Definition(_CODE, "event trigger", "trigname"),
    "AlterEventTrigStmt": _Definition(_CODE, "event trigger", "trigname"),
    "RuleStmt": _Definition(_CODE, "table", "relation"),
    "CreateExtensionStmt": _Definition(_CODE, "extension", "extname"),
    "AlterExtensionStmt": _Definition(_CODE, "extension", "extname"),
    "AlterExtensionContentsStmt": _Definition(_CODE, "extension", "extname", unwalked=("object",)),
    "CreatePLangStmt": _Definition(_CODE, "language", "plname"),
    "CreateAmStmt": _Definition(_CODE, "access method", "amname", unwalked=("handler_name",)),
    "CreateCastStmt": _Definition(_CODE, "cast"),
    "CreateConversionStmt": _Definition(_CODE, "conversion", "conversion_name", unwalked=("func_name",)),
    "CreateTransformStmt": _Definition(_CODE, "transform", unwalked=("type_name",)),
    "CreateOpClassStmt": _Definition(_CODE, "operator class", "opclassname"),
    "CreateOpFamilyStmt": _Definition(_CODE, "operator family", "opfamilyname"),
    "AlterOpFamilyStmt": _Definition(_CODE, "operator family", "opfamilyname"),
    "AlterOperatorStmt": _Definition(_CODE, "operator", "opername"),
    "AlterTypeStmt": _Definition(_CODE, "type", "typeName"),
    "CreateRangeStmt": _Definition(_CODE, "type", "typeName"),
    "CreateFdwStmt": _Definition(_CODE, "foreign data wrapper", "fdwname"),
    "AlterFdwStmt": _Definition(_CODE, "foreign data wrapper", "fdwname"),
    "CreateForeignServerStmt": _Definition(_CODE, "server", "servername"),
    "AlterForeignServerStmt": _Definition(_CODE, "server", "servername"),
    "ImportForeignSchemaStmt": _Definition(_CODE, "schema", "local_schema", unwalked=("table_list",)),
    "CreatePublicationStmt": _Definition(_CODE, "publication", "pubname"),
    "AlterPublicationStmt": _Definition(_CODE, "publication", "pubname"),
    "CreateSubscriptionStmt": _Definition(_CODE, "subscription", "subname", outside=True),
    "AlterSubscriptionStmt": _Definition(_CODE, "subscription", "subname", outside=True),
    "CreateTableSpaceStmt": _Definition(_CODE, "tablespace", "tablespacename", outside=True),
    "AlterTableSpaceOptionsStmt": _Definition(_CODE, "tablespace", "tablespacename"),
    "CreatedbStmt": _Definition(_CODE, "database", "dbname", outside=True),
    "AlterDatabaseStmt": _Definition(_CODE, "database", "dbname", outside=True),
    "AlterDatabaseSetStmt": _Definition(_CODE, "database", "dbname", unwalked=("setstmt",)),
    "AlterDatabaseRefreshCollStmt": _Definition(_ALTER, "database", "dbname"),
    "AlterSystemStmt": _Definition((Action.EXECUTE,), "server", outside=True, unwalked=("setstmt",)),
    "LoadStmt": _Definition((Action.EXECUTE,), "server library", "filename", outside=True),
    "CheckPointStmt": _Definition((Action.EXECUTE,), "server", outside=True),
    # Who may do what.
    "CreateRoleStmt": _Definition(_RIGHTS, "role", "role"),
    "AlterRoleStmt": _Definition(_RIGHTS, "role", "role"),
    "AlterRoleSetStmt": _Definition((Action.GRANT, Action.EXECUTE), "role", "role", unwalked=("setstmt",)),
    "CreatePolicyStmt": _Definition(_GUARD, "table", "table"),
    "AlterPolicyStmt": _Definition(_GUARD, "table", "table"),
    "SecLabelStmt": _Definition(_GUARD, "database", unwalked=("object",)),
    "CreateUserMappingStmt": _Definition((Action.GRANT, Action.EXECUTE), "server", "servername"),
    "AlterUserMappingStmt": _Definition((Action.GRANT, Action.EXECUTE), "server", "servername"),
    "DropUserMappingStmt": _Definition((Action.GRANT, Action.DESTROY), "server", "servername"),
    # What goes.
    "DropTableSpaceStmt": _Definition((Action.DESTROY,), "tablespace", "tablespacename", outside=True),
    "DropdbStmt": _Definition((Action.DESTROY,), "database", "dbname", outside=True),
    "DropSubscriptionStmt": _Definition((Action.DESTROY,), "subscription", "subname", outside=True),
}


def _define(definition: _Definition) -> Rule:
    done = frozenset((definition.field, *definition.unwalked))

    def rule(findings: Findings, fields: Tree, scope: Scope) -> None:
        name = object_name(fields[definition.field]) if definition.field in fields else ""
        part = f"{definition.kind} {name}".rstrip()
        for action in definition.actions:
            findings.need(action, part)
        if definition.outside:
            findings.outside()
        if Action.DESTROY in definition.actions:
            findings.wipes = True
        findings.walk_fields(fields, scope, done)

    return rule


def _create_table(findings: Findings, fields: Tree, scope: Scope) -> None:
    part = findings.change_relation(fields["relation"], Action.ALTER)
    findings.target[part] = None
    for parent in fields.get("inhRelations", []):
        findings.change_relation(parent["RangeVar"], Action.ALTER)
    findings.walk_fields(fields, scope, frozenset({"relation", "inhRelations"}))


def _create_foreign_table(findings: Findings, fields: Tree, scope: Scope) -> None:
    _create_table(findings, fields["base"], scope)
    findings.need(Action.EXECUTE, f"server {quote(fields.get('servername', ''))}")
    findings.walk_fields(fields, scope, frozenset({"base"}))


def _referenced(findings: Findings, relation: Tree, _: Scope) -> None:
    """The table that a foreign key points at gets triggers of its own."""
    findings.change_relation(relation, Action.ALTER)


def _create_index(findings: Findings, fields: Tree, scope: Scope) -> None:
    findings.change_relation(fields["relation"], Action.ALTER)
    if fields.get("concurrent"):
        findings.outside()
    findings.walk_fields(fields, scope, frozenset({"relation", "excludeOpNames"}))


DESTROYS = frozenset({"AT_DropColumn", "AT_AlterColumnType"})
GUARDS = frozenset({"AT_ChangeOwner", "AT_EnableRowSecurity", "AT_DisableRowSecurity"})
GUARDS |= {"AT_ForceRowSecurity", "AT_NoForceRowSecurity"}
_ALTERS_NAMES = """
    AT_AddColumn AT_ColumnDefault AT_DropNotNull AT_SetNotNull AT_SetExpression AT_DropExpression AT_SetStatistics
    AT_SetOptions AT_ResetOptions AT_SetStorage AT_SetCompression AT_AddIndex AT_AddConstraint AT_AlterConstraint
    AT_ValidateConstraint AT_AddIndexConstraint AT_DropConstraint AT_AlterColumnGenericOptions AT_ClusterOn
    AT_DropCluster AT_SetLogged AT_SetUnLogged AT_DropOids AT_SetAccessMethod AT_SetTableSpace AT_SetRelOptions
    AT_ResetRelOptions AT_ReplaceRelOptions AT_EnableTrig AT_EnableAlwaysTrig AT_EnableReplicaTrig AT_DisableTrig
    AT_EnableTrigAll AT_DisableTrigAll AT_EnableTrigUser AT_DisableTrigUser AT_EnableRule AT_EnableAlwaysRule
    AT_EnableReplicaRule AT_DisableRule AT_AddInherit AT_DropInherit AT_AddOf AT_DropOf AT_ReplicaIdentity
    AT_GenericOptions AT_AttachPartition AT_DetachPartition AT_DetachPartitionFinalize AT_AddIdentity AT_SetIdentity
    AT_DropIdentity
"""
ALTERS = frozenset(_ALTERS_NAMES.split())


def _alter_table(findings: Findings, fields: Tree, scope: Scope) -> None:
    relation = fields["relation"]
    kind = OBJECT_WORDS.get(fields["objtype"], "table")
    part = f"{kind} {relation_name(relation)}"
    if is_system_relation(relation.get("schemaname", ""), relation.get("relname", "")):
        findings.need(Action.EXECUTE, part)
    findings.need(Action.ALTER, part)
    findings.target[part] = None
    for item in fields.get("cmds", []):
        command = item["AlterTableCmd"]
        subtype = command["subtype"]
        if subtype in DESTROYS:
            findings.need(Action.DESTROY, part)
            findings.wipes = True
        elif subtype in GUARDS:
            findings.need(Action.GRANT, part)
        elif subtype not in ALTERS:
            raise NotUnderstoodError(f"nothing is known of ALTER TABLE's {subtype}")
        _alter_partition(findings, command)
        findings.walk_fields(command, scope, frozenset({"newowner"}))


def _alter_partition(findings: Findings, command: Tree) -> None:
    partition = command.get("def", {}).get("PartitionCmd", {})
    other = partition.get("name") or command.get("def", {}).get("RangeVar")
    if other is not None:
        findings.change_relation(other, Action.ALTER)
    if partition.get("concurrent") or command["subtype"] == "AT_DetachPartitionFinalize":
        findings.outside()


def _alter_domain(findings: Findings, fields: Tree, scope: Scope) -> None:
    findings.need(Action.ALTER, f"type {object_name(fields['typeName'])}")
    findings.walk_fields(fields, scope, frozenset({"typeName"}))


def _create_schema(findings: Findings, fields: Tree, _: Scope) -> None:
    owner = fields.get("authrole")
    part = f"schema {quote(fields['schemaname']) if 'schemaname' in fields else role_name(owner or {})}"
    findings.need(Action.ALTER, part)
    if owner is not None:
        findings.need(Action.GRANT, part)
    for element in fields.get("schemaElts", []):
        findings.statement(element)


def _drop(findings: Findings, fields: Tree, _: Scope) -> None:
    removed = fields["removeType"]
    word = OBJECT_WORDS.get(removed)
    if word is None:
        raise NotUnderstoodError(f"nothing is known of dropping {removed}")
    for node in fields.get("objects", []):
        part = f"{word} {object_name(node)}"
        findings.need(Action.DESTROY, part)
        if removed == "OBJECT_POLICY":
            findings.need(Action.GRANT, part)
        if word == "table":
            findings.target[part] = None
    findings.wipes = True
    if removed == "OBJECT_TABLE":
        findings.changes_rows = True
        findings.impact = "describe"
    if fields.get("concurrent"):
        findings.outside()


def _drop_roles(findings: Findings, fields: Tree, _: Scope) -> None:
    for role in fields["roles"]:
        part = f"role {object_name(role)}"
        findings.need(Action.GRANT, part)
        findings.need(Action.DESTROY, part)
    findings.wipes = True


def _drop_owned(findings: Findings, fields: Tree, scope: Scope) -> None:
    _drop_roles(findings, fields, scope)
    findings.changes_rows = True


def _reassign_owned(findings: Findings, fields: Tree, _: Scope) -> None:
    for role in fields["roles"]:
        findings.need(Action.GRANT, f"role {object_name(role)}")
        findings.need(Action.ALTER, f"role {object_name(role)}")


def _grant(findings: Findings, fields: Tree, _: Scope) -> None:
    word = OBJECT_WORDS.get(fields["objtype"], "object")
    if fields.get("targtype") == "ACL_TARGET_ALL_IN_SCHEMA":
        word = "schema"
    for node in fields.get("objects", []):
        findings.need(Action.GRANT, f"{word} {object_name(node)}")
    if not fields.get("objects"):
        findings.need(Action.GRANT, "database")


def _grant_role(findings: Findings, fields: Tree, _: Scope) -> None:
    for node in fields["granted_roles"]:
        role = node["AccessPriv"].get("priv_name", "")
        findings.need(Action.GRANT, f"role {quote(role)}")


def _default_privileges(findings: Findings, fields: Tree, _: Scope) -> None:
    findings.need(Action.GRANT, "database")


def _alter_owner(findings: Findings, fields: Tree, _: Scope) -> None:
    part = _part_of_object(fields["objectType"], fields)
    findings.need(Action.ALTER, part)
    findings.need(Action.GRANT, part)


def _rename(findings: Findings, fields: Tree, _: Scope) -> None:
    kind = fields["renameType"]
    if kind in ("OBJECT_COLUMN", "OBJECT_ATTRIBUTE", "OBJECT_TABCONSTRAINT"):
        kind = fields.get("relationType") or "OBJECT_TABLE"
    part = _part_of_object(kind, fields)
    if part == "role":
        part = f"role {quote(fields.get('subname', ''))}"
    elif not part.count(" ") and "subname" in fields:
        part = f"{part} {quote(fields['subname'])}"
    findings.need(Action.ALTER, part)
    if kind in ("OBJECT_ROLE", "OBJECT_POLICY"):
        findings.need(Action.GRANT, part)


def _alter_schema_of(findings: Findings, fields: Tree, _: Scope) -> None:
    findings.need(Action.ALTER, _part_of_object(fields["objectType"], fields))
    findings.need(Action.ALTER, f"schema {quote(fields['newschema'])}")


def _depends(findings: Findings, fields: Tree, _: Scope) -> None:
    findings.need(Action.ALTER, _part_of_object(fields["objectType"], fields))


def _comment(findings: Findings, fields: Tree, _: Scope) -> None:
    findings.need(Action.ALTER, _part_of_object(fields["objtype"], fields))


def _part_of_object(kind: str, fields: Tree) -> str:
    word = OBJECT_WORDS.get(kind)
    if word is None:
        raise NotUnderstoodError(f"nothing is known of {kind}")
    if "relation" in fields:
        return f"{word} {relation_name(fields['relation'])}"
    return f"{word} {object_name(fields['object'])}".rstrip() if "object" in fields else word


def _define_object(findings: Findings, fields: Tree, _: Scope) -> None:
    kind = fields["kind"]
    word = OBJECT_WORDS.get(kind)
    if word is None:
        raise NotUnderstoodError(f"nothing is known of creating {kind}")
    part = f"{word} {object_name(fields['defnames'])}"
    findings.need(Action.ALTER, part)
    if kind not in ("OBJECT_COLLATION", "OBJECT_TSDICTIONARY", "OBJECT_TSCONFIGURATION"):
        findings.need(Action.EXECUTE, part)


def _vacuum(findings: Findings, fields: Tree, _: Scope) -> None:
    relations = [item["VacuumRelation"]["relation"] for item in fields.get("rels", [])]
    for relation in relations:
        findings.need(Action.ALTER, f"table {relation_name(relation)}")
    if not relations:
        findings.need(Action.ALTER, "database")
    if fields.get("is_vacuumcmd"):
        findings.outside()


def _rebuild(findings: Findings, fields: Tree, _: Scope) -> None:
    """CLUSTER and REINDEX: one table or index, or a whole schema or database, then outside of transactions."""
    relation = fields.get("relation")
    if relation is not None:
        word = "index" if fields.get("kind") == "REINDEX_OBJECT_INDEX" else "table"
        findings.need(Action.ALTER, f"{word} {relation_name(relation)}")
    else:
        findings.need(Action.ALTER, f"schema {quote(fields['name'])}" if "name" in fields else "database")
    concurrently = any(option["DefElem"].get("defname") == "concurrently" for option in fields.get("params", []))
    if relation is None or concurrently:
        findings.outside()


def _do(findings: Findings, _: Tree, __: Scope) -> None:
    """Code that nobody reads here may do anything that the account may."""
    findings.need(Action.EXECUTE, "")
    _code_runs(findings)


def _call_procedure(findings: Findings, fields: Tree, scope: Scope) -> None:
    call = fields["funccall"]
    findings.need(Action.EXECUTE, f"function {object_name(call['funcname'])}")
    findings.walk_fields(call, scope, frozenset({"funcname"}))
    _code_runs(findings)


def _code_runs(findings: Findings) -> None:
    findings.lasting()
    findings.changes_rows = True
    findings.may_change_settings = True


def _leave(_: Findings, __: Any, ___: Scope) -> None:
    """A field that names something and needs nothing."""


DEFINITION_RULES: dict[str, Rule] = {
    **{kind: _define(definition) for kind, definition in _DEFINITIONS.items()},
    "CreateStmt": _create_table,
    "CreateForeignTableStmt": _create_foreign_table,
    "pktable": _referenced,
    "constrrel": _leave,
    "IndexStmt": _create_index,
    "AlterTableStmt": _alter_table,
    "AlterDomainStmt": _alter_domain,
    "CreateSchemaStmt": _create_schema,
    "DropStmt": _drop,
    "DropRoleStmt": _drop_roles,
    "DropOwnedStmt": _drop_owned,
    "ReassignOwnedStmt": _reassign_owned,
    "GrantStmt": _grant,
    "GrantRoleStmt": _grant_role,
    "AlterDefaultPrivilegesStmt": _default_privileges,
    "AlterOwnerStmt": _alter_owner,
    "RenameStmt": _rename,
    "AlterObjectSchemaStmt": _alter_schema_of,
    "AlterObjectDependsStmt": _depends,
    "CommentStmt": _comment,
    "DefineStmt": _define_object,
    "VacuumStmt": _vacuum,
    "ClusterStmt": _rebuild,
    "ReindexStmt": _rebuild,
    "DoStmt": _do,
    "CallStmt": _call_procedure,
}
