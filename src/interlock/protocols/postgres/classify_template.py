"""Whether the classification of a text holds for every text of its template.

Two things are made sure of, not assumed. Every literal that was taken out is a constant to PostgreSQL's parser, at the
same place and of the same value; and while the text was classified nobody looked at the value of one of them.
``DELETE … WHERE 1 = 1`` is about its numbers (it deletes everything); ``WHERE id = 1`` is not.
"""

from typing import Any

from interlock.protocols.postgres.classify_parser import Tree

_ROWS = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
"""The statements of which templates are kept. In others a literal may be a name, a file or a program."""


class Literal(dict[str, Any]):
    """What is inside a constant. ``read`` once somebody looked."""

    read = False

    def __getitem__(self, key: str) -> Any:
        self.read = True
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read = True
        return super().get(key, default)

    def items(self) -> Any:
        self.read = True
        return super().items()

    def values(self) -> Any:
        self.read = True
        return super().values()

    def __eq__(self, other: object) -> bool:
        self.read = True
        return super().__eq__(other)

    __hash__ = None


def watch_literals(statements: list[Tree], text: bytes, places: list[tuple[int, int]]) -> list[Literal] | None:
    """Put a :class:`Literal` into the tree for every place. None when one of them is no constant of that value."""
    if not all(_ROWS & statement.keys() for statement in statements):
        return None
    constants = _find_constants(statements)
    watched = []
    for start, end in places:
        literal = _watch(constants, text, start, end)
        if literal is None:
            return None
        watched.append(literal)
    return watched


def _find_constants(statements: list[Tree]) -> dict[int, Tree]:
    """The constants by the byte at which each begins."""
    found: dict[int, Tree] = {}
    stack: list[Any] = list(statements)
    while stack:
        current = stack.pop()
        if isinstance(current, list):
            stack.extend(current)
        elif isinstance(current, dict):
            constant = current.get("A_Const")
            if isinstance(constant, dict):
                found[constant.get("location", 0)] = constant
            stack.extend(current.values())
    return found


def _watch(constants: dict[int, Tree], text: bytes, start: int, end: int) -> Literal | None:
    written = text[start:end]
    constant = constants.get(start)
    if constant is None and not written.startswith(b"'"):
        # The parser makes one constant of a sign and a number.
        sign = len(text[:start].rstrip()) - 1
        constant = constants.get(sign) if text[sign : sign + 1] == b"-" else None
        written = b"-" + written
    if constant is None:
        return None
    kind, value = _read_value(written)
    inside = constant.get(kind)
    if not isinstance(inside, dict) or isinstance(inside, Literal) or inside.get(kind, type(value)()) != value:
        return None
    constant[kind] = literal = Literal(inside)
    return literal


def _read_value(written: bytes) -> tuple[str, int | str]:
    """The field of a constant in which the parser keeps it, and what stands there."""
    if written.startswith(b"'"):
        return "sval", written[1:-1].replace(b"''", b"'").decode("ascii")
    if b"." in written:
        return "fval", written.decode("ascii")
    return "ival", int(written)
