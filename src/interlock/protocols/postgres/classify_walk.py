"""The walk over a statement's tree, and what it gathers on the way.

Every node is either plain (its children are walked), a leaf (it has no children that matter) or has a rule. A node
that is none of these stops the walk: the statement is then not understood, and needs everything. So a new version of
the parser with new kinds of nodes cannot let anything pass.
"""

from collections.abc import Callable, Mapping
from typing import Any

from interlock.domain.actions import Action, Need
from interlock.protocols.postgres.catalogue import is_system_relation, relation_action
from interlock.protocols.postgres.classify_names import relation_name
from interlock.protocols.postgres.classify_parser import Tree
from interlock.protocols.postgres.classify_result import Classified, ClassifyContext, NotUnderstoodError

Scope = frozenset[str]
"""The names of the CTEs that a table's name may mean here."""

NO_CTES: Scope = frozenset()

Rule = Callable[["Findings", Any, Scope], None]
"""What to do at a node or field: it is given the findings, the node's fields and the scope."""

_LEAF_NAMES = """
    A_Const A_Star AccessPriv Alias BitString Boolean CaseTestExpr ColumnRef CurrentOfExpr Float Integer JsonFormat
    MergeSupportFunc ObjectWithArgs ParamRef ReplicaIdentityStmt RoleSpec SQLValueFunction SetToDefault String
    TriggerTransition alias aliascolnames authrole coldefnames colnames extname fields funcname format func fromsql
    grantor join_using_alias names newowner newrole opername owner role tosql user
"""
LEAVES = frozenset(_LEAF_NAMES.split())
"""Node types and fields below which nothing can need anything."""

_PLAIN_NAMES = """
    A_ArrayExpr A_Expr A_Indices A_Indirection ATAlterConstraint BoolExpr BooleanTest CTECycleClause CTESearchClause
    CaseExpr CaseWhen CoalesceExpr CollateClause ColumnDef Constraint CreateOpClassItem DefElem FunctionParameter
    GroupingFunc GroupingSet IndexElem InferClause JoinExpr JsonAggConstructor JsonArgument JsonArrayAgg
    JsonArrayConstructor JsonArrayQueryConstructor JsonBehavior JsonFuncExpr JsonIsPredicate JsonKeyValue JsonObjectAgg
    JsonObjectConstructor JsonOutput JsonParseExpr JsonReturning JsonScalarExpr JsonSerializeExpr JsonTable
    JsonTableColumn JsonTablePathSpec JsonValueExpr List LockingClause MergeWhenClause MinMaxExpr MultiAssignRef
    NamedArgExpr NullTest OnConflictClause PartitionBoundSpec PartitionCmd PartitionElem PartitionRangeDatum
    PartitionSpec PublicationObjSpec PublicationTable RangeFunction RangeSubselect RangeTableFunc RangeTableFuncCol
    RangeTableSample ResTarget ReturningClause ReturningOption RowExpr SortBy StatsElem SubLink TableLikeClause TypeCast
    TypeName VacuumRelation WindowDef XmlExpr XmlSerialize arg argType bound collClause constructor context_item
    cycle_clause datatype expr infer ofTypename onConflictClause on_empty on_error output over partbound partspec
    pathspec pubtable returnType returning returningClause search_clause sourcetype storedtype targettype typeName
    val value
"""
PLAIN = frozenset(_PLAIN_NAMES.split())
"""Node types, and fields whose type is fixed, that need nothing themselves."""


_NOTHING: frozenset[str] = frozenset()
_IF_ANY = (
    "begins_transaction",
    "beyond_rollback",
    "changes_rows",
    "copies_in",
    "copies_out",
    "deallocates_all",
    "ends_transaction",
    "executes",
    "impact",
    "may_change_settings",
    "outside_transaction",
    "transaction_control",
    "uncountable",
    "wipes",
)


