"""What a statement's text does with columns and whole rows, as far as a mask has to know: told from its tree alone.

A mask covers a value on its way to the client. A value that is compared, sorted by, put into an expression or made
part of a row has left by another way, so everything but being shown as it stands is found here, and
:mod:`interlock.protocols.postgres.mask` refuses it for columns that are masked. What is found errs to one side: a use
that may be one of another column counts as one of the masked column too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from interlock.protocols.postgres.classify_parser import UnreadableError, read_statements
from interlock.protocols.postgres.impact import quote

SELECT, CHANGE = "select", "change"
_KINDS = {"SelectStmt": SELECT, "InsertStmt": CHANGE, "UpdateStmt": CHANGE, "DeleteStmt": CHANGE}
_TARGET_NAMES = ("old", "new", "excluded")
"""What a statement that changes rows may call the row that it changes."""

Fields = tuple[str, ...]
"""A reference to a column: its name, and before it what qualifies it. In lower case."""


@dataclass(slots=True)
class Source:
    """What a name in FROM stands for: a relation (its quoted name), rows with ``names`` (and with all columns of
    what they come from, when they were taken by a star), or (``free``) what holds no row of a relation."""

    relation: str = ""
    names: set[str] = field(default_factory=set)
    star: bool = False
    free: bool = False


@dataclass(slots=True)
class Uses:
    """``kind`` is empty for what is neither a SELECT nor a change of rows, alone.

    ``relations`` are names as the server is asked for them, CTEs among them. ``shown``: columns that the outermost
    SELECT shows as they are, with the names that it gives them. ``used``: every other column. ``words``: names of
    columns that stand in other places (USING, a field of a row). ``loose_star``: a star elsewhere than where rows are
    shown or made a source; ``inner_star``: there. ``renames``: columns get other names by their places. ``by_place``:
    something is sorted, grouped or made distinct by its place.
    """

    kind: str = ""
    relations: set[str] = field(default_factory=set)
    sources: dict[str, list[Source]] = field(default_factory=dict)
    shown: list[tuple[Fields, str]] = field(default_factory=list)
    used: set[Fields] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    loose_star: bool = False
    inner_star: bool = False
    renames: bool = False
    natural: bool = False
    by_place: bool = False


@lru_cache(maxsize=512)
def find_uses(text: str) -> Uses:
    """Not to be changed: kept for the next one with the same text."""
    found = Uses()
    try:
        statements = read_statements(text)
    except UnreadableError:
        return found
    if len(statements) != 1:
        return found
    ((node, fields),) = statements[0].items()
    kind = _KINDS.get(node, "")
    if not kind or "intoClause" in fields:
        return found
    walk = _Walk(found)
    if kind == SELECT and _is_plain(fields):
        walk.shown = id(fields.get("targetList"))
    walk.go(node, fields)
    if kind == CHANGE:
        walk.name_target(fields.get("relation", {}))
    found.kind = kind
    return found


def _is_plain(select: Mapping[str, Any]) -> bool:
    """Whether it is no union (or the like) of others."""
    return bool(select.get("op", "SETOP_NONE") == "SETOP_NONE")


class _Walk:
    """``shown`` is the outermost SELECT's own list; ``sources`` those of subqueries that are sources of rows."""

    def __init__(self, found: Uses) -> None:
        self.found = found
        self.shown = 0
        self._lists: set[int] = set()
        self._exists: set[int] = set()
        self._ctes: dict[str, Source] = {}

    def go(self, key: str, value: Any) -> None:
        """``value`` is the node, or the field, called ``key``."""
        if value.__class__ is list:
            for one in value:
                self.go(key, one)
            return
        if value.__class__ is not dict:
            return
        found = self.found
        if key == "ColumnRef":
            self._refer(value)
            return
        if key == "RangeVar" or "relname" in value:
            self._read(value)
        elif key == "SelectStmt":
            self._select(value)
        elif key == "CommonTableExpr":
            self._cte(value)
        elif key == "RangeSubselect":
            self._subselect(value)
        elif key in ("RangeFunction", "RangeTableFunc", "JsonTable"):
            self._name(value.get("alias"), Source(free=True), renames=False)
        elif key == "JoinExpr":
            self._join(value)
        elif key == "ReturningOption":
            self._name({"aliasname": value.get("value", "")}, Source(star=True))
        elif key == "SubLink" and value.get("subLinkType") == "EXISTS_SUBLINK":
            self._exists.add(id(value["subselect"].get("SelectStmt", {}).get("targetList")))
        elif key == "A_Indirection":
            found.words.update(_strings(value.get("indirection", ())))
            found.loose_star |= any("A_Star" in one for one in value.get("indirection", ()))
        elif key == "SortBy":
            found.by_place |= "A_Const" in value.get("node", {})
        # What stands in WITH is named before it is read.
        for name, child in sorted(value.items(), key=lambda item: item[0] != "withClause"):
            self.go(name, child)

    def _select(self, select: dict[str, Any]) -> None:
        found = self.found
        by_place = "distinctClause" in select or _has_place(select.get("groupClause", ()))
        found.by_place |= by_place
        # What an EXISTS shows counts for nothing, unless it decides how many rows there are.
        found.inner_star |= by_place and id(select.get("targetList")) in self._exists
        for side in ("larg", "rarg"):
            # Their type is fixed, so that they are no nodes of their own.
            if side in select:
                self._select(select[side])
        targets = select.get("targetList")
        for target in targets or ():
            self._target(target.get("ResTarget", {}), id(targets))

    def _target(self, target: dict[str, Any], of: int) -> None:
        """A column that is shown as it is. Everything else is found by the walk."""
        value = target.get("val", {})
        fields = value.get("ColumnRef", {}).get("fields")
        if fields is None:
            return
        if "A_Star" in fields[-1]:
            if of in self._exists or of == self.shown:
                pass
            elif of in self._lists:
                self.found.inner_star = True
            else:
                self.found.loose_star = True
        elif of == self.shown:
            self.found.shown.append((tuple(_strings(fields)), str(target.get("name", "")).lower()))
        else:
            return
        value["ColumnRef"] = {"fields": []}

    def _refer(self, column: dict[str, Any]) -> None:
        fields = column.get("fields", ())
        if fields and "A_Star" in fields[-1]:
            self.found.loose_star = True
        elif fields:
            self.found.used.add(tuple(_strings(fields)))

    def _read(self, relation: dict[str, Any]) -> None:
        parts = [relation[part] for part in ("catalogname", "schemaname", "relname") if relation.get(part)]
        name = ".".join(quote(part) for part in parts)
        self.found.relations.add(name)
        alias = relation.get("alias") or {"aliasname": relation.get("relname", "")}
        cte = self._ctes.get(str(relation.get("relname", ""))) if len(parts) == 1 else None
        self._name(alias, Source(relation=name))
        if cte is not None:
            self._name(alias, cte)

    def _cte(self, cte: dict[str, Any]) -> None:
        query = cte.get("ctequery", {})
        source = self._rows_of(query)
        self.found.renames |= "aliascolnames" in cte
        name = str(cte.get("ctename", ""))
        self._ctes[name] = source
        self._name({"aliasname": name}, source)

    def _subselect(self, subselect: dict[str, Any]) -> None:
        self._name(subselect.get("alias"), self._rows_of(subselect.get("subquery", {})))

    def _join(self, join: dict[str, Any]) -> None:
        found = self.found
        found.natural |= bool(join.get("isNatural"))
        found.words.update(_strings(join.get("usingClause", ())))
        for alias in ("alias", "join_using_alias"):
            if alias in join:
                self._name(join[alias], Source(star=True))

    def _rows_of(self, query: dict[str, Any]) -> Source:
        """The rows of a subquery, or of a change that returns some. Of a union, the names are those of its first."""
        select = query.get("SelectStmt")
        if select is None:
            return Source(star=True)
        if _is_plain(select):
            self._lists.add(id(select.get("targetList")))
        while not _is_plain(select):
            select = select["larg"]
        names, star = set(), False
        for target in select.get("targetList", ()):
            given, value = target["ResTarget"].get("name"), target["ResTarget"].get("val", {})
            fields = value.get("ColumnRef", {}).get("fields", ())
            if fields and "A_Star" in fields[-1]:
                star = True
                continue
            names.add(str(given).lower() if given else _own_name(value))
        return Source(names=names, star=star)

    def _name(self, alias: Any, source: Source, *, renames: bool = True) -> None:
        if not isinstance(alias, dict):
            return
        self.found.renames |= renames and "colnames" in alias
        self.found.sources.setdefault(str(alias.get("aliasname", "")).lower(), []).append(source)

    def name_target(self, relation: dict[str, Any]) -> None:
        """The other names of the relation that a change is about."""
        parts = [relation[part] for part in ("catalogname", "schemaname", "relname") if relation.get(part)]
        for name in _TARGET_NAMES:
            self._name({"aliasname": name}, Source(relation=".".join(quote(part) for part in parts)))


def _has_place(groups: Any) -> bool:
    """Whether something is grouped by its place, also within a ROLLUP (and the like) or a list in brackets."""
    return any(
        "A_Const" in one
        or _has_place(one.get("GroupingSet", {}).get("content", ()))
        or _has_place(one.get("RowExpr", {}).get("args", ()))
        for one in groups
    )


def _own_name(value: dict[str, Any]) -> str:
    """The name that a column has that was given none, where it has one of its own."""
    if "ColumnRef" in value:
        fields = _strings(value["ColumnRef"].get("fields", ()))
        return fields[-1] if fields else ""
    if "FuncCall" in value:
        return _strings(value["FuncCall"].get("funcname", ()))[-1]
    return ""


def _strings(nodes: Any) -> list[str]:
    return [str(one["String"].get("sval", "")).lower() for one in nodes if "String" in one]