class Findings:
    """What is gathered of one text. ``rules`` maps node types, and fields of a fixed type, to their rules."""

    __slots__ = (
        "begins_transaction",
        "beyond_rollback",
        "changes_rows",
        "context",
        "copies_in",
        "copies_out",
        "count",
        "deallocates",
        "deallocates_all",
        "ends_transaction",
        "executes",
        "fetches",
        "impact",
        "may_change_settings",
        "needs",
        "outside_transaction",
        "prepared_here",
        "prepares",
        "renames",
        "rules",
        "selects",
        "summaries",
        "target",
        "transaction_control",
        "transactional",
        "uncountable",
        "unvetted",
        "wipes",
    )

    def __init__(self, rules: Mapping[str, Rule], context: ClassifyContext) -> None:
        self.rules = rules
        self.context = context
        self.needs: dict[tuple[Action, str], None] = {}
        self.target: dict[str, None] = {}
        self.unvetted: dict[str, None] = {}
        self.fetches: dict[str, None] = {}
        self.renames: dict[str | None, None] = {}
        self.summaries: list[str] = []
        self.prepares: list[tuple[str, Classified]] = []
        self.prepared_here: dict[str, list[Classified]] = {}
        self.deallocates: list[str] = []
        self.selects: list[Tree] = []
        self.executes: str | None = None
        self.impact = ""
        self.count = 0
        self.begins_transaction = False
        self.ends_transaction = False
        self.transaction_control = False
        self.transactional = True
        self.beyond_rollback = False
        self.outside_transaction = False
        self.changes_rows = False
        self.uncountable = False
        self.wipes = False
        self.copies_in = False
        self.copies_out = False
        self.deallocates_all = False
        self.may_change_settings = False

    def need(self, action: Action, part: str) -> None:
        self.needs[action, part] = None

    def read_relation(self, relation: Tree, scope: Scope = NO_CTES) -> None:
        """A table is read, unless the name is that of a CTE."""
        schema, name = relation.get("schemaname", ""), relation.get("relname", "")
        if not schema and name in scope:
            return
        part = f"table {relation_name(relation)}"
        self.needs[Action.READ, part] = None
        guarded = relation_action(schema, name)
        if guarded is not None:
            self.needs[guarded, part] = None

    def change_relation(self, relation: Tree, *actions: Action) -> str:
        """A table's content or form is changed; its part is returned. The server's own tables need ``execute``."""
        part = f"table {relation_name(relation)}"
        for action in actions:
            self.needs[action, part] = None
        if is_system_relation(relation.get("schemaname", ""), relation.get("relname", "")):
            self.needs[Action.EXECUTE, part] = None
        return part

    def call_unvetted(self, part: str) -> None:
        """Something is called that no table knows: it may be a person's own function, and do anything a row can take.

        A server that refuses changes in this session guards it; else it may write.
        """
        self.unvetted[part] = None
        self.needs[Action.READ if self.context.read_only else Action.WRITE, part] = None
        self.transactional = False
        self.beyond_rollback = True
        self.changes_rows = True
        self.may_change_settings = True

    def lasting(self) -> None:
        """An effect that a rollback does not undo, or that takes place before the commit."""
        self.transactional = False
        self.beyond_rollback = True

    def outside(self) -> None:
        """A statement that the server refuses inside a transaction."""
        self.lasting()
        self.outside_transaction = True

    def walk(self, value: Any, scope: Scope = NO_CTES) -> None:
        """Find what everything below ``value`` (a node, fields, or a list) needs."""
        rules = self.rules
        stack = [value]
        while stack:
            current = stack.pop()
            if current.__class__ is list:
                stack.extend(current)
                continue
            for key, child in current.items():
                shape = child.__class__
                if shape is not dict and shape is not list:
                    continue
                rule = rules.get(key)
                if rule is not None:
                    rule(self, child, scope)
                elif key in PLAIN:
                    stack.append(child)
                elif key not in LEAVES:
                    if shape is dict and not _is_field_of_nodes(key, child):
                        raise NotUnderstoodError(f"nothing is known of {key}")
                    stack.append(child)

    def walk_fields(self, fields: Tree, scope: Scope, without: frozenset[str] = _NOTHING) -> None:
        """Walk a node's fields apart from those that the caller has dealt with."""
        self.walk({key: child for key, child in fields.items() if key not in without}, scope)

    def statement(self, node: Tree) -> None:
        """A whole statement, at the top of the text or inside another (EXPLAIN, PREPARE, CREATE SCHEMA …)."""
        for kind, fields in node.items():
            rule = self.rules.get(kind)
            if rule is None:
                raise NotUnderstoodError(f"nothing is known of the statement {kind}")
            rule(self, fields, NO_CTES)
            if kind == "SelectStmt" and not any(action is Action.READ for action, _ in self.needs):
                self.need(Action.READ, "database")
            return
        raise NotUnderstoodError("the parser gave a statement of no kind")

    def apart(self) -> "Findings":
        """Empty findings in the same context, for a part that is to be judged by itself."""
        findings = Findings(self.rules, self.context)
        findings.prepared_here = self.prepared_here
        return findings

    def absorb(self, inner: "Findings") -> None:
        """Take in all that was found apart."""
        for name in ("needs", "target", "unvetted", "fetches", "renames"):
            getattr(self, name).update(getattr(inner, name))
        for name in _IF_ANY:
            setattr(self, name, getattr(self, name) or getattr(inner, name))
        for name in ("prepares", "deallocates"):
            getattr(self, name).extend(getattr(inner, name))
        self.transactional = self.transactional and inner.transactional

    def result(self) -> Classified:
        """What was found, as one classification."""
        actions = {action for action, _ in self.needs}
        wide = bool(actions & {Action.ALTER, Action.GRANT, Action.EXECUTE})
        runnable = not (wide or self.wipes or self.transaction_control or self.outside_transaction)
        impact = self.impact if self.count == 1 else ""
        if impact == "run" and (not runnable or self.beyond_rollback):
            impact = ""
        return Classified(
            needs=tuple(Need(action, part) for action, part in self.needs) or (Need(Action.CONNECT),),
            summary="; ".join(self.summaries),
            changes=any(action.changes for action in actions) or bool(self.unvetted),
            changes_rows=self.changes_rows,
            begins_transaction=self.begins_transaction,
            ends_transaction=self.ends_transaction,
            transaction_control=self.transaction_control,
            transactional=self.transactional,
            measurable=bool(impact),
            impact=impact,
            fenceable=runnable and not self.uncountable and any(action.changes for action in actions),
            may_change_settings=self.may_change_settings,
            target=tuple(self.target),
            count=self.count,
            copies_in=self.copies_in,
            copies_out=self.copies_out,
            prepares=tuple(self.prepares),
            executes=self.executes,
            deallocates=tuple(self.deallocates),
            deallocates_all=self.deallocates_all,
            unvetted=tuple(self.unvetted),
            fetches=tuple(self.fetches),
            uncountable=self.uncountable,
            renames=tuple(self.renames),
        )


def _is_field_of_nodes(key: str, child: Tree) -> bool:
    """Whether ``child`` is a node in a field that takes any node. Node types start with a capital, fields do not."""
    if key[:1].isupper():
        return False
    return not child or (len(child) == 1 and next(iter(child))[:1].isupper())


def walk_relation(findings: Findings, relation: Any, scope: Scope) -> None:
    """A RangeVar, or the field ``relation``, which holds a RangeVar's fields or a node."""
    if isinstance(relation, dict) and "relname" in relation:
        findings.read_relation(relation, scope)
    else:
        findings.walk(relation, scope)
